"""The paper exchange: real rules, live books, paper orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from neuroflux.domain import BookSnapshot, Funding, Instrument, InstrumentKind, Level
from neuroflux.errors import Unreachable
from neuroflux.exchanges.hyperliquid.exchange import Hyperliquid
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BOOKS, INSTRUMENTS
from neuroflux.runtime.settings import Settings
from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.core.world import World
from neuroflux.sim.hyperliquid.venue import HYPERLIQUID
from neuroflux.sim.paper import feed
from neuroflux.sim.paper.liquidity import PaperLiquidity, listings_of
from neuroflux.sim.server import serve

NOW = 1_700_000_000_000_000
HOUR = 3_600_000_000


def instrument(exchange: str, name: str, symbol: str, **fields: Any) -> Instrument:
    spot = ":" not in symbol
    given = {
        "market": "BTC/USD",
        "base": "BTC",
        "quote": symbol.rpartition(":")[2].rpartition("/")[2],
        "kind": InstrumentKind.SPOT if spot else InstrumentKind.PERPETUAL,
        "tick_size": Decimal("0.250000000000000000"),  # as Avro keeps it
        "quantity_step": Decimal("0.002"),
        "min_notional": Decimal(7),
        "taker_fee": Decimal("0.003"),
        "maker_fee": Decimal("0.001"),
    }
    return Instrument(exchange=exchange, name=name, symbol=symbol, **{**given, **fields})


SPOT = instrument(BINANCE, "BTCUSDT", "BTC/USDT")
PERPETUAL = instrument(BINANCE_USDM, "BTCUSDT", "BTC/USDT:USDT")
PEPE = instrument(BINANCE_USDM, "1000PEPEUSDT", "1000PEPE/USDT:USDT", market="PEPE/USD", base="PEPE", multiplier=1000)
COIN = instrument(
    HYPERLIQUID, "BTC", "BTC/USDC:USDC", tick_size=Decimal(0), price_significant_figures=5, price_decimals=1, asset_id=2
)
TOKEN = instrument(HYPERLIQUID, "@142", "BTC/USDC", market="UBTC/USD", base="UBTC", price_decimals=3, asset_id=10_142)
DOLLAR = instrument(HYPERLIQUID, "@207", "HYPE/USDT", market="HYPE/USD", base="HYPE", quote="USDT0", asset_id=10_207)
EMPTY_TOP = (Decimal(0), Decimal(0))
EVERY = (SPOT, PERPETUAL, PEPE, COIN, TOKEN, DOLLAR)


class Nothing:
    """No fault ever strikes."""

    def take(self, exchange: str, fault: str, symbol: str = "") -> None:
        return None

    def setting(self, exchange: str, fault: str, symbol: str = "") -> None:
        return None


def shown(of: Instrument, bid: float, ask: float, received: int = NOW) -> BookSnapshot[float]:
    levels = (Level(bid, 1.0),), (Level(ask, 1.0),)
    return BookSnapshot(of.exchange, of.symbol, of.market, *levels, 1, received, received)


@pytest.fixture
def liquidity() -> PaperLiquidity:
    return PaperLiquidity(listings_of(EVERY))


@pytest.fixture
def world(liquidity: PaperLiquidity) -> World:
    return World(venues(), 1, Nothing(), NOW, liquidity)


def test_the_rules_are_the_real_exchanges() -> None:
    listed = listings_of(EVERY)
    spot = listed[BINANCE, "BTC/USDT"]
    assert str(spot.tick) == "0.25"
    assert (spot.tick, spot.lot, spot.min_notional) == (Decimal("0.25"), Decimal("0.002"), Decimal(7))
    assert (spot.taker_fee, spot.maker_fee) == (Decimal("0.003"), Decimal("0.001"))
    assert listed[HYPERLIQUID, "BTC/USDC:USDC"].tick == Decimal("0.1"), "by its decimals, where there is no tick"
    assert listed[HYPERLIQUID, "BTC/USDC:USDC"].number == 2
    assert listed[BINANCE_USDM, "1000PEPE/USDT:USDT"].base_asset == "1000PEPE"


@pytest.mark.parametrize(
    "fields", [{"market": "NOSUCH/USD"}, {"active": False}, {"exchange": "kucoin"}, {"quantity_step": Decimal(0)}]
)
def test_what_is_unknown_to_the_simulator_or_not_tradable_is_not_listed(fields: dict[str, Any]) -> None:
    assert not listings_of([replace(SPOT, **fields)])


def test_before_the_first_snapshot_the_book_is_empty(world: World) -> None:
    assert world.exchanges[BINANCE].top("BTCUSDT") == EMPTY_TOP


def test_a_resting_order_is_filled_as_maker_when_the_live_book_reaches_it(
    liquidity: PaperLiquidity, world: World
) -> None:
    exchange = world.exchanges[BINANCE]
    liquidity.take(shown(SPOT, 100.0, 100.25))
    world.step(NOW)
    order = exchange.place(Ask("BTCUSDT", "buy", Decimal("0.2"), Decimal("99.75")), NOW)
    assert order.is_open
    liquidity.take(shown(SPOT, 99.25, 99.5))
    world.step(NOW)
    assert order.left == 0
    (fill,) = order.fills
    assert (fill.price, fill.is_maker, fill.fee) == (Decimal("99.75"), True, Decimal("0.0002"))


def test_a_market_order_gets_the_live_levels(liquidity: PaperLiquidity, world: World) -> None:
    exchange = world.exchanges[BINANCE_USDM]
    liquidity.take(shown(PERPETUAL, 100.0, 100.25))
    world.step(NOW)
    order = exchange.place(Ask("BTCUSDT", "buy", Decimal("0.2")), NOW)
    assert order.average_price == Decimal("100.25")
    for _ in range(10):
        world.step(NOW)
    assert exchange.perpetual.mark("BTCUSDT") == Decimal("100.00"), "the mid, to the nearest even tick"
    assert exchange.perpetual.mark("1000PEPEUSDT") == 0


def test_nothing_is_filled_on_a_snapshot_that_was_not_repeated(liquidity: PaperLiquidity, world: World) -> None:
    liquidity.take(shown(SPOT, 100.0, 100.25))
    world.step(NOW)
    world.step(NOW + 10_100_000)
    assert world.exchanges[BINANCE].top("BTCUSDT") == EMPTY_TOP


def test_live_funding_is_scaled_to_the_hours_at_which_it_is_settled(liquidity: PaperLiquidity, world: World) -> None:
    liquidity.take(Funding(BINANCE_USDM, "BTC/USDT:USDT", "BTC/USD", 0.0001, 4, 100.0, 100.0, NOW, NOW))
    liquidity.take(Funding(HYPERLIQUID, "BTC/USDC:USDC", "BTC/USD", 0.00001, 1, 100.0, 100.0, NOW, NOW))
    listings = {
        name: world.exchanges[name].listings[symbol]
        for name, symbol in ((BINANCE_USDM, "BTCUSDT"), (HYPERLIQUID, "BTC"))
    }
    assert world.funding_rate(listings[BINANCE_USDM]) == Decimal("0.0002")
    assert world.funding_rate(listings[HYPERLIQUID]) == Decimal("0.00001")


def test_symbols_that_are_not_listed_are_ignored(liquidity: PaperLiquidity, world: World) -> None:
    liquidity.take(shown(replace(SPOT, symbol="NOSUCH/USDT"), 1.0, 2.0))
    world.step(NOW)


async def test_the_dialects_list_what_the_liquidity_lists(liquidity: PaperLiquidity) -> None:
    """Hyperliquid's asset ids are positions in a list, so the positions of what is not listed are kept."""
    async with serve(0, 1, liquidity=liquidity) as served, ClientSession(served.url) as http:
        exchange = Hyperliquid()
        answers = []
        for request in exchange.instruments_requests():
            async with http.post("/hyperliquid/info", data=request.body) as answer:
                answers.append(Answer(request, answer.status, await answer.read(), {}))
        active = {one.name: one for one in exchange.listing(answers).instruments if one.active}
        assert {name: one.asset_id for name, one in active.items()} == {"BTC": 2, "@142": 10_142, "@207": 10_207}
        assert active["@207"].quote == "USDT0"
        for path in ("/binance/api/v3/exchangeInfo", "/binance/fapi/v1/exchangeInfo"):
            async with http.get(path) as answer:
                assert {one["filters"][0]["tickSize"] for one in (await answer.json())["symbols"]} <= {
                    "0.25",
                    "0.25000000",
                }


