"""``setup_exchange_failover``: the backup exchanges of a primary one, stored on ``control.failover``.

Each backup is tested: within ``TEST_SECONDS`` its health must be reported again, a new book must arrive, and the
execution stage must get an answer to a signed call. The account must have funds.
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
from neuroflux.manager.account_probe import ProbeResult, probe
from neuroflux.manager.answers import BackupTest, FailoverAnswer
from neuroflux.manager.balances import unified_balance
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.exchange_names import expand, parts
from neuroflux.manager.initialise import HEALTH_LIFE
from neuroflux.manager.view import View
from neuroflux.records.topics import FAILOVER

TEST_SECONDS: Final = EXCHANGE_TIMEOUTS["read"]
"""Seconds a backup has to pass its test: health is published every 5 s, an unchanged book every second."""

TestStatus = Literal["tested", "untested", "failed"]


async def set_up_failover(
    connection: Connection, primary_exchange: str, backup_exchanges: Sequence[str], config_id: str
) -> FailoverAnswer:
    """Test the backups and publish the failover; it is active if one of them passes. Raises UsageError, Unreachable."""
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
    """The ids of the backups; raises UsageError if there is none, or the primary is one of them."""
    backups = expand(names, "backup_exchanges")
    if not backups:
        raise UsageError("backup_exchanges: at least one exchange is needed")
    if set(backups) & set(parts(primary, "primary_exchange")):
        raise UsageError(f"backup_exchanges: {primary!r} can't be its own backup")
    return backups


async def _publish(connection: Connection, failover: Failover) -> None:
    """Write it, and wait until it was read from the topic."""
    await connection.publisher.write(FAILOVER, failover)
    known = connection.view.failovers
    await connection.until(lambda: known.get(failover.primary) == failover, EXCHANGE_TIMEOUTS["read"])


# ── testing the backups ──────────────────────────────────────────────────────────────────────────────────────────


async def try_backups(connection: Connection, backups: Sequence[str]) -> dict[str, BackupTest]:
    """Test the backups concurrently, for ``TEST_SECONDS`` at most; the result of each."""
    view, began = connection.view, connection.now()
    confirmed = connection.until(lambda: all(_is_confirmed(view, name, began) for name in backups), TEST_SECONDS)
    probes, _ = await asyncio.gather(probe(connection, backups, TEST_SECONDS), confirmed)
    with view.lock:
        return {name: backup_test(view, name, probes[name], began, connection.now()) for name in backups}


def _is_confirmed(view: View, exchange: str, since: Microseconds) -> bool:
    health = view.health.get(exchange)
    return health is not None and health.event_time >= since and view.newest_book(exchange) >= since


def backup_test(
    view: View, exchange: str, probe_result: ProbeResult, began: Microseconds, now: Microseconds
) -> BackupTest:
    """The result of a test that ``began`` at this time; ``passed`` if no fault was found."""
    health, book = view.health.get(exchange), view.newest_book(exchange)
    written = view.balances_written.get(exchange, 0)
    funds = unified_balance(view, (exchange,), None, now)["total_balance_usd"] if written else nan
    no_funds = "" if funds > 0 else "funds: the account holds nothing of value"
    reason = _fault(view, exchange, probe_result, began, now) or no_funds
    return {
        "passed": not reason,
        "health": health.status.value if health else "unknown",
        "signed_read_ms": probe_result.milliseconds,
        "book_age_seconds": (now - book) / 1e6 if book else nan,
        "funds_usd": funds,
        "reason": reason,
    }


def _fault(view: View, exchange: str, probe_result: ProbeResult, began: Microseconds, now: Microseconds) -> str:
    health, book = view.health.get(exchange), view.newest_book(exchange)
    written = view.balances_written.get(exchange, 0)
    if health is None or now - health.event_time > HEALTH_LIFE:
        return "health: not reported recently"
    if health.status is HealthStatus.OFFLINE:
        return f"health: offline: {health.reason}"
    if probe_result.reason:
        return f"signed read: {probe_result.reason}"
    if not written or now - written > BALANCES_LIFE:
        return "balances: not reported recently"
    return "" if book >= began else "book: none received during the test"


def outcome(view: View, tests: Mapping[str, BackupTest]) -> TestStatus:
    """``untested`` if nothing at all is known of a backup, else ``tested`` if all passed and ``failed`` if not."""
    if any(name not in view.health and isnan(test["book_age_seconds"]) for name, test in tests.items()):
        return "untested"
    return "tested" if all(test["passed"] for test in tests.values()) else "failed"
