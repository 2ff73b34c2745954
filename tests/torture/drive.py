"""Executes a plan on a running pipeline, and waits until nothing changes any more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from typing import Any, Final

import aiohttp

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import CommandKind, CommandLeg, OrderCommand, OrderType, Side, TimeInForce
from neuroflux.kafka.commands import new_order_id, now
from neuroflux.manager.arbitrage import pair_of
from neuroflux.manager.connection import Connection
from neuroflux.manager.opportunities import opportunities
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon
from neuroflux.stack.supervise.service import State
from tests.torture.compare import Accepted, Left
from tests.torture.log import RunLog
from tests.torture.plan import Act, Cancelling, Disturbing, Killing, Pairing, Placing, Rebalancing

REST_SECONDS: Final = 120.0
"""Seconds to wait, after the faults have ended, until nothing changes any more."""
CANCEL_EVERY: Final = 2.0
"""Seconds between two cancels of what is still open."""
PRICED_SECONDS: Final = 30.0
"""How long the first price may take."""
NOBODY: Final = "torture"


class Run:
    """One run: an async context manager around ``perform`` and ``rest``."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings, self._connection = settings, connection
        self._log = RunLog(settings, connection.publisher.codec)
        self._open = AsyncExitStack()
        self._placed: list[str] = []
        self._pauses: set[asyncio.Task[None]] = set()
        self._before = 0
        self.skipped = 0
        """The number of pairs without an opportunity."""

    async def __aenter__(self) -> Run:
        self._http = await self._open.enter_async_context(aiohttp.ClientSession())
        await self._open.enter_async_context(self._log)
        self._before = len(await self._sim("GET", "orders"))
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*self._pauses)
        await self._open.aclose()

    async def _sim(self, method: str, path: str, body: Any = None) -> Any:
        async with self._http.request(method, f"{self._settings.sim}/sim/{path}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def perform(self, acts: Sequence[Act]) -> None:
        """Perform every act at its time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for act in acts:
            await asyncio.sleep(began + act.at - loop.time())  # the plan's own time
            await self._do(act)

    async def _do(self, act: Act) -> None:
        match act:
            case Placing():
                await self._place(act)
            case Cancelling(_, before) if self._placed:
                await self._cancel(self._placed[-min(before, len(self._placed))])
            case Pairing():
                await self._pair()
            case Rebalancing():
                await self._rebalance(act)
            case Disturbing(_, fault):
                await self._sim("POST", "faults", fault)
            case Killing(_, service, pause):
                self._kill(service, pause)

    async def _place(self, act: Placing) -> None:
        side, kind = Side(act.side), OrderType(act.type)
        command = OrderCommand(
            order_id=new_order_id(),
            kind=CommandKind.PLACE,
            exchange=act.exchange,
            market=act.market,
            side=side,
            type=kind,
            quantity=Decimal(act.quantity),
            price=await self._price(act, side) if kind is OrderType.LIMIT else Decimal(0),
            time_in_force=TimeInForce(act.time_in_force.lower()),
            strategy=act.strategy,
            issued_by=NOBODY,
            issued_at=now(),
        )
        for _ in range(2 if act.twice else 1):
            await self._connection.command(command)
        self._placed.append(command.order_id)

    async def _price(self, act: Placing, side: Side) -> Decimal:
        """So far from the market; on a stack that has just been started its first price is waited for."""
        base = act.market.partition("/")[0]
        known = await self._connection.until(lambda: self._connection.view.prices.get(f"{base}/USD"), PRICED_SECONDS)
        assert known is not None, f"no price of {base} after {PRICED_SECONDS} s"
        return Decimal(str(round(known.price * (1 + act.away * (-1 if side is Side.BUY else 1)), 1)))

    async def _cancel(self, order_id: str) -> None:
        kind = CommandKind.CANCEL
        await self._connection.command(OrderCommand(order_id=order_id, kind=kind, issued_by=NOBODY, issued_at=now()))

    async def _pair(self) -> None:
        view = self._connection.view
        with view.lock:
            found = opportunities(view, self._connection.now())
        if found:
            await self._connection.command(pair_of(found[0]))
        else:
            self.skipped += 1

    async def _rebalance(self, act: Rebalancing) -> None:
        amounts = {"BTC": Decimal("0.001"), "ETH": Decimal("0.02")}
        legs = tuple(
            CommandLeg(act.exchange, f"{base}/{act.quote}", side, amounts[base])
            for base, side in ((act.sell, Side.SELL), (act.buy, Side.BUY))
        )
        command = OrderCommand(order_id=new_order_id(), kind=CommandKind.REBALANCE, legs=legs, issued_by=NOBODY)
        await self._connection.command(command)

    def _kill(self, service: str, pause: float) -> None:
        """A service that is just being restarted can't be killed."""
        pid = next(one.pid for one in daemon.status(self._settings) if one.name == service)
        if not pid:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP if pause else signal.SIGKILL)
            if pause:
                self._pauses.add(asyncio.create_task(_wake(pid, pause)))

    # ── coming to rest ───────────────────────────────────────────────────────────────────────────────────────────

    async def rest(self) -> Left:
        """End the faults, cancel what is open, and wait until nothing changes any more; returns the results."""
        await asyncio.gather(*self._pauses)
        await self._sim("DELETE", "faults")
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                await self._all_ready()
                await self._ended()
                left = await self._left()
                while set(left.stored) < left.written or any(map(_open, left.accepted)):
                    await self._wait(0.2)
                    left = await self._left()
        return await self._left()

    async def _all_ready(self) -> None:
        fine = (State.READY, State.FINISHED)
        while not all(one.state in fine for one in daemon.status(self._settings)):
            await self._wait(0.1)

    async def _ended(self) -> None:
        """Repeat cancels: one that was written while everything was down may not have been read."""
        while open_now := self._unfinished():
            for order_id in open_now:
                await self._cancel(order_id)
            await self._until(lambda: not self._unfinished(), CANCEL_EVERY)

    def _unfinished(self) -> set[str]:
        order_ids = {one.order_id for one in self._log.commands if one.kind is not CommandKind.CANCEL}
        done = {order_id for order_id, (_, done) in self._log.journal.items() if done}
        return order_ids - done - self._log.dead

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._log.moved:
                await self._log.moved.wait_for(condition)

    async def _wait(self, seconds: float) -> None:
        """Wait for a change of the log, or for the timeout: ClickHouse and the supervisor send no events."""
        await self._until(lambda: False, seconds)

    async def _left(self) -> Left:
        rows = (await self._sim("GET", "orders"))[self._before :]
        log = self._log
        asked_for = {one.order_id for one in log.commands}  # orders of earlier runs may still get records
        return Left(
            list(log.commands),
            [_accepted(row) for row in rows],
            {order_id: kept for order_id, kept in log.journal.items() if order_id in asked_for},
            list(log.events),
            list(log.fills),
            frozenset(log.dead),
            frozenset(log.written),
            await asyncio.to_thread(stored, self._settings, frozenset(log.written)),
        )


