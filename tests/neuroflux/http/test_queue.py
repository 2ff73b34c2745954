"""Who goes first where the rate budget is short."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

from neuroflux.exchanges.kit.requests import DecayingCounter, WeightRate
from neuroflux.http.budget import Budget, Urgency
from neuroflux.http.queue import Queue

HOLD = 0.1


def held(orders: int = 100) -> Queue:
    """A queue at which everybody waits for a moment."""
    now = asyncio.get_running_loop().time()
    queue = Queue(Budget(6_000, 0.0, now, [(orders, 60.0)]))
    queue.budget.hold(HOLD, now)
    return queue


async def test_cancels_go_first_then_orders_then_the_rest_each_in_its_order() -> None:
    queue, done = held(), list[str]()

    async def turn(name: str, urgency: Urgency, *, is_order: bool = False) -> None:
        await queue.turn(1, urgency, is_order=is_order)
        done.append(name)

    await asyncio.gather(
        turn("read", Urgency.READ),
        turn("first", Urgency.ORDER, is_order=True),
        turn("second", Urgency.ORDER, is_order=True),
        turn("cancel", Urgency.FIRST),
    )
    assert done == ["cancel", "first", "second", "read"]


async def test_who_stops_waiting_leaves_the_queue() -> None:
    queue = held()
    gone: asyncio.Task[Any] = asyncio.create_task(queue.turn(1, Urgency.FIRST))
    waiting = asyncio.create_task(queue.turn(1, Urgency.READ))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(2):
        await waiting


async def test_a_cancel_and_a_question_pass_by_orders_that_wait_for_room() -> None:
    queue = Queue(Budget(6_000, 0.0, asyncio.get_running_loop().time(), [(1, 60.0)]))
    assert queue.try_turn(1, Urgency.FIRST, is_order=True)
    hedge = asyncio.create_task(queue.turn(1, Urgency.FIRST, is_order=True))
    await asyncio.sleep(0)
    assert not queue.try_turn(1, Urgency.FIRST, is_order=True)
    assert queue.try_turn(1, Urgency.READ), "needs no order's room"
    hedge.cancel()
    await asyncio.gather(hedge, return_exceptions=True)


async def test_what_an_order_would_wait_is_known_before_it_waits() -> None:
    queue = held()
    assert 0 < queue.expected(1, Urgency.ORDER) <= HOLD
    waiting: asyncio.Task[Any] = asyncio.create_task(queue.turn(1, Urgency.ORDER, is_order=True))
    await asyncio.sleep(0)
    assert queue.expected(1, Urgency.ORDER) == inf, "another waits before it"
    assert queue.expected(1, Urgency.FIRST) <= HOLD, "a hedge passes by"
    await waiting
    assert queue.expected(1, Urgency.ORDER) == 0


async def test_a_bucket_that_is_used_up_holds_up_no_other() -> None:
    now = asyncio.get_running_loop().time()
    queue = Queue(Budget(6_000, 0.0, now, buckets={"a": WeightRate(1, 60.0), "b": WeightRate(1, 60.0)}))
    assert queue.try_turn(1, Urgency.READ, "a")
    waiting: asyncio.Task[Any] = asyncio.create_task(queue.turn(1, Urgency.FIRST, "a"))
    await asyncio.sleep(0)
    assert not queue.try_turn(1, Urgency.READ, "a")
    assert queue.try_turn(1, Urgency.READ, "b")
    assert queue.try_turn(1, Urgency.READ)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_in_a_bucket_too_a_cancel_is_sent_first() -> None:
    now, done = asyncio.get_running_loop().time(), list[str]()
    queue = Queue(Budget(6_000, 0.0, now, buckets={"a": DecayingCounter(1, 20.0)}))
    assert queue.try_turn(1, Urgency.READ, "a")

    async def turn(name: str, urgency: Urgency) -> None:
        await queue.turn(1, urgency, "a")
        done.append(name)

    await asyncio.gather(turn("read", Urgency.READ), turn("cancel", Urgency.FIRST))
    assert done == ["cancel", "read"]
