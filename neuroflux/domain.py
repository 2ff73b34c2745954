"""The words of the field as frozen types: instruments, market data, accounts, orders, health.

Times are int microseconds since the epoch, UTC. ``side`` of a trade is the aggressor's. Amounts are absolute.
Money that moves is ``Decimal``. Market data comes in two forms of one type: ``Quote[Numeral]`` off the wire carries
each number exactly as the exchange wrote it, ``Quote[float]`` off the log carries it as a double.
"""

from __future__ import annotations

from decimal import Context, Decimal
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

Numeral = str
"""A number exactly as the exchange wrote it: ``"0.00240000"``."""

N = TypeVar("N", str, float)
"""How a record holds its numbers: ``Numeral`` off the wire, ``float`` off the log."""

Microseconds = int

DECIMAL_PLACES = 18
_WIDE = Context(prec=60)
_PLACES = Decimal(1).scaleb(-DECIMAL_PLACES)


def to_scale(amount: Decimal) -> Decimal:
    """Rounded to the 18 places that the topics' decimals have, where there are more, as a quotient has."""
    exponent = amount.as_tuple().exponent
    fits = not isinstance(exponent, int) or exponent >= -DECIMAL_PLACES
    return amount if fits else _WIDE.quantize(amount, _PLACES)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class InstrumentKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class OrderState(StrEnum):
    """States of an order as published on ``orders.events``; see engine/orders.py for the transitions."""

    RECEIVED = "received"
    REFUSED = "refused"
    ROUTED = "routed"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    ACKNOWLEDGED = "acknowledged"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        return self in _FINAL_STATES


_FINAL_STATES = frozenset(
    {OrderState.REFUSED, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED}
)


class Liquidity(StrEnum):
    MAKER = "maker"
    TAKER = "taker"


