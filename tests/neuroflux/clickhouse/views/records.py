"""Records for the tests of views, with defaults for irrelevant fields."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import AggregatedPrice, Balance, Funding, Instrument, InstrumentKind, Position, Quote
from neuroflux.records.topics import Topic
from tests.stored import rows

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = time.time_ns() // 1000 // MINUTE * MINUTE - 120 * MINUTE
"""Two hours ago, at a full minute, in microseconds: quotes are kept for a month, and equity ends with today."""


def insert(database: ClickHouse, topic: Topic, *records: Any) -> None:
    """Store each record at its own position, and all of them twice: every view must count a record once."""
    database.insert(topic, rows(topic, records))
    database.insert(topic, rows(topic, records))


def balance(
    asset: str, total: str, at: int, exchange: str = "binance", profit: str = "0", free: str | None = None
) -> Balance:
    parts = Decimal(free or total), Decimal(0), Decimal(0)
    return Balance(exchange, asset, *parts, Decimal(total), at, Decimal(profit))


def position(symbol: str, state: tuple[str, str, str], at: int, exchange: str = "binanceusdm") -> Position:
    """``state``: quantity, entry price, unrealised profit as reported."""
    quantity, entry, profit = map(Decimal, state)
    return Position(exchange, symbol, quantity, entry, profit, at)


def price(usd: float, at: int, market: str = "BTC/USD") -> AggregatedPrice:
    return AggregatedPrice(market, usd, usd, usd, 1.0, 1.0, (), (), at)


def mark(symbol: str, at_price: float, at: int, exchange: str = "binanceusdm") -> Funding[float]:
    return Funding(exchange, symbol, "BTC/USD", 0.0, 8, at_price, at_price, at, at)


def quote(
    at: int, bid: float, ask: float, symbol: str = "BTC/USDT", exchange: str = "binance", received: int = 0
) -> Quote[float]:
    market = f"{symbol.split('/')[0]}/USD"
    return Quote(exchange, symbol, market, bid, 1.0, ask, 1.0, 1, at, received or at)


def instrument(exchange: str, symbol: str, **fields: Any) -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, quoted = pair.split("/")
    kind = InstrumentKind.PERPETUAL if settle else InstrumentKind.SPOT
    given: dict[str, Any] = {"market": f"{base}/USD", "name": symbol, "base": base, "quote": quoted, "settle": settle}
    return Instrument(exchange=exchange, symbol=symbol, kind=kind, **(given | fields))
