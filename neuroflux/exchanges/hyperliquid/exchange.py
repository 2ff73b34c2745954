"""Hyperliquid, perpetuals and spot: its addresses, its instruments, its feeds and its order client.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api. Perpetual exchanges that others run on it
(HIP-3) are not listed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.domain.symbols import market_of, perpetual_symbol, split_multiplier, spot_symbol
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.hyperliquid.account import HyperliquidAccountFeed
from neuroflux.exchanges.hyperliquid.market import HyperliquidMarketFeed
from neuroflux.exchanges.hyperliquid.messages import kind_of, rows_of
from neuroflux.exchanges.hyperliquid.order_client import ADDRESS, HyperliquidOrderClient
from neuroflux.exchanges.hyperliquid.rest import WEIGHT_PER_MINUTE, account_of, checked, info_request, retry_after
from neuroflux.exchanges.hyperliquid.signing import NONCE_STRIDE, Nonces, Signer
from neuroflux.exchanges.hyperliquid.socket import ID
from neuroflux.exchanges.hyperliquid.tokens import asset_of
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.requests import Answer, KeyRights, Keys, Request
from neuroflux.exchanges.kit.rest import milliseconds
from neuroflux.exchanges.kit.shapes import UNREADABLE

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
"""Tokens that ccxt 4.5.90 names after what they wrap. Only symbols of known tokens follow it: a wrapped coin is a claim
on its bridge, so ``base`` and ``market`` keep the exchange's name, and nothing takes one for the other."""

_COLLATERAL: Final = "USDC"
_SIGNIFICANT_FIGURES: Final = 5
_PERPETUAL_DECIMALS: Final = 6
_SPOT_DECIMALS: Final = 8
_FIRST_SPOT_ASSET: Final = 10_000
_MIN_NOTIONAL: Final = Decimal(10)


_Decimals = Annotated[int, Meta(ge=0, le=18)]
_Index = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class _Perpetual(Struct, frozen=True):
    name: str
    szDecimals: _Decimals
    isDelisted: bool | None = None


class _Meta(Struct, frozen=True):
    universe: list[Raw]


class _Token(Struct, frozen=True):
    name: str
    szDecimals: _Decimals
    index: _Index


class _Pair(Struct, frozen=True):
    """``tokens`` is the base's and the quote's ``index``, which is not their place in the list."""

    name: str
    tokens: tuple[_Index, _Index]
    index: _Index


class _SpotMeta(Struct, frozen=True):
    tokens: list[Raw]
    universe: list[Raw]


_META: Final = Decoder(_Meta)
_SPOT_META: Final = Decoder(_SpotMeta)
_PERPETUAL: Final = Decoder(_Perpetual)
_TOKEN: Final = Decoder(_Token)
_PAIR: Final = Decoder(_Pair)
_ROWS: Final = Decoder(list[Raw])


