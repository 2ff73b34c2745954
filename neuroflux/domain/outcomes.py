"""An order as it is sent to an exchange, and the outcomes of a request about it."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from neuroflux.domain.accounts import Fill, OrderReport
from neuroflux.domain.instruments import Instrument
from neuroflux.domain.orders import OrderType, Side, TimeInForce


class Ack(Struct, frozen=True):
    """The exchange accepted the request: definite. ``report`` is the order's state, ``fills`` those in the answer."""

    report: OrderReport
    fills: tuple[Fill, ...] = ()


class Reject(Struct, frozen=True):
    """The exchange rejected the request: definite, as ``code`` (the exchange's own) is on its list of definite rejects.

    ``is_untimely``: only because of its timestamp, which was ahead of the exchange's clock or too old.
    """

    code: str
    reason: str
    is_untimely: bool = False


class InDoubt(Struct, frozen=True):
    """It is unknown whether the exchange has the order: a timeout, a 5xx, an unreadable answer. Query; never resend.

    ``is_taken``: the exchange took the request and decides later. Its report, or a query, is the proof.
    """

    reason: str
    is_taken: bool = False


UNREADABLE_ANSWER = "unreadable answer"
"""Prefix of the reason when a body is not an answer about an order, or can't be read without its request."""


class NotThere(Struct, frozen=True):
    """The exchange answered that it has no such order."""

    reason: str


class Throttled(Struct, frozen=True):
    """Refused by a rate limit before it took effect; may be sent again after ``retry_after`` seconds.

    ``orders_only``: only new orders are limited; queries and cancels are accepted. ``risk_only``: the exchange is
    overloaded and accepts only orders that reduce a position, cancels and queries.
    """

    retry_after: float
    reason: str
    orders_only: bool = False
    risk_only: bool = False


Outcome = Ack | Reject | InDoubt | NotThere | Throttled


class Placement(Struct, frozen=True):
    """One order as it is sent to one exchange: quantity (wire units) and price (quote) fit the instrument's rules.

    ``price`` is 0 for a market order. ``reduce_only``: the order may only make a position smaller.
    """

    instrument: Instrument
    client_order_id: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool = False
