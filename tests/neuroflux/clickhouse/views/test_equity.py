"""``equity``: rows for every minute, exchange and asset, which sum to the account; with an independent calculation."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import AggregatedPrice, Balance, Funding, Position, Quote
from neuroflux.records.topics import BALANCES, FUNDING, INSTRUMENTS, POSITIONS, PRICES, QUOTES
from tests.neuroflux.clickhouse.views.records import (
    MINUTE,
    SECOND,
    START,
    balance,
    insert,
    instrument,
    mark,
    position,
    price,
    quote,
)

pytestmark = pytest.mark.stack

COLUMNS = "intDiv(toUnixTimestamp(minute) - {start}, 60), exchange, asset, total, price, value_usd, unrealised_pnl_usd"
USDM = "binanceusdm"


def equity(database: ClickHouse, where: str = "1") -> list[tuple[Any, ...]]:
    columns = COLUMNS.format(start=START // SECOND)
    return [
        tuple(row)
        for row in database.execute(f"SELECT {columns} FROM equity WHERE {where} ORDER BY minute, exchange, asset")
    ]


def test_of_balances_with_one_time_the_offset_decides_which_is_last(database: ClickHouse) -> None:
    totals = [f"{number}" for number in random.Random(1).sample(range(1000), 40)]
    insert(database, BALANCES, *(balance("SOL", total, START + SECOND) for total in totals))
    assert [row[3] for row in equity(database)] == [float(totals[-1])]


def test_a_balance_that_is_dated_before_its_predecessor_still_follows_it(database: ClickHouse) -> None:
    insert(database, BALANCES, balance("SOL", "1", START + MINUTE), balance("SOL", "2", START + 59 * SECOND))
    assert [(row[0], row[3]) for row in equity(database)] == [(1, 2.0)]


def test_every_minute_has_a_row_of_every_asset_from_its_first_balance_on(database: ClickHouse) -> None:
    insert(
        database,
        BALANCES,
        balance("BTC", "2", START),
        balance("XYZ", "7", START + MINUTE),
        balance("BTC", "3", START + 3 * MINUTE),
        balance("XYZ", "0", START + 3 * MINUTE),
    )
    insert(database, PRICES, price(100, START), price(200, START + 4 * MINUTE + SECOND))
    assert equity(database) == [
        (0, "binance", "BTC", 2, 100, 200, 0),
        (1, "binance", "BTC", 2, 100, 200, 0),
        (1, "binance", "XYZ", 7, None, None, 0),
        (2, "binance", "BTC", 2, 100, 200, 0),
        (2, "binance", "XYZ", 7, None, None, 0),
        (3, "binance", "BTC", 3, 100, 300, 0),
        (3, "binance", "XYZ", 0, None, 0, 0),
        (4, "binance", "BTC", 3, 200, 600, 0),
        (4, "binance", "XYZ", 0, None, 0, 0),
    ]


def test_an_old_price_is_not_used(database: ClickHouse) -> None:
    insert(database, BALANCES, balance("BTC", "2", START), balance("USDC", "5", START + 11 * MINUTE))
    insert(database, PRICES, price(100, START))
    assert [row[5] for row in equity(database, "asset = 'BTC'")] == [*[200] * 11, None]


def test_cash_with_a_market_of_its_own_has_one_row_at_its_rate(database: ClickHouse) -> None:
    """Euros have an aggregated price, and a pair with USDC that says more exactly what they are worth."""
    insert(database, BALANCES, balance("EUR", "100", START))
    insert(database, PRICES, price(1.2, START, market="EUR/USD"))
    insert(database, QUOTES, quote(START, 0.79, 0.81, "USDC/EUR"))
    assert equity(database) == [(0, "binance", "EUR", 100, pytest.approx(1.25), pytest.approx(125), 0)]


def test_a_record_dated_ahead_does_not_stretch_the_history(database: ClickHouse) -> None:
    ahead = time.time_ns() // 1000 + 86_400 * SECOND
    insert(database, BALANCES, balance("BTC", "2", START), balance("ETH", "2", ahead))
    found = equity(database)
    assert {row[2] for row in found} == {"BTC"}
    minutes = (time.time_ns() // 1000 - START) // MINUTE  # START is of the session's beginning, which may be long ago
    assert minutes <= len(found) <= minutes + 3


def test_unrealised_profit_has_its_own_column_on_every_exchange(database: ClickHouse) -> None:
    """Hyperliquid's total includes it, Binance's does not: the same position has the same value on both."""
    insert(
        database,
        BALANCES,
        balance("USDC", "1020", START, "hyperliquid", profit="20"),
        balance("USDT", "1000", START, USDM),
    )
    insert(
        database,
        POSITIONS,
        position("ETH/USDC:USDC", ("2", "3000", "20"), START, "hyperliquid"),
        position("ETH/USDT:USDT", ("-2", "3000", "-20"), START),
        position("ETH/USDT:USDT", ("-2", "3000", "-30"), START),
    )
    insert(database, QUOTES, quote(START, 1.24, 1.26, "USDC/USDT"))
    assert equity(database) == [
        (0, USDM, "USDT", 1000, pytest.approx(0.8), pytest.approx(800), pytest.approx(-24)),
        (0, "hyperliquid", "USDC", 1000, 1, 1000, 20),
    ]


def test_a_position_is_worth_what_its_mark_price_makes_it_until_it_is_closed(database: ClickHouse) -> None:
    insert(database, BALANCES, balance("USDC", "1000", START, USDM), balance("USDC", "1007", START + 3 * MINUTE, USDM))
    insert(
        database,
        POSITIONS,
        position("BTC/USDC:USDC", ("3", "100", "1"), START),
        position("BTC/USDC:USDC", ("0", "0", "0"), START + 3 * MINUTE),
    )
    insert(
        database,
        FUNDING,
        mark("BTC/USDC:USDC", 101, START + MINUTE),
        mark("BTC/USDC:USDC", 98, START + MINUTE + SECOND),
        mark("BTC/USDC:USDC", 50, START + MINUTE + SECOND, "hyperliquid"),
    )
    assert [row[6] for row in equity(database)] == [1, -6, 1, 0]


def test_profit_in_an_asset_without_a_rate_is_not_known(database: ClickHouse) -> None:
    insert(database, BALANCES, balance("USDT", "0", START, USDM))
    insert(database, POSITIONS, position("ETH/USDT:USDT", ("1", "1", "5"), START))
    assert [row[3:] for row in equity(database)] == [(0, None, 0, None)]


# ── independent calculation ──────────────────────────────────────────────────────────────────────────────────────────

NAMES = [("binance", "BTC"), ("binance", "USDT"), (USDM, "USDT"), ("hyperliquid", "USDC")]
SYMBOLS = [(USDM, "BTC/USDT:USDT"), (USDM, "ETH/USDT:USDT"), ("hyperliquid", "kPEPE/USDC:USDC")]
LENGTH = 30 * MINUTE

Happened = Balance | Position | AggregatedPrice | Funding[float] | Quote[float]


def story(seed: int) -> list[Happened]:
    """Half an hour of records in the order of Kafka; every third one has the time of its predecessor."""
    drawn, at, result = random.Random(seed), START, list[Happened]()
    while at < START + LENGTH:
        amount = f"{drawn.uniform(0, 100):.4f}"
        name, symbol = drawn.choice(NAMES), drawn.choice(SYMBOLS)
        state = (drawn.choice(["0", "-2.5", "4"]), f"{drawn.uniform(90, 110):.2f}", f"{drawn.uniform(-9, 9):.2f}")
        any_of_them: list[Happened] = [
            balance(name[1], amount, at, name[0], f"{drawn.uniform(-5, 5):.2f}"),
            position(symbol[1], state, at, symbol[0]),
            price(drawn.uniform(90, 110), at),
            mark(symbol[1], drawn.uniform(90, 110), at, symbol[0]),
            quote(at, drawn.uniform(0.97, 1), drawn.uniform(1.01, 1.02), "USDC/USDT"),
        ]
        result.append(drawn.choice(any_of_them))
        at += drawn.choice([0, 7, 13]) * SECOND
    return [price(100, START), quote(START, 0.99, 1.01, "USDC/USDT"), *result]


def account(result: Sequence[Happened], end: int) -> float:
    """The value of everything at a time, from the newest record of each; USD."""
    wallets, open_, marks, usd = {}, {}, dict[tuple[str, str], tuple[float, int]](), {"USDC": 1.0}
    for one in result:
        match one:
            case Balance() if one.event_time < end:
                wallets[(one.exchange, one.asset)] = float(one.total) - float(one.unrealised_pnl)
            case Position() if one.event_time < end:
                open_[(one.exchange, one.symbol)] = one
            case AggregatedPrice() if one.event_time < end:
                usd["BTC"] = one.price
            case Funding() if one.event_time < end:
                marks[(one.exchange, one.symbol)] = (one.mark_price, one.event_time)
            case Quote() if one.event_time < end:
                usd["USDT"] = 2 / (one.bid_price + one.ask_price)
    worth = sum(amount * usd[asset] for (_, asset), amount in wallets.items())
    for name, one in open_.items():
        marked, at = marks.get(name, (0.0, 0))
        gained = float(one.quantity) * (marked - float(one.entry_price))
        profit = gained if at >= end - MINUTE else float(one.unrealised_pnl)
        worth += (profit if one.quantity else 0.0) * usd[one.symbol.split(":")[1]]
    return worth


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_of_a_minute_is_the_account(database: ClickHouse, seed: int) -> None:
    result = story(seed)
    for topic, kind in ((BALANCES, Balance), (POSITIONS, Position), (PRICES, AggregatedPrice)):
        insert(database, topic, *(one for one in result if isinstance(one, kind)))
    insert(database, FUNDING, *(one for one in result if isinstance(one, Funding)))
    insert(database, QUOTES, *(one for one in result if isinstance(one, Quote)))
    insert(database, INSTRUMENTS, *(instrument(*name) for name in SYMBOLS))
    sums = database.execute(
        "SELECT toUnixTimestamp(minute), sum(value_usd + unrealised_pnl_usd) FROM equity"
        " GROUP BY minute ORDER BY minute"
    )
    assert len(sums) == LENGTH // MINUTE
    for seconds, total in sums:
        assert total == pytest.approx(account(result, seconds * SECOND + MINUTE)), (seconds * SECOND - START) / MINUTE
