"""Kraken's pairs under their four names, and the market over REST."""

from __future__ import annotations

from decimal import Decimal

import aiohttp
import pytest

from neuroflux.sim.core.orders import Ask
from neuroflux.sim.kraken.names import altname, symbol_of, wsname
from neuroflux.sim.kraken.venue import VENUE
from neuroflux.sim.kraken.wire import ApiError, fixed, form_of, micros_of, object_of, timestamp
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.kraken.client import public

D = Decimal
NAMES = {
    "BTC/USD": ("XXBTZUSD", "XBTUSD", "XBT/USD"),
    "ETH/EUR": ("XETHZEUR", "ETHEUR", "ETH/EUR"),
    "XRP/USD": ("XXRPZUSD", "XRPUSD", "XRP/USD"),
    "LTC/USD": ("XLTCZUSD", "LTCUSD", "LTC/USD"),
    "DOGE/USD": ("XDGUSD", "XDGUSD", "XDG/USD"),
    "SOL/USD": ("SOLUSD", "SOLUSD", "SOL/USD"),
    "USDT/USD": ("USDTZUSD", "USDTUSD", "USDT/USD"),
    "USDC/USD": ("USDCUSD", "USDCUSD", "USDC/USD"),
    "USDT/EUR": ("USDTEUR", "USDTEUR", "USDT/EUR"),
    "EUR/USD": ("ZEURZUSD", "EURUSD", "EUR/USD"),
}


def test_the_names_are_the_exchanges() -> None:
    listed = {symbol_of(one): one for one in VENUE.listings}
    assert {name: (listed[name].symbol, altname(listed[name]), wsname(listed[name])) for name in NAMES} == NAMES
    assert len({one.symbol for one in VENUE.listings}) == len(VENUE.listings)


async def test_a_pair_is_found_by_each_of_its_names(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        for symbol, names in NAMES.items():
            asked = (symbol, *names)
            found = (await public(session, "AssetPairs", pair=",".join(asked)))["result"]
            assert found.keys() == {name if "/" in name else names[0] for name in asked}
        pairs = (await public(session, "AssetPairs"))["result"]
        assert len(pairs) == len(VENUE.listings)
        assert (pairs["XXBTZUSD"]["base"], pairs["XXBTZUSD"]["quote"]) == ("XXBT", "ZUSD")
        assert (pairs["XXBTZUSD"]["fees"][0], pairs["XXBTZUSD"]["fees_maker"][0]) == ([0, 0.4], [0, 0.25])
        assert "fees_maker" not in pairs["USDTZUSD"]
        assets = (await public(session, "Assets"))["result"]
        assert {row[side] for row in pairs.values() for side in ("base", "quote")} == set(assets)
        assert (await public(session, "Assets", asset="XBT,XDG"))["result"].keys() == {"XXBT", "XXDG"}
        for name, query in (("AssetPairs", {"pair": "NOPE"}), ("Ticker", {"pair": "XBTUSD,NOPE"})):
            assert (await public(session, name, **query))["error"] == ["EQuery:Unknown asset pair"]
        assert (await public(session, "Assets", asset="NOPE"))["error"] == ["EQuery:Unknown asset"]


async def test_a_pair_is_listed_and_halted(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "list", "kraken", symbol="NEWUSD")
        await fault(session, "halt", "kraken", symbol="XXBTZUSD")
        pairs = (await public(session, "AssetPairs", pair="NEWUSD,XBTUSD"))["result"]
        assert pairs["NEWUSD"]["wsname"] == "NEW/USD"
        assert pairs["XXBTZUSD"]["status"] == "cancel_only"


async def test_the_market_over_rest(served: Served) -> None:
    sim = served.simulation.exchange("kraken")
    async with aiohttp.ClientSession(served.url) as session:
        book = (await public(session, "Depth", pair="XBT/USD", count=10))["result"]["XXBTZUSD"]
        assert (len(book["bids"]), len(book["asks"])) == (10, 10)
        assert D(book["bids"][0][0]) < D(book["asks"][0][0])
        ticker = (await public(session, "Ticker", pair="XBTUSD"))["result"]["XXBTZUSD"]
        assert len(ticker["a"][0].partition(".")[2]) == 5
        sim.place(Ask("XXBTZUSD", "buy", D("0.001")), served.simulation.now("kraken"))
        served.simulation.flush("kraken")
        trades = (await public(session, "Trades", pair="XBTUSD", count=5))["result"]
        price, _, moment, side, _, _, _ = trades["XXBTZUSD"][-1]
        assert (side in "bs", D(price) > 0, moment * 1e9 == pytest.approx(int(trades["last"]))) == (True, True, True)
        later = (await public(session, "Trades", pair="XBTUSD", since=trades["last"]))["result"]
        assert all(row[2] > moment for row in later["XXBTZUSD"])
        candles = (await public(session, "OHLC", pair="XBTUSD", interval=1))["result"]
        assert all(len(row) == 8 for row in candles["XXBTZUSD"])
        spreads = (await public(session, "Spread", pair="XBTUSD"))["result"]["XXBTZUSD"]
        assert all(D(bid) < D(ask) for _, bid, ask in spreads)
        assert (await public(session, "OHLC", pair="XBTUSD", interval=2))["error"] == [
            "EGeneral:Invalid arguments:interval"
        ]
        assert (await public(session, "Depth"))["error"] == ["EGeneral:Invalid arguments:pair"]


def test_values() -> None:
    assert [fixed(D(one), 4) for one in ("7000", "0.123456789", "1E+3")] == ["7000.0000", "0.123456789", "1000.0000"]
    assert timestamp(1_696_614_155_440_295) == "2023-10-06T17:42:35.440295Z"
    assert micros_of("2023-10-06T17:42:35.440295Z", "deadline") == 1_696_614_155_440_295
    assert object_of(b'{"a": 0.00100000}') == {"a": D("0.00100000")}
    for body in (b"[]", b"\xff", b"{", b""):
        with pytest.raises(ApiError):
            object_of(body)
    with pytest.raises(ApiError):
        form_of(b"\xff")
