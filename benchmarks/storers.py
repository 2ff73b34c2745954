"""``python -m benchmarks.storers ours|bare COUNT``: quotes from Kafka to an empty table, and rows per second."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, cast

import uvloop
from aiokafka import TopicPartition
from clickhouse_driver import Client

from consumers.warehouse import BATCH_ROWS, Warehouse, reading, store_all
from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.login import with_login
from neuroflux.clickhouse.tables import fields
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Fetched, Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import QUOTES
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.runtime.stage import spare_collector


def empty(settings: Settings) -> None:
    database = ClickHouse(settings)
    database.migrate()
    database.execute(f"TRUNCATE TABLE {QUOTES.table}")
    database.close()


class Watched:
    """A reader that prints the stored records per second once less than a batch is left, which would wait."""

    def __init__(self, reader: Reader, count: int) -> None:
        self._reader, self._enough = reader, count - BATCH_ROWS
        self._committed: dict[TopicPartition, int] = {}
        self._began = 0.0
        self.rate: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def fetch(self, max_records: int) -> Fetched:
        fetched = await self._reader.fetch(max_records)
        if fetched and not self._began:
            self._began = time.perf_counter()
        return fetched

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._reader.commit(offsets)
        self._committed.update(offsets)
        stored = sum(self._committed.values())
        if stored > self._enough and not self.rate.done():
            self.rate.set_result(stored / (time.perf_counter() - self._began))


async def ours(settings: Settings, count: int) -> float:
    """Measured from the first record read until all are rows."""
    spare_collector()
    codec = await load_codec(settings)
    async with Publisher(settings, codec) as publisher:
        warehouse, group = Warehouse(settings, publisher), f"bench-{time.time_ns()}"
        await warehouse.open()
        async with reading(settings, codec, warehouse, (QUOTES,), group) as reader:
            watched = Watched(reader, count)
            storing = asyncio.create_task(store_all(cast(Reader, watched), warehouse))
            ends: set[asyncio.Future[Any]] = {storing, watched.rate}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if storing.done():
                storing.result()
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
        await warehouse.close()
    return watched.rate.result()


async def bare(settings: Settings, count: int) -> float:
    """Only the inserts, of prepared columns in blocks of the warehouse's size."""
    entries: list[Entry] = []
    async with Reader(settings, await load_codec(settings), (QUOTES,), start="beginning") as reader:
        async for batch in reader.batches(max_records=10_000):
            entries += batch
            if len(entries) >= count:
                break
    blocks = [_columns(entries[at : at + BATCH_ROWS]) for at in range(0, count, BATCH_ROWS)]
    client, sql = Client.from_url(with_login(settings)), f"INSERT INTO {QUOTES.table} VALUES"
    began = time.perf_counter()
    for block in blocks:
        client.execute(sql, block, columnar=True)
    rate = count / (time.perf_counter() - began)
    client.disconnect()
    return rate


def _columns(entries: list[Entry]) -> list[list[Any]]:
    records = [entry.record for entry in entries]
    ticks = [list(map(attrgetter(column.name), records)) for column in fields(QUOTES)]
    place = [[entry.partition for entry in entries], [entry.offset for entry in entries]]
    return [*ticks, [QUOTES.name] * len(entries), *place]


def main(contender: str, count: int) -> None:
    settings = load_settings()
    empty(settings)
    work = ours(settings, count) if contender == "ours" else bare(settings, count)
    print(uvloop.run(work), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
