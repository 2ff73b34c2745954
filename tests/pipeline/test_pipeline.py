"""From a command on a topic to a row in ClickHouse, with third-party clients only."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from clickhouse_driver import Client
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from neuroflux.cli.run import TICKS, summary_of
from neuroflux.domain import OrderState
from tests.pipeline.conftest import Pipeline, wait_for

pytestmark = pytest.mark.stack

LIVE = (
    "market.quotes",
    "market.trades",
    "market.books",
    "market.funding",
    "account.balances",
    "exchange.status",
    "exchange.instruments",
    "prices.aggregated",
    "arbitrage.signals",
    "exchange.health",
)


class Foreign:
    """confluent-kafka with its own registry client and Avro (de)serialiser."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._kafka = pipeline.settings.kafka
        # By default it waits without end; an answer was lost once in CI, and with a timeout it retries.
        self.registry = SchemaRegistryClient({"url": pipeline.settings.registry, "timeout": 10})

    def read(self, topic: str, enough: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """The first ``enough`` records of a topic, decoded."""
        return [record for _, record in zip(range(enough), self._records(topic, seconds), strict=False)]

    def find(self, topic: str, seconds: float = 60, **fields: Any) -> dict[str, Any]:
        """The first record with these fields."""
        for record in self._records(topic, seconds):
            if all(record[name] == value for name, value in fields.items()):
                return record
        raise AssertionError(f"no record with {fields} on {topic}")

    def _records(self, topic: str, seconds: float) -> Iterator[dict[str, Any]]:
        group = {"group.id": f"foreign-{uuid.uuid4()}", "enable.auto.commit": False}
        consumer = Consumer({"bootstrap.servers": self._kafka, **group})
        decode = AvroDeserializer(self.registry)
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                message = consumer.poll(0.5)
                if message is None:
                    continue
                assert message.error() is None
                yield decode(message.value(), SerializationContext(topic, MessageField.VALUE))
        finally:
            consumer.close()

    def write(self, topic: str, key: str, record: dict[str, Any]) -> None:
        schema = self.registry.get_latest_version(f"{topic}-value").schema.schema_str
        settings = {"auto.register.schemas": False, "use.latest.version": True}
        encode = AvroSerializer(self.registry, schema, conf=settings)
        self.write_bytes(topic, key, encode(record, SerializationContext(topic, MessageField.VALUE)))

    def write_bytes(self, topic: str, key: str, value: bytes) -> None:
        producer = Producer({"bootstrap.servers": self._kafka})
        producer.produce(topic, key=key, value=value)
        assert producer.flush(10) == 0


@pytest.fixture(scope="module")
def foreign(pipeline: Pipeline) -> Iterator[Foreign]:
    foreign = Foreign(pipeline)
    yield foreign
    foreign.registry.close()


def command(**fields: Any) -> dict[str, Any]:
    made = {
        "order_id": str(uuid.uuid4()),
        "kind": "place",
        "market": "BTC/USD",
        "side": "buy",
        "type": "market",
        "quantity": Decimal("0.05"),
        "price": Decimal(0),
        "time_in_force": "gtc",
        "strategy": "optimal",
        "exchange": "",
        "requirements": {"max_slippage": 0.0, "max_fee": 0.0, "min_liquidity": 0.0},
        "issued_by": "test",
        "issued_at": time.time_ns() // 1000,
    }
    return {**made, **fields}


def place(foreign: Foreign, **fields: Any) -> str:
    placed = command(**fields)
    foreign.write("orders.commands", placed["order_id"], placed)
    return str(placed["order_id"])


def final(foreign: Foreign, order_id: str, state: str = "") -> dict[str, Any]:
    """The final event of an order; if ``state`` is given, it must have that state."""
    seen = []
    for record in foreign._records("orders.events", 60):
        if record["order_id"] != order_id:
            continue
        seen.append((record["client_order_id"], record["state"], record["reason"]))
        if not record["client_order_id"] and OrderState(record["state"]).final:
            assert state in ("", record["state"]), seen
            return record
    raise AssertionError(f"the order never ended: {seen}")


def filled(foreign: Foreign, **fields: Any) -> dict[str, Any]:
    """The end of an order that is filled. A market order expires where its price has just moved away: then another."""
    ends = (final(foreign, place(foreign, **fields)) for _ in range(5))
    return next(end for end in ends if end["state"] != "expired")


@pytest.mark.parametrize("topic", LIVE)
def test_a_third_party_client_reads_every_topic(foreign: Foreign, topic: str) -> None:
    assert foreign.read(topic)


@pytest.mark.parametrize("topic", ["market.quotes", "market.trades", "market.books"])
def test_every_exchange_publishes(foreign: Foreign, topic: str) -> None:
    wait_for(lambda: len({record["exchange"] for record in foreign.read(topic, 3000)}) == 3)


def test_a_command_becomes_an_order_its_events_and_its_rows(pipeline: Pipeline, foreign: Foreign) -> None:
    end = filled(foreign)
    order_id = end["order_id"]
    assert (end["state"], end["filled_quantity"]) == ("filled", Decimal("0.05"))
    legs = {record["client_order_id"] for record in _events(pipeline, order_id) if record["client_order_id"]}
    accepted = [order for order in pipeline.sim("/sim/orders") if order["client_order_id"] in legs]
    assert accepted
    assert sum(Decimal(order["filled_quantity"]) for order in accepted) == Decimal("0.05")
    fills = wait_for(lambda: pipeline.query(f"SELECT sum(quantity) FROM fills WHERE order_id = '{order_id}'"))
    assert wait_for(lambda: _native(pipeline, f"SELECT state FROM order_events WHERE order_id = '{order_id}'"))
    assert fills
    decision = foreign.find("orders.decisions", order_id=order_id)
    assert decision["causes"]
    assert {candidate["exchange"] for candidate in decision["candidates"]} >= {"binance"}


def test_a_perpetual_order_becomes_a_position(foreign: Foreign) -> None:
    end = filled(foreign, market="ETH/USDT:USDT", side="sell", quantity=Decimal("0.5"))
    assert (end["state"], end["exchange"]) == ("filled", "binanceusdm")
    position = foreign.find("account.positions", exchange="binanceusdm", symbol="ETH/USDT:USDT")
    assert position["quantity"] == Decimal("-0.5")
    assert foreign.find("orders.fills", order_id=end["order_id"])["side"] == "sell"


def _events(pipeline: Pipeline, order_id: str) -> list[dict[str, str]]:
    sql = f"SELECT state, client_order_id FROM order_events WHERE order_id = '{order_id}' FORMAT TSV"
    rows = wait_for(lambda: [row for row in pipeline.query(sql) if len(row) == 2 and row[1]])
    return [{"state": state, "client_order_id": client} for state, client in rows]


def _native(pipeline: Pipeline, sql: str) -> list[tuple[Any, ...]]:
    answer = pipeline.program("status", "--connect", "--json")
    client = Client.from_url(json.loads(answer.stdout)["clickhouse"])
    try:
        rows: list[tuple[Any, ...]] = client.execute(sql)
        return rows
    finally:
        client.disconnect()


def test_the_same_command_twice_is_one_order(pipeline: Pipeline, foreign: Foreign) -> None:
    placed = command(quantity=Decimal("0.01"))
    for _ in range(2):
        foreign.write("orders.commands", placed["order_id"], placed)
    end = final(foreign, placed["order_id"])
    final(foreign, place(foreign, quantity=Decimal("0.01")))  # sent after both: the second one was processed by now
    legs = {row["client_order_id"] for row in _events(pipeline, placed["order_id"])}
    accepted = [order for order in pipeline.sim("/sim/orders") if order["client_order_id"] in legs]
    assert sum(Decimal(order["filled_quantity"]) for order in accepted) == end["filled_quantity"]
    assert sum(Decimal(order["quantity"]) for order in accepted) == Decimal("0.01")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"quantity": Decimal(0)}, "quantity"),
        ({"quantity": Decimal(-1)}, "quantity"),
        ({"quantity": Decimal("0.000000000000000001")}, ""),
        ({"market": "NOSUCH/USD"}, "NOSUCH/USD"),
        ({"quantity": Decimal(1000000)}, ""),
        ({"type": "limit", "price": Decimal(1)}, ""),
        ({"strategy": "astrology"}, "astrology"),
    ],
)
def test_an_invalid_command_is_refused_with_its_reason(foreign: Foreign, fields: dict[str, Any], reason: str) -> None:
    refused = final(foreign, place(foreign, **fields), "refused")
    assert refused["reason"]
    assert reason in refused["reason"]


