"""The journal's fence and state, on an in-memory log that two executors share."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from consumers.execution.journal import DONE, OPEN, Fenced, Journal, decoded, encoded, saved
from neuroflux.domain import (
    Cause,
    CommandKind,
    Fill,
    Instrument,
    InstrumentKind,
    JournalEntry,
    Liquidity,
    OrderCommand,
    Side,
    TimeInForce,
)
from neuroflux.engine.orders.state import Attempt, Leg, Order
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.records.entries import Entry
from neuroflux.records.places import Place
from neuroflux.records.topics import JOURNAL

PARTITION = 1


class Log:
    """One partition, read by every journal as soon as it is written; ``paused`` readers receive nothing yet."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.readers: list[Journal] = []
        self.paused: list[Journal] = []

    def journal(self) -> Journal:
        made = Journal(cast(Publisher, self), cast(Reader, None))
        for offset, record in enumerate(self.entries):
            made._take(entry(record, offset))
        self.readers.append(made)
        return made

    async def write(self, topic: Any, record: JournalEntry, *, partition: int | None = None) -> Place:
        self.entries.append(record)
        offset = len(self.entries) - 1
        for one in self.readers:
            if one not in self.paused:
                one._take(entry(record, offset))
        return Place(PARTITION, offset)


def entry(record: JournalEntry, offset: int) -> Entry:
    return Entry(JOURNAL, PARTITION, offset, record.order_id, record, b"", "", 0)


def order(name: str, symbol: str = "BTC/USDT") -> Order:
    instrument = Instrument(
        exchange="binance",
        symbol=symbol,
        market="BTC/USD",
        name=symbol.replace("/", ""),
        base="BTC",
        quote="USDT",
        kind=InstrumentKind.SPOT,
    )
    return Order(
        command=OrderCommand(order_id=name, kind=CommandKind.PLACE),
        source=Cause("orders.commands", PARTITION, 0),
        received_at=0,
        legs=(Leg(instrument, Side.BUY, Decimal(1), Decimal(1), TimeInForce.IOC, 1.0, 1),),
        attempts=(Attempt(0, 0, client_order_id=f"client-{name}", exchange_order_id="7"),),
    )


def fill(symbol: str, client: str = "", exchange_order_id: str = "7") -> Fill:
    one = Decimal(1)
    where = ("", "binance", symbol, client, exchange_order_id, "1")
    return Fill(*where, Side.BUY, one, one, one, "USDT", Liquidity.TAKER, 0)


async def test_what_is_written_is_known_to_all_and_can_be_restored() -> None:
    log = Log()
    first, second = log.journal(), log.journal()
    await first.claim(PARTITION)
    await first.write(PARTITION, saved(order("a"), [], 0))
    await first.write(PARTITION, saved(order("b", "ETH/USDT"), [], 0))
    await first.write(PARTITION, saved(order("b", "ETH/USDT"), [], 0), done=True)
    for journal in (first, second, log.journal()):
        assert [kept.order.id for kept in journal.restorable(PARTITION)] == ["a"]
        assert (journal.partition_of("a"), journal.partition_of("b")) == (PARTITION, PARTITION)
        assert journal.partition_of("c") is None
        last = journal.last("b")
        assert last is not None
        assert last.order == order("b", "ETH/USDT")


async def test_an_exchanges_order_ids_are_unique_in_one_symbol_alone() -> None:
    journal = Log().journal()
    await journal.claim(PARTITION)
    await journal.write(PARTITION, saved(order("a"), [], 0))
    await journal.write(PARTITION, saved(order("b", "ETH/USDT"), [], 0))
    assert journal.order_of(fill("BTC/USDT")) == "a"
    assert journal.order_of(fill("ETH/USDT")) == "b"
    assert journal.order_of(fill("SOL/USDT", "client-a")) == "a"
    assert journal.order_of(fill("SOL/USDT")) == ""


async def test_nothing_is_written_without_a_claim() -> None:
    with pytest.raises(Fenced):
        await Log().journal().write(PARTITION, saved(order("a"), [], 0))


