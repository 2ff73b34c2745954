"""The state of an order: its legs, and the attempts to place them.

machine.py holds the rules. An ``Order`` is journalled as msgpack, so its fields and those of its parts are a format.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from neuroflux.domain import (
    Cause,
    CommandKind,
    Fee,
    Fill,
    Instrument,
    Microseconds,
    OrderCommand,
    OrderState,
    Side,
    TimeInForce,
    to_scale,
)

ZERO = Decimal(0)


class Phase(StrEnum):
    """The phase of one attempt: a state of OrderState, or ABSENT if the exchange answers that it has no such order."""

    ROUTED = "routed"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    ACKNOWLEDGED = "acknowledged"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ABSENT = "absent"

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset({Phase.FILLED, Phase.CANCELLED, Phase.EXPIRED, Phase.REJECTED, Phase.ABSENT})


class Leg(Struct, frozen=True):
    """The part of an order that one instrument takes; it is always sent with a limit price.

    ``quantity`` and ``price`` are in wire units and in the quote; ``rate`` is USD for one unit of the quote at the time
    of the decision, ``decided_at``. Legs of a later ``stage`` begin when all earlier ones have ended. ``reducing`` is
    the part of the quantity that makes a position smaller: it needs no funds.
    """

    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    rate: float
    decided_at: Microseconds
    stage: int = 0
    reducing: Decimal = ZERO

    @property
    def reduces(self) -> bool:
        """Whether the whole of it makes a position smaller."""
        return 0 < self.quantity <= self.reducing


SETTLED_AFTER: Microseconds = 20_000_000
"""For journal entries without the exchange's own value: the longest of any exchange."""


class Attempt(Struct, frozen=True):
    """One attempt to place one leg, known to the exchange by ``client_order_id`` (empty until it is sent).

    ``reported`` is the cumulative filled quantity that the exchange reported, ``fills`` are the executions received,
    and ``fills_at`` is when, by our clock. ``heard_at`` is when the last report or fill was received. ``accepted_at``
    is when the first report was received that the exchange has the order, and ``accepted_time`` is the exchange's time
    in that report: from then on its balances include the attempt. ``filled_at`` and ``filled_time`` are the same for
    the last new fill.

    ``ask_at`` is when the attempt is queried or sent next, unless a report comes first; ``asked`` counts the queries
    since the last report. ``settled_after`` is how long after ``sent_at`` the request may still reach the exchange's
    book. ``cancels`` counts the cancels sent. ``is_stale``: not sent, because its price had become too old.
    ``is_unanswered``: queried so often without success that a person must check; later reports still count.
    """

    leg: int
    number: int
    phase: Phase = Phase.ROUTED
    client_order_id: str = ""
    exchange_order_id: str = ""
    sent_at: Microseconds = 0
    settled_after: Microseconds = SETTLED_AFTER
    heard_at: Microseconds = 0
    accepted_at: Microseconds = 0
    accepted_time: Microseconds = 0
    filled_at: Microseconds = 0
    filled_time: Microseconds = 0
    ended_at: Microseconds = 0
    reported: Decimal = ZERO
    reported_average: Decimal | None = ZERO
    fills: tuple[Fill, ...] = ()
    fills_at: tuple[Microseconds, ...] = ()
    fills_given_up: bool = False
    is_stale: bool = False
    is_unanswered: bool = False
    cancels: int = 0
    asked: int = 0
    ask_at: Microseconds = 0
    cancelled_at: Microseconds = 0
    reason: str = ""

    @property
    def seen(self) -> Decimal:
        """The quantity of the fills received."""
        return sum((fill.quantity for fill in self.fills), ZERO)

    @property
    def filled(self) -> Decimal:
        return max(self.reported, self.seen)

    @property
    def average(self) -> Decimal | None:
        """The average price, from the fills once all are received; 0 before the first, None while it is unknown."""
        seen = self.seen
        if seen and seen >= self.reported:
            return to_scale(sum((fill.price * fill.quantity for fill in self.fills), ZERO) / seen)
        return self.reported_average

    @property
    def settled(self) -> bool:
        """Whether no more reports or fills are expected."""
        return self.phase.final and (self.seen >= self.reported or self.fills_given_up)

    def can_be_absent(self, requested_at: Microseconds) -> bool:
        """Whether an exchange that did not have the order at that time can't receive it later either."""
        return self.phase is not Phase.IN_DOUBT or requested_at >= self.sent_at + self.settled_after


