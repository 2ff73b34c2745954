"""Terminal output: records as lines, and the live view of prices, signals, health and orders."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from math import isnan
from typing import Any

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from neuroflux.domain import AggregatedPrice, ArbitrageSignal, ExchangeHealth, OrderEvent
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import EVENTS, HEALTH, PRICES, SIGNALS, Topic
from neuroflux.runtime.settings import Settings
from neuroflux.stack.supervise.service import ServiceStatus

console = Console()
SHOWN = 8
"""Number of newest signals and events in the live view."""


def print_record(record: Any, *, as_json: bool) -> None:
    """One record on one line: JSON, or readable ``name=value`` pairs."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    if as_json:
        console.out(msgspec.json.encode(fields).decode(), highlight=False)
        return
    parts = (
        f"{name}={value}" for name, value in fields.items() if value not in ("", 0, "0", [], ()) and name != "causes"
    )
    console.out(" ".join(parts), highlight=False)


def print_status(services: Iterable[ServiceStatus], *, as_json: bool) -> None:
    if as_json:
        for service in services:
            console.out(msgspec.json.encode(service).decode(), highlight=False)
        return
    table = Table("service", "address", "state", "pid", "restarts", "detail", box=None)
    for service in services:
        table.add_row(
            service.name, service.address, service.state, str(service.pid), str(service.restarts), service.detail
        )
    console.print(table)


def print_connections(connections: Mapping[str, str], *, as_json: bool) -> None:
    """Print them uncut, whatever the width of the terminal: they are meant to be copied."""
    if as_json:
        console.out(msgspec.json.encode(connections).decode(), highlight=False)
        return
    width = max(map(len, connections))
    for name, value in connections.items():
        console.out(f"{name:{width}}  {value}", highlight=False)


async def watch_topic(settings: Settings, topic: Topic, *, as_json: bool) -> None:
    """Print every new record of a topic; one that can't be decoded is listed with its error."""
    async with Reader(settings, await load_codec(settings), (topic,), start="end") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.error:
                        console.out(f"{entry.topic.name}-{entry.partition}@{entry.offset}: {entry.error}")
                    else:
                        print_record(entry.record, as_json=as_json)


class Screen:
    """The content of the live view: the newest prices, health, signals and events."""

    def __init__(self) -> None:
        self._prices: dict[str, AggregatedPrice] = {}
        self._health: dict[str, ExchangeHealth] = {}
        self._signals: deque[ArbitrageSignal] = deque(maxlen=SHOWN)
        self._events: deque[OrderEvent] = deque(maxlen=SHOWN)

    def take(self, entry: Entry) -> None:
        match entry.record:
            case AggregatedPrice() as price:
                self._prices[price.market] = price
            case ExchangeHealth() as health:
                self._health[health.exchange] = health
            case ArbitrageSignal() as signal:
                self._signals.appendleft(signal)
            case OrderEvent() as event:
                self._events.appendleft(event)

    def render(self) -> Group:
        return Group(self._render_prices(), self._render_health(), self._render_signals(), self._render_events())

    def _render_prices(self) -> Table:
        table = Table("market", "price", "low", "high", "liquidity", "sources", title="Prices in USD", box=None)
        for market in sorted(self._prices):
            price = self._prices[market]
            sources = "  ".join(f"{source.symbol}@{source.exchange} {source.price:.6g}" for source in price.sources[:4])
            figures = (f"{price.price:.6g}", f"{price.low:.6g}", f"{price.high:.6g}", f"{price.liquidity_score:.2f}")
            table.add_row(market, *figures, sources)
        return table

    def _render_health(self) -> Table:
        table = Table("exchange", "status", "latency", "uptime", "rate limit", "reason", title="Health", box=None)
        for name in sorted(self._health):
            health = self._health[name]
            figures = (
                f"{health.latency_ms:.1f} ms",
                f"{health.uptime_percent:.2f} %",
                "" if isnan(health.rate_limit_usage) else f"{health.rate_limit_usage:.0%}",
            )
            table.add_row(name, health.status, *figures, health.reason)
        return table

    def _render_signals(self) -> Table:
        table = Table("market", "buy", "sell", "quantity", "net profit", title="Arbitrage", box=None)
        for signal in self._signals:
            table.add_row(
                signal.market,
                f"{signal.buy_symbol}@{signal.buy_exchange} {signal.buy_price:.6g}",
                f"{signal.sell_symbol}@{signal.sell_exchange} {signal.sell_price:.6g}",
                f"{signal.quantity:.6g}",
                f"{signal.expected_profit:.2f} USD",
            )
        return table

    def _render_events(self) -> Table:
        table = Table("order", "state", "exchange", "symbol", "filled", "average", "reason", title="Orders", box=None)
        for event in self._events:
            figures = (
                f"{event.filled_quantity:.6g}",
                "–" if event.average_price is None else f"{event.average_price:.6g}",
            )
            table.add_row(event.order_id[-12:], event.state, event.exchange, event.symbol, *figures, event.reason)
        return table


async def live(settings: Settings) -> None:
    """Show the live view until cancelled."""
    screen = Screen()
    topics = (PRICES, SIGNALS, HEALTH, EVENTS)
    async with Reader(settings, await load_codec(settings), topics, start="end") as reader:
        with Live(console=console, auto_refresh=False, transient=True) as shown:
            async with aclosing(reader.batches()) as batches:
                async for batch in batches:
                    for entry in batch:
                        screen.take(entry)
                    shown.update(screen.render(), refresh=True)
