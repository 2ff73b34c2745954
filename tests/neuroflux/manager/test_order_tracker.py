"""Following an order: everything since it was registered, and an end when the last fill has come."""

import asyncio
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Fill, Liquidity, OrderDecision, OrderEvent, OrderState, Side
from neuroflux.manager.order_tracker import Followers, Happening
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BY_NAME, DECISIONS, EVENTS, FILLS
from tests.neuroflux.manager.told import NOW

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


def tell(followers: Followers, record: Happening) -> None:
    topic = {OrderEvent: EVENTS, Fill: FILLS, OrderDecision: DECISIONS}[type(record)]
    if followers.wanted(topic.name, record.order_id):
        followers.take(Entry(BY_NAME[topic.name], 0, 0, record.order_id, record, b"", "", NOW))


STORY: list[Happening] = [
    event(OrderState.RECEIVED),
    OrderDecision("o", "optimal", (), "", (), (), NOW),
    event(OrderState.WORKING, "leg", ONE / 2),
    event(OrderState.FILLED, "leg", ONE),
    event(OrderState.FILLED, "", ONE),
    fill(ONE / 2),
    fill(ONE / 4),
    fill(ONE / 4),
]


async def test_the_story_ends_with_the_last_fill() -> None:
    followers = Followers()
    with followers.follow("o") as followed:
        for record in STORY:
            tell(followers, record)
        assert [record async for record in followed] == STORY
        assert followed.decision is STORY[1]
        assert followed.last is STORY[4]
        assert len(followed.fills) == 3


@given(st.permutations(STORY[2:]))
def test_it_is_complete_only_with_everything(order: list[Happening]) -> None:
    """Topics overtake each other; only the events of the order have an order among themselves."""
    events = [one for one in STORY[2:] if isinstance(one, OrderEvent)]
    followers = Followers()
    with followers.follow("o") as followed:
        for number, record in enumerate(order):
            tell(followers, events.pop(0) if isinstance(record, OrderEvent) else record)
            last_event = not any(isinstance(one, OrderEvent) for one in order[number + 1 :])
            last_fill = not any(isinstance(one, Fill) for one in order[number + 1 :])
            assert followed.ended == last_event
            assert followed.complete == (last_event and last_fill)


async def test_it_waits_for_what_has_not_come() -> None:
    followers = Followers()
    with followers.follow("o") as followed:
        reading = asyncio.ensure_future(anext(aiter(followed)))
        await asyncio.sleep(0)
        assert not reading.done()
        tell(followers, STORY[0])
        assert await reading is STORY[0]


async def test_a_refused_order_ends_at_once() -> None:
    followers = Followers()
    with followers.follow("o") as followed:
        tell(followers, event(OrderState.REFUSED))
        assert len([record async for record in followed]) == 1


def test_only_what_is_followed_is_wanted_and_kept() -> None:
    followers = Followers()
    with followers.follow("o") as one, followers.follow("o") as other:
        tell(followers, event(OrderState.RECEIVED))
        tell(followers, event(OrderState.RECEIVED, order_id="another"))
        assert len(one.events) == len(other.events) == 1
        followers.leave(one)
        assert followers.wanted(EVENTS.name, "o")
    assert not followers.wanted(EVENTS.name, "o")
