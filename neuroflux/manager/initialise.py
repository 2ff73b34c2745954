"""``initialize_exchanges``: which exchanges are ready to be used, and why the others are not.

An exchange is ready when its health and its balances are fresh; a real one must also accept a signed call. The services
hold the keys, not the façade: it passes the keys to a local stack, and compares them with its own settings if the stack
runs elsewhere.
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
from neuroflux.manager.configs import RequestedConfig
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.key_handover import HandoverResult, hand_over_keys
from neuroflux.manager.view import View
from neuroflux.records.topics import CONTROL
from neuroflux.runtime.settings import Settings
from neuroflux.stack import home
from neuroflux.stack.demo_keys import accounts
from neuroflux.stack.plan import SIM

HEALTH_LIFE: Microseconds = 20_000_000
"""Health is published every 5 s: if older than this, the exchange is not being watched."""
REMOTE = "keys can only be passed to a stack that runs in NEUROFLUX_HOME"
FIRST_BOOK_TIMEOUT = 3.0
"""Seconds to wait for the first book of an exchange when all else is ready."""


class Simulated(Struct, frozen=True):
    """The simulated exchanges, and the names (subaccount or address) of the accounts of each."""

    accounts: dict[str, frozenset[str]] = {}

    def __contains__(self, exchange: object) -> bool:
        return exchange in self.accounts


def find_simulated(settings: Settings) -> Simulated:
    """Ask the simulator which exchanges it runs, less those with another address in the settings. Blocking.

    Empty if no simulator answers, or if the local stack trades on the real exchanges.
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
    """Whether a setting gives the exchange an address that is neither its default nor the simulator's."""
    chosen = settings.rest_url(exchange)
    on = exchange_of(exchange)
    return not chosen.startswith(settings.sim) and chosen not in (on.REST_URL, on.TESTNET[0])


def trades_for_real(settings: Settings) -> bool:
    """Whether the stack of this home runs without simulated exchanges: a simulator then belongs to another stack."""
    names = {one.name for one in home.saved(settings).services}
    return bool(home.Lock(settings).holder() and "execution" in names and SIM not in names)


# ── why an exchange is not ready ─────────────────────────────────────────────────────────────────────────────────


def config_fault(requested: RequestedConfig, simulated: Simulated, settings: Settings, handover: HandoverResult) -> str:
    """Why the configuration of an exchange can't be used, regardless of the exchange's state; "" if it can.

    A local stack was given the configuration; the settings of a stack elsewhere can only be compared with it.
    """
    if requested.exchange not in settings.exchanges:
        return "the running services do not use it; NEUROFLUX_EXCHANGES lists those they use"
    if requested.exchange in simulated:
        known = simulated.accounts[requested.exchange]
        return (
            ""
            if requested.subaccount in known
            else f"the simulated exchange has no subaccount {requested.subaccount!r}"
        )
    if fault := form_fault(requested):
        return fault
    if handover.local:
        return handover.refused.get(requested.exchange, "")
    if requested.testnet is not None and requested.testnet != settings.testnet(requested.exchange):
        return f"testnet: the running services use the other setting; {REMOTE}"
    return _key_fault(requested, settings)


def form_fault(requested: RequestedConfig) -> str:
    """What is wrong with a configuration of a real exchange in itself; "" if nothing is."""
    if not requested.subaccount:
        return ""
    return exchange_of(requested.exchange).subaccount_fault(requested.subaccount, has_keys=requested.keys is not None)


def _key_fault(requested: RequestedConfig, settings: Settings) -> str:
    held, prefix = settings.keys(requested.exchange), f"NEUROFLUX_{requested.exchange.upper()}"
    if held is not None and requested.subaccount not in ("", held.subaccount):
        return f"subaccount {requested.subaccount!r}: not that of {prefix}_SUBACCOUNT; {REMOTE}"
    if requested.keys is None or (held is not None and _credentials(requested.keys) == _credentials(held)):
        return ""
    return f"api_key, secret_key: not those of {prefix}_API_KEY and _SECRET_KEY, which the services use; {REMOTE}"


def _credentials(keys: Keys) -> tuple[str, str, str]:
    return keys.key, keys.secret, keys.passphrase