def _open(one: Accepted) -> bool:
    return one.state in ("new", "partially_filled")


def _accepted(row: dict[str, str]) -> Accepted:
    return Accepted(
        row["exchange"],
        row["symbol"],
        row["client_order_id"],
        row["side"],
        Decimal(row["quantity"]),
        Decimal(row["filled_quantity"]),
        row["state"],
    )


async def _wake(pid: int, after: float) -> None:
    await asyncio.sleep(after)
    with suppress(ProcessLookupError):  # it may have been killed meanwhile
        os.kill(pid, signal.SIGCONT)


TABLES: Final = ("order_commands", "order_decisions", "order_events", "fills")


def stored(settings: Settings, places: frozenset[tuple[str, int, int]]) -> Counter[tuple[str, int, int]]:
    """The number of rows in ClickHouse for each log position."""
    first = {(topic, number): min(o for t, n, o in places if (t, n) == (topic, number)) for topic, number, _ in places}
    database, found = ClickHouse(settings), Counter[tuple[str, int, int]]()
    try:
        for table in TABLES:
            since = " OR ".join(
                f"(_topic = '{t}' AND _partition = {n} AND _offset >= {o})" for (t, n), o in first.items()
            )
            rows = database.execute(f"SELECT _topic, _partition, _offset FROM {table} WHERE {since or '0'}")
            found.update((topic, number, offset) for topic, number, offset in rows)
    finally:
        database.close()
    return found
