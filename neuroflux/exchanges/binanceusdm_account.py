"""Binance USDⓈ-M's private feed: reports, fills, balances and positions over a listen key.

A balance's ``total`` is the wallet; ``in_positions`` and ``in_orders`` are the margins that the account answer names,
kept until the next one, since updates name the wallet alone. Source:
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import inf
from typing import Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    Balance,
    ExchangeStatus,
    Fill,
    Instrument,
    Liquidity,
    Microseconds,
    OrderReport,
    Position,
    StatusKind,
)
from neuroflux.exchanges.base_exchange import Answer, FeedEvent, Ignored, Keys, Request, Subscription, Undecodable
from neuroflux.exchanges.binance_messages import (
    UNREADABLE,
    AccountUpdate,
    FuturesOrder,
    Head,
    OrderTradeUpdate,
    microseconds,
)
from neuroflux.exchanges.binance_orders import ZERO, order_type, records_of, side, state
from neuroflux.exchanges.binance_rest import signed

EXCHANGE: Final = "binanceusdm"
LISTEN_KEY: Final = "/fapi/v1/listenKey"

_HEAD: Final = Decoder(Head)
_ORDER: Final = Decoder(OrderTradeUpdate)
_UPDATE: Final = Decoder(AccountUpdate)
_ANYTHING: Final = Decoder()


class _ListenKey(Struct, frozen=True):
    listenKey: str


class _Asset(Struct, frozen=True):
    asset: str
    walletBalance: Decimal
    positionInitialMargin: Decimal = ZERO
    openOrderInitialMargin: Decimal = ZERO


class _Account(Struct, frozen=True):
    assets: list[_Asset]


class _Wallet(Struct, frozen=True):
    asset: str
    balance: Decimal


class _Risk(Struct, frozen=True):
    symbol: str
    positionAmt: Decimal
    entryPrice: Decimal
    unRealizedProfit: Decimal


class BinanceUsdmAccountFeed:
    """Private data of one USDⓈ-M account, in one-way mode: a symbol has one position."""

    exchange = EXCHANGE

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._keys = keys
        self._symbols = {one.name: one.symbol for one in instruments}
        self._listen_key = ""
        self._active: set[str] = set()
        self._margins: dict[str, tuple[Decimal, Decimal]] = {}

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """A listen key; asked for again it is the same one, extended."""
        return (Request("POST", LISTEN_KEY, headers={"X-MBX-APIKEY": self._keys.key}, tag="listenKey"),)

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        return (Request("PUT", LISTEN_KEY, headers={"X-MBX-APIKEY": self._keys.key}, tag="listenKey"),)

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        return (Subscription(f"/private/ws?listenKey={self._listen_key}", quiet_seconds=inf),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Fills are asked for by symbol: of those that had an order here. The execution asks for its own too."""
        fills = (
            signed(self._keys, "GET", "/fapi/v1/userTrades", now, 5, "fills", symbol=name, startTime=since // 1000)
            for name in sorted(self._active)
        )
        return (
            signed(self._keys, "GET", "/fapi/v3/account", now, 5, "account"),
            signed(self._keys, "GET", "/fapi/v3/positionRisk", now, 5, "positionRisk"),
            signed(self._keys, "GET", "/fapi/v1/openOrders", now, 40, "openOrders"),
            *fills,
        )

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        try:
            head = _HEAD.decode(raw)
            inner = head.event if head.event is not UNSET else head.data
            if inner is not UNSET:
                return self._message(inner, _HEAD.decode(inner), received_time)
            return self._message(raw, head, received_time)
        except UNREADABLE as error:
            return (Undecodable(str(error)),)

    def _message(self, raw: bytes | str, head: Head, received: Microseconds) -> Sequence[FeedEvent]:
        match head.e:
            case "ORDER_TRADE_UPDATE":
                return self._order(_ORDER.decode(raw).o)
            case "ACCOUNT_UPDATE":
                return self._changed(_UPDATE.decode(raw))
            case "listenKeyExpired":
                return (ExchangeStatus(EXCHANGE, "account", StatusKind.DISCONNECTED, 0.0, head.e, received),)
        return (Ignored(head.e or "reply"),)  # TRADE_LITE among them: it says a fill a second time

    def _order(self, wire: FuturesOrder) -> Sequence[FeedEvent]:
        self._active.add(wire.s)
        symbol, time = self._symbols.get(wire.s, wire.s), microseconds(wire.T)
        report = OrderReport(
            EXCHANGE,
            symbol,
            wire.c,
            str(wire.i),
            side(wire.S),
            order_type(wire.o),
            wire.p,
            wire.q,
            wire.z,
            wire.ap,
            state(wire.X),
            "",
            time,
        )
        if wire.x != "TRADE":
            return (report,)
        liquidity = Liquidity.MAKER if wire.m else Liquidity.TAKER
        executed = (side(wire.S), wire.L, wire.l, wire.n, wire.N, liquidity, time)
        return (report, Fill("", EXCHANGE, symbol, wire.c, str(wire.i), str(wire.t), *executed))

    def _changed(self, wire: AccountUpdate) -> Sequence[FeedEvent]:
        time = microseconds(wire.E)
        balances = [self._balance(one.a, one.wb, time) for one in wire.a.B]
        positions = [
            Position(EXCHANGE, self._symbols.get(one.s, one.s), one.pa, one.ep, one.up, time) for one in wire.a.P
        ]
        return [*balances, *positions]

    def _balance(self, asset: str, wallet: Decimal, time: Microseconds) -> Balance:
        in_orders, in_positions = self._margins.get(asset, (ZERO, ZERO))
        return Balance(EXCHANGE, asset, wallet - in_orders - in_positions, in_orders, in_positions, wallet, time)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != 200:
            return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)
        try:
            records = records_of(EXCHANGE, answer.body, self._symbols)
            return records if records is not None else self._account(answer.body, received_time)
        except UNREADABLE as error:
            return (Undecodable(str(error)),)

    def _account(self, body: bytes, received: Microseconds) -> Sequence[FeedEvent]:
        """Told by its keys: a listen key, the account, its wallets, or its positions."""
        keys = _keys_of(body)
        if "listenKey" in keys:
            self._listen_key = msgspec.json.decode(body, type=_ListenKey).listenKey
        elif "assets" in keys:
            return [self._margin(one, received) for one in msgspec.json.decode(body, type=_Account).assets]
        elif {"asset", "balance", "crossWalletBalance"} <= keys:
            wallets = msgspec.json.decode(body, type=list[_Wallet])
            return [self._balance(one.asset, one.balance, received) for one in wallets]
        elif {"positionAmt", "entryPrice", "unRealizedProfit"} <= keys:
            return [self._position(one, received) for one in msgspec.json.decode(body, type=list[_Risk])]
        return (Ignored("answer"),)

    def _margin(self, wire: _Asset, received: Microseconds) -> Balance:
        self._margins[wire.asset] = wire.openOrderInitialMargin, wire.positionInitialMargin
        return self._balance(wire.asset, wire.walletBalance, received)

    def _position(self, wire: _Risk, received: Microseconds) -> Position:
        symbol = self._symbols.get(wire.symbol, wire.symbol)
        return Position(EXCHANGE, symbol, wire.positionAmt, wire.entryPrice, wire.unRealizedProfit, received)


def _keys_of(body: bytes) -> set[str]:
    """Of an object, or of all in a list; none of anything else. Raises ``UNREADABLE`` for no JSON."""
    shape = _ANYTHING.decode(body)
    rows = shape if isinstance(shape, list) else [shape]
    return {key for row in rows if isinstance(row, dict) for key in row}
