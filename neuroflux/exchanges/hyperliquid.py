"""Hyperliquid, perpetuals and spot: its addresses, its instruments, and its feeds and desk.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api. Perpetual exchanges that others run on it
(HIP-3) are not listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import ClassVar, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.base_exchange import Answer, Keys, OrderRate, Request, Usage
from neuroflux.exchanges.hyperliquid_account import HyperliquidAccountFeed
from neuroflux.exchanges.hyperliquid_desk import HyperliquidDesk
from neuroflux.exchanges.hyperliquid_market import HyperliquidMarketFeed
from neuroflux.exchanges.hyperliquid_messages import UNREADABLE, Milliseconds, kind_of
from neuroflux.exchanges.hyperliquid_rest import WEIGHT_PER_MINUTE, checked, info_request
from neuroflux.exchanges.hyperliquid_socket import ID
from neuroflux.exchanges.markets import market_of, perpetual_symbol, split_multiplier, spot_symbol

CCXT_NAMES: Final = {
    "UBTC": "BTC",
    "UETH": "ETH",
    "USOL": "SOL",
    "UBONK": "BONK",
    "UDZ": "2Z",
    "UFART": "FARTCOIN",
    "UPUMP": "PUMP",
    "UUUSPX": "SPX",
    "UXPL": "XPL",
    "HPENGU": "PENGU",
    "USDT0": "USDT",
    "XAUT0": "XAUT",
}
"""Tokens that ccxt 4.5.90 names after what they wrap. Only symbols follow it: a wrapped coin is a claim on its bridge,
so ``base`` and ``market`` keep the exchange's name, and nothing takes one for the other."""

_COLLATERAL: Final = "USDC"
_SIGNIFICANT_FIGURES: Final = 5
_PERPETUAL_DECIMALS: Final = 6
_SPOT_DECIMALS: Final = 8
_FIRST_SPOT_ASSET: Final = 10_000
_MIN_NOTIONAL: Final = Decimal(10)


class _Perpetual(Struct, frozen=True):
    name: str
    szDecimals: int
    isDelisted: bool | None = None


class _Meta(Struct, frozen=True):
    universe: list[_Perpetual]


class _Token(Struct, frozen=True):
    name: str
    szDecimals: int
    index: int


class _Pair(Struct, frozen=True):
    """``tokens`` is the base's and the quote's ``index``, which is not their place in the list."""

    name: str
    tokens: tuple[int, int]
    index: int


class _SpotMeta(Struct, frozen=True):
    tokens: list[_Token]
    universe: list[_Pair]


class _Clock(Struct, frozen=True):
    time: Milliseconds


_META: Final = Decoder(_Meta)
_SPOT_META: Final = Decoder(_SpotMeta)
_CLOCK: Final = Decoder(_Clock)
_ROWS: Final = Decoder(list[Raw])


class Hyperliquid:
    """Implements ``Exchange``."""

    ID: ClassVar[str] = ID
    REST_URL: ClassVar[str] = "https://api.hyperliquid.xyz"
    WS_URL: ClassVar[str] = "wss://api.hyperliquid.xyz"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://api.hyperliquid-testnet.xyz",
        "wss://api.hyperliquid-testnet.xyz",
        "wss://api.hyperliquid-testnet.xyz",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = WEIGHT_PER_MINUTE
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = ()
    BALANCE_HAS_PNL: ClassVar[bool] = True

    def instruments_requests(self) -> Sequence[Request]:
        return (info_request("meta"), info_request("spotMeta"))

    def instruments(self, answers: Sequence[Answer]) -> Sequence[Instrument]:
        """Read ``meta`` and ``spotMeta``, or the longer answers that begin with them.

        Raises MalformedFrame for any other, and what ``checked`` raises. Where two pairs come to one symbol, ccxt
        knows the last; the others keep the exchange's name.
        """
        listed = [instrument for answer in answers for instrument in _listed(checked(answer))]
        last = {instrument.symbol: instrument for instrument in listed}
        return [one if last[one.symbol] is one else _renamed(one) for one in listed]

    def server_time_request(self) -> Request | None:
        return info_request("exchangeStatus")

    def server_time(self, answer: Answer) -> Microseconds:
        """Raises what ``checked`` raises, and MalformedFrame."""
        try:
            return _CLOCK.decode(checked(answer)).time * 1000
        except UNREADABLE as error:
            raise MalformedFrame(f"exchangeStatus: {error}") from error

    def usage(self, answer: Answer) -> Usage:
        """Its answers don't tell."""
        return Usage()

    def market_feed(self, instruments: Sequence[Instrument]) -> HyperliquidMarketFeed:
        return HyperliquidMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> HyperliquidAccountFeed:
        return HyperliquidAccountFeed(keys, instruments)

    def desk(self, keys: Keys, instruments: Sequence[Instrument]) -> HyperliquidDesk:
        return HyperliquidDesk(keys, instruments)


