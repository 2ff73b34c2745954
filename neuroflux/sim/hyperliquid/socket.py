"""Hyperliquid's ``/ws``: subscriptions by type and coin or user, and the frames of each type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.orders import AccountEvent, OrderEvent, TransferEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.hyperliquid import account, ledger
from neuroflux.sim.hyperliquid.account import Json, number
from neuroflux.sim.hyperliquid.info import Info
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.recent_trades import RecentTrades
from neuroflux.sim.kit.streams import Channel, Hub

BOOK_EVERY = 5_000_000
FAST_BOOK_EVERY = 500_000
FAST_DEPTH = 5
"""An ``l2Book`` is sent every 5 s, changed or not; with ``"fast": true`` as soon as it changed, but shallow."""
_FAST = "l2Book fast"
CONTEXT_EVERY = 1_000_000
STATE_EVERY = 5_000_000
REPLAYED = 30
"""Trades that a new subscriber receives again."""
_OF_COIN = ("l2Book", "bbo", "trades", "activeAssetCtx")
_LEDGER = "userNonFundingLedgerUpdates"
_STATES = ("clearinghouseState", "spotState", "openOrders")
_OF_USER = ("userFills", "orderUpdates", "userEvents", _LEDGER, *_STATES)


def frame(channel: str, data: Any) -> str:
    return json_text({"channel": channel, "data": data})


class Feeds:
    """The streams of the exchange and of the account. A stream's name is ``type:coin`` or ``type:user``."""

    def __init__(self, simulation: Simulation, info: Info) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange("hyperliquid")
        self._info = info
        self._hub = Hub(self._exchange)
        self._trades = RecentTrades(REPLAYED)
        state = partial(Channel, is_private=True)
        self._channels: dict[str, tuple[Channel, int]] = {
            "l2Book": (Channel(first=self._book, timed=_at_any_time(self._book), is_depth=True), BOOK_EVERY),
            _FAST: (
                Channel(first=self._fast_book, levels=lambda coin, *_: self._fast_book(coin), is_depth=True),
                FAST_BOOK_EVERY,
            ),
            "bbo": (Channel(first=self._bbo, top=_at_any_time(self._bbo)), 0),
            "trades": (Channel(first=self._last_trades, trades=self._new_trades), 0),
            "activeAssetCtx": (Channel(first=self._context, timed=_at_any_time(self._context)), CONTEXT_EVERY),
            "allMids": (Channel(first=self._mids, timed=_at_any_time(self._mids)), CONTEXT_EVERY),
            "userFills": (state(first=self._first_fills), 0),
            "orderUpdates": (state(), 0),
            "userEvents": (state(), 0),
            _LEDGER: (state(first=self._first_updates), 0),
        }
        for kind in _STATES:
            write = partial(self._state, kind)
            self._channels[kind] = (state(first=write, timed=_at_any_time(write)), STATE_EVERY)

    # ── requests of a client ─────────────────────────────────────────────────────────────────────────────────────

    async def receive(self, connection: Connection, text: str, post: Callable[[Json], Any]) -> None:
        try:
            asked = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            asked = {}
        match asked.get("method"):
            case "ping":
                connection.reply('{"channel":"pong"}')
            case "subscribe":
                self._subscribe(connection, asked.get("subscription"), text)
            case "unsubscribe":
                self._unsubscribe(connection, asked.get("subscription"), text)
            case "post":
                connection.reply(frame("post", {"id": asked.get("id"), "response": post(asked.get("request") or {})}))
            case _:
                self._refuse(connection, text)

    def _refuse(self, connection: Connection, text: str) -> None:
        connection.reply(frame("error", f"Error parsing JSON into valid websocket request: {text}"))

    def _subscribe(self, connection: Connection, wanted: Any, text: str) -> None:
        name = self._name(wanted)
        if name is None:
            self._refuse(connection, text)
            return
        if name in connection.streams:
            connection.reply(frame("error", f"Already subscribed: {json_text(wanted)}"))
            return
        normal = {"nSigFigs": None, "mantissa": None, "fast": False} if wanted["type"] == "l2Book" else {}
        subscription = {
            **wanted,
            **normal,
            **wanted,
            **({"aggregateByTime": False} if wanted["type"] == "userFills" else {}),
        }
        connection.reply(frame("subscriptionResponse", {"method": "subscribe", "subscription": subscription}))
        kind, _, key = name.partition(":")
        channel, every = self._channels[kind]
        self._hub.follow(connection, name, key, channel, every)

    def _unsubscribe(self, connection: Connection, wanted: Any, text: str) -> None:
        name = self._name(wanted)
        if name is None or name not in connection.streams:
            connection.reply(frame("error", f"Already unsubscribed: {json_text(wanted)}"))
            return
        self._hub.unfollow(connection, name)
        connection.reply(frame("subscriptionResponse", {"method": "unsubscribe", "subscription": wanted}))

    def _name(self, wanted: Any) -> str | None:
        """None for what Hyperliquid does not offer."""
        kind = wanted.get("type") if isinstance(wanted, dict) else None
        if kind in _OF_COIN and wanted.get("coin") in self._exchange.listings:
            is_fast = kind == "l2Book" and wanted.get("fast") is True
            return f"{_FAST if is_fast else kind}:{wanted['coin']}"
        if kind in _OF_USER and isinstance(wanted.get("user"), str):
            return f"{kind}:{wanted['user'].lower()}"
        return "allMids:" if kind == "allMids" else None

    def leave(self, connection: Connection) -> None:
        self._hub.leave(connection)

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._trades.remember(changes, now)
        self._hub.publish(changes, now)

    def report(self, event: AccountEvent, user: str) -> None:
        """An event of the account, at once."""
        if isinstance(event, OrderEvent):
            self._ordered(event, user)
        elif isinstance(event, TransferEvent):
            self._moved(event, user)
        for kind in ("clearinghouseState", "spotState"):
            self._hub.hasten(f"{kind}:{user}")

    def _ordered(self, event: OrderEvent, user: str) -> None:
        """An order of the exchange itself is reported as a fill alone: the account does not know the order."""
        if not event.order.forced:
            self._hub.send(f"orderUpdates:{user}", lambda: self._order_update(event))
        if event.fill is not None:
            fills = [account.fill(event.fill, event.order, user)]
            self._hub.send(f"userFills:{user}", lambda: frame("userFills", {"user": user, "fills": fills}))
            self._hub.send(f"userEvents:{user}", lambda: frame("user", {"fills": fills}))

    def _order_update(self, event: OrderEvent) -> str:
        return frame("orderUpdates", [account.order_update(event.order, self._info.status(event.order), event.time)])

    def _moved(self, event: TransferEvent, user: str) -> None:
        """A deposit, a withdrawal, or a token that was sent."""
        body = {"user": user, "nonFundingLedgerUpdates": [ledger.update(event, user)]}
        self._hub.send(f"{_LEDGER}:{user}", lambda: frame(_LEDGER, body))

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _book(self, coin: str) -> str:
        return frame("l2Book", self._info.book(self._exchange.listings[coin]))

    def _fast_book(self, coin: str) -> str:
        return frame("l2Book", self._info.book(self._exchange.listings[coin], FAST_DEPTH))

    def _bbo(self, coin: str) -> str:
        book, listing = self._exchange.books[coin], self._exchange.listings[coin]
        tops = []
        for half in (book.bids, book.asks):
            best = half.levels(1)
            level = {"px": number(best[0][0] * listing.tick), "sz": number(best[0][1] * listing.lot)} if best else None
            tops.append({**level, "n": max(1, half.orders_at(best[0][0]))} if level else None)
        return frame("bbo", {"coin": coin, "time": self._info.now() // 1000, "bbo": tops})

    def _last_trades(self, coin: str) -> str:
        listing = self._exchange.listings[coin]
        return frame("trades", [_trade(listing, match, time) for match, time in self._trades.of(coin)])

    def _new_trades(self, change: Change, now: int) -> Iterator[str]:
        yield frame("trades", [_trade(change.listing, match, now) for match in change.matches])

    def _context(self, coin: str) -> str:
        listing = self._exchange.listings[coin]
        channel = "activeAssetCtx" if listing.kind == "perpetual" else "activeSpotAssetCtx"
        return frame(channel, {"coin": coin, "ctx": self._info.context(listing)})

    def _mids(self, _: str) -> str:
        return frame("allMids", {"mids": self._info.mids()})

    def _first_fills(self, user: str) -> str:
        fills = self._info.answer({"type": "userFills", "user": user})
        return frame("userFills", {"isSnapshot": True, "user": user, "fills": fills})

    def _first_updates(self, user: str) -> str:
        """The newest rows; older ones can be requested."""
        rows = self._info.ledger(user)[-ledger.ROWS :]
        return frame(_LEDGER, {"isSnapshot": True, "user": user, "nonFundingLedgerUpdates": rows})

    def _state(self, kind: str, user: str) -> str:
        if kind == "clearinghouseState":
            asked = {"type": "clearinghouseState", "user": user}
            return frame(kind, {"dex": "", "user": user, "clearinghouseState": self._info.answer(asked)})
        if kind == "spotState":
            asked = {"type": "spotClearinghouseState", "user": user}
            return frame(kind, {"user": user, "spotState": self._info.answer(asked)})
        asked = {"type": "frontendOpenOrders", "user": user}
        return frame(kind, {"dex": "", "user": user, "orders": self._info.answer(asked)})


def _at_any_time(write: Callable[[str], str]) -> Callable[[str, int], str]:
    """A writer that reads the time by itself."""
    return lambda key, _: write(key)


def _trade(listing: Listing, match: Match, now: int) -> Json:
    return {
        "coin": listing.symbol,
        "side": "B" if match.side == "buy" else "A",
        "px": number(match.price * listing.tick),
        "sz": number(match.quantity * listing.lot),
        "time": now // 1000,
        "hash": "0x" + f"{match.trade_id:064x}",
        "tid": match.trade_id,
        "users": ["0x" + "0" * 40, "0x" + "0" * 40],
    }
