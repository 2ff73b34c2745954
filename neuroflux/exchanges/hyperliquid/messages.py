"""Hyperliquid's messages: one struct each, with the wire's own field names, and the kinds of answers.

Numbers stay text. Unknown keys are skipped. Public frames are frequent, so the feed checks their numbers, all at once:
a pattern here would cost 0.7 µs a number. All other numbers carry the pattern.
Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/subscriptions
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.json import Decoder

from neuroflux.domain import Side
from neuroflux.exchanges.kit import shapes
from neuroflux.exchanges.kit.shapes import UNREADABLE, Shapes

Number = Annotated[str, Meta(pattern=r"^-?[0-9]{1,20}(?:\.[0-9]{1,18})?\Z")]
"""A number that an Avro decimal(38, 18) can hold."""

Milliseconds = Annotated[int, Meta(ge=0, le=9_999_999_999_999)]
WireSide = Literal["A", "B"]
"""A: ask, the order or the aggressor sold. B: bid, it bought."""

SIDES: Final = {"A": Side.SELL, "B": Side.BUY}

# ── public frames ────────────────────────────────────────────────────────────────────────────────────────────────


class WireLevel(Struct, frozen=True, gc=False):
    px: str
    sz: str


class Bbo(Struct, frozen=True, gc=False):
    """``bbo`` is ``[bid | null, ask | null]``; arrays of one element were captured too."""

    coin: str
    time: Milliseconds
    bbo: list[WireLevel | None]


class TapeTrade(Struct, frozen=True, gc=False):
    coin: str
    side: WireSide
    px: str
    sz: str
    time: Milliseconds
    tid: int


class L2Book(Struct, frozen=True, gc=False):
    """A whole book: ``levels`` is bids, best first, and asks, best first; 20 a side at most."""

    coin: str
    time: Milliseconds
    levels: tuple[list[WireLevel], list[WireLevel]]


class PerpetualContext(Struct, frozen=True, gc=False):
    """``funding`` is the rate for one hour."""

    funding: Number
    oraclePx: Number
    markPx: Number


class ActiveAssetCtx(Struct, frozen=True, gc=False):
    coin: str
    ctx: PerpetualContext


class BboFrame(Struct, frozen=True, gc=False, tag_field="channel", tag="bbo"):
    data: Bbo


class TradesFrame(Struct, frozen=True, gc=False, tag_field="channel", tag="trades"):
    data: list[TapeTrade]


class L2BookFrame(Struct, frozen=True, gc=False, tag_field="channel", tag="l2Book"):
    data: L2Book


class ActiveAssetCtxFrame(Struct, frozen=True, gc=False, tag_field="channel", tag="activeAssetCtx"):
    data: ActiveAssetCtx


class ErrorFrame(Struct, frozen=True, tag_field="channel", tag="error"):
    data: str


class Envelope(Struct, frozen=True):
    """Any frame, as far as its channel."""

    channel: str


MarketFrame = BboFrame | TradesFrame | L2BookFrame | ActiveAssetCtxFrame | ErrorFrame


# ── orders and accounts, over the socket and over REST ───────────────────────────────────────────────────────────


class WireOrder(Struct, frozen=True):
    """``sz`` is what REMAINS of ``origSz``. Old ``openOrders`` answers have no ``origSz``, socket frames no type."""

    coin: str
    side: WireSide
    limitPx: Number
    sz: Number
    oid: int
    timestamp: Milliseconds
    origSz: Number | None = None
    orderType: str = ""
    cloid: str | None = None


class OrderUpdate(Struct, frozen=True):
    order: WireOrder
    status: str
    statusTimestamp: Milliseconds


class WireFill(Struct, frozen=True):
    """``fee`` includes ``builderFee`` and is negative for a rebate; ``crossed`` means that we took.

    ``tid`` is 0 for conversions of dust and was absent in 2023. ``dir`` is for people: ``Open Long``, and where the
    exchange itself traded for the account ``Liquidated Cross Long``, ``Auto-Deleveraging``, ``Settlement``; of another
    type than text no fill is lost.
    """

    coin: str
    side: WireSide
    px: Number
    sz: Number
    time: Milliseconds
    oid: int
    crossed: bool
    fee: Number
    startPosition: str
    tid: int = 0
    feeToken: str = "USDC"
    cloid: str | None = None
    dir: Raw = Raw(b'""')


class UserFills(Struct, frozen=True):
    fills: list[Raw]


class UserEvent(Struct, frozen=True):
    """A union by key; of its kinds only fills matter here."""

    fills: list[Raw] | None = None


class MarginSummary(Struct, frozen=True):
    """``totalNtlPos`` is what all positions are worth, whatever their side."""

    accountValue: Number
    totalMarginUsed: Number
    totalNtlPos: Number = "0"


class WirePosition(Struct, frozen=True):
    coin: str
    szi: Number
    unrealizedPnl: Number
    entryPx: Number | None = None


class AssetPosition(Struct, frozen=True):
    position: WirePosition


class Margins(Struct, frozen=True):
    """The sums of a perpetuals account. ``marginSummary`` covers isolated margin; ``crossMarginSummary`` doesn't."""

    withdrawable: Number
    crossMarginSummary: MarginSummary
    marginSummary: MarginSummary | None = None

    @property
    def sums(self) -> MarginSummary:
        return self.marginSummary or self.crossMarginSummary


