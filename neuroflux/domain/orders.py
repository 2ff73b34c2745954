"""Orders: commands, decisions, events, and the journal."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds
from neuroflux.domain.signals import Cause


class Side(StrEnum):
    """BUY or SELL, of the base."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """MARKET trades at once at the best prices, LIMIT at its price or better."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """GTC rests until filled or cancelled; IOC fills what it can at once and cancels the rest; FOK fills completely at
    once or not at all; POST_ONLY is rejected if it would trade at once.
    """

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class OrderState(StrEnum):
    """States of an order as published on ``orders.events``; see engine/orders/machine.py for the transitions."""

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
        """Whether no further state follows, except for fills that are reported late."""
        return self in _FINAL_STATES


_FINAL_STATES = frozenset(
    {OrderState.REFUSED, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED}
)


class CommandKind(StrEnum):
    """What a command requests: place one order, cancel one, buy and sell at once, or trade towards a portfolio."""

    PLACE = "place"
    CANCEL = "cancel"
    PAIR = "pair"
    REBALANCE = "rebalance"


class ControlKind(StrEnum):
    """HALT stops new orders and cancels open ones, RESUME ends that, LIMITS sets bounds, PROBE tests an account."""

    HALT = "halt"
    RESUME = "resume"
    LIMITS = "limits"
    PROBE = "probe"


class Requirements(Struct, frozen=True):
    """Bounds for each candidate: ``max_slippage``, ``max_fee`` as fractions, ``min_liquidity`` in USD; 0: no bound."""

    max_slippage: float = 0.0
    max_fee: float = 0.0
    min_liquidity: float = 0.0


class CommandLeg(Struct, frozen=True):
    """One part of a pair or a rebalance, on exactly this instrument; ``quantity`` is in units of the market's base.

    ``price`` is the worst allowed price, in the instrument's quote per wire unit; with 0, only the bounds of the whole
    command apply.
    """

    exchange: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal = Decimal(0)


class OrderCommand(Struct, frozen=True, kw_only=True):
    """A request to the execution: a record of ``orders.commands``. A ``cancel`` uses ``order_id`` alone.

    ``market`` is a market (``BTC/USD``) or one instrument's symbol; with ``exchange`` set, only that exchange may fill
    the order. ``quantity`` is in units of the base. ``price`` is in USD for a market, in the quote for a symbol, and 0
    for a market order. ``issued_by`` and ``issued_at`` are the sender and its clock.

    ``legs`` are the two sides of a pair, bought and sold at once, or the trades of a rebalance. A pair is refused after
    ``expires_at`` (0: never), or when the books no longer yield ``min_profit`` (USD, net).

    ``OrderCommand(order_id=new_order_id(), kind=CommandKind.PLACE, market="BTC/USD", side=Side.BUY,
    quantity=Decimal("0.1"), issued_at=now())``
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
    """One instrument that was considered for an order, with every figure that the choice is based on.

    The figures are for ``quantity`` units of the market's base: the part that it takes if it was chosen, else the whole
    order. ``price`` is the average price of the walked book per unit of the base; ``fee``, ``spread``, ``slippage``,
    ``conversion`` and their sum ``total`` are costs against the mid price of its book (engine/markets/costs.py).
    ``liquidity`` is the value of that side of its book. All money is in USD, and ``nan`` where unknown.
    ``reason`` is why it could not take the whole order, or empty.
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
    """The part of an order that one instrument takes, in wire units; ``limit_price`` is in the instrument's quote."""

    exchange: str
    symbol: str
    quantity: Decimal
    limit_price: Decimal


class OrderDecision(Struct, frozen=True):
    """Where an order is sent and why, with the records it is based on; ``chosen`` is empty if it was refused."""

    order_id: str
    strategy: str
    chosen: tuple[Allocation, ...]
    reason: str
    candidates: tuple[Candidate, ...]
    causes: tuple[Cause, ...]
    event_time: Microseconds


class Fee(Struct, frozen=True):
    """The fees paid in one asset, in units of it; negative for rebates."""

    asset: str
    amount: Decimal


class OrderEvent(Struct, frozen=True):
    """A change of state of an order, or of one of its legs if ``client_order_id`` is set.

    Quantities of a leg are in wire units, those of an order in units of the base, and those of a rebalance in USD.
    ``average_price`` is 0 before the first fill, and None while a part was filled at a price not yet known.
    ``naked_usd`` and ``naked_ms`` describe a pair: the largest value that was filled on one side only, and for how long
    in total.
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
    """A request about an account: halt, resume, set limits, or probe. ``account`` is an exchange id, or ``*`` for all.

    ``limits`` holds the bounds of a LIMITS command: ``leverage`` (used to plan funds), ``max_leverage`` (of the
    account's positions) and ``weight_per_minute`` (of requests); a missing one is not bounded. A PROBE makes the
    execution test the account; ``why`` is then the id that its answer carries.

    ``ControlCommand(account="binance", kind=ControlKind.LIMITS, limits={"max_leverage": 3.0})``
    """

    account: str = "*"
    kind: ControlKind
    why: str = ""
    issued_by: str = ""
    issued_at: Microseconds = 0
    limits: dict[str, float] = {}


class Failover(Struct, frozen=True, kw_only=True):
    """Where orders for ``primary`` are sent while it is unable to take them: to the first able one of ``backups``.

    ``conditions`` define when an exchange is unable: ``offline`` (1: when it is offline), or above ``stale_seconds``
    without a health report, above ``error_rate`` (share of failed requests, 0 to 1), or above ``latency_ms``; 0
    disables a condition.

    ``Failover(primary="binance", backups=("hyperliquid",), config_id="a", conditions={"offline": 1.0})``
    """

    primary: str
    backups: tuple[str, ...]
    config_id: str
    conditions: dict[str, float] = {}
    active: bool = True
    issued_by: str = ""
    issued_at: Microseconds = 0


class JournalEntry(Struct, frozen=True):
    """One step of the execution, written before its effect; ``body`` is private to the execution (msgpack).

    ``generation`` is that of the executor that wrote it: an entry is valid only if no claim of a later generation
    precedes it in the log.
    """

    order_id: str
    kind: str
    generation: int
    body: bytes
    event_time: Microseconds