class HealthStatus(StrEnum):
    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class CommandKind(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    PAIR = "pair"
    REBALANCE = "rebalance"


class ControlKind(StrEnum):
    HALT = "halt"
    RESUME = "resume"
    LIMITS = "limits"
    PROBE = "probe"


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


class TransferKind(StrEnum):
    """What an amount is that came to an account, or left it, otherwise than by trading and funding.

    TRANSFER came from outside or went there. RESULT is the account's own gain or loss: a reward, a rebate, a conversion
    of one asset into another. UNKNOWN has a word that we do not know; it counts as a transfer.
    """

    TRANSFER = "transfer"
    RESULT = "result"
    UNKNOWN = "unknown"


class ArbitrageKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"
    BASIS = "basis"


class Instrument(Struct, frozen=True, kw_only=True):
    """One thing that can be traded on one exchange, with the rules an order must keep.

    ``name`` is the exchange's own (``BTCUSDT``, ``@107``), ``symbol`` ccxt's (``BTC/USDT``, ``BTC/USDT:USDT``),
    ``market`` what is comparable (``BTC/USD``). One contract or coin of the wire is ``multiplier`` units of the base
    of the market (1000 for ``kPEPE``): prices and quantities of records are per unit of the *wire's* instrument, and
    ``multiplier`` says how to compare them. A step of 0 means the rule does not apply. Prices are bound by
    ``tick_size``; where ``price_significant_figures`` is not 0 (Hyperliquid: 5) by that and ``price_decimals`` too.
    Fees are fractions of the notional. ``closing_only``: it is settled within a day, so positions may only be reduced.
    """

    exchange: str
    symbol: str
    market: str
    name: str
    base: str
    quote: str
    kind: InstrumentKind
    settle: str = ""
    tick_size: Decimal = Decimal(0)
    quantity_step: Decimal = Decimal(0)
    market_quantity_step: Decimal = Decimal(0)
    min_quantity: Decimal = Decimal(0)
    max_quantity: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    price_significant_figures: int = 0
    price_decimals: int = 0
    multiplier: int = 1
    taker_fee: Decimal = Decimal(0)
    maker_fee: Decimal = Decimal(0)
    asset_id: int = -1
    active: bool = True
    closing_only: bool = False


# ── market data ──────────────────────────────────────────────────────────────────────────────────────────────────


class Quote(Struct, Generic[N], frozen=True, gc=False):
    """The best bid and ask of one instrument."""

    exchange: str
    symbol: str
    market: str
    bid_price: N
    bid_size: N
    ask_price: N
    ask_size: N
    sequence: int
    event_time: Microseconds
    received_time: Microseconds


class Trade(Struct, Generic[N], frozen=True, gc=False):
    """One trade on the exchange's tape; ``side`` is the aggressor's."""

    exchange: str
    symbol: str
    market: str
    trade_id: str
    side: Side
    price: N
    quantity: N
    event_time: Microseconds
    received_time: Microseconds


class Level(Struct, Generic[N], frozen=True, gc=False):
    """A price of a book and the quantity that rests there."""

    price: N
    quantity: N


class BookPicture(Struct, Generic[N], frozen=True):
    """The best levels of a proved book at one moment, best first.

    A book that lost a side is published once more without it: it replaces the last, and nothing is traded on it.
    """

    exchange: str
    symbol: str
    market: str
    bids: tuple[Level[N], ...]
    asks: tuple[Level[N], ...]
    sequence: int
    event_time: Microseconds
    received_time: Microseconds

    @property
    def has_both_sides(self) -> bool:
        return bool(self.bids and self.asks)


class Funding(Struct, Generic[N], frozen=True, gc=False):
    """A perpetual's funding: ``rate`` is per ``interval_hours``, as a fraction (0.0001 is one basis point).

    ``interval_hours`` is None while the exchange has not said it.
    """

    exchange: str
    symbol: str
    market: str
    rate: N
    interval_hours: int | None
    mark_price: N
    index_price: N
    next_funding_time: Microseconds
    event_time: Microseconds


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Balance(Struct, frozen=True):
    """What an account holds of an asset; ``total = free + in_orders + in_positions``.

    ``unrealised_pnl`` is the part of ``total`` that is unrealised profit of positions: 0 on exchanges whose totals
    leave it out. ``total - unrealised_pnl`` is the wallet on every exchange. ``pooled``: together with the account's
    other pooled assets it is margin for all perpetuals, whatever they settle in; ``free`` may then be below 0.
    """

    exchange: str
    asset: str
    free: Decimal
    in_orders: Decimal
    in_positions: Decimal
    total: Decimal
    event_time: Microseconds
    unrealised_pnl: Decimal = Decimal(0)
    pooled: bool = False


class AccountTransfer(Struct, frozen=True):
    """What came to an account (negative: left it), as the exchange names it; trades, their fees and funding are none.

    ``reason`` is the exchange's own word, ``transfer_id`` its id, made of time and amount where it gives none. An
    exchange may tell the same one again, over its stream and in answers: then all fields are the same. ``quantity`` is
    0 where the word is not known and has no sign.
    """

    exchange: str
    asset: str
    quantity: Decimal
    kind: TransferKind
    reason: str
    transfer_id: str
    event_time: Microseconds

    @property
    def identity(self) -> str:
        """What tells it from every other, as text."""
        told = (self.exchange, self.asset, self.reason, self.transfer_id, self.event_time)
        return ":".join((*map(str, told), f"{to_scale(self.quantity).normalize():f}"))


class Position(Struct, frozen=True):
    """A perpetual position; ``quantity`` is negative when short, in units of the wire's instrument."""

    exchange: str
    symbol: str
    quantity: Decimal
    entry_price: Decimal
    unrealised_pnl: Decimal
    event_time: Microseconds


class Fill(Struct, frozen=True):
    """One execution of one of our orders; ``order_id`` is empty until the executor has matched it.

    ``fee`` is negative when the exchange paid a rebate. ``name`` is the exchange's own name of the instrument:
    ``(exchange, name, trade_id)`` identifies a fill also where ``symbol`` was not known yet.
    """

    order_id: str
    exchange: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    trade_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    event_time: Microseconds
    name: str = ""

    @property
    def identity(self) -> tuple[str, str, str, Side]:
        """What tells this fill from every other: the exchange, its own name of the instrument, its trade id, the side.

        The side, since an account that trades with itself has two fills of one trade.
        """
        return self.exchange, self.name or self.symbol, self.trade_id, self.side


class OrderReport(Struct, frozen=True):
    """What an exchange says of one order: an acknowledgement, an update, an answer to a query.

    ``state`` is one of ACKNOWLEDGED, WORKING, FILLED, CANCELLED, EXPIRED, REJECTED. ``filled_quantity`` is cumulative;
    ``average_price`` is None where the exchange did not say it, and 0 before the first fill. ``price`` is 0 for a
    market order. ``client_order_id`` is empty where the exchange did not say it.
    """

    exchange: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    side: Side
    type: OrderType
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    state: OrderState
    reason: str
    event_time: Microseconds


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


# ── what the streams compute ─────────────────────────────────────────────────────────────────────────────────────


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

    ``liquidity_score`` is 0 to 1, see engine/prices.py. ``volume`` is in units of the base.
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


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Requirements(Struct, frozen=True):
    """Bounds a candidate must keep, as fractions; ``min_liquidity`` in USD. 0 means no bound."""

    max_slippage: float = 0.0
    max_fee: float = 0.0
    min_liquidity: float = 0.0


class CommandLeg(Struct, frozen=True):
    """One part of a pair or a rebalance: exactly this instrument, in units of the market's base.

    ``price`` is the worst that is allowed, as the exchange counts it; 0 leaves the bounds of the whole.
    """

    exchange: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal = Decimal(0)


class OrderCommand(Struct, frozen=True, kw_only=True):
    """What someone wants: a record of ``orders.commands``.

    ``market`` is a market (``BTC/USD``) or one instrument's symbol; with ``exchange`` set only that exchange may fill
    it. ``price`` is 0 for a market order. For ``cancel`` only ``order_id`` counts. ``quantity`` is in units of base.
    ``legs`` are a pair's two, bought and sold at once, or a rebalance's trades; a pair is refused after ``expires_at``
    (0: never) or when the books no longer promise ``min_profit`` (USD, net).
    """

    order_id: str
    kind: CommandKind
    market: str = ""
    side: Side = Side.BUY
    type: OrderType = OrderType.MARKET
    quantity: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    time_in_force: TimeInForce = TimeInForce.GTC
    strategy: str = "optimal"
    exchange: str = ""
    requirements: Requirements = Requirements()
    issued_by: str = ""
    issued_at: Microseconds = 0
    legs: tuple[CommandLeg, ...] = ()
    expires_at: Microseconds = 0
    min_profit: float = 0.0


class Candidate(Struct, frozen=True):
    """One instrument that could have taken the order, with every figure the choice was made from.

    All is of ``quantity`` units of the market's base: of what it takes where it was chosen, of the whole order where it
    was not. ``price`` is the average of the walked book per unit of the base; ``fee``, ``spread``, ``slippage``,
    ``conversion`` and their sum ``total`` are costs against the mid price of its book (engine/costs.py). All money is
    USD, and ``nan`` where it is not known. ``reason`` says why it could not take the whole order, else empty.
    """

    exchange: str
    symbol: str
    price: float
    quantity: float
    fee: float
    spread: float
    slippage: float
    conversion: float
    total: float
    latency_ms: float
    liquidity: float
    health: str
    book_age_ms: float
    reason: str


class Allocation(Struct, frozen=True):
    """The part of an order that one instrument takes, in units of the wire; ``limit_price`` bounds it in the quote."""

    exchange: str
    symbol: str
    quantity: Decimal
    limit_price: Decimal


class OrderDecision(Struct, frozen=True):
    """Where an order goes and why; ``chosen`` is empty when it was refused."""

    order_id: str
    strategy: str
    chosen: tuple[Allocation, ...]
    reason: str
    candidates: tuple[Candidate, ...]
    causes: tuple[Cause, ...]
    event_time: Microseconds


class Fee(Struct, frozen=True):
    asset: str
    amount: Decimal


class OrderEvent(Struct, frozen=True):
    """One step in the life of an order or of one of its legs (``client_order_id``).

    ``average_price`` is 0 before the first fill, and None where something was filled at a price not yet known.
    The quantities of a rebalance as a whole are USD. ``naked_usd`` and ``naked_ms`` are a pair's: the largest value
    that was bought and not yet sold, or the other way round, and how long there was any.
    """

    order_id: str
    state: OrderState
    exchange: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    side: Side
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    fees: tuple[Fee, ...]
    reason: str
    event_time: Microseconds
    naked_usd: float = 0.0
    naked_ms: float = 0.0


class ControlCommand(Struct, frozen=True, kw_only=True):
    """``account`` is an exchange id, or ``*`` for all.

    ``limits`` names what ``limits`` bounds: ``leverage`` (that funds are planned with), ``max_leverage`` (of the
    account) and ``weight_per_minute``; what is not named is not bounded. A ``probe`` asks the execution to try the
    account; ``why`` is then the id that the answer has.
    """

    account: str = "*"
    kind: ControlKind
    why: str = ""
    issued_by: str = ""
    issued_at: Microseconds = 0
    limits: dict[str, float] = {}


class Failover(Struct, frozen=True, kw_only=True):
    """Where orders for ``primary`` go while it can't take them: the first of ``backups`` that can.

    ``conditions`` say when: ``offline`` (1: yes), ``stale_seconds``, ``error_rate`` and ``latency_ms`` above which it
    counts as unable; 0 means never.
    """

    primary: str
    backups: tuple[str, ...]
    config_id: str
    conditions: dict[str, float] = {}
    active: bool = True
    issued_by: str = ""
    issued_at: Microseconds = 0


class JournalEntry(Struct, frozen=True):
    """One step of the execution, written before its effect; ``body`` is the execution's own (msgpack).

    ``generation`` is that of the executor that wrote it: an entry counts only if no later claim stands before it.
    """

    order_id: str
    kind: str
    generation: int
    body: bytes
    event_time: Microseconds
