"""The topics: the record type, key, partitions and retention of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from neuroflux import domain as d

MARKET_PARTITIONS = 4
"""Of every topic that is keyed by market, so that a market has the same partition number everywhere."""
ORDER_PARTITIONS = 4
"""Of every topic that is keyed by order, so that a command and its journal have the same partition number."""

DELETE, COMPACT, BOTH = "delete", "compact", "compact,delete"


class Topic(Struct, frozen=True):
    """One topic. ``record`` is its type, or ``bytes`` if records are stored unchanged; ``key`` computes a record's key.
    ``cleanup`` is Kafka's clean-up policy. ``table`` is the ClickHouse table, or empty.
    """

    name: str
    record: Any
    key: Callable[[Any], str]
    partitions: int
    cleanup: str
    table: str = ""

    @property
    def subject(self) -> str:
        return f"{self.name}-value"


def _market(record: Any) -> str:
    return str(record.market)


def _exchange(record: Any) -> str:
    return str(record.exchange)


def _instrument(record: Any) -> str:
    return f"{record.exchange}:{record.symbol}"


def _asset(record: Any) -> str:
    return f"{record.exchange}:{record.asset}"


def _identity(record: Any) -> str:
    return str(record.identity)


def _order(record: Any) -> str:
    return str(record.order_id)


def _account(record: Any) -> str:
    """A command other than halt and resume has its own key, so that compaction never removes a halt because of it."""
    own = record.kind in (d.ControlKind.LIMITS, d.ControlKind.PROBE)
    return f"{record.account}#{record.kind}" if own else str(record.account)


def _primary(record: Any) -> str:
    return str(record.primary)


def _keyless(_: Any) -> str:
    return ""


QUOTES = Topic("market.quotes", d.Quote, _market, MARKET_PARTITIONS, DELETE, "quotes")
TRADES = Topic("market.trades", d.Trade, _market, MARKET_PARTITIONS, DELETE, "trades")
BOOKS = Topic("market.books", d.BookSnapshot, _market, MARKET_PARTITIONS, DELETE, "books")
FUNDING = Topic("market.funding", d.Funding, _market, MARKET_PARTITIONS, DELETE, "funding")
MARKET_DEAD_LETTERS = Topic("market.dead-letters", bytes, _keyless, 1, DELETE)
INSTRUMENTS = Topic("exchange.instruments", d.Instrument, _instrument, 1, COMPACT, "instruments")
STATUS = Topic("exchange.status", d.ExchangeStatus, _exchange, 1, DELETE, "exchange_status")
HEALTH = Topic("exchange.health", d.ExchangeHealth, _exchange, 1, COMPACT, "exchange_health")
BALANCES = Topic("account.balances", d.Balance, _asset, 1, COMPACT, "balances")
POSITIONS = Topic("account.positions", d.Position, _instrument, 1, COMPACT, "positions")
ACCOUNT_ORDERS = Topic("account.orders", d.OrderReport, _instrument, 1, DELETE, "account_orders")
ACCOUNT_FILLS = Topic("account.fills", d.Fill, _instrument, 1, DELETE)
TRANSFERS = Topic("account.transfers", d.AccountTransfer, _identity, 1, COMPACT, "transfers")
PRICES = Topic("prices.aggregated", d.AggregatedPrice, _market, MARKET_PARTITIONS, BOTH, "aggregated_prices")
SIGNALS = Topic("arbitrage.signals", d.ArbitrageSignal, _market, MARKET_PARTITIONS, DELETE, "arbitrage_signals")
COMMANDS = Topic("orders.commands", d.OrderCommand, _order, ORDER_PARTITIONS, DELETE, "order_commands")
DECISIONS = Topic("orders.decisions", d.OrderDecision, _order, ORDER_PARTITIONS, DELETE, "order_decisions")
EVENTS = Topic("orders.events", d.OrderEvent, _order, ORDER_PARTITIONS, DELETE, "order_events")
FILLS = Topic("orders.fills", d.Fill, _order, ORDER_PARTITIONS, DELETE, "fills")
JOURNAL = Topic("orders.journal", d.JournalEntry, _order, ORDER_PARTITIONS, COMPACT)
ORDER_DEAD_LETTERS = Topic("orders.dead-letters", bytes, _keyless, 1, DELETE)
CONTROL = Topic("control.commands", d.ControlCommand, _account, 1, COMPACT)
FAILOVER = Topic("control.failover", d.Failover, _primary, 1, COMPACT)
MARKS = Topic("replay.marks", d.ReplayMark, _keyless, 1, DELETE)

ALL = (
    QUOTES,
    TRADES,
    BOOKS,
    FUNDING,
    MARKET_DEAD_LETTERS,
    INSTRUMENTS,
    STATUS,
    HEALTH,
    BALANCES,
    POSITIONS,
    ACCOUNT_ORDERS,
    ACCOUNT_FILLS,
    TRANSFERS,
    PRICES,
    SIGNALS,
    COMMANDS,
    DECISIONS,
    EVENTS,
    FILLS,
    JOURNAL,
    ORDER_DEAD_LETTERS,
    CONTROL,
    FAILOVER,
    MARKS,
)

KEPT = (INSTRUMENTS, BALANCES, POSITIONS, HEALTH, CONTROL, FAILOVER)
"""The compacted topics of which the execution and the façade keep the newest records: read from the beginning."""

BY_NAME = {topic.name: topic for topic in ALL}
