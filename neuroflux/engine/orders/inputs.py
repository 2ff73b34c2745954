"""What the order state machine accepts: decisions, answers, reports, fills, requests, and the passing of time."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from neuroflux.domain import Fill, Microseconds, OrderDecision, OrderReport, Outcome
from neuroflux.engine.orders.state import SETTLED_AFTER, Leg


class Operation(StrEnum):
    """The request that an answer of the exchange belongs to."""

    PLACE = "place"
    QUERY = "query"
    CANCEL = "cancel"


class Decided(Struct, frozen=True):
    """The order was routed, or refused if there are no legs; may be repeated while nothing of it was sent."""

    decision: OrderDecision
    legs: tuple[Leg, ...]


class Sending(Struct, frozen=True):
    """The next attempt of a leg is about to be sent under this id, by an order client with this ``settled_after``."""

    leg: int
    client_order_id: str
    settled_after: Microseconds = SETTLED_AFTER


class Answered(Struct, frozen=True):
    """The outcome of a request about an attempt, begun at ``requested_at``: the answer may arrive much later."""

    client_order_id: str
    operation: Operation
    outcome: Outcome
    requested_at: Microseconds


class Reported(Struct, frozen=True):
    """The private stream, or a list of orders, reported an attempt."""

    client_order_id: str
    report: OrderReport


class FillSeen(Struct, frozen=True):
    client_order_id: str
    fill: Fill


class CancelRequested(Struct, frozen=True):
    why: str


class Hedged(Struct, frozen=True):
    """The hedge of a pair: the legs to send, or none and why; ``over``: no later try can succeed."""

    legs: tuple[Leg, ...]
    reason: str = ""
    over: bool = False


class Rerouted(Struct, frozen=True):
    """The reroute of what was not taken: the legs to send, or none, and the decision with its reason."""

    decision: OrderDecision
    legs: tuple[Leg, ...]


class GivenUp(Struct, frozen=True):
    """A leg that waits to be sent is not to be sent to its exchange."""

    leg: int
    why: str


class Abandoned(Struct, frozen=True):
    """The order's open legs on this exchange are to be cancelled and rerouted."""

    exchange: str
    why: str


class Restored(Struct, frozen=True):
    """The order was read from the journal: a request that was being sent may have reached the exchange."""


class Ticked(Struct, frozen=True):
    """Time has passed."""


OrderInput = (
    Decided
    | Sending
    | Answered
    | Reported
    | FillSeen
    | CancelRequested
    | Hedged
    | Rerouted
    | GivenUp
    | Abandoned
    | Restored
    | Ticked
)
