"""The views give the numbers that can be reckoned by hand, from rows made by hand in a database of their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.clickhouse import ClickHouse
from neuroflux.domain import (
    AggregatedPrice,
    ArbitrageKind,
    ArbitrageSignal,
    Balance,
    CommandKind,
    ExchangeHealth,
    Fill,
    HealthStatus,
    Liquidity,
    OrderCommand,
    Quote,
    Side,
)
from neuroflux.topics import BALANCES, COMMANDS, FILLS, HEALTH, PRICES, QUOTES, SIGNALS, Topic
from tests.conftest import RunningStack
from tests.stored import own_database, rows

pytestmark = pytest.mark.stack

SECOND = 1_000_000
NOON = 1_699_963_200 * SECOND
"""2023-11-14 12:00 UTC, in microseconds."""


@pytest.fixture
def database(stack: RunningStack) -> Iterator[ClickHouse]:
    """Empty: what other tests stored would be in the sums."""
    with own_database(stack.settings) as own:
        opened = ClickHouse(own)
        yield opened
        opened.close()


def insert(database: ClickHouse, topic: Topic, *records: Any) -> None:
    """Each at a place of its own, and all of them twice: a record is one row wherever it is counted."""
    database.insert(topic, rows(topic, records))
    database.insert(topic, rows(topic, records))


def quote(at: int, bid: float, ask: float, symbol: str = "BTC/USDT") -> Quote[float]:
    received = time.time_ns() // 1000  # quotes are kept for a month
    return Quote("binance", symbol, "BTC/USD", bid, 1.0, ask, 1.0, 1, at, received)


def fill(order: str, side: Side, price: str, quantity: str, fee: str, fee_asset: str, at: int) -> Fill:
    return Fill(
        order,
        "binance",
        "BTC/USDT",
        "c",
        "x",
        uuid.uuid4().hex,
        side,
        Decimal(price),
        Decimal(quantity),
        Decimal(fee),
        fee_asset,
        Liquidity.TAKER,
        at,
    )


def placed(order: str, side: Side) -> OrderCommand:
    return OrderCommand(order_id=order, kind=CommandKind.PLACE, market="BTC/USD", side=side, issued_at=NOON)


COSTS = """filled_quantity, average_price, arrival_price, slippage, fees, implementation_shortfall,
           mark_out_1s, mark_out_10s, mark_out_60s"""


def costs(database: ClickHouse, order: str) -> tuple[Any, ...]:
    (row,) = database.execute(f"SELECT {COSTS} FROM order_costs WHERE order_id = '{order}'")
    return tuple(row)


@pytest.fixture
def traded(database: ClickHouse) -> ClickHouse:
    """The mid is 100 at the command, 104 a second after the fills, 110 ten seconds after; then the quotes end."""
    insert(
        database,
        QUOTES,
        quote(NOON - 60 * SECOND, 10, 20),
        quote(NOON - SECOND, 99, 101),
        quote(NOON + SECOND, 103, 105),
        quote(NOON + 10 * SECOND, 109, 111),
        quote(NOON + 20 * SECOND, 199, 201),
    )
    filled = NOON + SECOND // 2
    insert(
        database,
        FILLS,
        fill("buy", Side.BUY, "101", "1", "0.1", "USDT", filled),
        fill("buy", Side.BUY, "102", "3", "0.001", "BTC", filled),
        fill("sell", Side.SELL, "99", "2", "-0.5", "USDT", filled),
    )
    insert(database, COMMANDS, placed("buy", Side.BUY), placed("sell", Side.SELL), placed("unfilled", Side.BUY))
    return database


def test_order_costs_of_a_buy(traded: ClickHouse) -> None:
    fees = 0.1 + 0.001 * 102  # what was paid in the base is worth the price of its fill
    paid = 101 + 3 * 102
    beyond = 1 * 1 + 3 * 2
    *told, after_60 = costs(traded, "buy")
    gained_1, gained_10 = 1 * 3 + 3 * 2, 1 * 9 + 3 * 8
    assert told == pytest.approx(
        [4, paid / 4, 100, beyond / 400, fees, beyond + fees, gained_1 / paid, gained_10 / paid]
    )
    assert after_60 is None  # nobody knows yet


def test_order_costs_of_a_sell_and_of_a_rebate(traded: ClickHouse) -> None:
    *told, after_60 = costs(traded, "sell")
    assert told == pytest.approx([2, 99, 100, 2 / 200, -0.5, 2 - 0.5, -2 * 5 / 198, -2 * 11 / 198])
    assert after_60 is None


def test_order_costs_has_orders_that_were_filled(traded: ClickHouse) -> None:
    rows = traded.execute("SELECT order_id, side, market, strategy FROM order_costs ORDER BY order_id")
    assert rows == [("buy", "buy", "BTC/USD", "optimal"), ("sell", "sell", "BTC/USD", "optimal")]


def test_arbitrage_by_hour(database: ClickHouse) -> None:
    def signal(profit: float, quantity: float, at: int) -> ArbitrageSignal:
        legs = "binance", "BTC/USDT", 100.0, "hyperliquid", "BTC/USDC", 101.0
        money = quantity, 9.0, 1.0, 0.5, profit
        return ArbitrageSignal(uuid.uuid4().hex, "BTC/USD", ArbitrageKind.SPOT, *legs, *money, at + SECOND, (), at)

    insert(
        database,
        SIGNALS,
        signal(3, 1, NOON),
        signal(7, 2, NOON + 3599 * SECOND),
        signal(5, 4, NOON + 3600 * SECOND),
    )
    rows = database.execute(
        "SELECT toUnixTimestamp(hour), market, kind, buy_exchange, sell_exchange, signals, total_profit, best_profit,"
        " average_quantity FROM arbitrage_by_hour ORDER BY hour"
    )
    what = ("BTC/USD", "spot", "binance", "hyperliquid")
    first = NOON // SECOND
    assert rows == [(first, *what, 2, 10, 7, 1.5), (first + 3600, *what, 1, 5, 5, 4)]


def test_exchange_uptime(database: ClickHouse) -> None:
    def health(exchange: str, status: HealthStatus, after: int) -> ExchangeHealth:
        return ExchangeHealth(exchange, status, 1.0, 100.0, 0.0, NOON, "", NOON + after * SECOND)

    online, degraded, offline = HealthStatus.ONLINE, HealthStatus.DEGRADED, HealthStatus.OFFLINE
    insert(
        database,
        HEALTH,
        health("binance", online, 0),
        health("hyperliquid", offline, 5),
        health("binance", offline, 10),
        health("hyperliquid", degraded, 15),
        health("binance", online, 40),
        health("binance", offline, 50),
    )
    rows = database.execute("SELECT exchange, uptime_percent, seconds_observed FROM exchange_uptime ORDER BY exchange")
    assert rows == [("binance", 40, 50), ("hyperliquid", 0, 10)]


def test_equity(database: ClickHouse) -> None:
    def balance(asset: str, total: str, at: int) -> Balance:
        return Balance("binance", asset, Decimal(total), Decimal(0), Decimal(0), Decimal(total), at)

    def price(usd: float, at: int) -> AggregatedPrice:
        return AggregatedPrice("BTC/USD", usd, usd, usd, 1.0, 1.0, (), (), at)

    insert(
        database,
        BALANCES,
        balance("BTC", "9", NOON),
        balance("BTC", "2", NOON + SECOND),
        balance("USDT", "100", NOON),
        balance("USDC", "5", NOON),
        balance("XYZ", "7", NOON),
    )
    insert(database, PRICES, price(29_000, NOON), price(30_000, NOON + 59 * SECOND), price(1, NOON + 60 * SECOND))
    insert(database, QUOTES, quote(NOON, 1.24, 1.26, "USDC/USDT"))
    rows = database.execute("SELECT asset, toUnixTimestamp(minute), total, price, value_usd FROM equity ORDER BY asset")
    minute = NOON // SECOND
    assert rows == [
        ("BTC", minute, 2, 30_000, 60_000),
        ("USDC", minute, 5, 1, 5),
        ("USDT", minute, 100, pytest.approx(0.8), pytest.approx(80)),
        ("XYZ", minute, 7, None, None),
    ]
