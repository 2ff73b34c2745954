"""``initialize_exchanges``: which exchanges are ready to be used, and what holds the others back.

An exchange is ready when its health and its balances are fresh, and a real one when it took a signed call too. The
services hold the keys, not the façade: it hands what it is given to a local stack that runs, and elsewhere compares it
with its own settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence

from msgspec import Struct

from neuroflux.domain import ControlCommand, ControlKind, HealthStatus, Microseconds
from neuroflux.engine.risk.limits import BALANCES_LIFE
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.manager.account_probe import probe
from neuroflux.manager.answers import ConnectionHealth, InitializationAnswer, iso
from neuroflux.manager.configs import Wanted
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.key_handover import Handed, hand
from neuroflux.manager.view import View
from neuroflux.records.topics import CONTROL
from neuroflux.runtime.settings import Settings
from neuroflux.stack import home
from neuroflux.stack.demo_keys import accounts
from neuroflux.stack.plan import SIM

HEALTH_LIFE: Microseconds = 20_000_000
"""Health is told every 5 s: older than this, nobody watches the exchange."""
REMOTE = "no key can be handed to a stack that does not run in NEUROFLUX_HOME"
MARKET_PATIENCE = 3.0
"""Seconds that the first book of an exchange is waited for when all else is ready."""


class Simulated(Struct, frozen=True):
    """The exchanges that run here, and the accounts that each has, by the names it goes by."""

    accounts: dict[str, frozenset[str]] = {}

    def __contains__(self, exchange: object) -> bool:
        return exchange in self.accounts


def find_simulated(settings: Settings) -> Simulated:
    """Ask the simulator which exchanges it runs; those that the settings point elsewhere are not simulated. Blocking.

    Nothing is simulated where no simulator answers, or the stack that runs here trades on the real exchanges.
    """
    if trades_for_real(settings):
        return Simulated()
    try:
        offered = accounts(settings.sim)
    except NeuroFluxError:
        return Simulated()
    names: dict[str, frozenset[str]] = {}
    for one in offered:
        exchange = one["exchange"]
        if exchange in EXCHANGE_IDS and not _elsewhere(settings, exchange):
            called = {one.get("subaccount") or "", one.get("address") or ""}
            names[exchange] = names.get(exchange, frozenset()) | called
    return Simulated(names)


def _elsewhere(settings: Settings, exchange: str) -> bool:
    """Whether a user's setting points an exchange at something that is neither its default nor the simulator."""
    chosen = settings.rest_url(exchange)
    on = exchange_of(exchange)
    return not chosen.startswith(settings.sim) and chosen not in (on.REST_URL, on.TESTNET[0])


def trades_for_real(settings: Settings) -> bool:
    """Whether the stack of this home has no exchanges that run here: then a simulator is somebody else's."""
    names = {one.name for one in home.saved(settings).services}
    return bool(home.Lock(settings).holder() and "execution" in names and SIM not in names)


# ── what holds an exchange back ──────────────────────────────────────────────────────────────────────────────────


def config_fault(wanted: Wanted, simulated: Simulated, settings: Settings, handed: Handed) -> str:
    """Why an exchange can't be used as it is configured, whatever its state is; "" where it can.

    A stack that runs here has been given what was configured; one elsewhere can only be compared with.
    """
    if wanted.exchange not in settings.exchanges:
        return "the running services do not follow it; NEUROFLUX_EXCHANGES names those that they do"
    if wanted.exchange in simulated:
        known = simulated.accounts[wanted.exchange]
        return "" if wanted.subaccount in known else f"the simulated exchange has no subaccount {wanted.subaccount!r}"
    if fault := form_fault(wanted):
        return fault
    if handed.here:
        return ""
    if wanted.testnet is not None and wanted.testnet != settings.testnet(wanted.exchange):
        return f"testnet: the running services do otherwise, {REMOTE}"
    return _key_fault(wanted, settings)


def form_fault(wanted: Wanted) -> str:
    """What is wrong with a configuration of a real exchange by itself; "" where nothing is."""
    if not wanted.subaccount:
        return ""
    return exchange_of(wanted.exchange).subaccount_fault(wanted.subaccount, has_keys=wanted.keys is not None)


def _key_fault(wanted: Wanted, settings: Settings) -> str:
    held, prefix = settings.keys(wanted.exchange), f"NEUROFLUX_{wanted.exchange.upper()}"
    if held is not None and wanted.subaccount not in ("", held.subaccount):
        return f"subaccount {wanted.subaccount!r}: not that of {prefix}_SUBACCOUNT; {REMOTE}"
    if wanted.keys is None or (held is not None and _credentials(wanted.keys) == _credentials(held)):
        return ""
    return f"api_key, secret_key: not those of {prefix}_API_KEY and _SECRET_KEY, which the services use; {REMOTE}"


