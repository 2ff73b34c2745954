"""Bybit's private feed: orders, fills, positions and balances of one unified account, spot and linear together.

The stream pushes changes alone, and never what there is: that is requested after every connection. Sources:
https://bybit-exchange.github.io/docs/v5/ws/connect and the pages below v5/websocket/private.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec.json import Decoder

from neuroflux.domain import Balance, ExchangeStatus, Instrument, Microseconds, Position, StatusKind
from neuroflux.exchanges.bybit import rest
from neuroflux.exchanges.bybit.category_feed import operation, socket
from neuroflux.exchanges.bybit.figures import TRANSFERS
from neuroflux.exchanges.bybit.instruments import SETTLE
from neuroflux.exchanges.bybit.messages import ENVELOPE, LISTED, AccountInfo, Envelope, Frame, Listed
from neuroflux.exchanges.bybit.modes import Modes
from neuroflux.exchanges.bybit.names import CATEGORIES, ID, LINEAR, SPOT
from neuroflux.exchanges.bybit.records import (
    BALANCES,
    FEES,
    FILLS,
    LOG,
    ORDERS,
    POSITIONS,
    UNIFIED,
    Context,
    Records,
    kind_of_list,
    records,
)
from neuroflux.exchanges.bybit.symbols import Symbols
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.feed import PrivateFeed
from neuroflux.exchanges.kit.omitted import HeldFigures
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.kit.signing import hmac_hex

LOGIN_LASTS_MS: Final = 10_000
QUIET_SECONDS: Final = 60.0
"""The answers to the heartbeat, each 20 s, show that the socket is alive."""
DAY: Final[Microseconds] = 86_400_000_000

_TOPICS: Final = {"order": ORDERS, "execution": FILLS, "position": POSITIONS, "wallet": BALANCES}
_KINDS: Final = frozenset({*_TOPICS.values(), FEES, LOG})
_MODE: Final = "mode"
_HEDGE: Final = "position mode"
_FRAME: Final = Decoder(Frame)
_INFO: Final = Decoder(AccountInfo)


class BybitAccountFeed(PrivateFeed):
    pushes_whole = True

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._listed = Symbols()
        super().__init__(ID, keys, instruments)
        self._modes = Modes()
        self._held = HeldFigures(ID)

    def learn(self, instruments: Sequence[Instrument]) -> None:
        super().learn(instruments)
        self._listed.learn(instruments)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """The account's modes. A flat position is named too where one symbol is requested, with its index."""
        info = self._asked("/v5/account/info", now, _MODE)
        name = self._listed.any_perpetual()
        return (info, self._asked("/v5/position/list", now, _HEDGE, category=LINEAR, symbol=name)) if name else (info,)

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        """The modes again, since no push reports a change of them."""
        return self.opening(now)

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """The login and the topics; the answers need not be waited for."""
        expires = now // 1000 + LOGIN_LASTS_MS
        sign = hmac_hex(self.keys.secret, f"GET/realtime{expires}")
        login = msgspec.json.encode({"op": "auth", "args": [self.keys.key, expires, sign]})
        return (socket("/v5/private", (login, operation("subscribe", *_TOPICS)), QUIET_SECONDS),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        span = rest.window(since // 1000, now)
        fills = (self._asked("/v5/execution/list", now, FILLS, category=one, **span, limit=100) for one in CATEGORIES)
        return (
            *self.figures(now),
            self._asked("/v5/order/realtime", now, ORDERS, category=SPOT, limit=50),
            self._asked("/v5/order/realtime", now, ORDERS, category=LINEAR, settleCoin=SETTLE, limit=50),
            *fills,
        )

    def figures(self, now: Microseconds) -> Sequence[Request]:
        return (
            self._asked("/v5/account/wallet-balance", now, BALANCES, accountType=UNIFIED),
            self._asked("/v5/position/list", now, POSITIONS, category=LINEAR, settleCoin=SETTLE, limit=200),
        )

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Of more than a day only transfers are requested: with all trades there may be too many rows to read."""
        kinds = ({},) if now - since <= DAY else tuple({"type": one} for one in TRANSFERS)
        span = {"accountType": UNIFIED, **rest.window(since // 1000, now), "limit": 50}
        return [self._asked("/v5/account/transaction-log", now, LOG, **kind, **span) for kind in kinds]

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        """Of all instruments, by category."""
        return [self._asked("/v5/account/fee-rate", now, FEES, category=one) for one in CATEGORIES]

    def _asked(self, path: str, now: Microseconds, tag: str, **parameters: object) -> Request:
        return rest.asked(self.keys, path, now, tag, **parameters)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        frame = _FRAME.decode(raw)
        topic, _, category = frame.topic.partition(".")
        if not frame.topic:
            return self._operation(frame, received)
        kind = _TOPICS.get(topic, "")
        if not kind or (category and category not in CATEGORIES):
            return (Ignored(frame.topic[:80]),)
        time = frame.creationTime * 1000 or received
        found = records(kind, frame.data, Context(self._listed, category, time))
        return self._events(kind, found, time)

    def _operation(self, frame: Frame, received: Microseconds) -> Sequence[FeedEvent]:
        """The stream is silent for ever after a login or a subscription that was refused."""
        text = frame.ret_msg or frame.retMsg or ""
        is_refused = frame.success is False or frame.retCode != 0
        if not is_refused or frame.op not in ("auth", "subscribe") or "already" in text:
            return (Ignored(frame.op or "message"),)
        detail = f"{frame.op}: {f'{frame.retCode} ' if frame.retCode else ''}{text[:200]}"
        return (ExchangeStatus(ID, "account", StatusKind.DISCONNECTED, 0.0, detail, received),)

    def _events(self, kind: str, found: Records, time: Microseconds) -> Sequence[FeedEvent]:
        """What could be read, a status for each row that could not; where nothing could, that alone."""
        faults = found.rows.faults
        if faults and not found.rows.good:
            return (Undecodable(f"{kind}: {faults[0]}"[:500]),)
        self._held.report(found.events)
        modes = self._modes.positions(found.indices, time) if kind == POSITIONS else ()
        return [*found.events, *modes, *found.rows.statuses(ID, kind, time)] or (Ignored(kind),)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        envelope = ENVELOPE.decode(answer.body)
        if envelope.retCode:
            return (Undecodable(f"{envelope.retCode} {envelope.retMsg}"[:500]),)
        if answer.request.tag == _MODE or b'"unifiedMarginStatus"' in bytes(envelope.result):
            return self._modes.account(_INFO.decode(envelope.result), envelope.time * 1000 or received)
        kind, listed = self._list_in(answer, envelope)
        return (
            self._answered(kind, listed, answer, envelope, received)
            if kind
            else (Ignored(answer.request.tag or "answer"),)
        )

    def subject(self, answer: Answer) -> str:
        return answer.request.tag

    def _list_in(self, answer: Answer, envelope: Envelope) -> tuple[str, Listed]:
        """The list, and its kind by its rows; that of an empty one is known by its request. "" for any other."""
        tag = POSITIONS if answer.request.tag == _HEDGE else answer.request.tag
        is_ours = tag in _KINDS
        try:
            listed = LISTED.decode(envelope.result)
            return kind_of_list(listed) or (tag if is_ours else ""), listed
        except UNREADABLE:
            if is_ours:
                raise
            return "", Listed()

    def _answered(
        self, kind: str, listed: Listed, answer: Answer, envelope: Envelope, received: Microseconds
    ) -> Sequence[FeedEvent]:
        asked, time = rest.query_of(answer), envelope.time * 1000 or received
        found = records(kind, listed.list, Context(self._listed, listed.category or asked.get("category", ""), time))
        events = self._events(kind, found, time)
        more: Sequence[Any] = ()
        if answer.request.tag in _KINDS:
            more = rest.next_page(self.keys, answer, listed.nextPageCursor or "", time)
        is_whole = not more and "cursor" not in asked and answer.request.tag == kind
        return [*events, *more, *(self._omitted(kind, found, answer, time) if is_whole else ())]

    def _omitted(self, kind: str, found: Records, answer: Answer, time: Microseconds) -> Sequence[FeedEvent]:
        """What a complete answer leaves out is held no more; a row that can't be read is not left out."""
        if not found.rows.is_whole:
            return ()
        asked = rest.asked_at(answer)
        if kind == BALANCES:
            assets = {one.asset for one in found.events if isinstance(one, Balance)} | found.rows.bad_names
            return self._held.balances_omitted(assets, asked, time)
        if kind != POSITIONS:
            return ()
        symbols = {one.symbol for one in found.events if isinstance(one, Position)}
        symbols |= {self._listed.of(LINEAR, name) for name in found.rows.bad_names}
        return self._held.positions_omitted(symbols, asked, time)
