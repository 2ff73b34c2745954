"""The services of the local stack, and their dependencies."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from neuroflux.errors import UsageError
from neuroflux.runtime.credentials import read_credentials
from neuroflux.runtime.settings import Settings
from neuroflux.stack import environment
from neuroflux.stack.servers.clickhouse import clickhouse
from neuroflux.stack.servers.kafka import bootstrap, brokers, kafka
from neuroflux.stack.servers.registry import registry
from neuroflux.stack.supervise.checks import serves
from neuroflux.stack.supervise.service import Port, Readiness, Service


class Venue(StrEnum):
    """The source of the stages' prices, and the destination of their orders."""

    SIMULATED = "simulated"  # both: the simulated exchanges
    PAPER = "paper"  # prices of the real exchanges; orders are filled on paper by the simulator
    REAL = "real"  # both: the real exchanges, with their keys


SETUP = "setup"
SIM = "sim"
REPLAY_GROUP = "neuroflux-replay"
"""The consumer group of the workers of a replay."""
SIM_SETTING = "NEUROFLUX_SIM"


def addressed(settings: Settings, count: int) -> Settings:
    """The same settings with the addresses of all brokers of the cluster."""
    return settings.model_copy(update={"kafka": bootstrap(brokers(settings.kafka, count))})


def infrastructure(settings: Settings, brokers: int = 1) -> list[Service]:
    """Kafka, registry, ClickHouse, and the step that creates topics, schemas and the database."""
    servers = [*kafka(settings, brokers), registry(settings), clickhouse(settings)]
    setup = Service(
        name=SETUP,
        command=(sys.executable, "-m", "neuroflux.stack.setup", "--replication", str(min(3, brokers))),
        readiness=Readiness.FINISHES,
        env=environment.base(addressed(settings, brokers)),
        cwd=environment.CHECKOUT,
        needs=tuple(server.name for server in servers),
    )
    return [*servers, *_with_names(settings, [setup])]


def _with_names(settings: Settings, services: Sequence[Service]) -> list[Service]:
    """The services, each with its own login on a secure Kafka."""
    passwords = read_credentials(settings.home)
    return [replace(one, env=environment.as_principal(one.env, one.name, passwords)) for one in services]


def stages(settings: Settings, brokers: int = 1, seed: int = 1, venue: Venue = Venue.SIMULATED) -> list[Service]:
    """All stages, and the simulator if used; raises UsageError outside a checkout."""
    return _with_names(settings, _stages(settings, brokers, seed, venue))


def _stages(settings: Settings, brokers: int, seed: int, venue: Venue) -> list[Service]:
    _check_checkout()
    full = addressed(settings, brokers)
    outside, here = environment.base(full), environment.stage(full)
    if venue is Venue.REAL:
        signing = environment.signing(full)
        return [_market(outside, SETUP), *_computing(outside, SETUP), *_signing(signing, (sys.executable,), SETUP)]
    signers = _signing(here, (sys.executable, "-m", "neuroflux.stack.demo_keys", sys.executable), SETUP, SIM)
    if venue is Venue.PAPER:  # the paper exchanges list the instruments that the market stage found on the real ones
        return [_market(outside, SETUP), _paper(full, seed), *_computing(here, SETUP), *signers]
    return [_sim(settings, seed), _market(here, SETUP, SIM), *_computing(here, SETUP, SIM), *signers]


def replaying(settings: Settings, workers: int) -> list[Service]:
    """The stages of a replay: replay, streams and warehouse; raises UsageError outside a checkout."""
    _check_checkout()
    env = environment.base(settings)
    streams = (sys.executable, "-m", "streams", "replay")
    return [
        _stage(env, "replay", (sys.executable, "-m", "producers", "replay"), (SETUP,)),
        *(_stage(env, f"streams-{number}", streams, (SETUP,)) for number in range(1, workers + 1)),
        _stage(env, "warehouse", (sys.executable, "-m", "consumers", "warehouse"), (SETUP,)),
    ]


def _check_checkout() -> None:
    if not (environment.CHECKOUT / "producers").is_dir():
        raise UsageError("the stages run from a checkout of the project, which this is not")


def _market(env: Mapping[str, str], *needs: str) -> Service:
    return _stage(env, "market", (sys.executable, "-m", "producers", "market"), needs)


def _computing(env: Mapping[str, str], *needs: str) -> list[Service]:
    return [
        _stage(env, "streams", (sys.executable, "-m", "streams"), needs),
        _stage(env, "warehouse", (sys.executable, "-m", "consumers", "warehouse"), needs),
    ]


def _signing(env: Mapping[str, str], python: tuple[str, ...], *needs: str) -> list[Service]:
    return [
        _stage(env, "account", (*python, "-m", "producers", "account"), needs),
        _stage(env, "execution", (*python, "-m", "consumers", "execution"), needs),
    ]


def _stage(env: Mapping[str, str], name: str, command: tuple[str, ...], needs: tuple[str, ...]) -> Service:
    return Service(
        name=name,
        command=command,
        readiness=Readiness.NOTIFIES,
        env={**env, "NEUROFLUX_INSTANCE": name},
        cwd=environment.CHECKOUT,
        needs=needs,
    )


def _paper(settings: Settings, seed: int) -> Service:
    sim = _sim(settings, seed)
    return replace(sim, command=(*sim.command, "--paper"), needs=(SETUP, "market"))


def _sim(settings: Settings, seed: int) -> Service:
    address = urlsplit(settings.sim)
    if address.hostname is None or address.port is None:
        raise UsageError(f"{SIM_SETTING}: {settings.sim!r} has no host and port")
    return Service(
        name=SIM,
        command=(sys.executable, "-m", "neuroflux.sim", "--port", str(address.port), "--seed", str(seed)),
        readiness=Readiness.CHECK,
        env=environment.base(settings),
        cwd=environment.CHECKOUT,
        address=settings.sim,
        ports=(Port(address.hostname, address.port, SIM_SETTING),),
        check=partial(serves, f"{settings.sim}/sim/accounts"),
    )
