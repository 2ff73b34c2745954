"""Coinbase's sockets: subscriptions by channel and product, and the account's channel.

Both addresses serve every channel, as the market's one does with ``user`` when the other is down.
Source: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.coinbase.aliases import canonical
from neuroflux.sim.coinbase.frames import SECOND, Frames, frame, numbered
from neuroflux.sim.coinbase.keys import Signer
from neuroflux.sim.coinbase.order_texts import OrderTexts
from neuroflux.sim.coinbase.venue import COINBASE
from neuroflux.sim.coinbase.wire import Json, throttled
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.orders import AccountEvent, Order, OrderEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.limits import Recent
from neuroflux.sim.kit.streams import Channel, Hub

FIRST_WITHIN, QUIET_FOR = 5.0, 90.0
"""Seconds until a socket without a subscription is closed, and one that was sent nothing."""
CONNECTIONS_A_SECOND, MESSAGES_A_SECOND = 8, 8
"""New connections, and messages of one connection without a token."""
ANSWERED_AFTER = 0.15
"""Seconds after which a subscription to the market is acknowledged: its first frames, and updates, come before."""
_ANSWERED_AT_ONCE = ("user", "heartbeats")
A_BATCH = 50
"""Open orders in one frame of the first ones; one that has fewer is the last."""
_USER = Channel(is_private=True)
_RESTS = ("GTC", "POST")


class Watch:
    """Closes a socket that never subscribes, or that nothing is sent to."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._loop = connection, asyncio.get_running_loop()
        self.has_subscribed = False
        self.last_sent = self._loop.time()
        self._timers = [
            self._loop.call_later(FIRST_WITHIN, self._check_first),
            self._loop.call_later(QUIET_FOR, self._check_quiet),
        ]

    def _check_first(self) -> None:
        if not self.has_subscribed:
            self._connection.close()

    def _check_quiet(self) -> None:
        due = self.last_sent + QUIET_FOR
        if due <= self._loop.time():
            self._connection.close()
        else:
            self._timers[1] = self._loop.call_at(due, self._check_quiet)

    def sent(self) -> None:
        self.last_sent = self._loop.time()

    def end(self) -> None:
        for timer in self._timers:
            timer.cancel()


