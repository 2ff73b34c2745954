"""Tracked orders: all records since the order was registered, until its last fill."""

import asyncio
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Fill, Liquidity, OrderDecision, OrderEvent, OrderState, Side
from neuroflux.manager.order_tracker import OrderRecord, OrderTracker
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BY_NAME, DECISIONS, EVENTS, FILLS
from tests.neuroflux.manager.reports import NOW

ONE = Decimal(1)


def event(
    state: OrderState, client_order_id: str = "", filled: Decimal = Decimal(0), order_id: str = "o"
) -> OrderEvent:
    zero = Decimal(0)
    return OrderEvent(
        order_id, state, "binance", "BTC/USDC", client_order_id, "", Side.BUY, ONE, filled, zero, (), "", NOW
    )


def fill(quantity: Decimal, client_order_id: str = "leg") -> Fill:
    figures = (Decimal(100), quantity, Decimal(0), "USDC", Liquidity.TAKER, NOW)
    return Fill("o", "binance", "BTC/USDC", client_order_id, "x", str(quantity), Side.BUY, *figures)


def publish(tracker: OrderTracker, record: OrderRecord) -> None:
    topic = {OrderEvent: EVENTS, Fill: FILLS, OrderDecision: DECISIONS}[type(record)]
    if tracker.is_tracked(topic.name, record.order_id):
        tracker.add(Entry(BY_NAME[topic.name], 0, 0, record.order_id, record, b"", "", NOW))


RECORDS: list[OrderRecord] = [
    event(OrderState.RECEIVED),
    OrderDecision("o", "optimal", (), "", (), (), NOW),
    event(OrderState.WORKING, "leg", ONE / 2),
    event(OrderState.FILLED, "leg", ONE),
    event(OrderState.FILLED, "", ONE),
    fill(ONE / 2),
    fill(ONE / 4),
    fill(ONE / 4),
]


async def test_iteration_ends_with_the_last_fill() -> None:
    tracker = OrderTracker()
    with tracker.track("o") as tracked:
        for record in RECORDS:
            publish(tracker, record)
        assert [record async for record in tracked] == RECORDS
        assert tracked.decision is RECORDS[1]
        assert tracked.last is RECORDS[4]
        assert len(tracked.fills) == 3


@given(st.permutations(RECORDS[2:]))
def test_an_order_is_complete_only_with_all_records(order: list[OrderRecord]) -> None:
    """Topics overtake each other; only the events of the order arrive in order."""
    events = [one for one in RECORDS[2:] if isinstance(one, OrderEvent)]
    tracker = OrderTracker()
    with tracker.track("o") as tracked:
        for number, record in enumerate(order):
            publish(tracker, events.pop(0) if isinstance(record, OrderEvent) else record)
            last_event = not any(isinstance(one, OrderEvent) for one in order[number + 1 :])
            last_fill = not any(isinstance(one, Fill) for one in order[number + 1 :])
            assert tracked.ended == last_event
            assert tracked.complete == (last_event and last_fill)


async def test_iteration_waits_for_the_next_record() -> None:
    tracker = OrderTracker()
    with tracker.track("o") as tracked:
        reading = asyncio.ensure_future(anext(aiter(tracked)))
        await asyncio.sleep(0)
        assert not reading.done()
        publish(tracker, RECORDS[0])
        assert await reading is RECORDS[0]


async def test_a_refused_order_ends_at_once() -> None:
    tracker = OrderTracker()
    with tracker.track("o") as tracked:
        publish(tracker, event(OrderState.REFUSED))
        assert len([record async for record in tracked]) == 1


def test_only_tracked_orders_are_decoded_and_stored() -> None:
    tracker = OrderTracker()
    with tracker.track("o") as one, tracker.track("o") as other:
        publish(tracker, event(OrderState.RECEIVED))
        publish(tracker, event(OrderState.RECEIVED, order_id="another"))
        assert len(one.events) == len(other.events) == 1
        tracker.untrack(one)
        assert tracker.is_tracked(EVENTS.name, "o")
    assert not tracker.is_tracked(EVENTS.name, "o")
