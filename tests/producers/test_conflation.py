"""Back-pressure: what newer records replace while Kafka is slow is dropped and counted, and trades never are."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import BookSnapshot, ExchangeStatus, Quote, Side, StatusKind, Trade
from neuroflux.kafka.publisher import BUFFER_RECORDS, Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import BOOKS, QUOTES, STATUS, TRADES, Topic
from producers.conflation import CONFLATE_ABOVE, Conflated
from tests.conftest import RunningStack, stopped

SYMBOLS = ("A/USD", "B/USD", "C/USD")


class Kafka:
    """A sink whose number of waiting records the test sets."""

    def __init__(self) -> None:
        self.waiting = 0
        self.taken: list[tuple[Topic, Any]] = []

    def publish(self, topic: Topic, record: Any) -> None:
        self.taken.append((topic, record))

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Any) -> None:
        self.taken.append((topic, value))

    async def drain(self) -> None: ...

    def of(self, topic: Topic) -> list[Any]:
        return [record for where, record in self.taken if where is topic]


def quote(symbol: str, sequence: int, exchange: str = "x") -> Quote[Any]:
    return Quote(exchange, symbol, symbol, 1.0, 1.0, 2.0, 1.0, sequence, 0, 0)


def snapshot(symbol: str, sequence: int) -> BookSnapshot[Any]:
    return BookSnapshot("x", symbol, symbol, (), (), sequence, 0, 0)


def trade(symbol: str, number: int, exchange: str = "x") -> Trade[Any]:
    return Trade(exchange, symbol, symbol, str(number), Side.BUY, 1.0, 1.0, 0, 0)


def status(kind: StatusKind, symbol: str = "") -> ExchangeStatus:
    return ExchangeStatus("x", "/ws", kind, 0.0, "", 0, symbol)


async def test_the_newest_of_each_symbol_is_published_when_there_is_room_again() -> None:
    kafka = Kafka()
    conflated = Conflated(kafka)
    kafka.waiting = CONFLATE_ABOVE + 1
    for sequence in range(3):
        for symbol in SYMBOLS:
            conflated.publish(QUOTES, quote(symbol, sequence))
            conflated.publish(TRADES, trade(symbol, sequence))
    await conflated.drain()
    assert len(kafka.of(TRADES)) == 9
    assert not kafka.of(QUOTES)
    kafka.waiting = CONFLATE_ABOVE
    await conflated.drain()
    assert [(one.symbol, one.sequence) for one in kafka.of(QUOTES)] == [(symbol, 2) for symbol in SYMBOLS]
    statuses = kafka.of(STATUS)
    assert [(one.exchange, one.kind, one.value) for one in statuses] == [("x", StatusKind.CONFLATED, 6)]


def test_a_kept_record_is_not_published_after_a_newer_one() -> None:
    kafka = Kafka()
    conflated = Conflated(kafka)
    kafka.waiting = CONFLATE_ABOVE + 1
    conflated.publish(QUOTES, quote("A/USD", 1))
    kafka.waiting = 0
    conflated.publish(QUOTES, quote("A/USD", 2))
    asyncio.run(conflated.drain())
    assert [one.sequence for one in kafka.of(QUOTES)] == [2]


@pytest.mark.parametrize(
    ("what", "left"),
    [
        (status(StatusKind.GAP, "A/USD"), ["B/USD"]),
        (status(StatusKind.DISCONNECTED), []),
        (status(StatusKind.LATENCY), ["A/USD", "B/USD"]),
    ],
)
async def test_a_withdrawn_book_is_not_published_later(what: ExchangeStatus, left: list[str]) -> None:
    kafka = Kafka()
    conflated = Conflated(kafka)
    kafka.waiting = CONFLATE_ABOVE + 1
    for symbol in ("A/USD", "B/USD"):
        conflated.publish(BOOKS, snapshot(symbol, 1))
    conflated.publish(STATUS, what)
    kafka.waiting = 0
    await conflated.drain()
    assert [one.symbol for one in kafka.of(BOOKS)] == left


@given(
    st.lists(
        st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(["quote", "trade", "full", "room", "drain"])), max_size=60
    )
)
def test_trades_all_pass_and_quotes_pass_or_are_counted(acts: list[tuple[str, str]]) -> None:
    kafka = Kafka()
    conflated = Conflated(kafka)
    given_quotes: list[Quote[Any]] = []
    given_trades: list[Trade[Any]] = []
    for number, (symbol, act) in enumerate(acts):
        if act == "quote":
            given_quotes.append(quote(symbol, number))
            conflated.publish(QUOTES, given_quotes[-1])
        elif act == "trade":
            given_trades.append(trade(symbol, number))
            conflated.publish(TRADES, given_trades[-1])
        elif act == "drain":
            asyncio.run(conflated.drain())
        else:
            kafka.waiting = CONFLATE_ABOVE + 1 if act == "full" else 0
    kafka.waiting = 0
    for symbol in SYMBOLS:  # so that whatever is kept is published or replaced
        given_quotes.append(quote(symbol, len(acts)))
        conflated.publish(QUOTES, given_quotes[-1])
    kafka.waiting = CONFLATE_ABOVE + 1
    conflated.publish(QUOTES, quote("last", 0))
    kafka.waiting = 0
    asyncio.run(conflated.drain())
    assert kafka.of(TRADES) == given_trades
    passed = [one for one in kafka.of(QUOTES) if one.symbol != "last"]
    assert len(passed) + sum(one.value for one in kafka.of(STATUS)) == len(given_quotes)
    for symbol in SYMBOLS:
        sequences = [one.sequence for one in passed if one.symbol == symbol]
        assert sequences == sorted(sequences)
        assert sequences[-1] == len(acts)


@pytest.mark.stack
async def test_a_stopped_kafka_costs_neither_a_trade_nor_memory(stack: RunningStack) -> None:
    own = f"T{uuid.uuid4().hex}"
    codec = await load_codec(stack.settings)
    async with (
        Publisher(stack.settings, codec) as publisher,
        Reader(stack.settings, codec, (QUOTES, TRADES, STATUS), start="end") as reader,
    ):
        conflated = Conflated(publisher)
        trades = 0
        with stopped(stack.settings, "kafka"):
            while publisher.waiting <= BUFFER_RECORDS:
                for symbol in SYMBOLS:
                    conflated.publish(QUOTES, quote(symbol, trades, own))
                conflated.publish(TRADES, trade("A/USD", trades, own))
                trades += 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await conflated.drain()
        while publisher.waiting > CONFLATE_ABOVE:
            await conflated.drain()
            await asyncio.sleep(0.05)  # as the stage publishes books
        await conflated.drain()
        await publisher.flush()
        mine: dict[str, list[Any]] = {QUOTES.name: [], TRADES.name: [], STATUS.name: []}
        async with asyncio.timeout(60):
            async for batch in reader.batches():
                for entry in batch:
                    if entry.record.exchange == own:
                        mine[entry.topic.name].append(entry.record)
                found = mine[QUOTES.name], mine[TRADES.name]
                if mine[STATUS.name] and sum(map(len, found)) + mine[STATUS.name][0].value >= 4 * trades:
                    break
    assert [int(one.trade_id) for one in mine[TRADES.name]] == list(range(trades))
    assert len(mine[QUOTES.name]) + mine[STATUS.name][0].value == len(SYMBOLS) * trades
    assert mine[STATUS.name][0].value > trades / 2, "most quotes were replaced"
    for symbol in SYMBOLS:
        assert [one for one in mine[QUOTES.name] if one.symbol == symbol][-1].sequence == trades - 1