@pytest.mark.parametrize("value", [b"", b"not avro", b"\x00\x7f\xff\xff\xff rest", b"\x00"])
def test_an_undecodable_command_is_a_dead_letter(pipeline: Pipeline, foreign: Foreign, value: bytes) -> None:
    key = str(uuid.uuid4())
    foreign.write_bytes("orders.commands", key, value)
    headers = _dead_letter(pipeline, key, value)
    assert headers["reason"]
    assert headers["topic"] == b"orders.commands"
    assert {"partition", "offset"} <= headers.keys()
    assert filled(foreign, quantity=Decimal("0.01"))["state"] == "filled"  # the stage continues


def _dead_letter(pipeline: Pipeline, key: str, value: bytes) -> dict[str, bytes]:
    consumer = Consumer({"bootstrap.servers": pipeline.settings.kafka, "group.id": "dead", "enable.auto.commit": False})
    try:
        topic = "orders.dead-letters"
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        until = time.monotonic() + 30
        while time.monotonic() < until:
            message = consumer.poll(0.5)
            if message is not None and message.key() == key.encode():
                assert (message.value() or b"") == value
                return {name: value for name, value in _pairs(message.headers()) if isinstance(value, bytes)}
        raise AssertionError("the dead letter never came")
    finally:
        consumer.close()


