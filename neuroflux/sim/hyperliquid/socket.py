"""Hyperliquid's ``/ws``: subscriptions by type and coin or user, first pictures, and what follows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
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

BOOK_EVERY = 5_000_000
FAST_BOOK_EVERY = 500_000
FAST_DEPTH = 5
"""An ``l2Book`` comes every 5 s, changed or not; with ``"fast": true`` as soon as it changed, but shallow."""
_FAST = "l2Book fast"
CONTEXT_EVERY = 1_000_000
STATE_EVERY = 5_000_000
REPLAYED = 30
"""Trades that a new subscriber is told again."""
_OF_COIN = ("l2Book", "bbo", "trades", "activeAssetCtx")
_LEDGER = "userNonFundingLedgerUpdates"
_OF_USER = (
    "userFills",
    "orderUpdates",
    "userEvents",
    _LEDGER,
    "clearinghouseState",
    "spotState",
    "openOrders",
)


def frame(channel: str, data: Any) -> str:
    return msgspec.json.encode({"channel": channel, "data": data}).decode()


class Feeds:
    """Who is told what. A subscription's name is ``type:coin`` or ``type:user``."""

    def __init__(self, simulation: Simulation, info: Info) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange("hyperliquid")
        self._info = info
        self._subscribers: dict[str, set[Connection]] = {}
        self._tapes: dict[str, deque[Json]] = {}
        self._tops: dict[str, Any] = {}
        self._dirty: set[str] = set()
        self._sent: dict[str, int] = {}
        self._first: dict[str, Callable[[str], str]] = {
            "l2Book": lambda coin: frame("l2Book", self._info.book(self._exchange.listings[coin])),
            _FAST: lambda coin: frame("l2Book", self._info.book(self._exchange.listings[coin], FAST_DEPTH)),
            "bbo": lambda coin: frame("bbo", self._bbo(self._exchange.listings[coin])),
            "trades": lambda coin: frame("trades", list(self._tapes.get(coin, ()))),
            "activeAssetCtx": lambda coin: self._context(self._exchange.listings[coin]),
            "allMids": lambda _: frame("allMids", {"mids": self._info.mids()}),
            "userFills": self._first_fills,
            _LEDGER: self._first_updates,
            "clearinghouseState": lambda user: self._state("clearinghouseState", user),
            "spotState": lambda user: self._state("spotState", user),
            "openOrders": lambda user: self._state("openOrders", user),
        }

    # ── requests of a client ─────────────────────────────────────────────────────────────────────────────────────

    async def said(self, connection: Connection, text: str, post: Callable[[Json], Any]) -> None:
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
            connection.reply(frame("error", f"Already subscribed: {msgspec.json.encode(wanted).decode()}"))
            return
        connection.streams[name] = None
        self._subscribers.setdefault(name, set()).add(connection)
        normal = {"nSigFigs": None, "mantissa": None, "fast": False} if wanted["type"] == "l2Book" else {}
        told = {**wanted, **normal, **wanted, **({"aggregateByTime": False} if wanted["type"] == "userFills" else {})}
        connection.reply(frame("subscriptionResponse", {"method": "subscribe", "subscription": told}))
        kind, _, key = name.partition(":")
        if kind in self._first:
            connection.send(self._framed(kind, key), stream=name)

    def _unsubscribe(self, connection: Connection, wanted: Any, text: str) -> None:
        name = self._name(wanted)
        if name is None or name not in connection.streams:
            connection.reply(frame("error", f"Already unsubscribed: {msgspec.json.encode(wanted).decode()}"))
            return
        del connection.streams[name]
        self._subscribers[name].discard(connection)
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
        for name in connection.streams:
            self._subscribers[name].discard(connection)

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self, changes: Iterable[Change], now: int) -> None:
        for change in changes:
            self._changed(change, now)
        for coin in list(self._dirty):
            if self._due(f"{_FAST}:{coin}", now, FAST_BOOK_EVERY):
                self._dirty.discard(coin)
                self._send(f"{_FAST}:{coin}", partial(self._framed, _FAST, coin), is_depth=True)
        for name in [name for name, who in self._subscribers.items() if who]:
            kind, _, key = name.partition(":")
            if kind == "l2Book" and self._due(name, now, BOOK_EVERY):
                self._send(name, partial(self._framed, kind, key), is_depth=True)
            elif kind in ("activeAssetCtx", "allMids") and self._due(name, now, CONTEXT_EVERY):
                self._send(name, partial(self._framed, kind, key))
            elif kind in ("clearinghouseState", "spotState", "openOrders") and self._due(name, now, STATE_EVERY):
                self._send(name, partial(self._state, kind, key), is_private=True)

    def _framed(self, kind: str, key: str) -> str:
        return self._first[kind](key)

    def _changed(self, change: Change, now: int) -> None:
        coin = change.listing.symbol
        if change.matches:
            trades = [_trade(change.listing, match, now) for match in change.matches]
            self._tapes.setdefault(coin, deque(maxlen=REPLAYED)).extend(trades)
            self._send(f"trades:{coin}", lambda: frame("trades", trades))
        if change.levels:
            self._dirty.add(coin)
        if self._subscribers.get(f"bbo:{coin}"):
            bbo = self._bbo(change.listing)
            if bbo["bbo"] != self._tops.get(coin):
                self._tops[coin] = bbo["bbo"]
                self._send(f"bbo:{coin}", lambda: frame("bbo", bbo))

    def happened(self, event: AccountEvent, user: str) -> None:
        """An event of the account, at once."""
        if isinstance(event, OrderEvent):
            self._ordered(event, user)
        elif isinstance(event, TransferEvent):
            self._moved(event, user)
        for kind in ("clearinghouseState", "spotState"):
            self._sent.pop(f"{kind}:{user}", None)

    def _ordered(self, event: OrderEvent, user: str) -> None:
        """What the exchange itself did is a fill without an order that the account would know."""
        if not event.order.forced:
            self._send(f"orderUpdates:{user}", lambda: self._order_update(event), is_private=True)
        if event.fill is not None:
            fills = [account.fill(event.fill, event.order, user)]
            news = {"user": user, "fills": fills}
            self._send(f"userFills:{user}", lambda: frame("userFills", news), is_private=True)
            self._send(f"userEvents:{user}", lambda: frame("user", {"fills": fills}), is_private=True)

    def _order_update(self, event: OrderEvent) -> str:
        return frame("orderUpdates", [account.order_update(event.order, self._info.status(event.order), event.time)])

    def _moved(self, event: TransferEvent, user: str) -> None:
        """A deposit, a withdrawal, or a token that somebody sent."""
        told = {"user": user, "nonFundingLedgerUpdates": [ledger.update(event, user)]}
        self._send(f"{_LEDGER}:{user}", lambda: frame(_LEDGER, told), is_private=True)

    def _due(self, name: str, now: int, every: int) -> bool:
        if now - self._sent.get(name, 0) < every:
            return False
        self._sent[name] = now
        return True

    def _send(self, name: str, made: Callable[[], str], *, is_depth: bool = False, is_private: bool = False) -> None:
        """Made only where somebody listens."""
        listening = self._subscribers.get(name)
        if listening:
            text = made()
            for connection in list(listening):
                connection.send(text, stream=name, is_depth=is_depth, is_private=is_private)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _bbo(self, listing: Listing) -> Json:
        book = self._exchange.books[listing.symbol]
        tops = []
        for half in (book.bids, book.asks):
            best = half.levels(1)
            level = {"px": number(best[0][0] * listing.tick), "sz": number(best[0][1] * listing.lot)} if best else None
            tops.append({**level, "n": max(1, half.orders_at(best[0][0]))} if level else None)
        return {"coin": listing.symbol, "time": self._info.now() // 1000, "bbo": tops}

    def _context(self, listing: Listing) -> str:
        channel = "activeAssetCtx" if listing.kind == "perpetual" else "activeSpotAssetCtx"
        return frame(channel, {"coin": listing.symbol, "ctx": self._info.context(listing)})

    def _first_fills(self, user: str) -> str:
        fills = self._info.answer({"type": "userFills", "user": user})
        return frame("userFills", {"isSnapshot": True, "user": user, "fills": fills})

    def _first_updates(self, user: str) -> str:
        """The newest; the older ones can be asked for."""
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
