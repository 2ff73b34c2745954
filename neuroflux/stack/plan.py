"""Which services the local stack has, and what each needs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from neuroflux.errors import UsageError
from neuroflux.settings import Settings
from neuroflux.stack import environment
from neuroflux.stack.checks import serves
from neuroflux.stack.clickhouse import clickhouse
from neuroflux.stack.kafka import bootstrap, brokers, kafka
from neuroflux.stack.registry import registry
from neuroflux.stack.services import Port, Readiness, Service

SETUP = "setup"
SIM = "sim"
SIM_SETTING = "NEUROFLUX_SIM"


def addressed(settings: Settings, count: int) -> Settings:
    """The same settings with every broker of the cluster named."""
    return settings.model_copy(update={"kafka": bootstrap(brokers(settings.kafka, count))})


def infrastructure(settings: Settings, brokers: int = 1) -> list[Service]:
    """Kafka, registry, ClickHouse, and the step that makes topics, schemas and the database in them."""
    servers = [*kafka(settings, brokers), registry(settings), clickhouse(settings)]
    setup = Service(
        name=SETUP,
        command=(sys.executable, "-m", "neuroflux.stack.setup", "--replication", str(min(3, brokers))),
        readiness=Readiness.FINISHES,
        env=environment.base(addressed(settings, brokers)),
        cwd=environment.CHECKOUT,
        needs=tuple(server.name for server in servers),
    )
    return [*servers, setup]


def stages(settings: Settings, brokers: int = 1, seed: int = 1, *, live: bool = False) -> list[Service]:
    """The exchanges that run here and every stage of the pipeline; raises UsageError outside a checkout.

    ``live``: prices are those of the real exchanges, and the exchanges that run here fill orders on paper against them.
    """
    if not (environment.CHECKOUT / "producers").is_dir():
        raise UsageError("the stages run from a checkout of the project, which this is not")
    told = addressed(settings, brokers)
    stage = partial(_stage, environment.stage(told))
    market = (sys.executable, "-m", "producers", "market")
    keys = (sys.executable, "-m", "neuroflux.stack.simulated", sys.executable)
    needs = (SETUP,) if live else (SETUP, SIM)
    others = [
        stage("account", (*keys, "-m", "producers", "account")),
        stage("streams", (sys.executable, "-m", "streams"), needs=needs),
        stage("execution", (*keys, "-m", "consumers", "execution")),
        stage("warehouse", (sys.executable, "-m", "consumers", "warehouse"), needs=needs),
    ]
    if live:  # the paper exchanges list what the market stage has found on the real ones
        return [_stage(environment.base(told), "market", market, needs=needs), _paper(told, seed), *others]
    return [_sim(settings, seed), stage("market", market), *others]


def _stage(
    env: Mapping[str, str], name: str, command: tuple[str, ...], needs: tuple[str, ...] = (SETUP, SIM)
) -> Service:
    return Service(
        name=name, command=command, readiness=Readiness.NOTIFIES, env=env, cwd=environment.CHECKOUT, needs=needs
    )


def _paper(settings: Settings, seed: int) -> Service:
    sim = _sim(settings, seed)
    return replace(sim, command=(*sim.command, "--paper"), needs=(SETUP, "market"))


def _sim(settings: Settings, seed: int) -> Service:
    address = urlsplit(settings.sim)
    if address.hostname is None or address.port is None:
        raise UsageError(f"{SIM_SETTING}: {settings.sim!r} names no host and port")
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
