"""mintex, an invented spot exchange, as an adapter: it measures how many lines the kit leaves to one exchange.

Quantities on the wire are contracts of 0.01 of the base. Times are in µs. Every signed request carries the key, the
passphrase, the time, and the HMAC of time, method, path and body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux import domain
from neuroflux.domain import Instrument, Microseconds, OrderReport, OrderState, Placement, Side, StreamKind, to_scale
from neuroflux.domain.symbols import market_of, spot_symbol
from neuroflux.errors import Refused
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Ignored, Listing
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.feed import KindAt, PrivateFeed, PublicFeed
from neuroflux.exchanges.kit.numerals import Long, plain, positive, wire_number
from neuroflux.exchanges.kit.order_client import ClientIds, Codes, Failure, Page, TableOrderClient
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Buckets, Keys, Request, Subscription, WeightRate
from neuroflux.exchanges.kit.rest import checked, milliseconds, retry_after
from neuroflux.exchanges.kit.rows import Rows, listing_of, rows, sane, unknown
from neuroflux.exchanges.kit.sequences import BookUpdate, Consecutive
from neuroflux.exchanges.kit.shapes import Shapes, kind_of
from neuroflux.exchanges.kit.signing import hmac_hex

ID: Final = "mintex"
CONTRACT: Final = Decimal("0.01")
ZERO: Final = Decimal(0)
_UNKNOWN_ORDER: Final = "1008"
_CHANNELS: Final = {"quotes": StreamKind.QUOTE, "trades": StreamKind.TRADE, "books": StreamKind.BOOK}
_STATES: Final = {
    "new": OrderState.ACKNOWLEDGED,
    "partially_filled": OrderState.WORKING,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
}
_SHAPES: Final = Shapes(
    objects=(),
    rows=(("client_id status", "orders"), ("client_id role", "fills"), ("asset free", "balances"), ("tick", "listed")),
)


class _Frame(Struct, frozen=True):
    channel: str = ""
    rows: Raw = Raw(b"[]")
    event: str = ""
    msg: str = ""


class _Trade(Struct, frozen=True):
    name: str
    time: Long
    id: str
    side: Side
    price: Decimal
    size: Decimal


class _Order(_Trade, frozen=True):
    client_id: str
    type: domain.OrderType
    filled: Decimal
    average: Decimal
    status: str


class _Fill(_Trade, frozen=True):
    client_id: str
    order_id: str
    fee: Decimal
    fee_asset: str
    role: domain.Liquidity


class _Holding(Struct, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal
    time: Long


class _Listed(Struct, frozen=True):
    name: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_notional: Decimal
    taker: Decimal
    maker: Decimal
    open: bool


def _coins(contracts: Decimal) -> Decimal:
    return to_scale(contracts * CONTRACT)


def _signed(
    keys: Keys, method: str, path: str, now: Microseconds, tag: str, body: bytes = b"", bucket: str = "account"
) -> Request:
    sign = hmac_hex(keys.secret, f"{now}{method}{path}{body.decode()}")
    names = ("MINTEX-KEY", "MINTEX-PASSPHRASE", "MINTEX-TIME", "MINTEX-SIGN")
    headers = dict(zip(names, (keys.key, keys.passphrase, str(now), sign), strict=True))
    return Request(method, path, body, headers, tag=tag, bucket=bucket)


# ── public feed ──────────────────────────────────────────────────────────────────────────────────────────────────

_START: Final = b'{"channel":"'
_FRAME: Final = Decoder(_Frame)


def _operation(op: str, *args: str) -> bytes:
    return msgspec.json.encode({"op": op, "args": args})


class MintexMarketFeed(PublicFeed):
    """A book begins with the snapshot that its subscription sends, so that a gap is repaired by a new subscription."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(ID, instruments, KindAt(_START, _START))
        self.books = Books(ID, "books", Consecutive(), self.labels)
        book = Decoder(BookUpdate).decode
        self.routes = {
            b"quotes": (book, self._quote),
            b"trades": (Decoder(_Trade).decode, self._trade),
            b"snapshots": (book, lambda whole, received: self.books.replaced(_book(whole), received)),
            b"books": (book, lambda update, received: self.books.update(_book(update), received)),
        }

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        listed = self.listed(symbols)
        names = [f"{channel}:{one.name}" for one in listed for channel in _CHANNELS]
        brings = tuple((kind, one.symbol) for one in listed for kind in _CHANNELS.values())
        again = {
            one.symbol: tuple(_operation(op, f"books:{one.name}") for op in ("unsubscribe", "subscribe"))
            for one in listed
        }
        return [Subscription("/public", (_operation("subscribe", *names),), streams=brings, resubscribes=again)]

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        return self.routed(_FRAME.decode(raw).channel, raw, received)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return (Ignored("no snapshot is requested over REST"),)

    def _quote(self, wire: BookUpdate, received: Microseconds) -> Sequence[FeedEvent]:
        book, (symbol, market) = _book(wire), self.labels[wire.name]
        if not (book.bids and book.asks):
            return (Ignored("a side is empty"),)
        (bid, bid_size, *_), (ask, ask_size, *_) = book.bids[0], book.asks[0]
        if not plain(bid, ask):
            raise ValueError(f"a price of {wire.name} is no number")
        return (domain.Quote(ID, symbol, market, bid, bid_size, ask, ask_size, wire.last, wire.time, received),)

    def _trade(self, wire: _Trade, received: Microseconds) -> Sequence[FeedEvent]:
        symbol, market = self.labels[sane(wire).name]
        price, quantity = wire_number(wire.price), wire_number(_coins(wire.size))
        if not positive(price, quantity):
            raise ValueError(f"a trade of {wire.name} has no amount")
        return (domain.Trade(ID, symbol, market, wire.id, wire.side, price, quantity, wire.time, received),)