class ClearinghouseState(Struct, frozen=True):
    """The perpetuals account; its ``Margins`` are read from the same bytes, so that a fault in one leaves the other."""

    assetPositions: list[Raw]
    time: Milliseconds | None = None


class ClearinghouseStateUpdate(Struct, frozen=True):
    """``dex`` is "" for the exchange's own perpetuals, or the name of one that others run on it (HIP-3)."""

    clearinghouseState: Raw
    dex: str = ""


class SpotBalance(Struct, frozen=True):
    """``spotHold`` is what of ``hold`` is of spot orders; only accounts with one balance for all have another.

    With portfolio margin ``hold`` is less what may be borrowed, so that it may be negative. ``coin`` is a name that
    several tokens may have, ``token`` the index of one; an outcome's shares (HIP-4: ``+120``) have none.
    """

    coin: str
    total: Number
    hold: Number
    token: int | None = None
    spotHold: Number | None = None


class SpotState(Struct, frozen=True):
    """The fields beside the balances are sent for accounts with portfolio margin only."""

    balances: list[Raw]
    portfolioMarginEnabled: Raw | UnsetType = UNSET
    tokenToAvailableAfterMaintenance: Raw | UnsetType = UNSET


class SpotStateUpdate(Struct, frozen=True):
    spotState: SpotState


class Role(Struct, frozen=True):
    """The answer to ``userRole``: what kind of address this is."""

    role: str


class UserFillsFrame(Struct, frozen=True, tag_field="channel", tag="userFills"):
    data: UserFills


class UserEventFrame(Struct, frozen=True, tag_field="channel", tag="user"):
    data: UserEvent


class OrderUpdatesFrame(Struct, frozen=True, tag_field="channel", tag="orderUpdates"):
    data: list[Raw]


class ClearinghouseStateFrame(Struct, frozen=True, tag_field="channel", tag="clearinghouseState"):
    data: ClearinghouseStateUpdate


class SpotStateFrame(Struct, frozen=True, tag_field="channel", tag="spotState"):
    data: SpotStateUpdate


AccountFrame = (
    UserFillsFrame | UserEventFrame | OrderUpdatesFrame | ClearinghouseStateFrame | SpotStateFrame | ErrorFrame
)


def channels_of(union: Any) -> frozenset[str]:
    """The channels of a union of frames: on these an unreadable frame is an error, on others it is ignored."""
    return frozenset(str(frame.__struct_config__.tag) for frame in get_args(union))


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


_SHAPES: Final = Shapes(
    objects=(
        ("levels", "l2Book"),
        ("assetPositions", "clearinghouseState"),
        ("balances", "spotClearinghouseState"),
        ("specialStatuses", "exchangeStatus"),
        ("response", "exchange"),
        ("role", "userRole"),
        ("tokens", "spotMeta"),
        ("universe", "meta"),
        ("status", "orderStatus"),
    ),
    rows=(
        ("tokens", "spotMeta"),
        ("universe", "meta"),
        ("limitPx", "frontendOpenOrders"),
        ("order", "historicalOrders"),
        ("oid", "userFills"),
        ("tid", "recentTrades"),
        ("delta.type", "userNonFundingLedgerUpdates"),  # the history of a delegator has deltas without a type
    ),
)


def kind_of(body: bytes | str) -> str:
    """The request that this body answers: ``meta``, ``l2Book`` …; "" for any other. Raises ``UNREADABLE``."""
    return shapes.kind_of(body, _SHAPES)


R = TypeVar("R")


def rows_of(rows: Iterable[Raw], decoder: Decoder[R], what: str, first: int = 0) -> tuple[list[R], list[str]]:
    """The rows that can be read, and a text for each other row that names it and its fault.

    Rows are counted from ``first``.
    """
    read, faults = list[R](), list[str]()
    for number, row in enumerate(rows, start=first):
        try:
            read.append(decoder.decode(row))
        except UNREADABLE as error:
            faults.append(f"{what} {number}: {error}: {bytes(row)[:120].decode(errors='replace')}")
    return read, faults


_ANYTHING: Final[Decoder[Any]] = Decoder()


def unread_coins(rows: Iterable[Raw], decoder: Decoder[Any]) -> set[str]:
    """The coins that the unreadable rows name; "" for a row that names none."""
    coins = set[str]()
    for row in rows:
        try:
            decoder.decode(row)
        except UNREADABLE:
            coins.add(_coin_of(row))
    return coins


def _coin_of(row: Raw) -> str:
    try:
        fields: Any = _ANYTHING.decode(row)
    except UNREADABLE:
        return ""
    fields = fields.get("position", fields) if isinstance(fields, dict) else {}
    coin = fields.get("coin") if isinstance(fields, dict) else None
    return coin if isinstance(coin, str) else ""
