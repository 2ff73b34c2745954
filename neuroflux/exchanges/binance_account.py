"""Binance spot's private feed: reports, fills and balances over the WebSocket API.

The stream is ``userDataStream.subscribe.signature``; listen keys of spot are retired. Source:
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
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
    StatusKind,
    to_scale,
)
from neuroflux.exchanges.base_exchange import Answer, FeedEvent, Ignored, Keys, Request, Subscription, Undecodable
from neuroflux.exchanges.binance_messages import (
    UNREADABLE,
    AccountPosition,
    ExecutionReport,
    Head,
    microseconds,
)
from neuroflux.exchanges.binance_orders import ZERO, order_type, records_of, side, state
from neuroflux.exchanges.binance_rest import signature, signed

EXCHANGE: Final = "binance"

_HEAD: Final = Decoder(Head)
_REPORT: Final = Decoder(ExecutionReport)
_POSITION: Final = Decoder(AccountPosition)


class _RestBalance(Struct, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(Struct, frozen=True):
    balances: list[_RestBalance]
    updateTime: int = 0


_ACCOUNT: Final = Decoder(_Account)


class BinanceAccountFeed:
    """Private data of one spot account."""

    exchange = EXCHANGE

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._keys = keys
        self._symbols = {one.name: one.symbol for one in instruments}
        self._active: set[str] = set()

    def opening(self, now: Microseconds) -> Sequence[Request]:
        return ()

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        return ()

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """One socket; the signature is over the parameters sorted by name. Nothing may come for hours."""
        parameters: dict[str, object] = {"apiKey": self._keys.key, "timestamp": now // 1000}
        payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
        parameters["signature"] = signature(self._keys, payload)
        method = "userDataStream.subscribe.signature"
        frame = msgspec.json.encode({"id": "account", "method": method, "params": parameters})
        return (Subscription("/ws-api/v3", (frame,), quiet_seconds=inf),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Fills are asked for by symbol: of those that had an order here. The execution asks for its own too."""
        fills = (
            signed(
                self._keys,
                "GET",
                "/api/v3/myTrades",
                now,
                20,
                "fills",
                symbol=name,
                startTime=since // 1000,
                limit=1000,
            )
            for name in sorted(self._active)
        )
        return (
            signed(self._keys, "GET", "/api/v3/account", now, 20, "account", omitZeroBalances="true"),
            signed(self._keys, "GET", "/api/v3/openOrders", now, 80, "openOrders"),
            *fills,
        )

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
            case "executionReport":
                return self._execution(_REPORT.decode(raw))
            case "outboundAccountPosition":
                return _changed(_POSITION.decode(raw))
            case "eventStreamTerminated":
                return (ExchangeStatus(EXCHANGE, "account", StatusKind.DISCONNECTED, 0.0, head.e, received),)
            case "":
                return (self._reply(head, received),)
        return (Ignored(head.e),)

    def _reply(self, head: Head, received: Microseconds) -> FeedEvent:
        """A refused subscription brings nothing, for ever: the stream must be opened again."""
        if head.error is UNSET:
            return Ignored("reply")
        said = bytes(head.error).decode(errors="replace")
        return ExchangeStatus(EXCHANGE, "account", StatusKind.DISCONNECTED, 0.0, said, received)

    def _execution(self, wire: ExecutionReport) -> Sequence[FeedEvent]:
        """``c`` of a cancelled order is the cancel's id, and the order's own is ``C``. A fill only where x is TRADE."""
        self._active.add(wire.s)
        symbol, client_order_id = self._symbols.get(wire.s, wire.s), wire.C or wire.c
        average = to_scale(wire.Z / wire.z) if wire.z else ZERO
        reason = "" if wire.r == "NONE" else wire.r
        time = microseconds(wire.T)
        report = OrderReport(
            EXCHANGE,
            symbol,
            client_order_id,
            str(wire.i),
            side(wire.S),
            order_type(wire.o),
            wire.p,
            wire.q,
            wire.z,
            average,
            state(wire.X),
            reason,
            time,
        )
        if wire.x != "TRADE":
            return (report,)
        fill = Fill(
            "",
            EXCHANGE,
            symbol,
            client_order_id,
            str(wire.i),
            str(wire.t),
            side(wire.S),
            wire.L,
            wire.l,
            wire.n or ZERO,
            wire.N or "",
            Liquidity.MAKER if wire.m else Liquidity.TAKER,
            time,
        )
        return (report, fill)

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != 200:
            return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)
        try:
            records = records_of(EXCHANGE, answer.body, self._symbols)
            return records if records is not None else self._balances(answer.body, received_time)
        except UNREADABLE as error:
            return (Undecodable(str(error)),)

    def _balances(self, body: bytes, received: Microseconds) -> Sequence[FeedEvent]:
        try:
            account = _ACCOUNT.decode(body)
        except msgspec.ValidationError:
            return (Ignored("answer"),)
        return [
            Balance(EXCHANGE, one.asset, one.free, one.locked, ZERO, one.free + one.locked, received)
            for one in account.balances
        ]


def _changed(wire: AccountPosition) -> Sequence[FeedEvent]:
    """Absolute figures of what changed; ``balanceUpdate`` is a delta, and one of these follows it."""
    time = microseconds(wire.u)
    return [Balance(EXCHANGE, one.a, one.f, one.l, ZERO, one.f + one.l, time) for one in wire.B]