def _credentials(keys: Keys) -> tuple[str, str, str]:
    return keys.key, keys.secret, keys.passphrase


def state_fault(view: View, exchange: str, now: Microseconds, since: Microseconds = 0) -> str:
    """What an exchange lacks to be ready now; "" where it lacks nothing. Balances of before ``since`` don't count."""
    health = view.health.get(exchange)
    if health is None:
        return "nothing is known of its health"
    if now - health.event_time > HEALTH_LIFE:
        return f"its health was last told {(now - health.event_time) / 1e6:.0f} s ago"
    if health.status is HealthStatus.OFFLINE:
        return f"offline: {health.reason}"
    written = view.balances_written.get(exchange, 0)
    if not written or written < since:
        return "its balances are not known"
    return "" if now - written <= BALANCES_LIFE else f"its balances were last told {(now - written) / 1e6:.0f} s ago"


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────


async def initialise(connection: Connection, simulated: Simulated, wanted: Sequence[Wanted]) -> InitializationAnswer:
    """Wait for every exchange, side by side and no longer than ``EXCHANGE_TIMEOUTS['initialize']``; tell how it went.

    What is wanted of real exchanges is handed to the stack before that. Limits are published for those that are ready.
    """
    real = [one for one in wanted if one.exchange not in simulated and not form_fault(one)]
    handed = await hand(connection, real)
    faults = await asyncio.gather(*(_ready(connection, simulated, one, handed) for one in wanted))
    reasons = {one.exchange: fault for one, fault in zip(wanted, faults, strict=True)}
    for one in wanted:
        if not reasons[one.exchange]:
            await publish_limits(connection, one)
    with connection.view.lock:
        return answer(connection.view, simulated, wanted, reasons, connection.now())


async def _ready(connection: Connection, simulated: Simulated, wanted: Wanted, handed: Handed) -> str:
    """Why an exchange did not become ready in time; "" where it did."""
    view, exchange, now, timeout = connection.view, wanted.exchange, connection.now, EXCHANGE_TIMEOUTS["initialize"]
    real, until = exchange not in simulated, now() + int(timeout * 1e6)
    if fault := config_fault(wanted, simulated, connection.settings, handed) or (handed.fault if real else ""):
        return fault
    if real and (refused := (await probe(connection, [exchange], timeout))[exchange].reason):
        return f"a signed call failed: {refused}"
    since = handed.since if real else 0
    if await connection.until(lambda: not state_fault(view, exchange, now(), since), (until - now()) / 1e6):
        await connection.until(lambda: view.newest_book(exchange) > 0, MARKET_PATIENCE)
    return state_fault(view, exchange, now(), since)


async def publish_limits(connection: Connection, wanted: Wanted) -> None:
    """Write the limits that were asked for, beside those that hold, and wait until they are known; else nothing."""
    holding = dict(connection.view.own_limits(wanted.exchange))
    limits = holding | wanted.limits
    if limits == holding:
        return
    command = ControlCommand(
        account=wanted.exchange, kind=ControlKind.LIMITS, limits=limits, issued_by=CLIENT, issued_at=connection.now()
    )
    await connection.publisher.write(CONTROL, command)
    await connection.until(lambda: connection.view.own_limits(wanted.exchange) == limits, EXCHANGE_TIMEOUTS["read"])


def answer(
    view: View, simulated: Container[str], wanted: Sequence[Wanted], reasons: dict[str, str], now: int
) -> InitializationAnswer:
    """``reasons`` say why an exchange failed, "" for one that is ready."""
    ready = [name for name, reason in reasons.items() if not reason]
    failed = [name for name, reason in reasons.items() if reason]
    return {
        "initialized_exchanges": ready,
        "failed_exchanges": failed,
        "status": "failed" if not ready else "partial_success" if failed else "full_success",
        "active_connections": len(ready),
        "connection_health": {
            one.exchange: _connection(view, one, one.exchange in simulated, reasons[one.exchange], now)
            for one in wanted
        },
    }


def _connection(view: View, wanted: Wanted, simulated: bool, reason: str, now: Microseconds) -> ConnectionHealth:
    health, written = view.health.get(wanted.exchange), view.balances_written.get(wanted.exchange, 0)
    return {
        "status": health.status.value if health else "unknown",
        "simulated": simulated,
        "reason": reason,
        "keys": "demo" if simulated else "own" if wanted.keys else "none",
        "latency_ms": health.latency_ms if health else float("nan"),
        "balances_age_seconds": (now - written) / 1e6 if written else float("nan"),
        "last_successful_request": iso(health.last_successful_request) if health else "",
        "limits": dict(view.limits(wanted.exchange)),
    }