class Sockets:
    """Every connection and its subscriptions. A stream's name is ``channel:product``, ``user`` that of the account."""

    def __init__(self, simulation: Simulation, signer: Signer, frames: Frames, orders: OrderTexts) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(COINBASE)
        self._signer, self._orders = signer, orders
        self._channels, self._hub = frames.channels, Hub(self._exchange)
        self._connections = Recent(CONNECTIONS_A_SECOND, SECOND)
        self._exchange.listeners.append(self._on_event)

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._hub.publish(changes, now)

    def _now(self) -> int:
        return self._simulation.now(COINBASE)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if not self._connections.add(self._now()):
            return throttled()
        connection, numbers = self._simulation.connection(COINBASE), count()
        watch, messages = Watch(connection), Recent(MESSAGES_A_SECOND, SECOND)

        def stamp(text: str) -> str:
            watch.sent()
            return numbered(text, numbers)

        async def on_text(text: str) -> None:
            watch.has_subscribed |= self._receive(connection, _object(text), messages)

        connection.stamp = stamp
        try:
            return await connection.run(request, on_text)
        finally:
            watch.end()
            self._hub.leave(connection)
            self._simulation.leave(connection)

    # --- requests of a client

    def _receive(self, connection: Connection, asked: Json, messages: Recent) -> bool:
        """Whether it was a subscription that is served."""
        try:
            self._check(asked, messages)
            names = self._names(asked)
        except Refused as error:
            connection.reply(json_text({"type": "error", "message": str(error)}))
            return False
        for name, key in names.items():
            if asked["type"] == "subscribe":
                self._follow(connection, name, key)
            else:
                self._hub.unfollow(connection, name)
        if asked["type"] == "unsubscribe" or asked["channel"] in _ANSWERED_AT_ONCE:
            self._acknowledge(connection)
        else:
            asyncio.get_running_loop().call_later(ANSWERED_AFTER, self._acknowledge, connection)
        return bool(asked["type"] == "subscribe")

    def _acknowledge(self, connection: Connection) -> None:
        connection.reply(frame("subscriptions", self._now(), {"subscriptions": self._subscribed(connection)}))

    def _check(self, asked: Json, messages: Recent) -> None:
        if asked.get("type") not in ("subscribe", "unsubscribe"):
            raise Refused("type required")
        if "jwt" not in asked and not messages.add(self._now()):
            raise Refused("rate limit exceeded")
        channel = asked.get("channel")
        if not isinstance(channel, str) or not channel:
            raise Refused("channel required")
        if channel != "user" and channel not in self._channels:
            raise Refused(f"channel {channel} is not supported")
        if "jwt" in asked or channel == "user":
            try:
                self._signer.check(asked.get("jwt"), self._now())
            except Refused as error:
                raise Refused("authentication failure") from error

    def _names(self, asked: Json) -> dict[str, str]:
        """The streams that are meant, and their keys; an alias is followed as the product it stands for."""
        channel, products = str(asked["channel"]), asked.get("product_ids") or []
        if not isinstance(products, list):
            raise Refused("product_ids must be a list")
        if channel == "heartbeats":
            return {channel: ""}
        known = [name for name in products if name in self._exchange.listings]
        if channel == "user":
            return {f"user:{name}": name for name in known} if products else {channel: channel}
        followed = known if products else self._exchange.listings
        names = dict.fromkeys(canonical(self._exchange, name) for name in followed)
        return {f"{channel}:{name}": name for name in names}

    def _follow(self, connection: Connection, name: str, key: str) -> None:
        if not name.startswith("user"):
            self._hub.follow(connection, name, key, *self._channels[name.partition(":")[0]])
            return
        self._hub.follow(connection, name, key, _USER)
        for batch in self._open_orders("" if name == "user" else key):
            rows = {"type": "snapshot", "orders": batch, "positions": _NO_POSITIONS}
            connection.send(frame("user", self._now(), rows), stream=name, is_private=True)

    def _open_orders(self, symbol: str) -> list[list[Json]]:
        """In batches, of which the last is not full."""
        held = self._exchange.open_orders.values()
        rows = [self._orders.pushed(order) for order in held if symbol in ("", order.listing.symbol)]
        return [rows[begin : begin + A_BATCH] for begin in range(0, len(rows) + 1, A_BATCH)]

    def _subscribed(self, connection: Connection) -> dict[str, list[str]]:
        """Everything that this socket follows now."""
        found: dict[str, list[str]] = {}
        for name in connection.streams:
            channel, _, product = name.partition(":")
            found.setdefault(channel, []).append(product or (self._signer.user if channel == "user" else channel))
        return found

    # --- the account

    def _on_event(self, event: AccountEvent) -> None:
        """An order passes through states that last no time: it is pending before it is open."""
        if not isinstance(event, OrderEvent):
            return
        order = event.order
        if event.kind == "new" and order.updated == order.created:
            self._push(order, "PENDING")
        if event.kind == "canceled":
            self._push(order, "CANCEL_QUEUED")
        if event.kind != "new" or (order.ask.time_in_force in _RESTS and order.ask.price is not None):
            self._push(order)

    def _push(self, order: Order, status: str = "") -> None:
        written: list[str] = []

        def write() -> str:
            if not written:
                rows = [self._orders.pushed(order, status)]
                written.append(frame("user", self._now(), {"type": "update", "orders": rows}))
            return written[0]

        for name in ("user", f"user:{order.listing.symbol}"):
            self._hub.send(name, write)


_NO_POSITIONS: dict[str, list[Any]] = {"perpetual_futures_positions": [], "expiring_futures_positions": []}


def _object(text: str) -> Json:
    """The JSON object of a message; an empty one for anything else."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