def _listed(body: bytes) -> Iterable[Instrument]:
    try:
        kind = kind_of(body)
        first = _ROWS.decode(body)[0] if body.lstrip().startswith(b"[") else body
        if kind == "spotMeta":
            return list(_pairs(_SPOT_META.decode(first)))
        if kind == "meta":
            return [_perpetual(index, one) for index, one in enumerate(_META.decode(first).universe)]
    except (*UNREADABLE, IndexError) as error:
        raise MalformedFrame(f"list of instruments: {error}") from error
    raise MalformedFrame("neither meta nor spotMeta")


def _perpetual(asset_id: int, wire: _Perpetual) -> Instrument:
    """The asset id is the place in the universe, where delisted ones keep theirs."""
    base, multiplier = split_multiplier(wire.name)
    return Instrument(
        exchange=ID,
        symbol=perpetual_symbol(wire.name.upper(), _COLLATERAL, _COLLATERAL),
        market=market_of(base, _COLLATERAL),
        name=wire.name,
        base=base,
        quote=_COLLATERAL,
        kind=InstrumentKind.PERPETUAL,
        settle=_COLLATERAL,
        quantity_step=Decimal(1).scaleb(-wire.szDecimals),
        min_notional=_MIN_NOTIONAL,
        price_significant_figures=_SIGNIFICANT_FIGURES,
        price_decimals=_PERPETUAL_DECIMALS - wire.szDecimals,
        multiplier=multiplier,
        taker_fee=Decimal("0.00045"),
        maker_fee=Decimal("0.00015"),
        asset_id=asset_id,
        active=not wire.isDelisted,
    )


def _pairs(meta: _SpotMeta) -> Iterator[Instrument]:
    tokens = {token.index: token for token in meta.tokens}
    for pair in meta.universe:
        base, quote = (tokens.get(index) for index in pair.tokens)
        if base is None or quote is None:
            raise MalformedFrame(f"spotMeta: no token for {pair.name}")
        yield _spot(pair, base, quote)


def _spot(pair: _Pair, base: _Token, quote: _Token) -> Instrument:
    return Instrument(
        exchange=ID,
        symbol=spot_symbol(_ccxt_name(base.name), _ccxt_name(quote.name)),
        market=market_of(base.name, quote.name),
        name=pair.name,
        base=base.name,
        quote=quote.name,
        kind=InstrumentKind.SPOT,
        quantity_step=Decimal(1).scaleb(-base.szDecimals),
        min_notional=_MIN_NOTIONAL,
        price_significant_figures=_SIGNIFICANT_FIGURES,
        price_decimals=_SPOT_DECIMALS - base.szDecimals,
        taker_fee=Decimal("0.0007"),
        maker_fee=Decimal("0.0004"),
        asset_id=_FIRST_SPOT_ASSET + pair.index,
    )


def _ccxt_name(token: str) -> str:
    return CCXT_NAMES.get(token, token).upper()


def _renamed(instrument: Instrument) -> Instrument:
    return msgspec.structs.replace(instrument, symbol=instrument.name)
