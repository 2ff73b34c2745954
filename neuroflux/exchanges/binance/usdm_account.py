"""Binance USDⓈ-M's private feed: reports, fills, balances, positions and transfers over a listen key.

Positions and assets that a complete answer omits are held no more; how balances are counted is in
``usdm_wallets``. COIN-M has the same listen key and address, and its events are dropped: its quantities are
contracts, its wallets others. Sources: the pages "User Data Streams" of both,
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams and
https://developers.binance.com/docs/derivatives/coin-margined-futures/user-data-streams
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import ClassVar, Final
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Fill, Instrument, Microseconds, StatusKind
from neuroflux.exchanges.binance.codes import BAD_LISTEN_KEY
from neuroflux.exchanges.binance.fees import USDM_FEES, is_usdm, usdm_rates
from neuroflux.exchanges.binance.market import closing
from neuroflux.exchanges.binance.messages import (
    AccountUpdate,
    ConfigUpdate,
    Head,
    OrderTradeUpdate,
    microseconds,
)
from neuroflux.exchanges.binance.order_paths import USDM_PATHS, OrderPaths
from neuroflux.exchanges.binance.orders import records_of
from neuroflux.exchanges.binance.pages import LONG_WINDOW_MS, PAGE, asked_at, asked_for, query_of
from neuroflux.exchanges.binance.private_feed import BinancePrivateFeed
from neuroflux.exchanges.binance.reports import futures_events
from neuroflux.exchanges.binance.rest import failure, signed, signed_within
from neuroflux.exchanges.binance.usdm_figures import Figures
from neuroflux.exchanges.binance.usdm_margin_calls import MarginCall, margin_call
from neuroflux.exchanges.binance.usdm_modes import Flags, Modes
from neuroflux.exchanges.binance.usdm_transfers import OF_TRADING, REASONS, history, pushed, transfers
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.rows import keys_of, sane, unknown
from neuroflux.exchanges.kit.shapes import UNREADABLE

EXCHANGE: Final = USDM_PATHS.exchange
LISTEN_KEY: Final = "/fapi/v1/listenKey"

_ORDER: Final = Decoder(OrderTradeUpdate)
_UPDATE: Final = Decoder(AccountUpdate)
_CONFIG: Final = Decoder(ConfigUpdate)
_CALL: Final = Decoder(MarginCall)
_FLAGS: Final = Decoder(Flags)
_OF_A_PRODUCT: Final = frozenset({"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL"})
_FLAG_NAMES: Final = frozenset(Flags.__struct_fields__)


class _ListenKey(Struct, frozen=True):
    listenKey: str = ""


class BinanceUsdmAccountFeed(BinancePrivateFeed):
    """Private data of one USDⓈ-M account, in one-way mode: a symbol has one position."""

    ORDER_PATHS: ClassVar[OrderPaths] = USDM_PATHS
    FEES: ClassVar[str] = USDM_FEES
    pushes_whole = False

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._settles: dict[str, str] = {}
        super().__init__(keys, instruments)
        self._listen_key = ""
        self._modes = Modes(EXCHANGE)
        self._figures = Figures(EXCHANGE, self.symbols, self._settles, self._modes)

    def learn(self, instruments: Sequence[Instrument]) -> None:
        super().learn(instruments)
        self._settles |= {one.name: one.settle for one in instruments}

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """A listen key, which is the same one again, extended, where there is one; and the account's mode."""
        return (self._key_request("POST"), *self._modes.requests(self.keys, now))

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        """Extends the key; the mode is requested again, since no push reports a change of it."""
        return (self._key_request("PUT"), *self._modes.requests(self.keys, now))

    def _key_request(self, method: str) -> Request:
        return Request(method, LISTEN_KEY, headers={"X-MBX-APIKEY": self.keys.key}, tag="listenKey")

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """None without a listen key: ``answer`` has reported the stream as ended, and it is opened again."""
        if not self._listen_key:
            return ()
        return (Subscription(f"/private/ws?listenKey={quote(self._listen_key)}", quiet_seconds=inf),)

    def figures(self, now: Microseconds) -> Sequence[Request]:
        return (
            signed(self.keys, "GET", self.ORDER_PATHS.account, now, self.ORDER_PATHS.account_weight, "account"),
            signed(self.keys, "GET", "/fapi/v3/positionRisk", now, 5, "positionRisk"),
        )

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return history(self.keys, since, now)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def message(self, raw: bytes | str, head: Head, received: Microseconds) -> Sequence[FeedEvent]:
        if head.e in _OF_A_PRODUCT and head.st is not UNSET and bytes(head.st) == b"2":
            return (Ignored(f"{head.e} of COIN-M"),)
        match head.e:
            case "ORDER_TRADE_UPDATE":
                return self._order(_ORDER.decode(raw))
            case "ACCOUNT_UPDATE":
                return self._updated(_UPDATE.decode(raw)) or (Ignored("nothing changed"),)
            case "ACCOUNT_CONFIG_UPDATE":
                return self._configured(_CONFIG.decode(raw), received)
            case "MARGIN_CALL":
                return margin_call(EXCHANGE, _CALL.decode(raw), self.symbols)
            case "listenKeyExpired":
                return (self._no_key("the listen key expired: a new one is requested", received),)
            case "serverShutdown":
                return (closing(EXCHANGE, "account", received),)
        return (Ignored(head.e or "reply"),)  # TRADE_LITE among them: it repeats a fill

    def _updated(self, wire: AccountUpdate) -> Sequence[FeedEvent]:
        """The figures; and after a transfer, the request for the history that names it."""
        figures, reason, time = self._figures.pushed(wire), wire.a.m, microseconds(wire.E)
        if reason in OF_TRADING:
            return figures
        strange = () if reason in REASONS else (unknown(EXCHANGE, f"an account update for {reason[:80]!r}", time),)
        return (*figures, *strange, pushed(self.keys, time))

    def _order(self, wire: OrderTradeUpdate) -> Sequence[FeedEvent]:
        order = sane(wire.o)
        self.active.add(order.s)
        events = futures_events(EXCHANGE, order, self.symbols)
        if not order.l or any(isinstance(one, Fill) for one in events):
            return events
        return [*events, self._fills_of(order.s, order.i, microseconds(wire.E))]

    def _fills_of(self, name: str, order_id: int, now: Microseconds) -> PageNeeded:
        """The fills of an order, where the stream did not report one that can be identified."""
        path, weight = self.ORDER_PATHS.fills, self.ORDER_PATHS.fills_weight
        asked = {"symbol": name, "orderId": order_id, "limit": PAGE}
        return PageNeeded(signed_within(self.keys, "GET", path, now, weight, "fills", LONG_WINDOW_MS, **asked))

    def _configured(self, wire: ConfigUpdate, received: Microseconds) -> Sequence[FeedEvent]:
        if wire.ac is not None:
            self._figures.leverage(wire.ac.s, wire.ac.l)
        mode = self._modes.take(Flags(multiAssetsMargin=wire.ai.j), received) if wire.ai is not None else ()
        return mode or (Ignored("ACCOUNT_CONFIG_UPDATE"),)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def refused(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return self._keyed(answer, received) if _is_of_key(answer) else super().refused(answer, received)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        failed = failure(answer.body)
        if _is_of_key(answer):
            return self._keyed(answer, received)
        if failed is not None and failed.code < 0:
            return (Undecodable(f"{failed.code} {failed.msg}"),)
        found = records_of(EXCHANGE, answer.body, self.symbols)
        if found is not None:
            return self.recorded(answer, found, received)
        kind = asked_for(answer)
        return self._read(kind, answer, received) or (Ignored(kind or "answer"),)

    def subject(self, answer: Answer) -> str:
        return asked_for(answer) or "answer"

    def _read(self, kind: str, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        """By its keys, and where it has none (an empty list, or one that can't be read) by its request."""
        keys, is_list = keys_of(answer.body)
        asked, body, figures = asked_at(answer), answer.body, self._figures
        if "listenKey" in keys:
            return self._keyed(answer, received)
        if "assets" in keys:
            return figures.account(body, asked, received)
        if not is_list and is_usdm(keys):
            return (usdm_rates(body, self.symbols),)
        if not is_list:
            return self._modes.take(_FLAGS.decode(body), received) if _FLAG_NAMES & set(keys) else ()
        if kind == "income" or {"incomeType", "income"} <= set(keys):
            return transfers(EXCHANGE, self.keys, answer, received)
        if kind == "positionRisk" or {"positionAmt", "symbol"} <= set(keys):
            return figures.risks(body, "symbol" not in query_of(answer), asked, received)
        if kind == "balance" or {"asset", "balance"} <= set(keys):
            return figures.funds(body, asked, received)
        return figures.leverages(body, received) if {"symbol", "leverage", "marginType"} <= set(keys) else ()

    # ── the listen key ───────────────────────────────────────────────────────────────────────────────────────────

    def _keyed(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        """A key; or an answer that there is none any more, which ends the stream.

        Any other refusal to extend it changes nothing yet: it is tried again within the hour that a key lasts.
        """
        failed = failure(answer.body)
        reason = f"{failed.code} {failed.msg}" if failed is not None else f"HTTP {answer.status}"
        is_good = answer.status == 200 and failed is None
        if key := _key_in(answer.body) if is_good else "":
            self._listen_key = key
            return (Ignored("listenKey"),)
        if failed is not None and failed.code == BAD_LISTEN_KEY:
            return (
                self._no_key(f"the listen key does not exist any more ({reason}): a new one is requested", received),
            )
        if answer.request.method == "POST":
            return (self._no_key(f"no listen key was given ({reason})", received),)
        return (
            (Ignored("listenKey"),)
            if answer.status == 200 and failed is None
            else (Undecodable(f"listenKey: {reason}"),)
        )

    def _no_key(self, detail: str, received: Microseconds) -> ExchangeStatus:
        self._listen_key = ""
        return ExchangeStatus(EXCHANGE, "account", StatusKind.DISCONNECTED, 0.0, detail, received)


def _is_of_key(answer: Answer) -> bool:
    return asked_for(answer) == "listenKey" or answer.request.tag == "listenKey"


def _key_in(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_ListenKey).listenKey
    except UNREADABLE:
        return ""