def _book(wire: BookUpdate) -> BookUpdate:
    """The same in coins. Raises ValueError."""
    bids, asks = ([(price, _in_coins(size)) for price, size in side] for side in (wire.bids, wire.asks))
    return msgspec.structs.replace(wire, bids=bids, asks=asks)


def _in_coins(size: str) -> str:
    if not plain(size):
        raise ValueError(f"{size!r:.80} is no quantity")
    return wire_number(Decimal(size) * CONTRACT)


# ── account feed ─────────────────────────────────────────────────────────────────────────────────────────────────

Symbols = Mapping[str, str]


def _report(wire: _Order, symbols: Symbols) -> OrderReport:
    symbol, state = symbols.get(wire.name, wire.name), _STATES.get(wire.status, OrderState.WORKING)
    reason = "" if wire.status in _STATES else f"unknown status {wire.status[:80]!r}"
    amounts = (wire.price, _coins(wire.size), _coins(wire.filled), wire.average)
    return OrderReport(ID, symbol, wire.client_id, wire.id, wire.side, wire.type, *amounts, state, reason, wire.time)


def _fill(wire: _Fill, symbols: Symbols) -> domain.Fill:
    whose = (symbols.get(wire.name, wire.name), wire.client_id, wire.order_id, wire.id)
    paid, size = (wire.fee, wire.fee_asset), _coins(wire.size)
    return domain.Fill("", ID, *whose, wire.side, wire.price, size, *paid, wire.role, wire.time, wire.name)


def _balance(wire: _Holding, symbols: Symbols) -> domain.Balance:
    return domain.Balance(ID, wire.asset, wire.free, wire.locked, ZERO, wire.free + wire.locked, wire.time)


def _rates(wire: _Listed, symbols: Symbols) -> FeeRates:
    return FeeRates(symbols.get(wire.name, wire.name), wire.taker, wire.maker)


_LISTED: Final = Decoder(_Listed).decode
_ROWS: Final[Mapping[str, tuple[Callable[[Raw], Any], Callable[[Any, Symbols], Any]]]] = {
    "orders": (Decoder(_Order).decode, _report),
    "fills": (Decoder(_Fill).decode, _fill),
    "balances": (Decoder(_Holding).decode, _balance),
    "listed": (_LISTED, _rates),
}


def _records(kind: str, body: bytes | Raw, symbols: Symbols) -> tuple[list[Any], Rows[Any]]:
    decode, make = _ROWS[kind]
    found = rows(body, decode)
    return [make(one, symbols) for one in found.good], found