async def test_a_later_claim_fences_the_first() -> None:
    log = Log()
    old, new = log.journal(), log.journal()
    await old.claim(PARTITION)
    await old.write(PARTITION, saved(order("a"), [], 0))
    await new.claim(PARTITION)
    with pytest.raises(Fenced):
        await old.write(PARTITION, saved(order("a"), [], 1))
    await new.write(PARTITION, saved(order("a"), [], 2))
    assert len(log.entries) == 4, "a fenced executor writes nothing"


async def test_one_that_missed_a_claim_is_fenced_by_its_own_entry_and_its_entry_is_void() -> None:
    log = Log()
    sleeper, owner = log.journal(), log.journal()
    await sleeper.claim(PARTITION)
    await sleeper.write(PARTITION, saved(order("a"), [], 0))
    log.paused.append(sleeper)
    await owner.claim(PARTITION)
    await owner.write(PARTITION, saved(replace(order("a"), reason="the owner's"), [], 1))
    writing = asyncio.create_task(sleeper.write(PARTITION, saved(replace(order("a"), reason="stale"), [], 2)))
    await asyncio.sleep(0)
    assert not writing.done(), "it waits until it has read what it wrote"
    for offset in (2, 3, 4):
        sleeper._take(entry(log.entries[offset], offset))
    with pytest.raises(Fenced):
        await writing
    await asyncio.gather(*owner._rewrites)
    last = owner.last("a")
    assert last is not None
    assert last.order.reason == "the owner's"
    assert decoded(log.entries[-1].body).order.reason == "the owner's", "the last entry in a compacted log counts"


async def test_an_entry_with_nothing_unread_before_it_counts_when_it_is_acknowledged() -> None:
    log = Log()
    journal = log.journal()
    await journal.claim(PARTITION)
    log.paused.append(journal)
    for reason in ("first", "second"):
        await journal.write(PARTITION, saved(replace(order("a"), reason=reason), [], 0))
    journal._take(entry(log.entries[1], 1))
    last = journal.last("a")
    assert last is not None
    assert last.order.reason == "second", "what is read later is known already"
    assert journal.partition_of("a") == PARTITION
    assert journal.order_of(fill("BTC/USDT", "client-a")) == "a"


@pytest.mark.parametrize(("fills", "is_compressed"), [(0, False), (100, False), (10_000, True)])
def test_an_order_of_many_fills_is_no_larger_than_kafka_takes(fills: int, is_compressed: bool) -> None:
    kept = saved(filled_by(fills), [], 1)
    body, plain = encoded(kept), msgspec.msgpack.encode(kept)
    assert len(body) < 900_000
    assert (body != plain) is is_compressed
    assert decoded(body) == decoded(plain) == kept, "entries of older releases are plain"


def filled_by(fills: int) -> Order:
    """An order with so many fills, each with numbers of its own, as exchanges give them."""
    random, one = Random(1), fill("BTC/USDT", "client-a")
    parts = tuple(
        replace(
            one,
            trade_id=str(random.getrandbits(40)),
            price=Decimal(random.randrange(10**7)) / 100,
            quantity=Decimal(random.randrange(1, 10**6)) / 10**5,
            event_time=random.getrandbits(50),
        )
        for _ in range(fills)
    )
    first = order("a")
    times = tuple(random.getrandbits(50) for _ in parts)
    return replace(first, attempts=(replace(first.attempts[0], fills=parts, fills_at=times),))


async def test_an_order_in_the_format_of_another_release_is_never_placed_again() -> None:
    journal = Log().journal()
    journal._take(entry(JournalEntry("a", OPEN, 0, b"\xc1", 0), 0))
    journal._take(entry(JournalEntry("b", DONE, 0, b"\x78\x01", 0), 1))
    assert (journal.partition_of("a"), journal.partition_of("b")) == (PARTITION, PARTITION)
    assert not journal.restorable(PARTITION)
    assert journal.last("a") is journal.last("b") is None
