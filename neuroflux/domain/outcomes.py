"""An order as it is sent to an exchange, and what became of it."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from neuroflux.domain.accounts import Fill, OrderReport
from neuroflux.domain.instruments import Instrument
from neuroflux.domain.orders import OrderType, Side, TimeInForce


class Ack(Struct, frozen=True):
    """The exchange took the order: definite."""

    report: OrderReport
    fills: tuple[Fill, ...] = ()


class Reject(Struct, frozen=True):
    """The exchange refused the order: definite, and on its list of definite rejects. ``code`` is the exchange's.

    ``is_untimely``: for its time alone, which was ahead of the exchange's clock or too long ago.
    """

    code: str
    reason: str
    is_untimely: bool = False


class InDoubt(Struct, frozen=True):
    """Nobody knows whether the order stands: a timeout, a 5xx, an answer that can't be read. Ask; never resend."""

    reason: str


UNREADABLE_ANSWER = "unreadable answer"
"""How the reason begins where an answer is none to an order, or can't be read without the request that it answers."""


class NotThere(Struct, frozen=True):
    """The exchange says that it has no such order."""

    reason: str


class Throttled(Struct, frozen=True):
    """Refused for its rate before anything was done; may be sent again after ``retry_after`` seconds.

    ``orders_only``: too many new orders, while anything else may be asked and cancelled. ``risk_only``: an overload
    during which the exchange still takes what reduces a position, cancels and queries.
    """

    retry_after: float
    reason: str
    orders_only: bool = False
    risk_only: bool = False


Outcome = Ack | Reject | InDoubt | NotThere | Throttled


class Placement(Struct, frozen=True):
    """One order as it goes to one exchange: quantity and price already fit the instrument's rules."""

    instrument: Instrument
    client_order_id: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool = False
