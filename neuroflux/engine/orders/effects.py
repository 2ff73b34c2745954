"""What the order state machine has its caller do, in the order in which a step returns it."""

from __future__ import annotations

from msgspec import Struct

from neuroflux.domain import Fill, Instrument, Microseconds, OrderDecision, OrderEvent, Placement


class WriteJournal(Struct, frozen=True):
    """The order's new state must be in the journal before any other effect of this step."""


class RequestSend(Struct, frozen=True):
    """The leg is to be sent within the exchange's rate limit: answer with ``Sending``."""

    leg: int


class Send(Struct, frozen=True):
    placement: Placement


class QueryOrder(Struct, frozen=True):
    """Query the attempt on the exchange by its client order id."""

    instrument: Instrument
    client_order_id: str


class QueryFills(Struct, frozen=True):
    """Query the account's fills in this instrument since then."""

    instrument: Instrument
    since: Microseconds


class Cancel(Struct, frozen=True):
    instrument: Instrument
    client_order_id: str


class RequestDecision(Struct, frozen=True):
    """The order's decision is too old, and nothing of it was sent: answer with ``Decided``."""


class RequestHedge(Struct, frozen=True):
    """One side of the pair filled more than the other: answer with ``Hedged``."""


class RequestReroute(Struct, frozen=True):
    """An exchange failed to take its part of the order: answer with ``Rerouted``."""


class Publish(Struct, frozen=True):
    record: OrderEvent | Fill | OrderDecision


Effect = (
    WriteJournal
    | RequestSend
    | RequestDecision
    | Send
    | QueryOrder
    | QueryFills
    | Cancel
    | RequestHedge
    | RequestReroute
    | Publish
)
