"""The stage that trades: ``orders.commands`` to the exchanges, with the journal before every step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any

from consumers.execution.accounts import accounts_of
from consumers.execution.alarms import Alarms
from consumers.execution.decider import Decider
from consumers.execution.executor import Executor, Parts
from consumers.execution.gateway import Gateway
from consumers.execution.journal import Journal
from consumers.execution.leverage import Leverages
from consumers.execution.view import ACCOUNT, MARKET, Views, follow
from neuroflux.domain import Microseconds
from neuroflux.engine.risk.daily_loss import midnight
from neuroflux.engine.risk.limits import EVERYWHERE, limits_of
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec
from neuroflux.records.topics import COMMANDS, FILLS, JOURNAL, KEPT, STATUS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings

GROUP = "execution"
COMMIT_SECONDS = 0.5
"""How often offsets are committed and unmatched reports tried again."""

MODES_WITHIN: Microseconds = 3_600_000_000
"""How far back an account's mode is read: the account stage publishes it at its start and when it reconciles."""

Background = asyncio.Future[None]


async def main(settings: Settings) -> None:
    """Run until cancelled; then pending requests end, offsets are committed, and the group is left."""
    async with AsyncExitStack() as opened:
        codec = await load_codec(settings)
        executor, followers = await _open(settings, codec, opened)
        reader = Reader(
            settings, codec, (COMMANDS,), group=GROUP, on_assign=executor.assigned, on_revoke=executor.revoked
        )
        async with reader, AsyncExitStack() as background_tasks:
            followers.append(_follower(background_tasks, _commit_and_check(reader, executor)))
            try:
                await _unless_failed(_take_commands(reader, executor), executor.failed, *followers)
            except asyncio.CancelledError:
                await executor.revoked(reader, set(reader.consumer.assignment()))
                raise
            finally:
                await executor.close()


async def _open(settings: Settings, codec: Codec, opened: AsyncExitStack) -> tuple[Executor, list[Background]]:
    """Everything that must be known before the first command: journal, accounts, instruments, halts, books."""
    publisher = await opened.enter_async_context(Publisher(settings, codec, client_id=GROUP))
    history = await opened.enter_async_context(Reader(settings, codec, (JOURNAL,), start="beginning"))
    kept = await opened.enter_async_context(Reader(settings, codec, KEPT, start="beginning"))
    market = await opened.enter_async_context(Reader(settings, codec, MARKET, start="end"))
    account = await opened.enter_async_context(Reader(settings, codec, ACCOUNT, start="end"))
    status = await opened.enter_async_context(Reader(settings, codec, (STATUS,), start="end"))
    await status.seek_to_time(STATUS, wall() - MODES_WITHIN)
    filled = await opened.enter_async_context(Reader(settings, codec, (FILLS,), start="end"))
    await filled.seek_to_time(FILLS, midnight(wall()))
    views, journal = Views(), Journal(publisher, history)
    journal_read, views_read, modes_read = asyncio.Event(), asyncio.Event(), asyncio.Event()
    followers = [
        _follower(opened, journal.follow(journal_read)),
        _follower(opened, follow(kept, views, views_read)),
        _follower(opened, follow(status, views, modes_read)),
        _follower(opened, follow(market, views)),
        _follower(opened, follow(filled, views, views.fills_read)),
    ]
    await _unless_failed(_all_set(journal_read, views_read, modes_read), *followers)
    gateway = await opened.enter_async_context(
        Gateway(accounts_of(settings, views.listed), partial(publisher.publish, STATUS))
    )
    views.on_limits = partial(bound, gateway, views)
    views.on_limits(EVERYWHERE)
    executor = Executor(_parts(settings, codec, publisher, journal, views, gateway))
    followers.append(_follower(opened, follow(account, views)))  # only now: the executor takes its records
    return executor, followers


def _parts(
    settings: Settings, codec: Codec, publisher: Publisher, journal: Journal, views: Views, gateway: Gateway
) -> Parts:
    limits = limits_of(settings.order_limits(live=not all(map(settings.is_simulated, gateway.exchanges))))
    return Parts(
        settings=settings,
        codec=codec,
        publisher=publisher,
        journal=journal,
        views=views,
        gateway=gateway,
        decider=Decider(views, gateway, journal, limits),
        leverages=Leverages(gateway, views),
        alarms=Alarms(limits),
    )


def bound(gateway: Gateway, views: Views, account: str) -> None:
    """Apply the current limits of one exchange, or of all."""
    for exchange in gateway.exchanges:
        if account in (exchange, EVERYWHERE):
            gateway.bound(exchange, views.limits(exchange))


async def _take_commands(reader: Reader, executor: Executor) -> None:
    """Begin commands as they arrive."""
    async with aclosing(reader.batches(max_records=100)) as batches:
        async for batch in batches:
            if executor.at_work:
                ready()
            for entry in batch:
                await executor.commands.take(entry)


async def _commit_and_check(reader: Reader, executor: Executor) -> None:
    """Commit what is journalled, and check the orders, concurrently with the commands."""
    while True:
        await asyncio.sleep(COMMIT_SECONDS)
        await executor.commit(reader)
        await executor.check_orders()


def _follower(opened: AsyncExitStack, work: Coroutine[Any, Any, None]) -> Background:
    """Run concurrently until the stage ends."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    opened.push_async_callback(end)
    return task


async def _unless_failed(work: Coroutine[Any, Any, None], *background: Background) -> None:
    """Do the work; raises what any of the others fails with, as soon as it does."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, *background}, return_when=asyncio.FIRST_COMPLETED)
        for one in (*background, task):
            if one.done():
                one.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _all_set(*events: asyncio.Event) -> None:
    for event in events:
        await event.wait()
