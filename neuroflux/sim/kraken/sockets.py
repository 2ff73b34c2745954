"""Kraken's sockets: subscriptions, one acknowledgement for each symbol, and the messages of orders.

Both addresses serve every channel: the token decides who may have the private ones. Source:
https://docs.kraken.com/api/docs/guides/spot-ws-intro. From memory: the texts of refusals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.streams import Channel, Hub
from neuroflux.sim.kraken.account import AccountApi
from neuroflux.sim.kraken.executions import PRIVATE, Executions, View
from neuroflux.sim.kraken.frames import TRIGGERS, Frames, frame
from neuroflux.sim.kraken.keys import Account, Keys, Token
from neuroflux.sim.kraken.order_messages import OrderMessages
from neuroflux.sim.kraken.refusals import error_text
from neuroflux.sim.kraken.sessions import Session
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import ApiError, Json, Params, flag, object_of, text, texts

IDLE = (60.0, 1000, "")
"""Seconds after which a socket on which nothing passes is closed."""
_PUBLIC = ("book", "trade", "ticker", "ohlc")
_PRIVATE = ("executions", "balances")


class Sockets:
    """Every connection and its subscriptions. A stream's name is ``channel setting:symbol``."""

    def __init__(self, simulation: Simulation, keys: Keys, frames: Frames, hub: Hub, executions: Executions) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(KRAKEN)
        self._keys, self._frames, self._hub, self._executions = keys, frames, hub, executions
        self._sessions: set[Session] = set()
        self._halted: set[str] = set()
        self._numbers = count(8_628_615_390_848_610_000)
        self.orders: OrderMessages
        self.account: AccountApi
        self._exchange.on_list.append(lambda listing: self._tell(listing.symbol))

    def _now(self) -> int:
        return self._simulation.now(KRAKEN)

    # --- time

    def publish(self, changes: Sequence[Change], now: int) -> None:
        for session in self._sessions:
            session.now = now
        self._hub.publish(changes, now)
        if self._halted != self._exchange.halted:
            for symbol in self._halted ^ self._exchange.halted:
                self._tell(symbol)
            self._halted = set(self._exchange.halted)
        for session in self._sessions:
            session.beat(now)

    def _tell(self, symbol: str) -> None:
        self._hub.send("instrument:", lambda: self._frames.instrument(symbol))

    # --- connections

    async def serve(self, request: web.Request) -> web.StreamResponse:
        connection = self._simulation.connection(KRAKEN)
        connection.idle, session = IDLE, Session(connection)
        self._sessions.add(session)
        connection.reply(self._status())

        async def on_text(given: str) -> None:
            self._receive(session, given)

        try:
            return await connection.run(request, on_text)
        finally:
            self._sessions.discard(session)
            self._hub.leave(connection)
            self._keys.leave(session)
            self._simulation.leave(connection)

    def _status(self) -> str:
        system = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": next(self._numbers)}
        return frame("status", "update", [system])

    def _receive(self, session: Session, given: str) -> None:
        now = session.now = self._now()
        if not session.messages.add(now):
            session.connection.reply(json_text({"Error": "Exceeded msg rate"}))
            return
        asked: Params = {}
        try:
            asked = object_of(given)
            self._answer(session, asked, asked.get("params") or {}, now)
        except Refused as error:
            session.refuse(asked, now, error.text if isinstance(error, ApiError) else error_text(error))

    def _answer(self, session: Session, asked: Params, params: Params, now: int) -> None:
        method = asked.get("method")
        if not isinstance(params, dict):
            raise ApiError("Malformed request")
        if method == "ping":
            session.answer({**asked, "method": "pong"}, now)
        elif method in ("subscribe", "unsubscribe"):
            self._subscribe(session, asked, params, now)
        elif method in self.orders.methods:
            account = self._account(session, params, now)
            if not self.account.may_trade():
                raise ApiError("EGeneral:Permission denied")
            self.orders.methods[method](session, asked, params, account, now)
        else:
            raise ApiError("Unsupported method")

    def _account(self, session: Session, params: Params, now: int) -> Account:
        token = self._keys.of_token(params, now)
        return token.account

    # --- subscriptions

    def _subscribe(self, session: Session, asked: Params, params: Params, now: int) -> None:
        channel = text(params, "channel")
        if channel in _PRIVATE:
            self._private(session, asked, params, now)
        elif channel == "instrument":
            self._change(session, asked, (channel, ""), {"snapshot": True}, now)
        elif channel in _PUBLIC:
            setting, result = _setting(channel, params)
            for symbol in texts(params, "symbol"):
                self._one(session, asked, (channel, setting, symbol), {**result, "symbol": symbol}, now)
        else:
            raise ApiError("Event(s) not found")

    def _one(self, session: Session, asked: Params, what: tuple[str, str, str], result: Json, now: int) -> None:
        """One symbol, which is acknowledged or refused by itself."""
        channel, setting, symbol = what
        name = f"{channel} {setting}".strip()
        listing = self._frames.pairs.by_symbol.get(symbol)
        if listing is None:
            session.refuse(asked, now, f"Currency pair not supported {symbol}", symbol)
        elif name not in self._frames.channels:
            session.refuse(asked, now, _UNSUPPORTED[channel], symbol)
        else:
            self._change(session, asked, (name, listing.symbol), result, now)

    def _change(self, session: Session, asked: Params, what: tuple[str, str], result: Json, now: int) -> None:
        """Begin or end a subscription: the acknowledgement comes before the first frame."""
        kind, symbol = what
        name, channel = f"{kind}:{symbol}", kind.partition(" ")[0]
        followed = session.subscribed(channel, symbol)
        if asked["method"] == "subscribe":
            if followed:
                session.refuse(asked, now, "Already subscribed", text(result, "symbol"))
                return
            self._simulation.flush(KRAKEN)  # so that all followers of a book have the same levels
            session.succeed(asked, now, {"channel": channel, **result})
            self._follow(session, name, symbol, self._frames.channels[kind], is_first=bool(result["snapshot"]))
        elif followed != name:
            session.refuse(asked, now, "Subscription Not Found", text(result, "symbol"))
        else:
            self._hub.unfollow(session.connection, name)
            session.succeed(asked, now, {"channel": channel, **result})

    def _follow(self, session: Session, name: str, symbol: str, channel: Channel, *, is_first: bool) -> None:
        if not is_first and channel.first:
            channel.first(symbol)  # what followers have is known all the same
            channel = msgspec.structs.replace(channel, first=None)
        self._hub.follow(session.connection, name, symbol, channel)

    # --- the account

    def _private(self, session: Session, asked: Params, params: Params, now: int) -> None:
        channel, token = text(params, "channel"), self._keys.of_token(params, now)
        name = session.subscribed(channel)
        if asked["method"] == "unsubscribe":
            if not name:
                raise ApiError("Subscription Not Found")
            self._hub.unfollow(session.connection, name)
            session.succeed(asked, now, {"channel": channel})
            return
        if name:
            raise ApiError("Already subscribed")
        token.users.add(session)
        session.begin(channel)
        if channel == "balances":
            self._follow_balances(session, asked, params, now)
        else:
            self._follow_executions(session, asked, params, token, now)

    def _follow_balances(self, session: Session, asked: Params, params: Params, now: int) -> None:
        is_first = flag(params, "snapshot", default=True)
        session.succeed(asked, now, {"channel": "balances", "snapshot": is_first})
        self._hub.follow(session.connection, "balances", "account", PRIVATE)
        if is_first:
            session.connection.send(self._executions.balances(), stream="balances", is_private=True)

    def _follow_executions(self, session: Session, asked: Params, params: Params, token: Token, now: int) -> None:
        orders, trades = flag(params, "snap_orders", default=True), flag(params, "snap_trades")
        every, counted = flag(params, "order_status", default=True), flag(params, "ratecounter")
        limits = token.account.limits
        most = round(self._keys.tier(token.account).orders)
        flags = {"snap_orders": orders, "snap_trades": trades, "order_status": every, "ratecounter": counted}
        session.succeed(asked, now, {"channel": "executions", "snapshot": True, "maxratecount": most, **flags})
        name = f"executions {every} {token.account.key if counted else ''}:"
        self._executions.views[name] = View(every, (lambda symbol: limits.of(symbol).value) if counted else None)
        self._hub.follow(session.connection, name, "account", PRIVATE)
        first = self._executions.snapshot(orders=orders, trades=trades)
        session.connection.send(first, stream=name, is_private=True)


_UNSUPPORTED = {
    "book": "Subscription depth not supported",
    "ohlc": "Subscription ohlc interval not supported",
    "ticker": "Subscription event_trigger not supported",
}


def _setting(channel: str, params: Params) -> tuple[str, Json]:
    """What distinguishes the streams of a channel, and the acknowledgement without the symbol."""
    is_first = {"snapshot": flag(params, "snapshot", default=channel != "trade")}
    if channel == "book":
        depth = text(params, "depth", "10")
        return depth, {"depth": int(depth) if depth.isdigit() else depth, **is_first}
    if channel == "ohlc":
        interval = text(params, "interval", "1")
        return interval, {"interval": int(interval) if interval.isdigit() else interval, **is_first}
    if channel == "ticker":
        trigger = text(params, "event_trigger", TRIGGERS[0])
        return trigger, {"event_trigger": trigger, **is_first}
    return "", is_first
