"""Orders of users, their fills and their events: the vocabulary that all simulated exchanges share."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import Struct

from neuroflux.errors import Refused
from neuroflux.sim.core.accounts import ZERO, Leg
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Side, TimeInForce

State = Literal["new", "partially_filled", "filled", "canceled", "expired"]
EventKind = Literal["new", "trade", "canceled", "expired"]
Forced = Literal["", "liquidation", "adl"]
SelfTrade = Literal["", "cancel_newest", "cancel_oldest", "cancel_both"]


class Reason(StrEnum):
    """Why the core refuses; a dialect has its own code and text for each."""

    PRICE_STEP = "price step"
    QUANTITY_STEP = "quantity step"
    QUANTITY_LIMIT = "quantity limit"
    NOTIONAL = "notional"
    BALANCE = "balance"
    MARGIN = "margin"
    DUPLICATE = "duplicate"
    WOULD_MATCH = "would match"
    REDUCE_ONLY = "reduce only"
    UNKNOWN_ORDER = "unknown order"
    HALTED = "halted"
    UNKNOWN_CODE = "unknown code"
    FAULT = "fault"


class Rejected(Refused):
    """A simulated exchange refused an order or a cancellation."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Ask(Struct, frozen=True):
    """The order that a user requests. ``price`` is None for a market order; one of ``quantity`` (base) and ``value``
    (quote) is given. ``leg`` is the position that the order is for, in hedge mode. With ``fee_in_base`` the base
    pays the fee, where the quote usually pays every fee. ``self_trade`` is which order is cancelled where this one
    would meet one of its own account."""

    symbol: str
    side: Side
    quantity: Decimal = ZERO
    price: Decimal | None = None
    time_in_force: TimeInForce = "GTC"
    client_order_id: str = ""
    reduce_only: bool = False
    value: Decimal = ZERO
    leg: Leg = ""
    fee_in_base: bool = False
    self_trade: SelfTrade = ""

    @property
    def only_reduces(self) -> bool:
        """Whether this order can only reduce a position, because it is reduce-only or by its leg."""
        return self.reduce_only or (self.leg != "" and (self.leg == "LONG") != (self.side == "buy"))


class Fill(Struct, frozen=True):
    """A part of an order that traded; amounts in the instrument's assets, times in µs."""

    trade_id: int
    order_id: int
    listing: Listing
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    profit: Decimal
    start_position: Decimal
    time: int


class Order(Struct):
    """An accepted order. Prices and quantities are Decimal in the exchange's own units; ``reserved`` is what is locked
    or held as margin for what is still open; ``forced`` is why the exchange itself made it. ``fee_share`` is what it
    locks beside what it pays, where that asset pays the fee too."""

    order_id: int
    listing: Listing
    ask: Ask
    client_order_id: str
    quantity: Decimal
    created: int
    updated: int
    state: State = "new"
    filled: Decimal = ZERO
    value_filled: Decimal = ZERO
    reserved: Decimal = ZERO
    fills: list[Fill] = msgspec.field(default_factory=list)
    forced: Forced = ""
    fee_share: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        return self.state in ("new", "partially_filled")

    def locks(self, quantity: Decimal) -> Decimal:
        """What this part of a spot order locks, in the asset that it pays with."""
        if self.ask.side == "sell":
            return quantity * (1 + self.fee_share)
        return quantity * (self.ask.price or ZERO) * (1 + self.fee_share)

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.value_filled / self.filled if self.filled else ZERO

    @property
    def kind(self) -> Literal["limit", "market"]:
        return "market" if self.ask.price is None else "limit"


class OrderEvent(Struct, frozen=True):
    """A change of an order; ``order`` is a copy of its state after the change."""

    kind: EventKind
    order: Order
    fill: Fill | None
    cancel_id: str
    time: int


class TransferEvent(Struct, frozen=True):
    """The account received (negative: sent) ``amount`` of an asset; ``is_spot`` distinguishes its wallets."""

    asset: str
    amount: Decimal
    is_spot: bool
    time: int


class FundingEvent(Struct, frozen=True):
    """A perpetual position received (negative: paid) ``amount`` of its quote asset."""

    listing: Listing
    rate: Decimal
    quantity: Decimal
    amount: Decimal
    time: int


class ConfigEvent(Struct, frozen=True):
    """The account is set differently: a symbol's leverage, or where none is named whether all assets are collateral."""

    symbol: str
    leverage: int
    is_multi_assets: bool
    time: int


AccountEvent = OrderEvent | FundingEvent | TransferEvent | ConfigEvent