def _pairs(headers: Any) -> list[tuple[str, Any]]:
    return list(headers.items()) if isinstance(headers, dict) else list(headers or ())


def test_a_resting_order_is_cancelled(pipeline: Pipeline, foreign: Foreign) -> None:
    newest = "SELECT bid_price FROM quotes WHERE symbol = 'BTC/USDT' ORDER BY event_time DESC LIMIT 1"
    bid = float(wait_for(lambda: pipeline.query(newest))[0][0])
    limit = Decimal(str(round(bid * 0.99, 0)))
    order_id = place(foreign, market="BTC/USDT", type="limit", price=limit, quantity=Decimal("0.01"))
    foreign.find("orders.events", order_id=order_id, state="acknowledged")
    assert pipeline.program("cancel", order_id).returncode == 0
    assert final(foreign, order_id, "cancelled")["filled_quantity"] == 0


def test_halt_stops_new_orders_until_resume(pipeline: Pipeline, foreign: Foreign) -> None:
    assert pipeline.program("halt", "--why", "a test").returncode == 0
    try:
        refused = wait_for(lambda: _refused_for_halt(foreign), 20)
        assert "halt" in refused["reason"]
    finally:
        assert pipeline.program("resume").returncode == 0
    wait_for(lambda: not _refused_for_halt(foreign), 20)


def _refused_for_halt(foreign: Foreign) -> dict[str, Any]:
    end = final(foreign, place(foreign, quantity=Decimal("0.01")))
    return end if end["state"] == "refused" else {}


def test_the_program_orders_and_waits(pipeline: Pipeline) -> None:
    command = ("order", "buy", "ETH/USD", "0.1", "--wait", "--json")
    done = wait_for(lambda: (answer := pipeline.program(*command)).returncode == 0 and answer, 60)
    assert done
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["state"] == "filled"
    assert events[0]["state"] == "received"


def test_status_names_every_process(pipeline: Pipeline) -> None:
    done = pipeline.program("status", "--json")
    assert done.returncode == 0, done.stderr
    states = {json.loads(line)["name"]: json.loads(line)["state"] for line in done.stdout.splitlines()}
    assert states.pop("setup") == "finished"
    assert {"registry", "clickhouse", "sim", "market", "account", "streams", "execution", "warehouse"} <= states.keys()
    assert set(states.values()) == {"ready"}


def test_each_record_is_one_row(pipeline: Pipeline) -> None:
    tables = ("quotes", "trades", "books", "order_events", "fills", "arbitrage_signals", "aggregated_prices")
    for table in tables:
        sql = f"SELECT count(), uniqExact(_topic, _partition, _offset), max(_offset) FROM {table}"
        rows, distinct, _ = wait_for(partial(pipeline.query, sql))[0]
        assert rows == distinct, table


def test_the_ticks_of_a_run_are_counted_by_exchange(pipeline: Pipeline) -> None:
    """The sum of the exchanges in the tables is what the topics have."""
    summary = asyncio.run(summary_of(pipeline.settings, 1.0))
    assert set(summary.ticks) == set(pipeline.settings.exchanges)
    for topic in TICKS:
        assert all(by_table[topic.table] for by_table in summary.ticks.values())
        assert sum(by_table[topic.table] for by_table in summary.ticks.values()) == summary.records[topic.name]
