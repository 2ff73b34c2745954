"""``arbitrage_by_hour`` counts dislocations, not repetitions; compared with an independent calculation."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import ArbitrageKind, ArbitrageSignal
from neuroflux.records.topics import SIGNALS
from tests.neuroflux.clickhouse.views.records import SECOND, insert

pytestmark = pytest.mark.stack
NOON = 1_699_963_200 * SECOND
"""2023-11-14 12:00 UTC, in microseconds."""
HOUR = 3600 * SECOND
NUMBERS = itertools.count()
COLUMNS = """market, buy_exchange, sell_exchange, signals, dislocations, total_seconds, total_profit, best_profit,
             average_quantity"""


def signal(
    at: float, profit: float, buy: str = "binance", sell: str = "hyperliquid", quantity: float = 1.0
) -> ArbitrageSignal:
    time = NOON + int(at * SECOND)
    legs = buy, "BTC/USDT", 100.0, sell, "BTC/USDC", 101.0
    money = quantity, 9.0, 1.0, 0.5, profit
    ids = str(next(NUMBERS)), "BTC/USD", ArbitrageKind.SPOT
    return ArbitrageSignal(*ids, *legs, *money, time + 2 * SECOND, (), time)


def by_hour(database: ClickHouse) -> list[tuple[Any, ...]]:
    asked = f"SELECT intDiv(toUnixTimestamp(hour) - {NOON // SECOND}, 3600), {COLUMNS} FROM arbitrage_by_hour"
    return [tuple(row) for row in database.execute(f"{asked} ORDER BY hour, buy_exchange, sell_exchange")]


def test_repeated_signals_are_one_dislocation_at_its_best(database: ClickHouse) -> None:
    first = [signal(0, 3, quantity=4), signal(1, 7, quantity=2), signal(3, 5, quantity=9)]
    later = [signal(5.5, 4, quantity=6), signal(3599, 2), signal(3600.5, 6, quantity=3)]
    insert(database, SIGNALS, *first, *later)
    assert by_hour(database) == [(0, "BTC/USD", "binance", "hyperliquid", 6, 3, 3 + 0 + 1.5, 7 + 4 + 6, 7, 11 / 3)]


def test_a_book_pays_once_whatever_routes_lead_to_it(database: ClickHouse) -> None:
    """Binance's asks can be sold on two other exchanges at once; a minute later only on the worse one."""
    insert(
        database,
        SIGNALS,
        signal(0, 7),
        signal(0.5, 5, sell="kraken"),
        signal(1, 3, buy="okx", sell="kraken"),
        signal(60, 4, sell="kraken"),
    )
    found = {row[2:4]: (row[5], row[7]) for row in by_hour(database)}
    assert found == {
        ("binance", "hyperliquid"): (1, 7),
        ("binance", "kraken"): (2, 4),
        ("okx", "kraken"): (1, 0),
    }


def calculated(result: Iterable[ArbitrageSignal]) -> dict[tuple[int, str, str], tuple[int, int, float, float]]:
    """By hour and route: signals, dislocations, seconds and profit."""
    stretches = list[list[ArbitrageSignal]]()
    last = dict[tuple[str, str], list[ArbitrageSignal]]()
    for one in result:
        route = one.buy_exchange, one.sell_exchange
        if route in last and one.event_time <= last[route][-1].expires_at:
            last[route].append(one)
        else:
            last[route] = [one]
            stretches.append(last[route])
    sums = defaultdict[tuple[int, str, str], list[float]](lambda: [0, 0, 0.0, 0.0])
    for stretch in stretches:
        began, ended = stretch[0].event_time, stretch[-1].event_time
        best = max(one.expected_profit for one in stretch)
        beaten = any(
            max(one.expected_profit for one in other) > best
            and other[0].event_time < stretch[-1].expires_at
            and began < other[-1].expires_at
            and other[0].event_time // HOUR == began // HOUR
            and (other[0].buy_exchange == stretch[0].buy_exchange or other[0].sell_exchange == stretch[0].sell_exchange)
            for other in stretches
        )
        into = sums[((began - NOON) // HOUR, stretch[0].buy_exchange, stretch[0].sell_exchange)]
        for at, value in enumerate((len(stretch), 1, (ended - began) / SECOND, 0.0 if beaten else best)):
            into[at] += value
    return {key: (int(value[0]), int(value[1]), value[2], value[3]) for key, value in sums.items()}


@pytest.mark.parametrize("seed", range(3))
def test_random_signals_agree_with_an_independent_calculation(database: ClickHouse, seed: int) -> None:
    drawn, at = random.Random(seed), 0.0
    result = list[ArbitrageSignal]()
    while at < 3 * 3600:
        buy, sell = drawn.sample(["binance", "hyperliquid", "kraken"], 2)
        result.append(signal(at, drawn.random(), buy, sell))
        at += drawn.choice([0.1, 0.5, 1, 5, 30])
    insert(database, SIGNALS, *result)
    found = {(row[0], row[2], row[3]): row[4:8] for row in by_hour(database)}
    again = calculated(result)
    assert found.keys() == again.keys()
    for key, figures in again.items():
        assert found[key] == pytest.approx(figures), key
