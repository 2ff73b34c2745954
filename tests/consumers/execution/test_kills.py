"""A kill at each step of the execution: before and after every await that a few orders pass, found from the code.

A sample of them, seeded by the date, is part of the tests; ``make kills`` takes them all.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from aiohttp import web

from consumers.execution import requests, runner
from neuroflux.domain import CommandKind, OrderCommand, OrderState, OrderType
from tests.consumers.execution.points import ROOT
from tests.consumers.execution.test_execution import World, executor, process, until, world

__all__ = ["world"]

ALL = os.environ.get("NEUROFLUX_KILLS") == "all"
SAMPLE = 8
pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(3600 if ALL else 240)]

FILLED, UNANSWERED, RESTING = "1", "2", "3"
"""Three orders, distinguished by their quantity: one that fills, one whose answer is lost, and one that rests."""


def play(world: World) -> None:
    exchange = world.exchange
    exchange.rests = lambda given: Decimal(given["quantity"]) == Decimal(RESTING)

    async def lose(name: str) -> web.Response | None:
        lost = Decimal(exchange.orders[name]["origQty"]) == Decimal(UNANSWERED)
        return web.Response(status=503, text="Unknown error") if lost else None

    exchange.after = lose


def pointed(
    notes: Path, point: str = "", what: str = "SIGKILL"
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """The stage in a process of its own that notes its points, and is killed when the block is left."""
    given = {"POINTS_FILE": str(notes), "POINT": point, "POINT_SIGNAL": what, "NEUROFLUX_INSTANCE": "kills"}
    return process(str(ROOT / "tests" / "consumers" / "execution" / "points.py"), **given)


async def trade(world: World) -> list[str]:
    """The three orders, and a cancel of the last."""
    orders = [await world.order(quantity) for quantity in (FILLED, UNANSWERED)]
    orders.append(await world.order(RESTING, type=OrderType.LIMIT, price=Decimal(90)))
    await world.send(OrderCommand(order_id=orders[-1], kind=CommandKind.CANCEL, issued_by="me"))
    return orders


async def ended(world: World, orders: list[str]) -> None:
    for order_id in orders:
        await world.end(order_id, 60)


async def died_or_ended(world: World, orders: list[str], running: asyncio.subprocess.Process) -> bool:
    """Whether the process died at its point, instead of everything ending without that."""
    death, ends = asyncio.create_task(running.wait()), asyncio.create_task(ended(world, orders))
    await asyncio.wait({death, ends}, return_when=asyncio.FIRST_COMPLETED)
    died = death.done()
    for one in (death, ends):
        one.cancel()
    await asyncio.gather(death, ends, return_exceptions=True)
    return died


def has_fills(world: World, order_id: str, count: int) -> bool:
    return len(world.fills(order_id)) >= count


async def check(world: World, orders: list[str], before: int) -> None:
    """Each order reached the exchange once, ended once, and has its fill once."""
    await ended(world, orders)
    states = [(await world.end(order_id)).state for order_id in orders]
    assert states[:2] == [OrderState.FILLED, OrderState.FILLED], [(await world.end(one)).reason for one in orders]
    assert states[2] is OrderState.CANCELLED
    reached = list(world.exchange.orders.values())[before:]
    quantities = sorted(Decimal(one["origQty"]) for one in reached)
    expected = [Decimal(FILLED), Decimal(UNANSWERED)]
    assert quantities in (expected, [*expected, Decimal(RESTING)]), "a cancelled order need not have been sent"
    assert all(one["status"] in ("FILLED", "CANCELED") for one in reached)
    for order_id, fills in zip(orders, (1, 1, 0), strict=True):
        await until(partial(has_fills, world, order_id, fills))
        assert len(world.fills(order_id)) == fills
        events = [(e.state, e.client_order_id, e.filled_quantity, e.event_time) for e in world.events(order_id)]
        assert len(events) == len(set(events))


async def test_killed_at_each_step_nothing_is_lost_or_sent_twice(world: World, tmp_path: Path) -> None:
    play(world)
    world.settings = world.settings.model_copy(update={"instance": "kills"})
    notes = tmp_path / "points"
    async with pointed(notes):
        await ended(world, await trade(world))
    points = notes.read_text().splitlines()
    assert len(points) > 50
    assert {one.partition(":")[0] for one in points} >= {
        "consumers.execution.executor",
        "consumers.execution.commands",
        "consumers.execution.runner",
        "consumers.execution.requests",
        "consumers.execution.gateway",
    }
    day = Random(datetime.now(UTC).date().isoformat())
    chosen = points if ALL else day.sample(points, SAMPLE)
    killed = 0
    for point in chosen:
        before = len(world.exchange.orders)
        async with pointed(tmp_path / "again", point) as dying:
            orders = await trade(world)
            killed += await died_or_ended(world, orders, dying)
        async with executor(world):
            try:
                await check(world, orders, before)
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"killed at {point}: {error}") from error
    print(f"{len(points)} points, killed at {killed} of {len(chosen)}")
    assert killed >= len(chosen) * 3 // 4


JOURNALLED = (runner, "await self._shell.journal.write(self.order.source.partition, kept)")
SENDING = (requests, "outcome = await self._placed(exchange, request)")


@pytest.mark.parametrize(("point", "sent_in_all"), [((*JOURNALLED, "after"), 1), ((*SENDING, "before"), 2)])
async def test_one_that_was_stopped_before_it_sent_does_nothing_after_the_takeover(
    world: World, tmp_path: Path, point: tuple[ModuleType, str, str], sent_in_all: int
) -> None:
    """It looks at the clock before it sends; stopped even after that, its request is too old for the exchange."""
    module, text, where = point
    at = f"{module.__name__}:{line_of(module, text)} {where}"
    async with pointed(tmp_path / "points", at, "SIGSTOP") as stopped:
        order_id = await world.order()
        await until(lambda: is_stopped(stopped.pid), 40)
        assert not world.exchange.placed
        async with executor(world):
            assert (await world.end(order_id, 60)).state is OrderState.FILLED
            (sent,) = world.exchange.placed
            os.kill(stopped.pid, signal.SIGCONT)
            async with asyncio.timeout(40):
                await stopped.wait()
            assert len(world.exchange.placed) == sent_in_all
            assert list(world.exchange.orders) == [sent]
            assert len(await until(lambda: world.fills(order_id))) == 1


def line_of(module: ModuleType, text: str) -> int:
    """The only line of the module's source that contains this."""
    lines = Path(str(module.__file__)).read_text().splitlines()
    (line,) = (number for number, one in enumerate(lines, 1) if text in one)
    return line


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False
