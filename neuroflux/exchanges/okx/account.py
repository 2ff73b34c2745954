"""OKX's private feed: reports, fills, balances and positions of one account, after a login on its socket.

The channel of orders sends a row for each change, of which one may have a fill; it sends nothing of before, so that
what was missed is requested. Source: https://www.okx.com/docs-v5/en/ ("WS / Account channel", "Positions channel",
"Order channel").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Raw

from neuroflux.domain import Balance, ExchangeStatus, Instrument, Microseconds, OrderReport, Position
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.feed import PrivateFeed
from neuroflux.exchanges.kit.omitted import HeldFigures
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.rows import taken, unknown
from neuroflux.exchanges.kit.shapes import Shapes, kind_of
from neuroflux.exchanges.kit.signing import hmac_base64
from neuroflux.exchanges.okx import socket
from neuroflux.exchanges.okx.fees import fee_request, rates_of
from neuroflux.exchanges.okx.figures import balances, positions
from neuroflux.exchanges.okx.messages import HEAD
from neuroflux.exchanges.okx.modes import config_of, mode
from neuroflux.exchanges.okx.numbers import contract_of
from neuroflux.exchanges.okx.order_client import SHAPES
from neuroflux.exchanges.okx.orders import ORDER, OkxOrder, fills_in, orders_in, own_fill, report_of
from neuroflux.exchanges.okx.pages import PAGE, more, query_of
from neuroflux.exchanges.okx.rest import ID, asked_at, data_of, failure, iso, signed
from neuroflux.exchanges.okx.transfers import history, transfers_in

QUIET_SECONDS: Final = 60.0
"""Three pings without an answer."""
_CHANNELS: Final = (
    {"channel": "orders", "instType": "SPOT"},
    {"channel": "orders", "instType": "SWAP"},
    {"channel": "account"},
    {"channel": "positions", "instType": "SWAP"},
)
_KINDS: Final = Shapes(
    objects=(),
    rows=(
        *SHAPES.rows,
        ("billId balChg subType", "bills"),
        ("details totalEq", "balances"),
        ("pos instId posSide mgnMode upl", "positions"),
        ("acctLv posMode", "config"),
        ("maker taker instType", "fees"),
        ("feeGroup", "fees"),
    ),
)
Read = Callable[[bytes, Answer, Microseconds], Sequence[FeedEvent]]


class OkxAccountFeed(PrivateFeed):
    """Private data of one account, in net mode: an instrument has one position."""

    pushes_whole = True

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        super().__init__(ID, keys, instruments)
        self._is_pooled = False
        self._held = HeldFigures(ID)
        self._reads: Mapping[str, Read] = {
            "orders": self._open_orders,
            "fills": self._fills,
            "bills": lambda data, answer, received: transfers_in(self.keys, data, answer, received),
            "balances": lambda data, _, received: balances(data, self._is_pooled, received, pushed=False),
            "positions": lambda data, _, received: positions(data, self.instruments, received, pushed=False),
            "config": lambda data, _, received: self._configured(data, received),
            "fees": self._rates,
        }

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """The account's mode."""
        return (signed(self.keys, "GET", "/account/config", iso(now), "config", "config"),)

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        """The mode again, since no push reports a change of it."""
        return self.opening(now)

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """The login, and what is subscribed to once it was answered: before that it would be refused (60011)."""
        frames = (_login(self.keys, now), socket.operation("subscribe", *_CHANNELS))
        return (socket.subscription("private", frames, QUIET_SECONDS, awaits=b'"login"'),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        stamp = iso(now)
        return (
            *self.figures(now),
            signed(self.keys, "GET", "/trade/orders-pending", stamp, "orders", "orders-pending", limit=PAGE),
            signed(self.keys, "GET", "/trade/fills", stamp, "fills", "fills", begin=since // 1000, limit=PAGE),
        )

    def figures(self, now: Microseconds) -> Sequence[Request]:
        stamp = iso(now)
        return (
            signed(self.keys, "GET", "/account/balance", stamp, "balances", "balances"),
            signed(self.keys, "GET", "/account/positions", stamp, "positions", "positions", instType="SWAP"),
        )

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return (history(self.keys, since, now),)

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        wanted = [one for one in self.instruments.values() if one.symbol in symbols]
        return [fee_request(self.keys, one, now) for one in wanted]

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        noticed = socket.notice(raw, "account", received)
        if noticed:
            return noticed
        head = HEAD.decode(raw)
        match head.arg.channel:
            case "orders":
                events = self._pushed_orders(head.data, received)
            case "account":
                events = balances(head.data, self._is_pooled, received, pushed=True)
            case "positions":
                events = positions(head.data, self.instruments, received, pushed=True)
            case other:
                events = [Ignored(other or "message")]
        self._held.report(events)
        return events or [Ignored(f"{head.arg.channel}: nothing of ours")]

    def _pushed_orders(self, data: Raw, received: Microseconds) -> list[FeedEvent]:
        events = list[FeedEvent]()

        def take(wire: OkxOrder) -> None:
            contract = contract_of(wire.instType, wire.instId, self.instruments)
            if contract is None:
                return
            report = report_of(wire, contract, self.instruments)
            fill = own_fill(wire, contract, self.instruments)
            events.extend([report, *_odd(report)])
            if fill is not None:
                events.append(fill)
            elif wire.tradeId:
                events.append(self._fills_of(wire, received))

        read = taken(data, ORDER.decode, take)
        return [*events, *read.statuses(ID, "orders", received)]

    def _fills_of(self, wire: OkxOrder, now: Microseconds) -> PageNeeded:
        """The fills of an order, where the stream did not report what one cost."""
        asked = {"instType": wire.instType, "ordId": wire.ordId, "limit": PAGE}
        return PageNeeded(signed(self.keys, "GET", "/trade/fills", iso(now), "fills", "fills", **asked))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def refused(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        failed = failure(answer.body)
        text = failed.reason if failed is not None else repr(answer.body[:200])
        return (Undecodable(f"{self.subject(answer)}: HTTP {answer.status}: {text:.300}"),)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        """By the keys of its rows; an empty list is the answer to any request."""
        data = bytes(data_of(answer.body))
        read = self._reads.get(kind_of(data, _KINDS))
        events = read(data, answer, received) if read is not None else ()
        self._held.report(events)
        events = [*events, *self._omitted(answer, events, received)]
        return events or (Ignored(self.subject(answer)),)

    def _omitted(self, answer: Answer, events: Sequence[FeedEvent], received: Microseconds) -> Sequence[FeedEvent]:
        """What an answer leaves out; nothing where one of its rows can't be read, since that may be the one."""
        match answer.request.tag:
            case "balances" if all(isinstance(one, Balance) for one in events):
                assets = {one.asset for one in events if isinstance(one, Balance)}
                return self._held.balances_omitted(assets, asked_at(answer), received)
            case "positions" if all(isinstance(one, Position) for one in events):
                symbols = {one.symbol for one in events if isinstance(one, Position)}
                return self._held.positions_omitted(symbols, asked_at(answer), received)
        return ()

    def subject(self, answer: Answer) -> str:
        return answer.request.path.partition("?")[0] or answer.request.tag or "answer"

    def _open_orders(self, data: bytes, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        found, read = orders_in(data, self.instruments)
        odd = [status for one in found for status in _odd(one)]
        return [*found, *odd, *read.statuses(ID, "orders", received), *more(self.keys, answer, read)]

    def _fills(self, data: bytes, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        found, read = fills_in(data, self.instruments)
        return [*found, *read.statuses(ID, "fills", received), *more(self.keys, answer, read)]

    def _configured(self, data: bytes, received: Microseconds) -> Sequence[ExchangeStatus]:
        config = config_of(data)
        if config is None:
            return ()
        self._is_pooled = config.is_pooled
        return (mode(config, received),)

    def _rates(self, data: bytes, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        """Of the instrument that the request names."""
        asked = query_of(answer)
        name = asked.get("instId", "") or f"{asked.get('instFamily', '')}-SWAP"
        one = self.instruments.get(name)
        rates = rates_of(data, one) if one is not None else None
        return (rates,) if rates is not None else ()


def _odd(report: OrderReport) -> list[ExchangeStatus]:
    is_odd = report.reason.startswith("unknown")
    return [unknown(ID, report.reason, report.event_time)] if is_odd else []


def _login(keys: Keys, now: Microseconds) -> bytes:
    """The time is in seconds here."""
    seconds = str(now // 1_000_000)
    sign = hmac_base64(keys.secret, f"{seconds}GET/users/self/verify")
    return socket.operation(
        "login", {"apiKey": keys.key, "passphrase": keys.passphrase, "timestamp": seconds, "sign": sign}
    )
