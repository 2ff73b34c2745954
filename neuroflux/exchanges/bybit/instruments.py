"""Bybit's lists of instruments: spot pairs, and perpetuals that settle in USDT.

Source: https://bybit-exchange.github.io/docs/v5/market/instrument. Quantities are in coins. Inverse and dated
contracts, options, spreads, perpetuals that settle in USDC and those before their launch are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.domain.symbols import market_of, perpetual_symbol, split_multiplier, spot_symbol
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.bybit.messages import LISTED, ZERO
from neuroflux.exchanges.bybit.names import ID, LINEAR, SPOT, name_of
from neuroflux.exchanges.bybit.rest import checked
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.exchanges.kit.rows import rows, sane
from neuroflux.exchanges.kit.shapes import UNREADABLE

PATH: Final = "/v5/market/instruments-info"
REQUESTS: Final = (
    Request("GET", f"{PATH}?category={SPOT}", tag="instruments"),
    Request("GET", f"{PATH}?category={LINEAR}&limit=1000", tag="instruments"),
)
SETTLE: Final = "USDT"
"""What the perpetuals settle in."""
CLOSING_MS: Final = 86_400_000

_SPOT_FEE: Final = Decimal("0.001")
_LINEAR_TAKER: Final = Decimal("0.00055")
_LINEAR_MAKER: Final = Decimal("0.0002")
"""Of the lowest tier: https://www.bybit.com/en/help-center/article/Trading-Fee-Structure."""

_TRADING: Final = "Trading"
_STATUSES: Final = frozenset({_TRADING, "PreLaunch", "Delivering", "Closed", "Settling"})
_PERPETUAL: Final = "LinearPerpetual"
_LEFT_OUT: Final = frozenset(
    {
        *("LinearFutures", "InversePerpetual", "InverseFutures"),
        *("FundingRateArb", "CarryTrade", "FutureSpread", "PerpBasis"),
    }
)


class _Price(Struct, frozen=True):
    tickSize: Decimal


class _Lot(Struct, frozen=True):
    """The step is ``basePrecision`` of a spot pair, and ``qtyStep`` of a contract."""

    basePrecision: Decimal = ZERO
    qtyStep: Decimal = ZERO
    minOrderQty: Decimal = ZERO
    maxOrderQty: Decimal = ZERO
    maxLimitOrderQty: Decimal = ZERO
    minOrderAmt: Decimal = ZERO
    minNotionalValue: Decimal = ZERO


class _Row(Struct, frozen=True):
    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str
    priceFilter: _Price
    lotSizeFilter: _Lot
    settleCoin: str = ""
    contractType: str = ""
    optionsType: str = ""
    isPreListing: bool | None = None
    deliveryTime: str = ""

    @property
    def is_offered(self) -> bool:
        if self.optionsType or self.status == "PreLaunch" or self.isPreListing:
            return False
        return not self.contractType or (self.contractType == _PERPETUAL and self.settleCoin == SETTLE)

    @property
    def settled_at(self) -> int:
        """When a perpetual that is delisted is settled, in ms; 0 where none is."""
        text = self.deliveryTime
        return int(text) if text.isdecimal() and len(text) < 16 else 0


class _Bare(Struct, frozen=True):
    """What every row has; those of other products have other filters."""

    status: str
    baseCoin: str
    contractType: str = ""
    optionsType: str = ""


_ROW: Final = Decoder(_Row)
_BARE: Final = Decoder(_Bare)


def listing(answers: Sequence[Answer]) -> Listing:
    """Read both lists. A row that can't be read, or whose contract type is unknown, is left out and named.

    Raises what ``checked`` raises, and MalformedFrame for what is no list of instruments.
    """
    found = [_listing(answer) for answer in answers]
    return Listing(
        tuple(one for listed in found for one in listed.instruments),
        tuple(fault for listed in found for fault in listed.faults),
    )


def _listing(answer: Answer) -> Listing:
    envelope = checked(answer)
    try:
        listed = LISTED.decode(envelope.result)
        found = rows(listed.list, _row)
    except UNREADABLE as error:
        raise MalformedFrame(f"list of instruments: {error}") from error
    if not found.good and (found.faults or "instruments" not in f"{answer.request.path}{answer.request.tag}"):
        raise MalformedFrame(f"list of instruments: {found.faults[0] if found.faults else 'another list'}")
    kept = [one for one in found.good if one.is_offered]
    now = answer.received_at or envelope.time * 1000
    cut = ["the list goes on: what follows is not known"] if listed.nextPageCursor else []
    return Listing(tuple(_instrument(one, now) for one in kept), (*found.faults, *_odd(found.good), *cut))


def _row(row: Raw) -> _Row:
    """Raises ``UNREADABLE``, also for a row without a name, or with a filter that no order can be held against."""
    bare = _BARE.decode(row)
    if bare.optionsType or bare.contractType in _LEFT_OUT:
        return _Row("-", "-", "-", _TRADING, _Price(ZERO), _Lot(), contractType=bare.contractType, optionsType="other")
    wire = _ROW.decode(row)
    if not (wire.symbol and wire.baseCoin and wire.quoteCoin):
        raise ValueError("a name is empty")
    for amount in (sane(wire.priceFilter).tickSize, *_amounts(wire.lotSizeFilter)):
        if amount < 0:
            raise ValueError("a filter is negative")
    return wire


def _amounts(lot: _Lot) -> tuple[Decimal, ...]:
    sane(lot)
    return lot.basePrecision, lot.qtyStep, lot.minOrderQty, lot.maxOrderQty, lot.minOrderAmt, lot.minNotionalValue


def _odd(found: Iterable[_Row]) -> list[str]:
    named = [one for one in found if not one.optionsType]
    types = [one for one in named if one.contractType not in ("", _PERPETUAL)]
    return [
        *(f"{one.symbol}: unknown contract type {one.contractType[:80]!r}, not taken" for one in types),
        *(f"{one.symbol}: unknown status {one.status[:80]!r}" for one in named if one.status not in _STATUSES),
    ]


def _instrument(wire: _Row, now: Microseconds) -> Instrument:
    lot, is_spot = wire.lotSizeFilter, not wire.contractType
    names = wire.baseCoin, wire.quoteCoin
    base, multiplier = (wire.baseCoin, 1) if is_spot else split_multiplier(wire.baseCoin)
    return Instrument(
        exchange=ID,
        symbol=spot_symbol(*names) if is_spot else perpetual_symbol(*names, wire.settleCoin),
        market=market_of(base, wire.quoteCoin),
        name=name_of(SPOT if is_spot else LINEAR, wire.symbol),
        base=base,
        quote=wire.quoteCoin,
        kind=InstrumentKind.SPOT if is_spot else InstrumentKind.PERPETUAL,
        settle=wire.settleCoin if not is_spot else "",
        tick_size=wire.priceFilter.tickSize,
        quantity_step=lot.basePrecision if is_spot else lot.qtyStep,
        min_quantity=ZERO if is_spot else lot.minOrderQty,
        max_quantity=(lot.maxLimitOrderQty or lot.maxOrderQty) if is_spot else lot.maxOrderQty,
        min_notional=lot.minOrderAmt if is_spot else lot.minNotionalValue,
        multiplier=multiplier,
        taker_fee=_SPOT_FEE if is_spot else _LINEAR_TAKER,
        maker_fee=_SPOT_FEE if is_spot else _LINEAR_MAKER,
        active=wire.status == _TRADING,
        closing_only=0 < wire.settled_at < now // 1000 + CLOSING_MS,
    )
