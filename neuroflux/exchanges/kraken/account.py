"""Kraken's private feed: orders, fills and totals by the socket; what orders hold, and what was missed, by REST.

The socket's frames of a channel are numbered: after a hole it is opened again, and everything requested. The channel
``balances`` has no holds, so the stage requests them after a change. Requests are few, since their counter is small.
Source: https://docs.kraken.com/api/docs/websocket-v2/executions and .../balances
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Instrument,
    Microseconds,
    OrderReport,
    StatusKind,
    TransferKind,
)
from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Ignored, PageNeeded
from neuroflux.exchanges.kit.feed import PrivateFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.rows import Rows, sane, unknown
from neuroflux.exchanges.kit.sequences import Connections
from neuroflux.exchanges.kraken import executions, orders, rest
from neuroflux.exchanges.kraken.limits import HEAVY, POLLING, TOKEN
from neuroflux.exchanges.kraken.market import PATH, QUIET_SECONDS, message
from neuroflux.exchanges.kraken.messages import (
    ID,
    ZERO,
    DataFrame,
    Head,
    Holding,
    RestOrder,
    WireBalance,
    microseconds,
)
from neuroflux.exchanges.kraken.names import Pairs
from neuroflux.exchanges.kraken.signing import private, start_at

EARLIER: Final[Microseconds] = 60_000_000
"""By how much a token counts as expired before it has."""
ASKED_AFTER: Final = 20
"""Orders that are asked after in one request, of those whose report says too little."""
_PERCENT: Final = Decimal(100)
_OF_TRADING: Final = frozenset({"", "trade", "margin", "rollover", "settled", "sale"})
_TRANSFERS: Final = frozenset({"deposit", "withdrawal", "transfer", "earn"})
_RESULTS: Final = frozenset({"staking", "reward", "dividend", "conversion", "spend", "receive"})
"""Types of the ledger's entries; ``earn`` moves an asset between the spot wallet and another one."""


class _Token(Struct, frozen=True):
    """``expires`` is after how many seconds, where no socket uses it."""

    token: str
    expires: int = 900


class _Rate(Struct, frozen=True):
    fee: Decimal


class _Fees(Struct, frozen=True):
    """In percent; a pair that ``fees_maker`` leaves out has one fee for both."""

    fees: dict[str, _Rate]
    fees_maker: dict[str, _Rate] = {}


_HEAD: Final = Decoder(Head)
_DATA: Final = Decoder(DataFrame)
_BALANCE: Final = Decoder(WireBalance)
_TOKEN: Final = Decoder(_Token)
_FEES: Final = Decoder(_Fees)


