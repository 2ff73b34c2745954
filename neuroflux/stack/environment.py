"""The environment of a stage: its supervisor's settings as variables, and the addresses of simulated exchanges."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from neuroflux.exchanges.catalogue import EXCHANGE_IDS, facade_name
from neuroflux.runtime.settings import ENV_FILE, Settings, with_user
from neuroflux.stack.access import SETUP, WAREHOUSE

CHECKOUT = Path(__file__).parents[2]
"""Where `producers`, `streams` and `consumers` are: the stages run from there."""

CLICKHOUSE = "NEUROFLUX_CLICKHOUSE"

_KEYS = ("_API_KEY", "_SECRET_KEY", "_PASSPHRASE", "_KAFKA_USER", "_KAFKA_PASSWORD")
_SECRETS = (*_KEYS, "_PASSWORD")


def spelled_out(settings: Settings) -> dict[str, str]:
    """The settings as variables, so that a child in another folder reads the same."""
    lists = {"exchanges": settings.exchanges, "markets": settings.markets}
    plain: dict[str, object] = {
        "home": settings.home.absolute(),
        "cache": settings.cache.absolute(),
        "kafka": settings.kafka,
        "registry": settings.registry,
        "clickhouse": settings.clickhouse,
        "clickhouse_http": settings.clickhouse_http,
        "sim": settings.sim,
    }
    bounds = {"max_notional_usd": settings.max_notional_usd, "max_daily_loss_usd": settings.max_daily_loss_usd}
    plain |= {name: limit for name, limit in bounds.items() if limit is not None}
    if settings.recording is not None:
        plain |= {"recording": settings.recording.absolute(), "replay_speed": settings.replay_speed}
    named = {name: str(value) for name, value in plain.items()} | {name: ",".join(text) for name, text in lists.items()}
    return {f"NEUROFLUX_{name.upper()}": value for name, value in named.items()}


def simulated_addresses(sim: str) -> dict[str, str]:
    """The variables that point every exchange at the simulated one."""
    socket = sim.replace("http", "ws", 1)
    rest = {f"NEUROFLUX_{name.upper()}_REST_URL": simulated_address(sim, name) for name in EXCHANGE_IDS}
    return rest | {f"NEUROFLUX_{name.upper()}_WS_URL": simulated_address(socket, name) for name in EXCHANGE_IDS}


def simulated_address(sim: str, exchange_id: str) -> str:
    """Where the simulator at ``sim`` serves an exchange."""
    return f"{sim}/{facade_name(exchange_id)}"


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Only what signs requests is given keys."""
    return {name: value for name, value in environment.items() if not _is_one_of(name, _SECRETS)}


def _is_one_of(name: str, endings: tuple[str, ...]) -> bool:
    return name.startswith("NEUROFLUX_") and name.endswith(endings)


def as_principal(env: Mapping[str, str], name: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """The same environment for who comes to Kafka, and maybe to ClickHouse, under a name; unchanged where all may."""
    if name not in passwords:
        return dict(env)
    kafka = {"NEUROFLUX_KAFKA_USER": name, "NEUROFLUX_KAFKA_PASSWORD": passwords[name]}
    return {**env, **kafka, **_as_writer(env, passwords)} if name in (SETUP, WAREHOUSE) else {**env, **kafka}


def _as_writer(env: Mapping[str, str], passwords: Mapping[str, str]) -> dict[str, str]:
    return {CLICKHOUSE: with_user(env[CLICKHOUSE], WAREHOUSE, passwords[WAREHOUSE])}


def base(settings: Settings) -> dict[str, str]:
    """What every child inherits: this process's variables and those of the .env file, without keys."""
    return without_keys(_ours() | spelled_out(settings) | {"PYTHONUNBUFFERED": "1"})


def _ours() -> dict[str, str]:
    file = {name: value for name, value in dotenv_values(ENV_FILE).items() if value and name.startswith("NEUROFLUX_")}
    return file | dict(os.environ)


def signing(settings: Settings) -> dict[str, str]:
    """Of a stage that trades on the exchanges themselves: with the keys of this process and of its .env file."""
    return base(settings) | {name: value for name, value in _ours().items() if _is_one_of(name, _KEYS)}


def stage(settings: Settings) -> dict[str, str]:
    """Of a stage of the local pipeline. It trades on exchanges that run here, whatever a .env file says.

    A stage that follows the live exchanges has ``base`` alone: the addresses that are set, or the exchanges' own.
    """
    return base(settings) | simulated_addresses(settings.sim)