def state_fault(view: View, exchange: str, now: Microseconds, since: Microseconds = 0) -> str:
    """Why an exchange is not ready now; "" if it is. Balances from before ``since`` don't count."""
    health = view.health.get(exchange)
    if health is None:
        return "its health is not known"
    if now - health.event_time > HEALTH_LIFE:
        return f"its health was last reported {(now - health.event_time) / 1e6:.0f} s ago"
    if health.status is HealthStatus.OFFLINE:
        return f"offline: {health.reason}"
    written = view.balances_written.get(exchange, 0)
    if not written or written < since:
        return "its balances are not known"
    return (
        "" if now - written <= BALANCES_LIFE else f"its balances were last reported {(now - written) / 1e6:.0f} s ago"
    )


# ── initialisation ───────────────────────────────────────────────────────────────────────────────────────────────


async def initialise(
    connection: Connection, simulated: Simulated, requested: Sequence[RequestedConfig]
) -> InitializationAnswer:
    """Wait for all exchanges concurrently, for ``EXCHANGE_TIMEOUTS['initialize']`` at most, and return the result.

    The configurations of real exchanges are passed to the stack first. Limits are published for those that are ready.
    """
    real = [one for one in requested if one.exchange not in simulated and not form_fault(one)]
    handover = await hand_over_keys(connection, real)
    faults = await asyncio.gather(*(_ready(connection, simulated, one, handover) for one in requested))
    reasons = {one.exchange: fault for one, fault in zip(requested, faults, strict=True)}
    for one in requested:
        if not reasons[one.exchange]:
            await publish_limits(connection, one)
    with connection.view.lock:
        return initialization_answer(connection.view, simulated, requested, reasons, connection.now())


async def _ready(
    connection: Connection, simulated: Simulated, requested: RequestedConfig, handover: HandoverResult
) -> str:
    """Why an exchange did not become ready in time; "" if it did."""
    view, exchange, now, timeout = connection.view, requested.exchange, connection.now, EXCHANGE_TIMEOUTS["initialize"]
    real, until = exchange not in simulated, now() + int(timeout * 1e6)
    if fault := config_fault(requested, simulated, connection.settings, handover) or (handover.fault if real else ""):
        return fault
    if real and (refused := (await probe(connection, [exchange], timeout))[exchange].reason):
        return f"a signed call failed: {refused}"
    since = handover.since if real else 0
    if await connection.until(lambda: not state_fault(view, exchange, now(), since), (until - now()) / 1e6):
        await connection.until(lambda: view.newest_book(exchange) > 0, FIRST_BOOK_TIMEOUT)
    return state_fault(view, exchange, now(), since)


async def publish_limits(connection: Connection, requested: RequestedConfig) -> None:
    """Add the requested limits to those in force and wait until they are known; does nothing if none changes."""
    holding = dict(connection.view.own_limits(requested.exchange))
    limits = holding | requested.limits
    if limits == holding:
        return
    command = ControlCommand(
        account=requested.exchange, kind=ControlKind.LIMITS, limits=limits, issued_by=CLIENT, issued_at=connection.now()
    )
    await connection.publisher.write(CONTROL, command)
    await connection.until(lambda: connection.view.own_limits(requested.exchange) == limits, EXCHANGE_TIMEOUTS["read"])


def initialization_answer(
    view: View, simulated: Container[str], requested: Sequence[RequestedConfig], reasons: dict[str, str], now: int
) -> InitializationAnswer:
    """``reasons``: why an exchange failed, "" for one that is ready."""
    ready = [name for name, reason in reasons.items() if not reason]
    failed = [name for name, reason in reasons.items() if reason]
    return {
        "initialized_exchanges": ready,
        "failed_exchanges": failed,
        "status": "failed" if not ready else "partial_success" if failed else "full_success",
        "active_connections": len(ready),
        "connection_health": {
            one.exchange: _connection(view, one, one.exchange in simulated, reasons[one.exchange], now)
            for one in requested
        },
    }


def _connection(
    view: View, requested: RequestedConfig, simulated: bool, reason: str, now: Microseconds
) -> ConnectionHealth:
    health = view.health.get(requested.exchange)
    written = view.balances_written.get(requested.exchange, 0)
    return {
        "status": health.status.value if health else "unknown",
        "simulated": simulated,
        "reason": reason,
        "keys": "demo" if simulated else "own" if requested.keys else "none",
        "latency_ms": health.latency_ms if health else float("nan"),
        "balances_age_seconds": (now - written) / 1e6 if written else float("nan"),
        "last_successful_request": iso(health.last_successful_request) if health else "",
        "limits": dict(view.limits(requested.exchange)),
    }