class KrakenAccountFeed(PrivateFeed):
    """Private data of one account."""

    pushes_whole = False

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._pairs, self._orders = Pairs(), executions.Orders()
        self._numbers, self._token = Connections(), ""
        self._token_until: Microseconds = 0
        self._holds = dict[str, Decimal]()
        super().__init__(ID, keys, instruments)

    def learn(self, instruments: Sequence[Instrument]) -> None:
        super().learn(instruments)
        self._pairs.learn(instruments)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """A token must be used within 15 minutes, and then lives as long as its socket.

        Within that time it opens another socket too: one token costs what three seconds of the counter give, and while
        there is none, nothing is traded.
        """
        if now < self._token_until:
            return ()
        self._token = ""
        return (private(self.keys, "GetWebSocketsToken", "token", TOKEN),)

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        if not self._token:
            return ()
        self._numbers = Connections()
        wanted = {"executions": {"snap_orders": True, "snap_trades": False}, "balances": {"snapshot": True}}
        frames = [message("subscribe", one, token=self._token, **more) for one, more in wanted.items()]
        return (Subscription(PATH, tuple(frames), quiet_seconds=QUIET_SECONDS),)

    def figures(self, now: Microseconds) -> Sequence[Request]:
        return (self._request("BalanceEx", "balances"),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        start = start_at(since)
        fills = {"type": "all", "start": start, "consolidate_taker": "false"}
        return (
            *self.figures(now),
            self._request("OpenOrders", "open orders"),
            self._request("TradesHistory", "fills", fills, HEAVY),
            self._request("ClosedOrders", "closed orders", {"start": start, "closetime": "close"}),
        )

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        keys = [self._pairs.key(one) for one in symbols]
        return (self._request("TradeVolume", "fees", {"pair": ",".join(keys)}),) if keys else ()

    def _request(self, name: str, tag: str, fields: dict[str, object] | None = None, weight: int = 1) -> Request:
        return private(self.keys, name, tag, POLLING, fields, weight)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        if raw.startswith(b"["):
            return (Ignored("a frame of the older socket"),)
        head = _HEAD.decode(raw)
        if head.refusal:
            self._token_until = 0
            return (_lost(head.refusal, received),)
        if head.channel not in ("executions", "balances"):
            return (Ignored(head.channel or head.method or "message"),)
        lost, frame = self._missed(head, received), _DATA.decode(raw)
        take = self._executions if head.channel == "executions" else self._pushed_balances
        return [*lost, *take(frame, received)] or [Ignored(head.channel)]

    def _missed(self, head: Head, received: Microseconds) -> Sequence[FeedEvent]:
        """A hole in the numbers may be an order: the socket is opened again, and everything requested."""
        if head.sequence is None:
            return ()
        expected = self._numbers.expected(head.channel, head.sequence)
        what = f"{head.channel}: expected frame {expected}, got {head.sequence}"
        return () if expected is None else (_lost(what, received),)

    def _executions(self, frame: DataFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """A snapshot has every open order."""
        found, events, unclear = Rows(frame.data, executions.row), list[FeedEvent](), list[str]()
        self._orders = executions.Orders() if frame.type == "snapshot" else self._orders
        for wire in map(self._orders.merged, found.good):
            report, fill = executions.report_of(wire, self._pairs), executions.fill_of(wire, self._pairs)
            events += [fill] if fill is not None else []
            if report is None:
                unclear.append(wire.order_id)
            else:
                events += self._known(report, received)
        return [*events, *found.statuses(ID, "execution", received), *self._ask_after(unclear)]

    def _known(self, report: OrderReport, received: Microseconds) -> Sequence[FeedEvent]:
        """The report, and a status where its own is not known."""
        if report.reason.startswith(orders.UNKNOWN_STATUS):
            return (report, unknown(ID, f"{report.symbol}: {report.reason}", received))
        return (report,)

    def _ask_after(self, order_ids: Sequence[str]) -> Sequence[FeedEvent]:
        """Orders whose report does not say what they are: their first one was before the socket was open."""
        asked = ",".join(list(dict.fromkeys(order_ids))[:ASKED_AFTER])
        if not asked:
            return ()
        try:
            return (PageNeeded(self._request("QueryOrders", "orders", {"txid": asked})),)
        except UsageError:  # the keys of a recording sign nothing
            return ()

    def _pushed_balances(self, frame: DataFrame, received: Microseconds) -> Sequence[FeedEvent]:
        found, events = Rows(frame.data, _pushed), list[FeedEvent]()
        for wire in found.good:
            if wire.wallet_type == "spot":
                time = microseconds(wire.timestamp) if wire.timestamp else received
                events += (self._balance(wire.asset, _total(wire), time), *_transfer(wire, time))
        return [*events, *found.statuses(ID, "balance", received)]

    def _balance(self, asset: str, total: Decimal, time: Microseconds) -> Balance:
        """A pushed total is newer than the hold, which is then not above what is left."""
        held = max(min(self._holds.get(asset, ZERO), total), ZERO)
        return Balance(ID, asset, total - held, held, ZERO, total, time)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        result = rest.result_of(answer.body)
        match kind := rest.kind(answer, result):
            case rest.TOKEN:
                wire = _TOKEN.decode(result)
                self._token, self._token_until = wire.token, received + wire.expires * 1_000_000 - EARLIER
                events: Sequence[FeedEvent] = ()
            case rest.BALANCES:
                events = self._balances(rest.rows(result, rest.holding), received)
            case rest.OPEN | rest.CLOSED:
                events = self._listed(answer, result, "open" if kind == rest.OPEN else "closed", received)
            case rest.ORDERS:
                events = self._reports(orders.orders_in(result), received)
            case rest.FILLS:
                events = self._fills(answer, result, received)
            case rest.FEES:
                events = self._rates(_FEES.decode(result))
            case _:
                events = ()
        return events or (Ignored(kind or answer.request.tag or "answer"),)

    def _balances(self, found: Rows[Holding], received: Microseconds) -> Sequence[FeedEvent]:
        self._holds = {one.asset: one.hold_trade for one in found.good}
        made = [self._balance(one.asset, one.balance, received) for one in found.good]
        return [*made, *found.statuses(ID, "balance", received)]

    def _listed(self, answer: Answer, result: Raw, name: str, received: Microseconds) -> Sequence[FeedEvent]:
        found = orders.orders_in(rest.part(result, name))
        pages = rest.next_page(self.keys, answer, result, found.count) if name == "closed" else []
        return [*self._reports(found, received), *pages]

    def _reports(self, found: Rows[RestOrder], received: Microseconds) -> Sequence[FeedEvent]:
        reports = [orders.report_of(one, self._pairs) for one in found.good]
        for one in reports:
            if one.state.final:
                self._orders.forget(one.exchange_order_id)
        events = [event for one in reports for event in self._known(one, received)]
        return [*events, *found.statuses(ID, "order", received)]

    def _fills(self, answer: Answer, result: Raw, received: Microseconds) -> Sequence[FeedEvent]:
        found = orders.fills_in(rest.part(result, "trades"))
        pages = rest.next_page(self.keys, answer, result, found.count)
        fills = [orders.fill_of(one, self._pairs) for one in found.good]
        return [*fills, *found.statuses(ID, "fill", received), *pages]

    def _rates(self, wire: _Fees) -> Sequence[FeedEvent]:
        return [
            FeeRates(self._pairs.symbol(one), _fraction(rate), _fraction(wire.fees_maker.get(one, rate)))
            for one, rate in wire.fees.items()
        ]


def _pushed(raw: Raw) -> WireBalance:
    """Raises ``UNREADABLE``."""
    wire = _BALANCE.decode(raw)
    for wallet in wire.wallets or ():
        sane(wallet)
    return wire


def _total(wire: WireBalance) -> Decimal:
    """What the spot wallet has: a balance may have parts in others."""
    wallets = [one.balance for one in wire.wallets or () if one.type == "spot"]
    return sum(wallets, ZERO) if wire.wallets else wire.balance


def _transfer(wire: WireBalance, time: Microseconds) -> Sequence[AccountTransfer]:
    """An entry of the ledger that is no trade; its amount has a sign, and is without the fee."""
    if wire.type in _OF_TRADING:
        return ()
    kinds = {TransferKind.TRANSFER: _TRANSFERS, TransferKind.RESULT: _RESULTS}
    kind = next((kind for kind, words in kinds.items() if wire.type in words), TransferKind.UNKNOWN)
    what = (wire.amount - wire.fee, kind, wire.type[:80], wire.ledger_id[:80], time)
    return (AccountTransfer(ID, wire.asset, *what),)


def _fraction(rate: _Rate) -> Decimal:
    """Raises ValueError for what is no rate."""
    return sane(rate).fee / _PERCENT


def _lost(why: str, time: Microseconds) -> ExchangeStatus:
    return ExchangeStatus(ID, "account", StatusKind.DISCONNECTED, 0.0, why, time)
