"""The rate budget: its buffer, its holds, and who goes first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from neuroflux.budget import Budget, Queue


def test_a_budget_keeps_its_buffer_and_fills_again() -> None:
    budget = Budget(600, 0.2, 0.0)
    assert budget.spend(480, 0.0)
    assert not budget.spend(1, 0.0)
    assert budget.wait(8, 0.0) == pytest.approx(1.0)
    assert not budget.spend(8, 0.99)
    assert budget.spend(8, 1.01)


def test_a_weight_above_the_whole_budget_still_has_its_turn() -> None:
    assert Budget(100, 0.2, 0.0).spend(500, 0.0)


def test_a_hold_stops_everything() -> None:
    budget = Budget(600, 0.2, 0.0)
    budget.hold(5.0, 0.0)
    assert not budget.spend(1, 4.9)
    assert budget.wait(1, 3.0) == pytest.approx(2.0)
    assert budget.spend(1, 5.0)


async def test_urgent_requests_go_first_and_the_others_in_order() -> None:
    loop = asyncio.get_running_loop()
    queue = Queue(Budget(6_000, 0.0, loop.time()))
    queue.budget.hold(0.1, loop.time())
    done: list[str] = []

    async def turn(name: str, urgent: bool) -> None:
        await queue.turn(1, urgent)
        done.append(name)

    await asyncio.gather(turn("first", False), turn("second", False), turn("cancel", True))
    assert done == ["cancel", "first", "second"]


async def test_who_stops_waiting_leaves_the_queue() -> None:
    loop = asyncio.get_running_loop()
    queue = Queue(Budget(6_000, 0.0, loop.time()))
    queue.budget.hold(0.1, loop.time())
    gone: asyncio.Task[Any] = asyncio.create_task(queue.turn(1, True))
    waiting = asyncio.create_task(queue.turn(1, False))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(2):
        await waiting