async def test_an_exchange_without_instruments_lists_nothing() -> None:
    async with serve(0, 1, liquidity=PaperLiquidity(listings_of([SPOT]))) as served, ClientSession(served.url) as http:
        async with http.get("/binance/fapi/v1/exchangeInfo") as answer:
            assert (await answer.json())["symbols"] == []


def _read(record: object) -> bool:
    return feed._is_sound(Entry(BOOKS, 0, 0, "BTC/USD", record, b"", "", NOW))


def test_invalid_records_on_the_topics_are_ignored() -> None:
    funding = Funding(BINANCE_USDM, "BTC/USDT:USDT", "BTC/USD", 0.0001, 8, 100.0, 100.0, NOW, NOW)
    assert _read(shown(SPOT, 100.0, 101.0))
    assert _read(funding)
    assert not _read(shown(SPOT, float("nan"), 101.0))
    assert not _read(shown(SPOT, 100.0, 101.0, received=NOW + HOUR))
    assert not _read(replace(funding, rate=float("nan")))
    assert not _read(None)


# ── what is read off Kafka ───────────────────────────────────────────────────────────────────────────────────────


class Log:
    """In place of a Reader of the topic: these batches, then no more."""

    def __init__(self, *batches: list[Instrument]) -> None:
        self._batches = batches

    def __call__(self, *_: Any, **__: Any) -> Log:
        return self

    async def __aenter__(self) -> Log:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def caught_up(self) -> bool:
        return True

    async def batches(self) -> AsyncGenerator[list[Entry], None]:
        for batch in self._batches:
            yield [Entry(INSTRUMENTS, 0, 0, "", one, b"", "", NOW) for one in batch]
        while True:
            await asyncio.sleep(0.001)
            yield []


async def _listed(monkeypatch: pytest.MonkeyPatch, *batches: list[Instrument], patience: float = 5) -> set[str]:
    monkeypatch.setattr(feed, "Reader", Log(*batches))
    found = await feed._listings(Settings(), None, patience)  # type: ignore[arg-type]
    return {exchange for exchange, _ in found}


async def test_it_waits_for_the_instruments_of_every_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _listed(monkeypatch, [], [SPOT], [], [PERPETUAL, COIN]) == {BINANCE, BINANCE_USDM, HYPERLIQUID}


async def test_an_exchange_that_is_down_does_not_block_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _listed(monkeypatch, [SPOT], patience=0.1) == {BINANCE}


async def test_without_any_instruments_it_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match=r"no instruments of binance.* within 0 s .*reachable"):
        await _listed(monkeypatch, [], patience=0.1)