class Order(Struct, frozen=True, kw_only=True):
    """One order from its command to its end; ``source`` is the command's record.

    ``cancel_asked`` is the reason of a cancel, if one was requested. For a pair, ``hedges`` counts the tries to hedge
    the difference between its sides, ``hedge_at`` is when the next is due, and ``left_open`` is why there are no more.
    ``rerouted`` are the legs whose rest was rerouted, ``reroutes`` is how often that was done, and ``stuck`` is why it
    is not done again. ``abandoned`` are legs to be cancelled and rerouted because their exchange is unreliable.
    """

    command: OrderCommand
    source: Cause
    received_at: Microseconds
    state: OrderState = OrderState.RECEIVED
    decided_at: Microseconds = 0
    legs: tuple[Leg, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    cancel_asked: str = ""
    reason: str = ""
    hedges: int = 0
    hedge_at: Microseconds = 0
    left_open: str = ""
    rerouted: tuple[int, ...] = ()
    reroutes: int = 0
    stuck: str = ""
    abandoned: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        return self.command.order_id

    def of_leg(self, leg: int) -> Iterator[Attempt]:
        return (attempt for attempt in self.attempts if attempt.leg == leg)

    @property
    def last(self) -> dict[int, Attempt]:
        """The last attempt of each leg that was begun."""
        return {attempt.leg: attempt for attempt in self.attempts}

    def last_of(self, leg: int) -> Attempt | None:
        """The last attempt of a leg; None if it was not begun."""
        return self.last.get(leg)

    def base_of(self, attempt: Attempt) -> Decimal:
        """The filled quantity of an attempt, in units of the base; negative for a sale."""
        leg = self.legs[attempt.leg]
        return attempt.filled * leg.instrument.multiplier * (1 if leg.side is Side.BUY else -1)

    @property
    def net(self) -> Decimal:
        """The quantity bought minus the quantity sold, in units of the base."""
        return sum(map(self.base_of, self.attempts), ZERO)

    @property
    def quantity(self) -> Decimal:
        """The ordered quantity, in units of the base; in USD for a rebalance, whose legs have different bases."""
        if self.command.kind is not CommandKind.REBALANCE:
            return self.command.quantity
        return to_scale(sum((leg.quantity * leg.price * Decimal(str(leg.rate)) for leg in self.legs), ZERO))

    @property
    def filled(self) -> Decimal:
        """The filled quantity, in units of the base (a rebalance: in USD); of a pair, what was both bought and sold."""
        if self.command.kind is CommandKind.PAIR:
            return min((abs(self._at(leg.exchange, leg.symbol)) for leg in self.command.legs), default=ZERO)
        if self.command.kind is CommandKind.REBALANCE:
            values = (
                a.filled * (a.average or self.legs[a.leg].price) * Decimal(str(self.legs[a.leg].rate))
                for a in self.attempts
            )
            return to_scale(sum(values, ZERO))
        return sum((abs(self.base_of(a)) for a in self.attempts), ZERO)

    def _at(self, exchange: str, symbol: str) -> Decimal:
        """The quantity bought minus the quantity sold of one instrument, in units of the base."""
        there = (exchange, symbol)
        legs = (self.legs[a.leg].instrument for a in self.attempts)
        found = (
            self.base_of(a) for a, one in zip(self.attempts, legs, strict=True) if (one.exchange, one.symbol) == there
        )
        return sum(found, ZERO)

    @property
    def average(self) -> Decimal | None:
        """The average price of a unit of the base: in the legs' quote, or in USD if the legs' quotes differ.

        0 for a pair or a rebalance, which both buy and sell; None while the price of a part is unknown.
        """
        if self.command.kind is not CommandKind.PLACE:
            return ZERO
        mixed = len({leg.instrument.quote for leg in self.legs}) > 1
        filled, value = ZERO, ZERO
        for attempt in self.attempts:
            leg = self.legs[attempt.leg]
            if attempt.average is None:
                return None
            filled += attempt.filled * leg.instrument.multiplier
            value += attempt.filled * attempt.average * (Decimal(str(leg.rate)) if mixed else 1)
        return to_scale(value / filled) if filled else ZERO


def fees_of(attempts: tuple[Attempt, ...]) -> tuple[Fee, ...]:
    """The fees of all fills, summed by asset."""
    sums: dict[str, Decimal] = {}
    for attempt in attempts:
        for fill in attempt.fills:
            sums[fill.fee_asset] = sums.get(fill.fee_asset, ZERO) + fill.fee
    return tuple(Fee(asset, amount) for asset, amount in sorted(sums.items()))