class Hyperliquid(BaseExchange):
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
    TIME: ClassVar[Request] = info_request("exchangeStatus")

    def __init__(self) -> None:
        """Processes that share a key are independent, so each draws its nonces' rest at random."""
        self._nonces = Nonces(secrets.randbelow(NONCE_STRIDE))

    def instruments_requests(self) -> Sequence[Request]:
        return (info_request("meta"), info_request("spotMeta"))

    def listing(self, answers: Sequence[Answer]) -> Listing:
        """Read ``meta`` and ``spotMeta``, or the longer answers that begin with them. Only a bad row is left out.

        Raises MalformedFrame for any other, and what ``checked`` raises. Where two pairs have one symbol, ccxt
        knows the last; the others keep the exchange's name.
        """
        listings = [_listing(checked(answer)) for answer in answers]
        listed = [instrument for one in listings for instrument in one.instruments]
        last = {instrument.symbol: instrument for instrument in listed}
        named = tuple(one if last[one.symbol] is one else _renamed(one) for one in listed)
        return Listing(named, tuple(fault for one in listings for fault in one.faults))

    def server_time(self, answer: Answer) -> Microseconds:
        """Raises what ``checked`` raises, and MalformedFrame."""
        return milliseconds(checked(answer), "time", "exchangeStatus")

    def wait(self, answer: Answer) -> float:
        return retry_after(answer)

    def market_feed(self, instruments: Sequence[Instrument]) -> HyperliquidMarketFeed:
        return HyperliquidMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> HyperliquidAccountFeed:
        return HyperliquidAccountFeed(keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> HyperliquidOrderClient:
        return HyperliquidOrderClient(keys, instruments, self._nonces)

    def account_name(self, keys: Keys) -> str:
        return account_of(keys)

    def subaccount_fault(self, subaccount: str, *, has_keys: bool) -> str:
        """A subaccount has no keys of its own: it is an address that the account's agent trades for."""
        return "" if ADDRESS.fullmatch(subaccount) else "subaccount: expected an address, 0x and 20 bytes in hex"

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        """An agent trades and can't withdraw; the account's own key can sign anything. Source:
        https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets
        """
        agent = Signer(keys.secret).address
        if agent == keys.key.lower():
            return KeyRights(True, "it is the account's own key: make an API wallet (agent), and set the agent's")
        return KeyRights(False, f"signed by the agent {agent}")


def _listing(body: bytes) -> Listing:
    """Raises MalformedFrame for what is no list, and for one of which no row can be read."""
    try:
        listing = _rows(body)
    except (*UNREADABLE, IndexError) as error:
        raise MalformedFrame(f"list of instruments: {error}") from error
    if listing.faults and not listing.instruments:
        raise MalformedFrame(f"list of instruments: {listing.faults[0]}")
    return listing


def _rows(body: bytes) -> Listing:
    kind = kind_of(body)
    first = _ROWS.decode(body)[0] if body.lstrip().startswith(b"[") else body
    if kind == "spotMeta":
        return _spot_listing(_SPOT_META.decode(first))
    if kind == "meta":
        return _perpetual_listing(_META.decode(first))
    raise MalformedFrame("neither meta nor spotMeta")


def _perpetual_listing(meta: _Meta) -> Listing:
    """Row by row: the asset id is the place in the universe, where an unreadable row keeps its place, too."""
    instruments, faults = list[Instrument](), list[str]()
    for index, row in enumerate(meta.universe):
        read, unread = rows_of([row], _PERPETUAL, "meta: perpetual", first=index)
        instruments += (_perpetual(index, one) for one in read)
        faults += unread
    return Listing(tuple(instruments), tuple(faults))


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


def _spot_listing(meta: _SpotMeta) -> Listing:
    rows, faults = rows_of(meta.tokens, _TOKEN, "spotMeta: token")
    pairs, unread = rows_of(meta.universe, _PAIR, "spotMeta: pair")
    tokens = {token.index: token for token in rows}
    instruments = list[Instrument]()
    for pair in pairs:
        base, quote = (tokens.get(index) for index in pair.tokens)
        if base is None or quote is None:
            unread.append(f"spotMeta: no token for {pair.name[:80]}")
        else:
            instruments.append(_spot(pair, base, quote))
    return Listing(tuple(instruments), (*faults, *unread))


def _spot(pair: _Pair, base: _Token, quote: _Token) -> Instrument:
    """A token that is not known has an asset, market and symbol of its own, whatever its name."""
    bought, paid = (asset_of(token.name, token.index) for token in (base, quote))
    return Instrument(
        exchange=ID,
        symbol=spot_symbol(_ccxt_name(bought), _ccxt_name(paid)),
        market=market_of(bought, paid),
        name=pair.name,
        base=bought,
        quote=paid,
        kind=InstrumentKind.SPOT,
        quantity_step=Decimal(1).scaleb(-base.szDecimals),
        min_notional=_MIN_NOTIONAL,
        price_significant_figures=_SIGNIFICANT_FIGURES,
        price_decimals=_SPOT_DECIMALS - base.szDecimals,
        taker_fee=Decimal("0.0007"),
        maker_fee=Decimal("0.0004"),
        asset_id=_FIRST_SPOT_ASSET + pair.index,
    )


def _ccxt_name(asset: str) -> str:
    return CCXT_NAMES.get(asset, asset)


def _renamed(instrument: Instrument) -> Instrument:
    return msgspec.structs.replace(instrument, symbol=instrument.name)