class MintexAccountFeed(PrivateFeed):
    """An answer has the balance of every asset that was ever held, so that it omits none."""

    pushes_whole = True

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """The login names the account, and is all that its stream needs."""
        headers = _signed(self.keys, "GET", "/private", now, "login").headers
        login = {"op": "login", **{name.removeprefix("MINTEX-").lower(): text for name, text in headers.items()}}
        return (Subscription("/private", (msgspec.json.encode(login),), quiet_seconds=inf),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        requests = {"orders": "/v1/orders", "fills": f"/v1/fills?since={since}"}
        return (*self.figures(now), *(_signed(self.keys, "GET", path, now, tag) for tag, path in requests.items()))

    def figures(self, now: Microseconds) -> Sequence[Request]:
        return (_signed(self.keys, "GET", "/v1/balances", now, "balances"),)

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        return (_signed(self.keys, "GET", "/v1/instruments", now, "listed"),)

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        frame = _FRAME.decode(raw)
        if frame.event == "error":
            kind = domain.StatusKind.DISCONNECTED
            return (domain.ExchangeStatus(ID, "account", kind, 0.0, frame.msg[:200], received),)
        return self._events(frame.channel, frame.rows, received)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return self._events(kind_of(answer.body, _SHAPES) or answer.request.tag, answer.body, received)

    def _events(self, kind: str, body: bytes | Raw, received: Microseconds) -> Sequence[FeedEvent]:
        if kind not in _ROWS:
            return (Ignored(kind or "message"),)
        events, found = _records(kind, body, self.symbols)
        reasons = (one.reason for one in events if isinstance(one, OrderReport) and one.reason)
        odd = [unknown(ID, reason, received) for reason in reasons]
        return [*events, *odd, *found.statuses(ID, kind, received)] or [Ignored(kind)]


# ── order client ─────────────────────────────────────────────────────────────────────────────────────────────────


class MintexOrderClient(TableOrderClient):
    exchange = ID
    settled_after = 10_000_000  # the 5 s for which a signature is valid, and 5 s more
    client_ids = ClientIds("mx", 32)
    codes = Codes(
        definite=("1001", "1002", "1003", "1004", "1005", "1007", "1009", "1010", "2001", "2002", "2003"),
        untimely=("2002",),
        throttled=("2429",),
        duplicates=("1006",),
    )

    def __init__(self, keys: Keys, instruments: Sequence[Instrument]) -> None:
        self._keys = keys
        self._symbols = {one.name: one.symbol for one in instruments}

    def place(self, placement: Placement, now: Microseconds) -> Request:
        order = {
            "name": placement.instrument.name,
            "client_id": placement.client_order_id,
            "side": placement.side,
            "price": wire_number(placement.price),
            "size": wire_number(placement.quantity / placement.instrument.contract_size),
            "tif": "ioc" if placement.type is domain.OrderType.MARKET else placement.time_in_force,
        }
        return _signed(self._keys, "POST", "/v1/order", now, "place", msgspec.json.encode(order), ORDER_BUCKET)

    def cancel(self, instrument: Instrument, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        return self._order("DELETE", "cancel", instrument, client_order_id, now, exchange_order_id)

    def query(self, instrument: Instrument, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        return self._order("GET", "query", instrument, client_order_id, now, exchange_order_id)

    def _order(self, method: str, tag: str, of: Instrument, client_id: str, now: Microseconds, number: str) -> Request:
        named = {"id": number} if number else {"client_id": client_id}
        return _signed(self._keys, method, f"/v1/order?{urlencode({'name': of.name, **named})}", now, tag)

    def open_orders(self, now: Microseconds) -> Request:
        return _signed(self._keys, "GET", "/v1/orders", now, "orders")

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        return _signed(
            self._keys, "GET", f"/v1/fills?{urlencode({'name': instrument.name, 'since': since})}", now, "fills"
        )

    def probe(self, now: Microseconds) -> Request:
        return _signed(self._keys, "GET", "/v1/balances", now, "balances")

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        raise Refused(f"{ID} lists no perpetuals")

    def accepted(self, answer: Answer) -> domain.Outcome:
        return domain.Ack(_report(sane(_ROWS["orders"][0](Raw(answer.body))), self._symbols))

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        return failed.code == _UNKNOWN_ORDER and answer.request.tag in ("query", "cancel")

    def page(self, answer: Answer) -> Page | None:
        kind = kind_of(answer.body, _SHAPES)
        if kind not in ("orders", "fills"):
            return None
        events, found = _records(kind, answer.body, self._symbols)
        return Page(events, found.faults)


# ── exchange ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _instrument(wire: _Listed) -> Instrument:
    return Instrument(
        exchange=ID,
        symbol=spot_symbol(wire.base, wire.quote),
        market=market_of(wire.base, wire.quote),
        name=wire.name,
        base=wire.base,
        quote=wire.quote,
        kind=domain.InstrumentKind.SPOT,
        tick_size=wire.tick,
        quantity_step=_coins(wire.lot),
        min_notional=wire.min_notional,
        taker_fee=wire.taker,
        maker_fee=wire.maker,
        active=wire.open,
        contract_size=CONTRACT,
    )


class Mintex(BaseExchange):
    """Implements ``Exchange``."""

    ID: ClassVar[str] = ID
    REST_URL: ClassVar[str] = "https://api.mintex.test"
    WS_URL: ClassVar[str] = "wss://stream.mintex.test"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (REST_URL, WS_URL, WS_URL)
    WEIGHT_PER_MINUTE: ClassVar[int] = 600
    BUCKETS: ClassVar[Buckets] = {ORDER_BUCKET: WeightRate(60, 2), "account": WeightRate(20, 2)}
    TIME: ClassVar[Request] = Request("GET", "/v1/time", tag="time")

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/v1/instruments", tag="instruments"),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        return listing_of([checked(one, one.request.tag, retry_after) for one in answers], _LISTED, _instrument)

    def server_time(self, answer: Answer) -> Microseconds:
        return milliseconds(checked(answer, "time", retry_after), "time", "time")

    def market_feed(self, instruments: Sequence[Instrument]) -> MintexMarketFeed:
        return MintexMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> MintexAccountFeed:
        return MintexAccountFeed(ID, keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> MintexOrderClient:
        return MintexOrderClient(keys, instruments)
