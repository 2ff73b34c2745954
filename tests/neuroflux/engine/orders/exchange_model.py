"""An exchange as simple as one can be, and the way to it: requests and news that are lost, late, doubled and reordered.

It keeps the one promise that the order machine builds on: what was signed longer than ``TAKES_FOR`` ago it refuses.
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
from neuroflux.engine.orders.state import Answered, FillSeen, Operation, OrderInput, Reported
from neuroflux.engine.orders.table import SECOND

TAKES_FOR = 5 * SECOND
FATES = ("taken", "taken", "taken", "rejected", "throttled", "failed")
"""What becomes of a placement that arrives in time; one that failed was not taken, and the answer does not say so."""


class Kept(Struct):
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
        self.orders: dict[str, Kept] = {}
        self.stream: list[OrderInput] = []
        """What the private streams have told since somebody took it."""

    def place(self, placement: Placement, signed_at: int, now: int, fate: str, part: int) -> Outcome:
        """``part`` is how much can be filled at once."""
        if now > signed_at + TAKES_FOR:
            return Reject("-1021", "Timestamp for this request is outside of the recvWindow.")
        if fate == "rejected":
            return Reject("-2010", "no")
        if fate == "throttled":
            return Throttled(0.1, "slow down")
        if fate == "failed":
            return InDoubt("HTTP 503")
        named = placement.client_order_id
        assert named not in self.orders, f"{named} was sent twice"
        self.orders[named] = kept = Kept(placement, len(self.orders))
        self.match(kept, part, now)
        if kept.is_open and placement.time_in_force is TimeInForce.IOC:
            self._end(kept, OrderState.EXPIRED, now)
        return self._ack(kept, now)

    def match(self, kept: Kept, part: int, now: int) -> None:
        """Fill up to ``part`` of what is open, a trade for each unit."""
        for _ in range(part):
            if kept.is_open:
                kept.trades.append(self._trade(kept, now))
                full = kept.filled >= kept.placement.quantity
                kept.state = OrderState.FILLED if full else OrderState.WORKING
                self.stream.append(FillSeen(kept.placement.client_order_id, kept.trades[-1]))
        self.stream.append(Reported(kept.placement.client_order_id, self._report(kept, now)))

    def query(self, named: str, now: int) -> Outcome:
        kept = self.orders.get(named)
        return self._ack(kept, now) if kept else NotThere("-2013")

    def cancel(self, named: str, now: int) -> Outcome:
        kept = self.orders.get(named)
        if kept is None or not kept.is_open:
            return Reject("-2011", "Unknown order sent.")
        self._end(kept, OrderState.CANCELLED, now)
        return self._ack(kept, now)

    def fills(self, instrument: Instrument) -> list[OrderInput]:
        """All trades in an instrument."""
        return [
            FillSeen(named, trade)
            for named, kept in self.orders.items()
            if kept.placement.instrument == instrument
            for trade in kept.trades
        ]

    def net(self) -> Decimal:
        """What was bought less what was sold."""
        return sum(
            (kept.filled * (1 if kept.placement.side is Side.BUY else -1) for kept in self.orders.values()), Decimal(0)
        )

    def _end(self, kept: Kept, state: OrderState, now: int) -> None:
        kept.state = state
        self.stream.append(Reported(kept.placement.client_order_id, self._report(kept, now)))

    def _trade(self, kept: Kept, now: int) -> Fill:
        one, number = kept.placement, f"{kept.number}.{len(kept.trades)}"
        left = min(Decimal(1), one.quantity - kept.filled)
        return Fill(
            "", one.instrument.exchange, one.instrument.symbol, one.client_order_id, str(kept.number), number, one.side,
            one.price, left, Decimal(0), "USDT", Liquidity.TAKER, now,
        )  # fmt: skip

    def _report(self, kept: Kept, now: int) -> OrderReport:
        one = kept.placement
        return OrderReport(
            one.instrument.exchange, one.instrument.symbol, one.client_order_id, str(kept.number), one.side,
            OrderType.LIMIT, one.price, one.quantity, kept.filled, one.price if kept.trades else Decimal(0), kept.state,
            "", now,
        )  # fmt: skip

    def _ack(self, kept: Kept, now: int) -> Ack:
        return Ack(self._report(kept, now))


class UnderWay(Struct, frozen=True):
    """A request that has not arrived; ``asker`` is who waits for its answer: nobody, once that one was killed."""

    question: Operation | None
    instrument: Instrument
    client_order_id: str
    begun: int
    asker: int
    placement: Placement | None = None


def arrives(exchange: ModelExchange, request: UnderWay, now: int, fate: str, part: int) -> list[OrderInput]:
    """What the exchange makes of a request, and the answer to it."""
    if request.question is None:
        return exchange.fills(request.instrument)
    named = request.client_order_id
    if request.placement is not None:
        outcome = exchange.place(request.placement, request.begun, now, fate, part)
    elif request.question is Operation.CANCEL:
        outcome = exchange.cancel(named, now)
    else:
        outcome = exchange.query(named, now)
    return [Answered(named, request.question, outcome, request.begun)]


def unanswered(request: UnderWay) -> Iterable[OrderInput]:
    """What the shell tells when it has waited in vain."""
    if request.question is not None:
        yield Answered(request.client_order_id, request.question, InDoubt("no answer"), request.begun)
