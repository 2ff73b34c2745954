"""What Binance lists, spot and USDⓈ-M, with the filters an order must pass.

Source: https://developers.binance.com/docs/binance-spot-api-docs/filters; ``pricePrecision`` and ``quantityPrecision``
are for display, the steps are in the filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.base_exchange import Answer
from neuroflux.exchanges.binance_messages import UNREADABLE
from neuroflux.exchanges.binance_rest import checked
from neuroflux.exchanges.markets import market_of, perpetual_symbol, split_multiplier, spot_symbol

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


class _ExchangeInfo(Struct, frozen=True):
    symbols: list[_Listed]


_INFO: Final = Decoder(_ExchangeInfo)


def instruments(exchange: str, answer: Answer) -> list[Instrument]:
    """Read ``exchangeInfo``; raises what ``checked`` raises, and MalformedFrame.

    Of USDⓈ-M's contracts only perpetuals are taken: dated ones are another market.
    """
    try:
        return list(_read(exchange, _INFO.decode(checked(answer)).symbols))
    except UNREADABLE as error:
        raise MalformedFrame(f"exchangeInfo: {error}") from error


def _read(exchange: str, listed: list[_Listed]) -> Iterator[Instrument]:
    for wire in listed:
        if not wire.contractType:
            yield _instrument(exchange, wire, spot_symbol(wire.baseAsset, wire.quoteAsset), InstrumentKind.SPOT)
        elif wire.contractType == "PERPETUAL":
            symbol = perpetual_symbol(wire.baseAsset, wire.quoteAsset, wire.marginAsset)
            yield _instrument(exchange, wire, symbol, InstrumentKind.PERPETUAL)


def _instrument(exchange: str, wire: _Listed, symbol: str, kind: InstrumentKind) -> Instrument:
    spot = kind is InstrumentKind.SPOT
    base, multiplier = (wire.baseAsset, 1) if spot else split_multiplier(wire.baseAsset)
    filters = {one.filterType: one for one in wire.filters}
    none = _Filter("")
    lot, price = filters.get("LOT_SIZE", none), filters.get("PRICE_FILTER", none)
    value = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or none
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        market=market_of(base, wire.quoteAsset),
        name=wire.symbol,
        base=base,
        quote=wire.quoteAsset,
        kind=kind,
        settle=wire.marginAsset,
        tick_size=price.tickSize,
        quantity_step=lot.stepSize,
        market_quantity_step=filters.get("MARKET_LOT_SIZE", none).stepSize,
        min_quantity=lot.minQty,
        max_quantity=lot.maxQty,
        min_notional=value.notional or value.minNotional,
        multiplier=multiplier,
        taker_fee=_SPOT_FEE if spot else _FUTURES_TAKER,
        maker_fee=_SPOT_FEE if spot else _FUTURES_MAKER,
        active=wire.status == "TRADING",
    )
