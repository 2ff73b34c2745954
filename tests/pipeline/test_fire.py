"""Failures of services: they die, hang or lag; trading continues or reports why not, and all is stored exactly once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from neuroflux.clickhouse.tables import STORED
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.records.topics import DELETE
from neuroflux.runtime.settings import Settings
from neuroflux.stack.supervise.service import State
from tests.conftest import service, stopped
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(240)]

KEPT = tuple(topic for topic in STORED if topic.cleanup == DELETE)
"""Topics with all offsets in Kafka, so that rows can be compared with them."""
ORDER = {"symbol": "BTC/USD", "side": "buy", "quantity": 0.002}
HELD = 60.0
"""Seconds for which ClickHouse is kept down."""
PAUSE = 0.2
"""Seconds between two orders meanwhile."""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    yield from run_pipeline(tmp_path_factory.mktemp("fire"), make_settings)


@pytest.fixture(scope="module")
def manager(pipeline: Pipeline) -> Iterator[ExchangeManager]:
    with ExchangeManager(pipeline.settings) as made:
        wait_for(lambda: trade(made) == "filled", 60)
        yield made


def trade(manager: ExchangeManager) -> str:
    """The state of an order after the timeout, ``""`` if there is no event yet; or why it was not accepted."""
    try:
        return str(manager.route_order(ORDER)["state"])
    except NeuroFluxError as error:
        return f"not taken: {error}"


def kill(settings: Settings, name: str) -> None:
    pid = service(settings, name).pid
    assert pid, "0 would be this test's own group"
    os.kill(pid, signal.SIGKILL)


def is_restored(settings: Settings, name: str, restarts: int) -> bool:
    now = service(settings, name)
    return now.state is State.READY and now.restarts > restarts


async def ends(settings: Settings) -> dict[TopicPartition, int]:
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        places = [TopicPartition(topic.name, part) for topic in KEPT for part in range(topic.partitions)]
        found: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return found


def different(pipeline: Pipeline, accepted: dict[TopicPartition, int]) -> dict[str, tuple[int, int, int]]:
    """Topics whose records are not stored exactly once: records in Kafka, rows, and distinct positions of rows."""
    found = {}
    for topic in KEPT:
        parts = {place.partition: end for place, end in accepted.items() if place.topic == topic.name}
        below = " OR ".join(f"(_partition = {part} AND _offset < {end})" for part, end in parts.items())
        sql = f"SELECT count(), uniqExact(_partition, _offset) FROM {topic.table} WHERE {below}"
        rows, places = (int(one) for one in pipeline.query(sql)[0])
        if not rows == places == sum(parts.values()):
            found[topic.name] = (sum(parts.values()), rows, places)
    return found


def open_orders(pipeline: Pipeline) -> list[list[str]]:
    ended = "SELECT order_id FROM order_events WHERE state IN ('filled', 'cancelled', 'expired', 'rejected', 'refused')"
    return pipeline.query(f"SELECT order_id FROM order_commands WHERE kind = 'place' AND order_id NOT IN ({ended})")


def check_stored(pipeline: Pipeline) -> None:
    """All that Kafka accepted is stored once in the end; every order ends, and none is sent twice."""
    accepted = asyncio.run(ends(pipeline.settings))
    wait_for(lambda: different(pipeline, accepted) == {}, 60)
    wait_for(lambda: open_orders(pipeline) == [], 30)
    sent = [(one["exchange"], one["client_order_id"]) for one in pipeline.sim("/sim/orders")]
    assert len(sent) == len(set(sent))


@pytest.mark.parametrize("name", ["kafka", "market", "account", "streams", "execution", "warehouse"])
def test_a_killed_service_restarts_and_trading_goes_on(pipeline: Pipeline, manager: ExchangeManager, name: str) -> None:
    before = service(pipeline.settings, name).restarts
    kill(pipeline.settings, name)
    trade(manager)
    wait_for(lambda: is_restored(pipeline.settings, name, before), 60)
    wait_for(lambda: trade(manager) == "filled", 60)
    check_stored(pipeline)


def test_without_a_registry_orders_continue(pipeline: Pipeline, manager: ExchangeManager) -> None:
    with stopped(pipeline.settings, "registry"):
        assert trade(manager) == "filled"
    check_stored(pipeline)


def test_clickhouse_down_stops_no_order_and_loses_no_row(pipeline: Pipeline, manager: ExchangeManager) -> None:
    until, killed, states = time.monotonic() + HELD, set[int](), list[str]()
    while time.monotonic() < until:
        if (pid := service(pipeline.settings, "clickhouse").pid) and pid not in killed:
            with suppress(ProcessLookupError):  # the status is updated shortly after it died
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        states.append(trade(manager))
        time.sleep(PAUSE)
    assert set(states) <= {"filled", "expired"}, "a market order expires where its price has just moved away"
    assert "filled" in states[-10:]
    assert len(killed) > 1, "it was started again, and killed again"
    wait_for(lambda: service(pipeline.settings, "clickhouse").state is State.READY, 60)
    check_stored(pipeline)


def test_a_slow_consumer_slows_no_other(pipeline: Pipeline, manager: ExchangeManager) -> None:
    def newest() -> dict[TopicPartition, int]:
        return asyncio.run(ends(pipeline.settings))

    with stopped(pipeline.settings, "warehouse"):
        before = newest()
        assert [trade(manager) for _ in range(5)] == ["filled"] * 5
        quotes = [place for place in before if place.topic == "market.quotes"]
        wait_for(lambda: sum(newest()[one] - before[one] for one in quotes) > 100)
    check_stored(pipeline)
