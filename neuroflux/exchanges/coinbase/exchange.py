"""Coinbase Advanced Trade, spot: its addresses, its products, its feeds and its order client.

``BTC-USD`` and ``BTC-USDC`` are one order book: the second has the first as its ``alias``. A product with an alias is
not listed, since its depth would be counted twice. Futures and perpetuals, which are another account's, are not read.
Source: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.domain.symbols import market_of, spot_symbol
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.coinbase.account import CoinbaseAccountFeed
from neuroflux.exchanges.coinbase.market import CoinbaseMarketFeed
from neuroflux.exchanges.coinbase.messages import ID, ZERO, asset_of
from neuroflux.exchanges.coinbase.order_client import CoinbaseOrderClient
from neuroflux.exchanges.coinbase.permissions import question, rights
from neuroflux.exchanges.coinbase.rest import API, PUBLIC_BUCKET, wait
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.numerals import Long
from neuroflux.exchanges.kit.requests import (
    ORDER_BUCKET,
    Answer,
    Buckets,
    DecayingCounter,
    KeyQuestion,
    KeyRights,
    Keys,
    Request,
    WeightRate,
)
from neuroflux.exchanges.kit.rest import checked
from neuroflux.exchanges.kit.rows import Rows
from neuroflux.exchanges.kit.shapes import UNREADABLE

TAKER_FEE: Final = Decimal("0.012")
MAKER_FEE: Final = Decimal("0.006")
"""The lowest tier's, for less than 1,000 USD a month. The list names none; those of the account replace them."""

_PER_HOUR: Final = 10_000
_BURST: Final = 30
"""Requests of a key: the documents name the first, ``429`` was seen beyond the second in a second."""


class _Products(Struct, frozen=True):
    products: list[Raw]


class _Product(Struct, frozen=True):
    product_id: str
    base_currency_id: str
    quote_currency_id: str
    price_increment: Decimal | None = None
    quote_increment: Decimal = ZERO
    base_increment: Decimal = ZERO
    base_min_size: Decimal = ZERO
    base_max_size: Decimal = ZERO
    quote_min_size: Decimal = ZERO
    status: str = "online"
    product_type: str = "SPOT"
    alias: str = ""
    is_disabled: bool = False
    trading_disabled: bool = False
    cancel_only: bool = False
    limit_only: bool = False
    post_only: bool = False
    auction_mode: bool = False
    view_only: bool = False

    @property
    def is_offered(self) -> bool:
        return self.product_type != "FUTURE" and self.alias in ("", self.product_id)

    @property
    def is_open(self) -> bool:
        halted = self.is_disabled, self.trading_disabled, self.cancel_only, self.post_only, self.auction_mode
        return self.status == "online" and not self.view_only and not any(halted)


class _Now(Struct, frozen=True):
    epochMillis: Long


_PRODUCTS: Final = Decoder(_Products)
_PRODUCT: Final = Decoder(_Product)
_NOW: Final = Decoder(_Now, strict=False)


def _instrument(wire: _Product) -> Instrument:
    base, quote = asset_of(wire.base_currency_id), asset_of(wire.quote_currency_id)
    return Instrument(
        exchange=ID,
        symbol=spot_symbol(base, quote),
        market=market_of(base, quote),
        name=wire.product_id,
        base=base,
        quote=quote,
        kind=InstrumentKind.SPOT,
        tick_size=wire.price_increment or wire.quote_increment,
        quantity_step=wire.base_increment,
        min_quantity=wire.base_min_size,
        max_quantity=wire.base_max_size,
        min_notional=wire.quote_min_size,
        taker_fee=TAKER_FEE,
        maker_fee=MAKER_FEE,
        active=wire.is_open,
    )


class Coinbase(BaseExchange):
    """Implements ``Exchange``.

    There is no testnet: the sandbox answers canned accounts and orders, by REST alone. ``TESTNET`` names it, since the
    interface needs addresses that are not the real exchange's; its sockets do not exist, and are reported as lost.
    """

    ID: ClassVar[str] = ID
    REST_URL: ClassVar[str] = "https://api.coinbase.com"
    WS_URL: ClassVar[str] = "wss://advanced-trade-ws.coinbase.com"
    PRIVATE_WS_URL: ClassVar[str] = "wss://advanced-trade-ws-user.coinbase.com"
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://api-sandbox.coinbase.com",
        "wss://advanced-trade-ws-sandbox.coinbase.com",
        "wss://advanced-trade-ws-user-sandbox.coinbase.com",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = _PER_HOUR // 60
    BUCKETS: ClassVar[Buckets] = {
        ORDER_BUCKET: DecayingCounter(_BURST, _PER_HOUR / 3600),
        PUBLIC_BUCKET: WeightRate(10, 1),
    }
    TIME: ClassVar[Request] = Request("GET", f"{API}/time", tag="time", bucket=PUBLIC_BUCKET)

    def instruments_requests(self) -> Sequence[Request]:
        path = f"{API}/market/products?product_type=SPOT"
        return (Request("GET", path, tag="products", bucket=PUBLIC_BUCKET),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        """Raises MalformedFrame for what is no list, and what a refused answer means."""
        try:
            lists = [_PRODUCTS.decode(checked(one, "products", wait)).products for one in answers]
        except UNREADABLE as error:
            raise MalformedFrame(f"list of products: {error}") from error
        found = [Rows(one, _PRODUCT.decode) for one in lists]
        offered = (one for read in found for one in read.good if one.is_offered)
        return Listing(tuple(map(_instrument, offered)), tuple(fault for read in found for fault in read.faults))

    def server_time(self, answer: Answer) -> Microseconds:
        """Raises what ``checked`` raises, and MalformedFrame."""
        try:
            return _NOW.decode(checked(answer, "time", wait)).epochMillis * 1000
        except UNREADABLE as error:
            raise MalformedFrame(f"time: {error}") from error

    def wait(self, answer: Answer) -> float:
        return wait(answer)

    def market_feed(self, instruments: Sequence[Instrument]) -> CoinbaseMarketFeed:
        return CoinbaseMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> CoinbaseAccountFeed:
        return CoinbaseAccountFeed(ID, keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> CoinbaseOrderClient:
        return CoinbaseOrderClient(keys, instruments)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return question(keys, now)

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        return rights(answer)
