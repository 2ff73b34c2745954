"""Kraken spot: its addresses, its pairs, its feeds and its order client.

There is no testnet: the beta servers trade on the real book, with real money. Source:
https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.domain.symbols import market_of, spot_symbol
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.exchange import NO_TESTNET, BaseExchange
from neuroflux.exchanges.kit.numerals import Long
from neuroflux.exchanges.kit.requests import (
    ORDER_BUCKET,
    Answer,
    Buckets,
    KeyQuestion,
    KeyRights,
    Keys,
    Request,
    Usage,
    declared_as,
)
from neuroflux.exchanges.kit.rest import LIMITED
from neuroflux.exchanges.kit.rows import Rows
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.kraken import rest
from neuroflux.exchanges.kraken.account import KrakenAccountFeed
from neuroflux.exchanges.kraken.codes import OF_ALL, OF_ORDERS, OF_REQUESTS, STALE_NONCE
from neuroflux.exchanges.kraken.limits import QUERIES, STARTER, buckets
from neuroflux.exchanges.kraken.market import KrakenMarketFeed
from neuroflux.exchanges.kraken.messages import ID, ZERO
from neuroflux.exchanges.kraken.names import asset_of
from neuroflux.exchanges.kraken.order_client import KrakenOrderClient
from neuroflux.exchanges.kraken.signing import private

WITHDRAW: Final = "withdraw-funds"
_HALF_A_SECOND: Final[Microseconds] = 500_000
_OF_EXECUTION: Final = (QUERIES, ORDER_BUCKET)
_PERCENT: Final = Decimal(100)
_DARK: Final = ".d"
"""Ends the name of a dark pool, which has no book."""


class _Pair(Struct, frozen=True):
    """``fees`` are percentages by the volume of 30 days, the lowest tier first; without ``fees_maker`` one fee is for
    both."""

    altname: str
    wsname: str
    pair_decimals: int
    lot_decimals: int
    fees: list[tuple[Decimal, Decimal]]
    fees_maker: list[tuple[Decimal, Decimal]] = []
    tick_size: Decimal | None = None
    ordermin: Decimal = ZERO
    costmin: Decimal = ZERO
    status: str = "online"
    key: str = ""


class _Now(Struct, frozen=True):
    unixtime: Long


class _Rights(Struct, frozen=True):
    permissions: list[str]


_PAIR: Final = Decoder(_Pair)
_NOW: Final = Decoder(_Now)
_RIGHTS: Final = Decoder(_Rights)


def _pair(key: str, row: Raw) -> _Pair:
    """Raises ``UNREADABLE``."""
    wire = _PAIR.decode(row)
    decimals, rates = (wire.pair_decimals, wire.lot_decimals), [rate for _, rate in (*wire.fees, *wire.fees_maker)]
    if wire.wsname.count("/") != 1 or not all(0 <= one <= 18 for one in decimals) or not wire.fees:
        raise ValueError(f"a pair {wire.wsname!r:.40} with decimals {decimals} and fees {len(wire.fees)}")
    if not all(rate.is_finite() and abs(rate) < _PERCENT for rate in rates):
        raise ValueError("a fee that is no percentage")
    return replace(wire, key=key)


def _instrument(wire: _Pair) -> Instrument:
    base, quote = (asset_of(one) for one in wire.wsname.split("/"))
    taker = wire.fees[0][1] / _PERCENT
    return Instrument(
        exchange=ID,
        symbol=spot_symbol(base, quote),
        market=market_of(base, quote),
        name=wire.key,
        base=base,
        quote=quote,
        kind=InstrumentKind.SPOT,
        tick_size=wire.tick_size or Decimal(1).scaleb(-wire.pair_decimals),
        quantity_step=Decimal(1).scaleb(-wire.lot_decimals),
        min_quantity=wire.ordermin,
        min_notional=wire.costmin,
        taker_fee=taker,
        maker_fee=wire.fees_maker[0][1] / _PERCENT if wire.fees_maker else taker,
        active=wire.status == "online",
    )


class Kraken(BaseExchange):
    """Implements ``Exchange``; the limits are those of the lowest tier, which no answer names."""

    ID: ClassVar[str] = ID
    REST_URL: ClassVar[str] = "https://api.kraken.com"
    WS_URL: ClassVar[str] = "wss://ws.kraken.com"
    PRIVATE_WS_URL: ClassVar[str] = "wss://ws-auth.kraken.com"
    TESTNET: ClassVar[tuple[str, str, str]] = NO_TESTNET
    WEIGHT_PER_MINUTE: ClassVar[int] = 60
    BUCKETS: ClassVar[Buckets] = buckets(STARTER)
    TIME: ClassVar[Request] = Request("GET", "/0/public/Time", tag="time")

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/0/public/AssetPairs", tag="pairs"),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        """Raises MalformedFrame for what is no list, and what a refused answer means."""
        try:
            found = [rest.rows(rest.result_of(rest.checked(one)), _pair) for one in answers]
        except UNREADABLE as error:
            raise MalformedFrame(f"list of pairs: {error}") from error
        return Listing(_instruments(found), tuple(fault for read in found for fault in read.faults))

    def server_time(self, answer: Answer) -> Microseconds:
        """The middle of the second that is named. Raises what ``checked`` raises, and MalformedFrame."""
        try:
            return _NOW.decode(rest.result_of(rest.checked(answer))).unixtime * 1_000_000 + _HALF_A_SECOND
        except UNREADABLE as error:
            raise MalformedFrame(f"time: {error}") from error

    def usage(self, answer: Answer) -> Usage:
        """The counter of requests does not hold up the orders, which the execution sends by the same client."""
        if answer.status in LIMITED:
            return Usage(wait=self.wait(answer))
        failed = rest.failure(answer.body) if answer.status == 200 else None
        if failed is None:
            return Usage()
        is_polling = failed.code in OF_REQUESTS and declared_as(answer.request.bucket) not in _OF_EXECUTION
        wait = self.wait(answer) if is_polling or failed.code in OF_ALL else None
        return Usage(is_full=failed.code in OF_ORDERS, wait=wait)

    def is_overtaken(self, answer: Answer) -> bool:
        """Only where the nonce is all that was wrong."""
        failed = rest.failure(answer.body) if answer.status == 200 else None
        return failed is not None and failed.msg == STALE_NONCE

    def wait(self, answer: Answer) -> float:
        return rest.wait(answer)

    def market_feed(self, instruments: Sequence[Instrument]) -> KrakenMarketFeed:
        return KrakenMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> KrakenAccountFeed:
        return KrakenAccountFeed(keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> KrakenOrderClient:
        return KrakenOrderClient(keys, instruments)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return KeyQuestion(ID, private(keys, "GetApiKeyInfo", "rights", QUERIES))

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        """Raises what a refused or malformed answer means."""
        if answer is None:
            return KeyRights(None, "the key was not asked after")
        try:
            found = _RIGHTS.decode(rest.result_of(rest.checked(answer))).permissions
        except UNREADABLE as error:
            raise MalformedFrame(f"rights: {error}") from error
        if WITHDRAW in found:
            return KeyRights(True, 'make a key without the permission "Withdraw"')
        return KeyRights(False, "the key may not withdraw")


def _instruments(found: Sequence[Rows[_Pair]]) -> tuple[Instrument, ...]:
    """Raises MalformedFrame where no row is a pair: another answer."""
    good = [one for read in found for one in read.good]
    if not good:
        faults = [fault for read in found for fault in read.faults]
        raise MalformedFrame(f"list of pairs: {faults[0] if faults else 'it is empty'}")
    return tuple(_instrument(one) for one in good if not one.altname.endswith(_DARK))
