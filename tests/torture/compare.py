"""Comparison of the results of a run: the exchanges' own record, the journal, the topics, ClickHouse. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from neuroflux.domain import CommandKind, Fill, OrderCommand, OrderEvent
from neuroflux.engine.orders.state import Attempt, Order

ZERO = Decimal(0)
NAKED_SECONDS: Final = 30.0
"""Seconds that a pair may be unhedged: a kill, a fault of the other exchange, and a skewed clock together."""
DUST_USD: Final = 25.0
"""USD that are too small to be traded on some exchange."""


class Accepted(Struct, frozen=True):
    """An order that an exchange accepted, as in ``GET /sim/orders``."""

    exchange: str
    symbol: str
    client_order_id: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    state: str


class Left(Struct, frozen=True):
    """The results of one run. ``journal`` has the last valid state of each order, and whether it is done.

    ``stored`` counts the rows in ClickHouse by log position (topic, partition, offset); ``written`` are the positions
    of the records that the run wrote.
    """

    commands: Sequence[OrderCommand]
    accepted: Sequence[Accepted]
    journal: Mapping[str, tuple[Order, bool]]
    events: Sequence[OrderEvent]
    fills: Sequence[Fill]
    dead: frozenset[str]
    written: frozenset[tuple[str, int, int]]
    stored: Counter[tuple[str, int, int]]


class Verdict(Struct, frozen=True):
    """Faults by kind, each a text with the order id. All are empty after a good run."""

    sent_twice: tuple[str, ...]
    lost: tuple[str, ...]
    unknown: tuple[str, ...]
    fills_twice: tuple[str, ...]
    fills_missing: tuple[str, ...]
    exposed: tuple[str, ...]
    not_stored: tuple[str, ...]

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        return {name: found for name in self.__struct_fields__ if (found := getattr(self, name))}


def compare(left: Left) -> Verdict:
    """Compare all results with each other."""
    return Verdict(
        tuple(_sent_twice(left)),
        tuple(_lost(left)),
        tuple(_unknown(left)),
        tuple(_fills_twice(left)),
        tuple(_fills_missing(left)),
        tuple(_exposed(left)),
        tuple(_not_stored(left)),
    )


def _attempts(left: Left) -> Iterator[tuple[Order, Attempt]]:
    for order, _ in left.journal.values():
        for attempt in order.attempts:
            if attempt.client_order_id:
                yield order, attempt


def _theirs(left: Left) -> dict[tuple[str, str], list[Accepted]]:
    found: dict[tuple[str, str], list[Accepted]] = defaultdict(list)
    for one in left.accepted:
        found[one.exchange, one.client_order_id].append(one)
    return found


def _sent_twice(left: Left) -> Iterator[str]:
    """A leg is one order on its exchange, and is not filled by more than its quantity."""
    theirs = _theirs(left)
    legs: dict[tuple[str, int], list[Accepted]] = defaultdict(list)
    for order, attempt in _attempts(left):
        exchange = order.legs[attempt.leg].instrument.exchange
        legs[order.id, attempt.leg] += theirs.get((exchange, attempt.client_order_id), [])
    for (order_id, leg), accepted in legs.items():
        filled, asked = sum((one.filled_quantity for one in accepted), ZERO), _asked(left, order_id, leg)
        if len(accepted) > 1 or filled > asked:
            names = ", ".join(f"{one.client_order_id} {one.state} {one.filled_quantity}" for one in accepted)
            yield f"{order_id} leg {leg} of {asked}: {names}"
    for order, _ in left.journal.values():
        if order.command.kind is CommandKind.PLACE and order.filled > order.command.quantity:
            yield f"{order.id}: {order.filled} of {order.command.quantity} filled"


def _asked(left: Left, order_id: str, leg: int) -> Decimal:
    return left.journal[order_id][0].legs[leg].quantity


def _lost(left: Left) -> Iterator[str]:
    """Every command has an order, and every order of an exchange has a journal entry."""
    for command in left.commands:
        known = command.order_id in left.journal or command.order_id in left.dead
        if command.kind is not CommandKind.CANCEL and not known:
            yield f"{command.order_id}: the journal does not know this command"
    ours = {(o.legs[a.leg].instrument.exchange, a.client_order_id) for o, a in _attempts(left)}
    for one in left.accepted:
        if (one.exchange, one.client_order_id) not in ours:
            yield f"{one.exchange} {one.symbol} {one.client_order_id}: unknown order, {one.filled_quantity} filled"


def _unknown(left: Left) -> Iterator[str]:
    """Every order has ended, in the journal and in its events."""
    reported: dict[str, OrderEvent] = {event.order_id: event for event in left.events if not event.client_order_id}
    for order, done in left.journal.values():
        last = reported.get(order.id)
        if not done or not order.state.final:
            yield f"{order.id}: {order.state} in the journal{'' if done else ', not done'}"
        elif last is None or last.state is not order.state:
            yield f"{order.id}: {order.state} in the journal, {last.state if last else 'nothing'} on the events"
    for order, attempt in _attempts(left):
        for one in _theirs_of(left, order, attempt):
            if one.state in ("new", "partially_filled"):
                yield f"{order.id}: {one.client_order_id} is still open on {one.exchange}"


def _theirs_of(left: Left, order: Order, attempt: Attempt) -> list[Accepted]:
    exchange = order.legs[attempt.leg].instrument.exchange
    return [o for o in left.accepted if (o.exchange, o.client_order_id) == (exchange, attempt.client_order_id)]


def _fills_twice(left: Left) -> Iterator[str]:
    counted = Counter((one.exchange, one.symbol, one.trade_id, one.side) for one in left.fills)
    for name, times in counted.items():
        if times > 1:
            yield f"{' '.join(name)}: {times} times"
    for event, times in Counter(_content(one) for one in left.events).items():
        if times > 1:
            yield f"event {event}: {times} times"


def _content(event: OrderEvent) -> tuple[str, ...]:
    figures = (event.order_id, event.client_order_id, event.state, event.filled_quantity, event.event_time)
    return (*map(str, figures), event.reason)


def _fills_missing(left: Left) -> Iterator[str]:
    """The fills of each attempt sum to what its exchange filled, and to its last event."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for fill in left.fills:
        sums[fill.exchange, fill.client_order_id] += fill.quantity
    last = {(one.exchange, one.client_order_id): one for one in left.events if one.client_order_id}
    for one in left.accepted:
        seen = sums[one.exchange, one.client_order_id]
        if seen != one.filled_quantity:
            yield f"{one.exchange} {one.client_order_id}: {one.filled_quantity} filled, {seen} on the fills"
        event = last.get((one.exchange, one.client_order_id))
        if event is not None and event.filled_quantity != one.filled_quantity:
            reported = f"{event.filled_quantity} on the events"
            yield f"{one.exchange} {one.client_order_id}: {one.filled_quantity} filled, {reported}"


def _exposed(left: Left) -> Iterator[str]:
    """No pair is unhedged for longer than its bound, or ends unhedged by more than dust."""
    reported = {event.order_id: event for event in left.events if not event.client_order_id}
    for order, _ in left.journal.values():
        if order.command.kind is not CommandKind.PAIR:
            continue
        event, price = reported.get(order.id), max((float(leg.price) * leg.rate for leg in order.legs), default=0.0)
        if abs(float(order.net)) * price > DUST_USD:
            yield f"{order.id}: {order.net} left open: {order.left_open or order.reason}"
        if event is not None and event.naked_ms > NAKED_SECONDS * 1e3:
            yield f"{order.id}: {event.naked_usd:.2f} USD naked for {event.naked_ms:.0f} ms"


def _not_stored(left: Left) -> Iterator[str]:
    for place in sorted(left.written):
        if left.stored[place] != 1:
            yield f"{place}: {left.stored[place]} times in ClickHouse"


def summary(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """The number of faults of each kind."""
    counts = Counter(dict.fromkeys(Verdict.__struct_fields__, 0))
    for verdict in verdicts:
        counts.update({name: len(found) for name, found in verdict.faults.items()})
    return dict(counts)
