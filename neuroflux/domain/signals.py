"""What is computed or observed of markets and exchanges: prices, arbitrage signals, health, status."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds


class HealthStatus(StrEnum):
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class StatusKind(StrEnum):
    """What an exchange, or the way to it, did: ``kind`` of ``exchange.status``.

    LATENCY, SKEW and PROBED carry milliseconds in ``value``, LIMITED the used share of the limit (0 to 1), STALE the
    seconds without data, GAP the first missing sequence number, CONFLATED how many records were overtaken, DIFFERENCE
    how much more the exchange's answer is than the stream said (0: they agree again); the others 0. UNKNOWN names a
    value that the exchange sent and we do not know (a status, a code, an asset, a contract type). MODE says whether the
    account's mode can be traded in: ``value`` 0 for yes; 1 for no, with what to change. MARGIN is a margin call: a
    position of ``symbol`` is close to its liquidation.
    """

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    GAP = "gap"
    RESYNCED = "resynced"
    STALE = "stale"
    LIMITED = "limited"
    LATENCY = "latency"
    SKEW = "skew"
    MALFORMED = "malformed"
    DIFFERENCE = "difference"
    EXCLUDED = "excluded"
    INCLUDED = "included"
    PROBED = "probed"
    CONFLATED = "conflated"
    UNKNOWN = "unknown"
    MODE = "mode"
    MARGIN = "margin"


class ArbitrageKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"
    BASIS = "basis"


class StreamKind(StrEnum):
    """What a stream of public data brings."""

    QUOTE = "quote"
    TRADE = "trade"
    BOOK = "book"
    FUNDING = "funding"


class ExchangeStatus(Struct, frozen=True):
    """Something that happened to an exchange or the way to it; ``detail`` is for people.

    ``symbol`` is empty where it concerns more than one instrument.
    """

    exchange: str
    channel: str
    kind: StatusKind
    value: float
    detail: str
    event_time: Microseconds
    symbol: str = ""


class Cause(Struct, frozen=True, gc=False):
    """The record that something was made from."""

    topic: str
    partition: int
    offset: int


class PriceSource(Struct, frozen=True):
    """One instrument's part in an aggregated price; ``age_ms`` of its last quote; price in USD per unit of base."""

    exchange: str
    symbol: str
    price: float
    volume: float
    age_ms: float


class AggregatedPrice(Struct, frozen=True):
    """The volume-weighted price of a market in USD over the window, from every fresh exchange.

    ``liquidity_score`` is 0 to 1, see engine/markets/prices.py. ``volume`` is in units of the base.
    """

    market: str
    price: float
    low: float
    high: float
    volume: float
    liquidity_score: float
    sources: tuple[PriceSource, ...]
    causes: tuple[Cause, ...]
    event_time: Microseconds


class ArbitrageSignal(Struct, frozen=True):
    """An opportunity, net: prices are averages of the walked books in the instruments' own quotes, money is in USD.

    ``expected_profit = gross_profit - fees - conversion_cost - exit_cost``. Fees are those of the entry. ``exit_cost``
    is what closing both positions will cost (taker fees, and what each book takes beyond its mid) where they stay open:
    with a perpetual. Two spot trades leave nothing to close.
    """

    signal_id: str
    market: str
    kind: ArbitrageKind
    buy_exchange: str
    buy_symbol: str
    buy_price: float
    sell_exchange: str
    sell_symbol: str
    sell_price: float
    quantity: float
    gross_profit: float
    fees: float
    conversion_cost: float
    expected_profit: float
    expires_at: Microseconds
    causes: tuple[Cause, ...]
    event_time: Microseconds
    exit_cost: float = 0.0


class ExchangeHealth(Struct, frozen=True):
    """One exchange at one moment; ``latency_ms`` is the mean answer time of requests, ``uptime_percent`` over 24 h.

    ``order_latency_ms`` is the 95th percentile from sending an order to its acknowledgement; 0 before the first.
    """

    exchange: str
    status: HealthStatus
    latency_ms: float
    uptime_percent: float
    rate_limit_usage: float
    last_successful_request: Microseconds
    reason: str
    event_time: Microseconds
    order_latency_ms: float = 0.0


class ReplayMark(Struct, frozen=True):
    """Of a replay: what was received until ``event_time`` is in the log, and ends there.

    ``ends`` has the offset behind it of each partition, by topic. ``last``: nothing comes after it.
    """

    ends: dict[str, tuple[int, ...]]
    last: bool
    event_time: Microseconds
