"""Orders: commands, decisions, events, and the journal."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds
from neuroflux.domain.signals import Cause


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
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
        return self in _FINAL_STATES


_FINAL_STATES = frozenset(
    {OrderState.REFUSED, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED}
)


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
    ``conversion`` and their sum ``total`` are costs against the mid price of its book (engine/markets/costs.py). All
    money is USD, and ``nan`` where it is not known. ``reason`` says why it could not take the whole order, else empty.
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
