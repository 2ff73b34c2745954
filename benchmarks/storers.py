"""``python -m benchmarks.storers ours|bare COUNT``: quotes from Kafka to an empty table, and rows a second."""

from __future__ import annotations

import sys
import time

import uvloop

from consumers.warehouse import BATCH_ROWS, Warehouse, reading
from neuroflux.clickhouse import ClickHouse
from neuroflux.entries import Entry
from neuroflux.kafka import Publisher, Reader, load_codec
from neuroflux.settings import Settings, load_settings
from neuroflux.stage import spare_collector
from neuroflux.topics import QUOTES


def emptied(settings: Settings) -> ClickHouse:
    database = ClickHouse(settings)
    database.migrate()
    database.execute(f"TRUNCATE TABLE {QUOTES.table}")
    return database


async def ours(settings: Settings, count: int) -> float:
    """From the first record that is read to the last row that is stored."""
    spare_collector()
    codec, began, seen = await load_codec(settings), 0.0, 0
    async with Publisher(settings, codec) as publisher:
        warehouse, group = Warehouse(settings, publisher), f"bench-{time.time_ns()}"
        await warehouse.open()
        async with reading(settings, codec, warehouse, (QUOTES,), group) as reader:
            async for batch in reader.batches(max_records=10_000):
                if batch:
                    began = began or time.perf_counter()
                warehouse.take(batch)
                seen += len(batch)
                if warehouse.due() or seen >= count:
                    await warehouse.store(reader)
                if seen >= count:
                    break
            rate = count / (time.perf_counter() - began)
        await warehouse.close()
    return rate


async def bare(settings: Settings, count: int, database: ClickHouse) -> float:
    """The inserts alone, of blocks of the warehouse's size whose columns are ready."""
    entries: list[Entry] = []
    async with Reader(settings, await load_codec(settings), (QUOTES,), start="beginning") as reader:
        async for batch in reader.batches(max_records=10_000):
            entries += batch
            if len(entries) >= count:
                break
    blocks = [database.prepared(QUOTES, entries[at : at + BATCH_ROWS]) for at in range(0, count, BATCH_ROWS)]
    began = time.perf_counter()
    for sql, columns in blocks:
        database.execute(sql, columns, columnar=True)
    return count / (time.perf_counter() - began)


def main(contender: str, count: int) -> None:
    settings = load_settings()
    database = emptied(settings)
    work = ours(settings, count) if contender == "ours" else bare(settings, count, database)
    print(uvloop.run(work), flush=True)
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
