"""``setup_exchange_failover``: where orders for an exchange go while it can't take them, kept on ``control.failover``.

Each backup is tried: within ``TRIAL`` seconds its health must be told anew, a book of it must come, and the execution
must get an answer to a signed call of its account, which must have funds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from math import isnan, nan
from typing import Final, Literal

from neuroflux.domain import Failover, HealthStatus, Microseconds
from neuroflux.engine.health.failover import CONDITIONS
from neuroflux.engine.risk.limits import BALANCES_LIFE
from neuroflux.errors import UsageError
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.manager.account_probe import Probed, probe
from neuroflux.manager.answers import BackupTest, FailoverAnswer
from neuroflux.manager.balances import unified_balance
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.exchange_names import expand, parts
from neuroflux.manager.initialise import HEALTH_LIFE
from neuroflux.manager.view import View
from neuroflux.records.topics import FAILOVER

TRIAL: Final = EXCHANGE_TIMEOUTS["read"]
"""Seconds that a backup has to show that it works: health is told every 5 s, a quiet book every second."""

TestStatus = Literal["tested", "untested", "failed"]


async def set_up_failover(
    connection: Connection, primary_exchange: str, backup_exchanges: Sequence[str], config_id: str
) -> FailoverAnswer:
    """Try the backups, and publish the failover; active where one of them works. Raises UsageError, Unreachable."""
    primaries, backups = parts(primary_exchange, "primary_exchange"), _backups(primary_exchange, backup_exchanges)
    tests = await try_backups(connection, backups)
    status = outcome(connection.view, tests)
    active = any(test["passed"] for test in tests.values())
    for primary in primaries:
        await _publish(
            connection,
            Failover(
                primary=primary,
                backups=backups,
                config_id=config_id,
                conditions=dict(CONDITIONS),
                active=active,
                issued_by=CLIENT,
                issued_at=connection.now(),
            ),
        )
    return {
        "failover_config_id": config_id,
        "primary_exchange": primary_exchange,
        "backup_exchanges": list(backup_exchanges),
        "failover_conditions": dict(CONDITIONS),
        "test_status": status,
        "activation_status": "active" if active else "inactive",
        "backup_tests": tests,
    }


def _backups(primary: str, names: Iterable[str]) -> tuple[str, ...]:
    """The ids of the backups; raises UsageError where there is none, or the primary is one of them."""
    backups = expand(names, "backup_exchanges")
    if not backups:
        raise UsageError("backup_exchanges: at least one exchange is wanted")
    if set(backups) & set(parts(primary, "primary_exchange")):
        raise UsageError(f"backup_exchanges: {primary!r} can't be its own backup")
    return backups


async def _publish(connection: Connection, failover: Failover) -> None:
    """Write it, and wait until it came back from the topic."""
    await connection.publisher.write(FAILOVER, failover)
    known = connection.view.failovers
    await connection.until(lambda: known.get(failover.primary) == failover, EXCHANGE_TIMEOUTS["read"])


# ── trying the backups ───────────────────────────────────────────────────────────────────────────────────────────


async def try_backups(connection: Connection, backups: Sequence[str]) -> dict[str, BackupTest]:
    """Wait until each has shown anew that it works, no longer than ``TRIAL``; what each showed."""
    view, began = connection.view, connection.now()
    shown = connection.until(lambda: all(_showed(view, name, began) for name in backups), TRIAL)
    probes, _ = await asyncio.gather(probe(connection, backups, TRIAL), shown)
    with view.lock:
        return {name: tried(view, name, probes[name], began, connection.now()) for name in backups}


def _showed(view: View, exchange: str, since: Microseconds) -> bool:
    health = view.health.get(exchange)
    return health is not None and health.event_time >= since and view.newest_book(exchange) >= since


def tried(view: View, exchange: str, probed: Probed, began: Microseconds, now: Microseconds) -> BackupTest:
    """What a backup showed since the trial ``began``; ``passed`` where it lacks nothing."""
    health, book = view.health.get(exchange), view.newest_book(exchange)
    written = view.balances_written.get(exchange, 0)
    funds = unified_balance(view, (exchange,), None, now)["total_balance_usd"] if written else nan
    poor = "" if funds > 0 else "funds: nothing of worth is held there"
    reason = _lacking(view, exchange, probed, began, now) or poor
    return {
        "passed": not reason,
        "health": health.status.value if health else "unknown",
        "signed_read_ms": probed.milliseconds,
        "book_age_seconds": (now - book) / 1e6 if book else nan,
        "funds_usd": funds,
        "reason": reason,
    }


def _lacking(view: View, exchange: str, probed: Probed, began: Microseconds, now: Microseconds) -> str:
    health, book = view.health.get(exchange), view.newest_book(exchange)
    written = view.balances_written.get(exchange, 0)
    if health is None or now - health.event_time > HEALTH_LIFE:
        return "health: nobody told it lately"
    if health.status is HealthStatus.OFFLINE:
        return f"health: offline: {health.reason}"
    if probed.reason:
        return f"signed read: {probed.reason}"
    if not written or now - written > BALANCES_LIFE:
        return "balances: they were not told lately"
    return "" if book >= began else "book: none came while it was tried"


def outcome(view: View, tests: Mapping[str, BackupTest]) -> TestStatus:
    """``untested`` where nothing at all is known of a backup; else whether all passed."""
    if any(name not in view.health and isnan(test["book_age_seconds"]) for name, test in tests.items()):
        return "untested"
    return "tested" if all(test["passed"] for test in tests.values()) else "failed"
