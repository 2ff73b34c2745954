"""Records that are computed from or observed about markets and exchanges: prices, arbitrage signals, health, status."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds


class HealthStatus(StrEnum):
    """The state of an exchange; a DEGRADED one is up. engine/health/state.py has the rules."""

    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class StatusKind(StrEnum):
    """The event that ``exchange.status`` reports of an exchange or the connection to it, and its ``value``.

    LATENCY, SKEW, PROBED: milliseconds. LIMITED: the used share of the rate limit, 0 to 1. STALE: seconds without data.
    GAP: the first missing sequence number. CONFLATED: the number of records that were replaced by newer ones.
    DIFFERENCE: how much larger the exchange's answer is than the stream's figure; 0 when they agree again. MODE: 0 if
    orders can be placed in the account's mode, 1 if not, with what to change in ``detail``. All others: 0.

    UNKNOWN: the exchange sent a value that is not known here (a status, a code, an asset, a contract type). MARGIN: a
    margin call; the position in ``symbol`` is close to liquidation.
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
    """Spot against spot, perpetual against perpetual, or one against the other (BASIS)."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    BASIS = "basis"


class StreamKind(StrEnum):
    """The kind of a public data stream."""

    QUOTE = "quote"
    TRADE = "trade"
    BOOK = "book"
    FUNDING = "funding"


class ExchangeStatus(Struct, frozen=True):
    """An event of an exchange or the connection to it; ``detail`` is for people.

    ``channel`` is the connection or stage that it concerns; ``symbol`` is empty if it concerns several instruments.
    """

    exchange: str
    channel: str
    kind: StatusKind
    value: float
    detail: str
    event_time: Microseconds
    symbol: str = ""


class Cause(Struct, frozen=True, gc=False):
    """The Kafka record that something was computed from."""

    topic: str
    partition: int
    offset: int


class PriceSource(Struct, frozen=True):
    """One instrument's part in an aggregated price.

    ``price`` is in USD per unit of the base, ``volume`` in units of the base, ``age_ms`` the age of its last quote.
    """

    exchange: str
    symbol: str
    price: float
    volume: float
    age_ms: float


class AggregatedPrice(Struct, frozen=True):
    """The volume-weighted price of a market over the last minute, in USD, from every exchange with fresh data.

    ``low`` and ``high`` are the lowest and highest price among the sources. ``volume`` is in units of the base.
    ``liquidity_score`` is 0 to 1, see engine/markets/prices.py.
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
    """An arbitrage opportunity: prices are averages of the walked books in the instruments' quotes, money is in USD.

    ``quantity`` is in units of the base. ``expected_profit = gross_profit - fees - conversion_cost - exit_cost``.
    ``fees`` are those of the entry. ``exit_cost`` is the estimated cost of closing both positions where they stay open,
    as with a perpetual: taker fees, and the distance of each book's prices from its mid. It is 0 for two spot trades.
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
    """The state of one exchange at one moment, with the ``reason`` if it is not online.

    ``latency_ms`` is the mean response time of requests, ``order_latency_ms`` the 95th percentile of the time from
    sending an order to its acknowledgement (0 before the first). ``uptime_percent`` covers the last 24 hours.
    ``rate_limit_usage`` is 0 to 1, and ``nan`` if unknown.
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
    """Progress of a replay: every record received until ``event_time`` is in Kafka.

    ``ends`` holds, by topic, each partition's next offset at that time. ``last``: this is the end of the replay.
    """

    ends: dict[str, tuple[int, ...]]
    last: bool
    event_time: Microseconds
