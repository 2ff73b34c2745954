"""Candles hold every trade of their time once, whatever their length."""

from __future__ import annotations

from typing import Any

import pytest

from neuroflux.sim.binance.candles import Candles
from neuroflux.sim.binance.wire import ApiError, numbers_of
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.matching import Book, Match, Sequence, Side
from neuroflux.sim.core.world import Change

LISTING = next(listing for listing in venues()["binance"].listings if listing.symbol == "BTCUSDT")
MINUTE = 60_000_000
START = 1_700_000_040_000_000 // (15 * MINUTE) * 15 * MINUTE


@pytest.fixture
def candles() -> Candles:
    return Candles({"BTCUSDT": numbers_of(LISTING)})


def trade(candles: Candles, minute: int, number: int, price: int, quantity: int, side: Side = "buy") -> None:
    match = Match(number, side, price * 100, quantity, 0, 0)
    candles.remember([Change(LISTING, Book(Sequence(0)), [match], [], 0, 0)], START + minute * MINUTE + 1)


def rows(candles: Candles, interval: str, **more: str) -> Any:
    return candles.klines({"symbol": "BTCUSDT", "interval": interval, **more}, START + 60 * MINUTE)


def test_a_minute(candles: Candles) -> None:
    trade(candles, 0, 1, 100, 100_000)
    trade(candles, 0, 2, 90, 200_000, "sell")
    trade(candles, 0, 3, 95, 100_000)
    start = START // 1000
    assert rows(candles, "1m") == [
        [
            start,
            "100.00000000",
            "100.00000000",
            "90.00000000",
            "95.00000000",
            "4.00000000",
            start + 59_999,
            "375.00000000",
            3,
            "2.00000000",
            "195.00000000",
            "0",
        ]
    ]


def test_longer_candles_are_the_sum_of_the_minutes(candles: Candles) -> None:
    for minute, price in enumerate((100, 120, 80, 90)):
        trade(candles, 5 * minute, minute, price, 100_000)
    (first, second) = rows(candles, "15m")
    assert first[1:6] == ["100.00000000", "120.00000000", "80.00000000", "80.00000000", "3.00000000"]
    assert second[1:6] == ["90.00000000"] * 4 + ["1.00000000"]
    assert len(rows(candles, "1m")) == 4
    assert sum(row[8] for row in rows(candles, "1w")) == 4


def test_limits(candles: Candles) -> None:
    for minute in range(5):
        trade(candles, minute, minute, 100 + minute, 1)
    assert [row[1] for row in rows(candles, "1m", limit="2")] == ["103.00000000", "104.00000000"]
    since = str(START // 1000 + 60_000)
    assert [row[1] for row in rows(candles, "1m", limit="2", startTime=since)] == ["101.00000000", "102.00000000"]


def test_the_stream_shows_the_newest(candles: Candles) -> None:
    assert candles.frame("BTCUSDT", "1m", START) is None
    trade(candles, 0, 1, 100, 1)
    trade(candles, 1, 2, 101, 1)
    frame: Any = candles.frame("BTCUSDT", "1m", START + MINUTE + 2)
    assert (frame["k"]["o"], frame["k"]["f"], frame["k"]["x"]) == ("101.00000000", 2, False)
    frame = candles.frame("BTCUSDT", "1m", START + 3 * MINUTE)
    assert frame["k"]["x"] is True


@pytest.mark.parametrize(
    ("params", "code"),
    [({"symbol": "NOPE", "interval": "1m"}, -1121), ({"symbol": "BTCUSDT", "interval": "7m"}, -1120)],
)
def test_what_is_not_there_is_refused(candles: Candles, params: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as caught:
        candles.klines(params, START)
    assert caught.value.code == code
