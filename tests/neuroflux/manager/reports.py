"""Records to publish to a view in the tests, with defaults for what a test does not depend on."""

from decimal import Decimal
from typing import Any

from neuroflux.domain import (
    AggregatedPrice,
    ArbitrageKind,
    ArbitrageSignal,
    Balance,
    BookSnapshot,
    Cause,
    ExchangeHealth,
    ExchangeStatus,
    Funding,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    Position,
    PriceSource,
    StatusKind,
)
from neuroflux.manager.view import View
from neuroflux.records import topics
from neuroflux.records.entries import Entry

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
LATER = NOW + 86_400 * SECOND
"""The clock of a view in the tests, so that every record is written before it."""


def publish(view: View, topic: topics.Topic, record: Any, at: int = NOW) -> None:
    key = topic.key(record) if record is not None else ""
    view.take(Entry(topic, 0, 7, key, record, b"", "" if record else "unreadable", at))


def instrument(exchange: str = "binance", symbol: str = "BTC/USDC", **fields: Any) -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    kind = InstrumentKind.PERPETUAL if settle else InstrumentKind.SPOT
    given: dict[str, Any] = {"market": f"{base}/USD", "name": symbol, "base": base, "quote": quote, "settle": settle}
    return Instrument(exchange=exchange, symbol=symbol, kind=kind, **(given | fields))


def book(
    exchange: str = "binance", symbol: str = "BTC/USDC", price: float = 100.0, **fields: Any
) -> BookSnapshot[float]:
    size, time = fields.get("size", 10.0), fields.get("time", NOW)
    half = fields.get("half", 0.1)
    bids, asks = (Level(price - half, size),), (Level(price + half, size),)
    return BookSnapshot(exchange, symbol, f"{symbol.split('/')[0]}/USD", bids, asks, 1, time, time)


def price(market: str = "BTC/USD", sources: tuple[PriceSource, ...] = (), time: int = NOW) -> AggregatedPrice:
    """Of these sources, weighted by volume."""
    volume = sum(one.volume for one in sources)
    mean = sum(one.price * one.volume for one in sources) / volume
    figures = (mean, min(one.price for one in sources), max(one.price for one in sources), volume, 0.5)
    return AggregatedPrice(market, *figures, sources, (Cause("market.trades", 0, 3),), time)


def source(
    exchange: str = "binance", symbol: str = "BTC/USDC", price: float = 100.0, volume: float = 2.0
) -> PriceSource:
    return PriceSource(exchange, symbol, price, volume, 5.0)


def balance(
    exchange: str = "binance", asset: str = "USDC", free: str = "100", orders: str = "0", used: str = "0"
) -> Balance:
    parts = Decimal(free), Decimal(orders), Decimal(used)
    return Balance(exchange, asset, *parts, sum(parts, Decimal(0)), NOW)


def position(exchange: str, symbol: str, profit: str) -> Position:
    """One unit with this profit at a price of 100, the price in the books of ``healthy_view``."""
    return Position(exchange, symbol, Decimal(1), 100 - Decimal(profit), Decimal(profit), NOW)


def funding(exchange: str, symbol: str, mark: float) -> Funding[float]:
    return Funding(exchange, symbol, f"{symbol.split('/')[0]}/USD", 0.0001, 8, mark, mark, NOW, NOW)


def health(exchange: str = "binance", status: HealthStatus = HealthStatus.ONLINE, **fields: Any) -> ExchangeHealth:
    given: dict[str, Any] = {
        "latency_ms": 3.0,
        "uptime_percent": 100.0,
        "rate_limit_usage": 0.1,
        "last_successful_request": NOW - SECOND,
        "reason": "",
        "event_time": NOW,
    }
    return ExchangeHealth(exchange, status, **(given | fields))


def status(
    exchange: str, kind: StatusKind, detail: str, symbol: str = "", time: int = NOW, value: float = 0.0
) -> ExchangeStatus:
    return ExchangeStatus(exchange, "account", kind, value, detail, time, symbol)


def signal(signal_id: str = "s", profit: float = 10.0, expires_in: float = 2.0, **fields: Any) -> ArbitrageSignal:
    given: dict[str, Any] = {
        "market": "BTC/USD",
        "kind": ArbitrageKind.SPOT,
        "buy_exchange": "binance",
        "buy_symbol": "BTC/USDC",
        "buy_price": 100.0,
        "sell_exchange": "hyperliquid",
        "sell_symbol": "BTC/USDC",
        "sell_price": 101.0,
        "quantity": 10.0,
        "gross_profit": profit + 2,
        "fees": 1.0,
        "conversion_cost": 1.0,
        "causes": (Cause("market.books", 0, 1),),
        "event_time": NOW,
    }
    return ArbitrageSignal(
        signal_id=signal_id, expected_profit=profit, expires_at=NOW + int(expires_in * SECOND), **(given | fields)
    )


def healthy_view() -> View:
    """Both accounts of Binance and Hyperliquid, online, funded, with books, and a price of BTC."""
    view = View(lambda: LATER)
    for exchange, symbol in (
        ("binance", "BTC/USDC"),
        ("binanceusdm", "BTC/USDC:USDC"),
        ("hyperliquid", "BTC/USDC:USDC"),
    ):
        publish(view, topics.INSTRUMENTS, instrument(exchange, symbol))
        publish(view, topics.HEALTH, health(exchange))
        publish(view, topics.BALANCES, balance(exchange))
        publish(view, topics.BOOKS, book(exchange, symbol))
    sources = (
        source("binance", "BTC/USDC", 100.0, 2.0),
        source("binanceusdm", "BTC/USDC:USDC", 101.0, 1.0),
        source("hyperliquid", "BTC/USDC:USDC", 102.0, 1.0),
    )
    publish(view, topics.PRICES, price(sources=sources))
    return view
