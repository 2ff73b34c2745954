"""Bybit's private socket: login, topics, and the frames of the account. It sends no first state of anything.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect and …/v5/websocket/private/order
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from aiohttp import web

from neuroflux.sim.bybit.account import Account
from neuroflux.sim.bybit.credentials import Signer
from neuroflux.sim.bybit.rows import Rows
from neuroflux.sim.bybit.sockets import Sockets, named, texts
from neuroflux.sim.bybit.venue import BYBIT, category_of
from neuroflux.sim.bybit.wire import ApiError, Json
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.orders import AccountEvent, ConfigEvent, FundingEvent, Order, OrderEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.streams import Channel, Hub

_ALL_IN_ONE = ("order", "execution", "position", "wallet")
_BY_CATEGORY = ("order.spot", "order.linear", "execution.spot", "execution.linear", "position.linear")
_SILENT = ("greeks", "execution.fast", "execution.fast.spot", "execution.fast.linear", "dcp.future")
"""Topics that may be subscribed to, and of which the simulator sends nothing."""
_CHANNEL = Channel(is_private=True)


class Private:
    """The sockets of the account. ``logins`` are those that may subscribe."""

    def __init__(self, simulation: Simulation, hub: Hub, signer: Signer, rows: Rows, account: Account) -> None:
        self._simulation, self._exchange, self._hub = simulation, simulation.exchange(BYBIT), hub
        self._signer, self._rows, self._account = signer, rows, account
        self._logins: set[Connection] = set()
        self._numbers = count(1)
        self._exchange.listeners.append(self._on_event)

    async def serve(self, sockets: Sockets, request: web.Request) -> web.StreamResponse:
        return await sockets.serve(partial(self._receive, sockets), self._logins.discard, request)

    def _receive(self, sockets: Sockets, connection: Connection, asked: Json) -> Json:
        now, op, where = self._simulation.now(BYBIT), asked.get("op"), {"conn_id": sockets.id_of(connection)}
        if op == "ping":
            return {**named(asked), "op": "pong", "args": [str(now // 1000)], **where}
        fault = self._done(op, connection, asked, now)
        return {"success": not fault, "ret_msg": fault, **named(asked), "op": op or "", **where}

    def _done(self, op: object, connection: Connection, asked: Json, now: int) -> str:
        """What is wrong, or ""."""
        if op == "auth":
            return self._login(connection, asked, now)
        if connection not in self._logins:
            return "Request not authorized"
        topics = texts(asked.get("args"))
        if op == "subscribe":
            return self._subscribe(connection, topics)
        for topic in topics if op == "unsubscribe" else ():
            self._hub.unfollow(connection, topic)
        return "" if op == "unsubscribe" else "error:invalid op"

    def _login(self, connection: Connection, asked: Json, now: int) -> str:
        try:
            self._signer.check_login(asked.get("args"), now)
        except ApiError as error:
            return error.text
        self._logins.add(connection)
        return ""

    def _subscribe(self, connection: Connection, topics: list[str]) -> str:
        """A topic that is followed already is accepted, and sent once."""
        known = (*_ALL_IN_ONE, *_BY_CATEGORY, *_SILENT)
        if unknown := [one for one in topics if one not in known]:
            return f"error:handler not found,topic:{unknown[0]}"
        kinds = {one in _ALL_IN_ONE for one in topics if one != "wallet" and one not in _SILENT}
        if len(kinds) > 1 or not topics:
            return (
                "error:all-in-one and categorised topics can't be in one request" if topics else "error:args is empty"
            )
        for topic in topics:
            if topic not in connection.streams:
                self._hub.follow(connection, topic, "account", _CHANNEL)
        return ""

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent):
            self.ordered(event.order, event)
        elif isinstance(event, FundingEvent):
            self._send("execution", event.listing, lambda: [self._rows.funding(event)])
            self._positions(event.listing)
            self._wallet(event.listing.quote)
        elif isinstance(event, ConfigEvent):
            if event.symbol:
                self._positions(self._exchange.listings[event.symbol])
        else:
            self._wallet(event.asset)

    def ordered(self, order: Order, event: OrderEvent | None = None) -> None:
        """A change of an order; without an event it is one that never reached the book."""
        listing = order.listing
        self._send("order", listing, lambda: [{"category": category_of(listing), **self._rows.order(order)}])
        if event is not None and (fill := event.fill) is not None:
            self._send("execution", listing, lambda: [self._rows.execution(fill, order)])
        self._positions(listing)
        if event is not None:
            assets = (listing.base_asset, listing.quote) if listing.kind == "spot" else (listing.quote,)
            self._wallet(*assets)

    def _positions(self, listing: Listing) -> None:
        """Sent with every change of an order, whether the position changed or not."""
        if listing.kind == "perpetual":
            rows = partial(self._account.of_symbol, listing, price="entryPrice")
            self._send("position", listing, lambda: [{"category": "linear", **row} for row in rows()])

    def _wallet(self, *assets: str) -> None:
        self._hub.send("wallet", lambda: self._frame("wallet", [self._account.totals(assets)]))

    def _send(self, topic: str, listing: Listing, rows: Callable[[], list[Json]]) -> None:
        for name in (topic, f"{topic}.{category_of(listing)}"):
            self._hub.send(name, partial(self._written, name, rows))

    def _written(self, name: str, rows: Callable[[], list[Json]]) -> str:
        return self._frame(name, rows())

    def _frame(self, topic: str, rows: list[Json]) -> str:
        now = self._simulation.now(BYBIT)
        return json_text(
            {"id": f"592324_{next(self._numbers)}_{now}", "topic": topic, "creationTime": now // 1000, "data": rows}
        )
