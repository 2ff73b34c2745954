"""A recorded market passes exchange, Kafka and ClickHouse; the last stored book is that of the exchange."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from consumers import warehouse
from neuroflux.clickhouse.client import ClickHouse
from neuroflux.runtime.settings import Settings
from neuroflux.sim.server import serve
from producers import market
from tests.conftest import RunningStack

pytestmark = pytest.mark.stack
WIRE = Path(__file__).parents[3] / "shared" / "wire"
RECORDINGS = {
    "binance_spot/seq_spot_NKNUSDT": ("binance", "NKN/USD"),
    "binance_spot/seq_spot_BLZETH": ("binance", "BLZ/ETH"),
    "binance_usdm/seq_usdm_SUSHIUSDT": ("binanceusdm", "SUSHI/USD"),
    "binance_usdm/seq_usdm_AKROUSDT": ("binanceusdm", "AKRO/USD"),
}
DEPTH = 20


@asynccontextmanager
async def running(*stages: Coroutine[Any, Any, None]) -> Any:
    tasks = [asyncio.create_task(stage) for stage in stages]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended


def stored(database: ClickHouse, market: str, sequence: int) -> Any:
    sql = f"SELECT bids, asks FROM books WHERE market = '{market}' AND sequence = {sequence} LIMIT 1"
    return database.execute(sql)


def floats(levels: list[list[str]]) -> list[tuple[float, float]]:
    return [(float(price), float(quantity)) for price, quantity in levels[:DEPTH]]


@pytest.mark.parametrize("name", RECORDINGS)
async def test_the_last_book_is_the_expected_one(
    stack: RunningStack, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = WIRE / f"{name}.jsonl"
    if not recording.exists():
        pytest.skip("../shared/wire is not here: no recorded market to replay")
    expected = json.loads((WIRE / f"{name}.expected.json").read_text())
    exchange, wanted = RECORDINGS[name]
    async with serve(0, 1, replay=recording) as served:
        monkeypatch.setenv(f"NEUROFLUX_{exchange.upper()}_REST_URL", f"{served.url}/binance")
        monkeypatch.setenv(f"NEUROFLUX_{exchange.upper()}_WS_URL", f"{served.url}/binance".replace("http", "ws"))
        chosen = {"exchanges": (exchange,), "markets": (wanted,)}
        settings = Settings(**{**stack.settings.model_dump(), **chosen})
        async with running(warehouse.main(settings), market.main(settings)):
            (bids, asks) = await last_book(settings, wanted, expected["final_update_id"])
    assert bids[:DEPTH] == floats(expected["final"]["bids"])
    assert asks[:DEPTH] == floats(expected["final"]["asks"])


async def last_book(settings: Settings, market: str, sequence: int) -> Any:
    database = ClickHouse(settings)
    try:
        async with asyncio.timeout(60):
            while True:
                if await tables_are_there(database) and (
                    rows := await asyncio.to_thread(stored, database, market, sequence)
                ):
                    return rows[0]
                await asyncio.sleep(0.2)
    finally:
        database.close()


async def tables_are_there(database: ClickHouse) -> bool:
    found = await asyncio.to_thread(database.execute, "EXISTS TABLE books")
    return bool(found[0][0])
