"""A minimal model of an exchange, and requests in flight that are lost, late, repeated and reordered.

It keeps the one guarantee that the state machine relies on: it refuses requests signed more than ``ACCEPTED_FOR`` ago.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec import Struct

from neuroflux.domain import (
    Ack,
    Fill,
    InDoubt,
    Instrument,
    Liquidity,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Reject,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.engine.orders.inputs import Answered, FillSeen, Operation, OrderInput, Reported
from neuroflux.engine.orders.table import SECOND

ACCEPTED_FOR = 5 * SECOND
OUTCOMES = ("taken", "taken", "taken", "rejected", "throttled", "failed")
"""The outcomes of a placement that arrives in time; a failed one was not accepted, but its answer does not show it."""


class StoredOrder(Struct):
    """One order as the exchange has it."""

    placement: Placement
    number: int
    state: OrderState = OrderState.ACKNOWLEDGED
    trades: list[Fill] = msgspec.field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((one.quantity for one in self.trades), Decimal(0))

    @property
    def is_open(self) -> bool:
        return not self.state.final


class ModelExchange:
    """Every exchange at once; ``orders`` is its own record of what it accepted, by client order id."""

    def __init__(self) -> None:
        self.orders: dict[str, StoredOrder] = {}
        self.stream: list[OrderInput] = []
        """What the private streams have reported and was not taken yet."""

    def place(self, placement: Placement, signed_at: int, now: int, outcome_kind: str, part: int) -> Outcome:
        """``part`` is how much can be filled at once."""
        if now > signed_at + ACCEPTED_FOR:
            return Reject("-1021", "Timestamp for this request is outside of the recvWindow.")
        if outcome_kind == "rejected":
            return Reject("-2010", "no")
        if outcome_kind == "throttled":
            return Throttled(0.1, "slow down")
        if outcome_kind == "failed":
            return InDoubt("HTTP 503")
        named = placement.client_order_id
        assert named not in self.orders, f"{named} was sent twice"
        self.orders[named] = stored = StoredOrder(placement, len(self.orders))
        self.match(stored, part, now)
        if stored.is_open and placement.time_in_force is TimeInForce.IOC:
            self._end(stored, OrderState.EXPIRED, now)
        return self._ack(stored, now)

    def match(self, stored: StoredOrder, part: int, now: int) -> None:
        """Fill up to ``part`` of what is open, a trade for each unit."""
        for _ in range(part):
            if stored.is_open:
                stored.trades.append(self._trade(stored, now))
                full = stored.filled >= stored.placement.quantity
                stored.state = OrderState.FILLED if full else OrderState.WORKING
                self.stream.append(FillSeen(stored.placement.client_order_id, stored.trades[-1]))
        self.stream.append(Reported(stored.placement.client_order_id, self._report(stored, now)))

    def query(self, named: str, now: int) -> Outcome:
        stored = self.orders.get(named)
        return self._ack(stored, now) if stored else NotThere("-2013")

    def cancel(self, named: str, now: int) -> Outcome:
        stored = self.orders.get(named)
        if stored is None or not stored.is_open:
            return Reject("-2011", "Unknown order sent.")
        self._end(stored, OrderState.CANCELLED, now)
        return self._ack(stored, now)

    def fills(self, instrument: Instrument) -> list[OrderInput]:
        """All trades in an instrument."""
        return [
            FillSeen(named, trade)
            for named, stored in self.orders.items()
            if stored.placement.instrument == instrument
            for trade in stored.trades
        ]

    def net(self) -> Decimal:
        """The quantity bought minus the quantity sold."""
        return sum(
            (stored.filled * (1 if stored.placement.side is Side.BUY else -1) for stored in self.orders.values()),
            Decimal(0),
        )

    def _end(self, stored: StoredOrder, state: OrderState, now: int) -> None:
        stored.state = state
        self.stream.append(Reported(stored.placement.client_order_id, self._report(stored, now)))

    def _trade(self, stored: StoredOrder, now: int) -> Fill:
        one, number = stored.placement, f"{stored.number}.{len(stored.trades)}"
        left = min(Decimal(1), one.quantity - stored.filled)
        return Fill(
            "", one.instrument.exchange, one.instrument.symbol, one.client_order_id, str(stored.number), number,
            one.side, one.price, left, Decimal(0), "USDT", Liquidity.TAKER, now,
        )  # fmt: skip

    def _report(self, stored: StoredOrder, now: int) -> OrderReport:
        one = stored.placement
        return OrderReport(
            one.instrument.exchange, one.instrument.symbol, one.client_order_id, str(stored.number), one.side,
            OrderType.LIMIT, one.price, one.quantity, stored.filled, one.price if stored.trades else Decimal(0),
            stored.state, "", now,
        )  # fmt: skip

    def _ack(self, stored: StoredOrder, now: int) -> Ack:
        return Ack(self._report(stored, now))


class InFlight(Struct, frozen=True):
    """A request that has not arrived; ``sender`` is the executor that waits for its answer, unless it was killed."""

    operation: Operation | None
    instrument: Instrument
    client_order_id: str
    begun: int
    sender: int
    placement: Placement | None = None


def arrives(exchange: ModelExchange, request: InFlight, now: int, outcome_kind: str, part: int) -> list[OrderInput]:
    """Perform a request on the exchange, and return the answer."""
    if request.operation is None:
        return exchange.fills(request.instrument)
    named = request.client_order_id
    if request.placement is not None:
        outcome = exchange.place(request.placement, request.begun, now, outcome_kind, part)
    elif request.operation is Operation.CANCEL:
        outcome = exchange.cancel(named, now)
    else:
        outcome = exchange.query(named, now)
    return [Answered(named, request.operation, outcome, request.begun)]


def unanswered(request: InFlight) -> Iterable[OrderInput]:
    """The input that the shell gives after a timeout."""
    if request.operation is not None:
        yield Answered(request.client_order_id, request.operation, InDoubt("no answer"), request.begun)
