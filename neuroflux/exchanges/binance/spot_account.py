"""Binance spot's private feed: reports, fills and balances over the WebSocket API.

The stream is ``userDataStream.subscribe.signature``; listen keys of spot are retired. Of its two events that are a
change and no figure, ``balanceUpdate`` is a transfer, and ``outboundAccountPosition`` follows with the balance; after
``externalLockUpdate`` the manual names no such event, so the balances are requested. Source:
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream

No answer lists transfers: the histories of deposits and withdrawals (``/sapi/v1/capital``) leave out those
between the wallets of one owner, have ids that the stream lacks, and weigh up to 18,000. What was missed is deduced
from the balances, which on spot only fills and their fees change besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import inf
from typing import ClassVar, Final

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Instrument,
    Microseconds,
    StatusKind,
    TransferKind,
)
from neuroflux.exchanges.binance.codes import THROTTLED
from neuroflux.exchanges.binance.fees import SPOT_FEES, is_spot, spot_rates
from neuroflux.exchanges.binance.market import closing
from neuroflux.exchanges.binance.messages import (
    AccountPosition,
    AssetBalance,
    BalanceChange,
    ExecutionReport,
    ExternalLock,
    Head,
    microseconds,
)
from neuroflux.exchanges.binance.order_paths import SPOT_PATHS, OrderPaths
from neuroflux.exchanges.binance.orders import ZERO, records_of
from neuroflux.exchanges.binance.pages import LONG_WINDOW_MS, asked_at
from neuroflux.exchanges.binance.private_feed import BinancePrivateFeed
from neuroflux.exchanges.binance.reports import spot_events
from neuroflux.exchanges.binance.rest import (
    LONGEST_WAIT_SECONDS,
    THROTTLED_SECONDS,
    ban_end,
    failure,
    signature,
    signed,
    signed_within,
)
from neuroflux.exchanges.kit.events import FeedEvent, Hold, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.omitted import Held
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.rows import Rows, keys_of, sane
from neuroflux.exchanges.kit.shapes import UNREADABLE

EXCHANGE: Final = SPOT_PATHS.exchange

_HELD: Final = {"omitZeroBalances": "true"}
_REPORT: Final = Decoder(ExecutionReport)
_POSITION: Final = Decoder(AccountPosition)
_CHANGED: Final = Decoder(AssetBalance)
_MOVED: Final = Decoder(BalanceChange)
_LOCK: Final = Decoder(ExternalLock)


class _RestBalance(Struct, frozen=True):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(Struct, frozen=True):
    balances: list[Raw]
    canTrade: bool | None = None


_ACCOUNT: Final = Decoder(_Account)
_BALANCE: Final = Decoder(_RestBalance)


class BinanceAccountFeed(BinancePrivateFeed):
    """Private data of one spot account."""

    ORDER_PATHS: ClassVar[OrderPaths] = SPOT_PATHS
    FEES: ClassVar[str] = SPOT_FEES
    pushes_whole = True

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        super().__init__(keys, instruments)
        self._amended: dict[tuple[str, int], str] = {}
        """By symbol and exchange's id, the client ids that orders had before an amendment."""
        self._held = Held()
        self._may_trade: bool | None = None

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """One socket; the signature is over the parameters sorted by name. It may be silent for hours."""
        parameters: dict[str, object] = {"apiKey": self.keys.key, "timestamp": now // 1000}
        payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
        parameters["signature"] = signature(self.keys, payload)
        method = "userDataStream.subscribe.signature"
        frame = msgspec.json.encode({"id": "account", "method": method, "params": parameters})
        return (Subscription("/ws-api/v3", (frame,), quiet_seconds=inf),)

    def figures(self, now: Microseconds) -> Sequence[Request]:
        paths = self.ORDER_PATHS
        return (signed(self.keys, "GET", paths.account, now, paths.account_weight, "account", **_HELD),)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def message(self, raw: bytes | str, head: Head, received: Microseconds) -> Sequence[FeedEvent]:
        match head.e:
            case "executionReport":
                wire = sane(_REPORT.decode(raw))
                self.active.add(wire.s)
                return spot_events(EXCHANGE, wire, self.symbols, self._first_id(wire))
            case "outboundAccountPosition":
                return self._changed(_POSITION.decode(raw))
            case "balanceUpdate":
                return (_transfer(sane(_MOVED.decode(raw))),)
            case "externalLockUpdate":
                return (self._account_of(_LOCK.decode(raw)),)
            case "eventStreamTerminated":
                return (_ended(head.e, received),)
            case "serverShutdown":
                return (closing(EXCHANGE, "account", received),)
            case "":
                return _reply(head, received)
        return (Ignored(head.e),)

    def _first_id(self, wire: ExecutionReport) -> str:
        """The client id that an order was placed with: an amendment gives it another, under the same ``i``.

        Source: https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority
        """
        place = wire.s, wire.i
        if wire.x == "REPLACED":
            self._amended.setdefault(place, wire.C)
        is_over = wire.X in ("FILLED", "CANCELED", "EXPIRED", "REJECTED")
        return (self._amended.pop(place, "") if is_over else self._amended.get(place, "")) or wire.C or wire.c

    def _changed(self, wire: AccountPosition) -> Sequence[FeedEvent]:
        """Absolute figures of what changed."""
        time = microseconds(wire.u)
        found = Rows(wire.B, _CHANGED.decode)
        events = [self._balance(one.a, one.f, one.l, time, time) for one in found.good]
        return [*events, *found.statuses(EXCHANGE, "balance", time)] or [Ignored("no balance changed")]

    def _account_of(self, wire: ExternalLock) -> PageNeeded:
        time, path, weight = microseconds(wire.E), self.ORDER_PATHS.account, self.ORDER_PATHS.account_weight
        return PageNeeded(signed_within(self.keys, "GET", path, time, weight, "account", LONG_WINDOW_MS, **_HELD))

    def _balance(self, asset: str, free: Decimal, locked: Decimal, time: Microseconds, pushed: Microseconds) -> Balance:
        total = free + locked
        self._held.reported(asset, total != 0, pushed)
        return Balance(EXCHANGE, asset, free, locked, ZERO, total, time)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        found = records_of(EXCHANGE, answer.body, self.symbols)
        return self._figures(answer, received) if found is None else self.recorded(answer, found, received)

    def _figures(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        if is_spot(keys_of(answer.body)[0]):
            return (spot_rates(answer.body, self.symbols),)
        return self._account(answer, received)

    def _account(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        failed = failure(answer.body)
        if failed is not None and failed.code < 0:
            return (Undecodable(f"{failed.code} {failed.msg}"),)
        try:
            account = _ACCOUNT.decode(answer.body)
        except msgspec.ValidationError:
            return (Ignored("answer"),)
        found = Rows(account.balances, _BALANCE.decode)
        balances = [self._balance(one.asset, one.free, one.locked, received, 0) for one in found.good]
        named = {one.asset for one in found.good} | found.bad_names
        gone = self._held.omitted(named, asked_at(answer)) if found.is_whole else ()
        none = [Balance(EXCHANGE, asset, ZERO, ZERO, ZERO, ZERO, received) for asset in gone]
        mode = self._mode(account.canTrade, received)
        return [*balances, *none, *found.statuses(EXCHANGE, "balance", received), *mode] or [Ignored("account")]

    def _mode(self, may_trade: bool | None, received: Microseconds) -> Sequence[ExchangeStatus]:
        """Reported when it changes, and at first only where the account may not trade."""
        before, self._may_trade = self._may_trade is not False, may_trade
        if may_trade is None or may_trade is before:
            return ()
        detail = "" if may_trade else "this account may not trade (canTrade is false): ask the exchange to allow it"
        return (ExchangeStatus(EXCHANGE, "account", StatusKind.MODE, float(not may_trade), detail, received),)


class _Again(Struct, frozen=True):
    """When requests are accepted again, by the exchange's clock, and what that clock shows; both in ms."""

    retryAfter: int = 0
    serverTime: int = 0


class _Refused(Struct, frozen=True):
    code: int
    msg: str = ""
    data: _Again | None = None


_REFUSED: Final = Decoder(_Refused)


def _transfer(wire: BalanceChange) -> AccountTransfer:
    """Identified by its time and amount: it has no id."""
    number, time = f"{wire.T}:{wire.d.normalize():f}", microseconds(wire.T)
    return AccountTransfer(EXCHANGE, wire.a, wire.d, TransferKind.TRANSFER, "balanceUpdate", number, time)


def _ended(detail: str, received: Microseconds) -> ExchangeStatus:
    return ExchangeStatus(EXCHANGE, "account", StatusKind.DISCONNECTED, 0.0, detail, received)


def _reply(head: Head, received: Microseconds) -> Sequence[FeedEvent]:
    """A refused subscription never sends anything: the stream must be opened again, after a ban where there is one.

    https://developers.binance.com/docs/binance-spot-api-docs/websocket-api/rate-limits ("IP limits")
    """
    if head.error is UNSET:
        return (Ignored("reply"),)
    text = bytes(head.error).decode(errors="replace")
    try:
        refused = _REFUSED.decode(head.error)
    except UNREADABLE:
        return (_ended(text, received),)
    if refused.code not in THROTTLED:
        return (_ended(text, received),)
    return (Hold(_wait(refused, received), text), _ended(text, received))


def _wait(refused: _Refused, received: Microseconds) -> float:
    """Seconds until the end that is named, from the exchange's time to the exchange's time where it names both."""
    again = refused.data or _Again()
    until, now = again.retryAfter or ban_end(refused.msg.encode()), again.serverTime or received / 1e3
    return min((until - now) / 1e3, LONGEST_WAIT_SECONDS) if until > now else THROTTLED_SECONDS
