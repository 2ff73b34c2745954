"""What Binance lists, spot and USDⓈ-M, with the filters an order must pass.

Source: https://developers.binance.com/docs/binance-spot-api-docs/filters; ``pricePrecision`` and ``quantityPrecision``
are for display, the steps are in the filters.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.domain.symbols import market_of, perpetual_symbol, split_multiplier, spot_symbol
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.rest import checked
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.exchanges.kit.rows import Rows, sane
from neuroflux.exchanges.kit.shapes import UNREADABLE

SPOT_STATUSES: Final = frozenset(
    {"TRADING", "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY", "PRE_TRADING", "POST_TRADING"}
)
USDM_STATUSES: Final = frozenset(
    {
        *("TRADING", "PENDING_TRADING", "TRADING_HALT", "TRADING_CANCEL_ONLY"),
        *("PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE"),
    }
)
PERPETUALS: Final = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING", "PERPETUAL DELIVERING"})
DATED: Final = frozenset(
    {
        *("CURRENT_MONTH", "NEXT_MONTH", "CURRENT_QUARTER", "NEXT_QUARTER"),
        *("CURRENT_QUARTER DELIVERING", "NEXT_QUARTER DELIVERING"),
        *("CURRENT_QUARTER_DELIVERING", "NEXT_QUARTER_DELIVERING"),
    }
)
"""Known, and left out: a dated future is another market than a perpetual."""
_NEVER: Final = 4_133_404_800_000
"""``deliveryDate`` of a perpetual whose delisting was not announced: 2100-12-25."""
CLOSING_MS: Final = 86_400_000
"""Before it is settled a perpetual is only closed: the other leg of a pair would stay."""
_ZERO: Final = Decimal(0)
_SPOT_FEE: Final = Decimal("0.001")
_FUTURES_TAKER: Final = Decimal("0.0005")
_FUTURES_MAKER: Final = Decimal("0.0002")


class _Filter(Struct, frozen=True):
    filterType: str
    tickSize: Decimal = _ZERO
    stepSize: Decimal = _ZERO
    minQty: Decimal = _ZERO
    maxQty: Decimal = _ZERO
    minNotional: Decimal = _ZERO
    notional: Decimal = _ZERO


class _Listed(Struct, frozen=True):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[_Filter]
    marginAsset: str = ""
    contractType: str = ""
    contractSize: Decimal | None = None
    deliveryDate: int = 0
    isSpotTradingAllowed: bool | None = None

    @property
    def is_active(self) -> bool:
        """Spot also lists what is traded on margin alone."""
        is_trading = self.status == "TRADING" and not self.contractType.endswith("DELIVERING")
        return is_trading and self.isSpotTradingAllowed is not False

    @property
    def settled_at(self) -> int:
        """When a perpetual that is delisted is settled by force, in ms; 0 where none is."""
        is_dated = self.contractType in PERPETUALS and self.deliveryDate not in (0, _NEVER)
        return self.deliveryDate if is_dated else 0


class _ExchangeInfo(Struct, frozen=True):
    symbols: list[Raw]


_INFO: Final = Decoder(_ExchangeInfo)
_ROW: Final = Decoder(_Listed)


def listing(exchange: str, kind: InstrumentKind, answer: Answer) -> Listing:
    """Read ``exchangeInfo`` of an exchange that has one ``kind``; raises what ``checked`` raises, and MalformedFrame.

    A row that can't be read, or whose contract type is unknown, is left out and named. Dated and coin-margined futures
    are known, and left out.
    """
    try:
        rows = Rows(_INFO.decode(checked(answer)).symbols, _row)
    except UNREADABLE as error:
        raise MalformedFrame(f"exchangeInfo: {error}") from error
    spot = kind is InstrumentKind.SPOT
    known = SPOT_STATUSES if spot else USDM_STATUSES
    listed = [one for one in rows.good if spot or not _is_coin_margined(one)]
    unknown = [f"{one.symbol}: unknown status {one.status[:80]!r}" for one in listed if one.status not in known]
    kept = [one for one in listed if spot or one.contractType in PERPETUALS]
    odd = [one for one in listed if not spot and one.contractType not in PERPETUALS | DATED]
    types = [f"{one.symbol}: unknown contract type {one.contractType[:80]!r}, not taken" for one in odd]
    ends = [f"{one.symbol}: is delisted, and settled at {_utc(one.settled_at)}" for one in kept if one.settled_at]
    listed_now = tuple(_instrument(exchange, one, kind, answer.received_at) for one in kept)
    return Listing(listed_now, (*rows.faults, *types, *unknown, *ends))


def _utc(milliseconds: int) -> str:
    """To the minute; a number that is no time of this era unchanged."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)


def _row(row: Raw) -> _Listed:
    """Raises ``UNREADABLE``, also for a row without a name, or with a filter that no order can be held against."""
    wire = _ROW.decode(row)
    if not (wire.symbol and wire.baseAsset and wire.quoteAsset):
        raise ValueError("a name is empty")
    if any(amount < 0 for one in wire.filters for amount in _amounts(sane(one))):
        raise ValueError("a filter is negative")
    return wire


def _is_coin_margined(wire: _Listed) -> bool:
    """COIN-M alone has contracts of a size in the quote, and margin in the coin itself.

    https://developers.binance.com/docs/derivatives/coin-margined-futures/market-data/rest-api/Exchange-Information
    """
    return wire.contractSize is not None or wire.marginAsset == wire.baseAsset


def _amounts(one: _Filter) -> tuple[Decimal, ...]:
    return one.tickSize, one.stepSize, one.minQty, one.maxQty, one.minNotional, one.notional


def _instrument(exchange: str, wire: _Listed, kind: InstrumentKind, now: Microseconds) -> Instrument:
    spot = kind is InstrumentKind.SPOT
    settle = "" if spot else wire.marginAsset or wire.quoteAsset
    base, multiplier = (wire.baseAsset, 1) if spot else split_multiplier(wire.baseAsset)
    filters = {one.filterType: one for one in wire.filters}
    none = _Filter("")
    lot, price = filters.get("LOT_SIZE", none), filters.get("PRICE_FILTER", none)
    value = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or none
    names = wire.baseAsset, wire.quoteAsset
    return Instrument(
        exchange=exchange,
        symbol=spot_symbol(*names) if spot else perpetual_symbol(*names, settle),
        market=market_of(base, wire.quoteAsset),
        name=wire.symbol,
        base=base,
        quote=wire.quoteAsset,
        kind=kind,
        settle=settle,
        tick_size=price.tickSize,
        quantity_step=lot.stepSize,
        market_quantity_step=filters.get("MARKET_LOT_SIZE", none).stepSize,
        min_quantity=lot.minQty,
        max_quantity=lot.maxQty,
        min_notional=value.notional or value.minNotional,
        multiplier=multiplier,
        taker_fee=_SPOT_FEE if spot else _FUTURES_TAKER,
        maker_fee=_SPOT_FEE if spot else _FUTURES_MAKER,
        active=wire.is_active,
        closing_only=0 < wire.settled_at < now // 1000 + CLOSING_MS,
    )
