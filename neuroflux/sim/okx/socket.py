"""OKX's sockets: logins, subscriptions, orders, pings and their limits.

Source: https://www.okx.com/docs-v5/en/#overview-websocket
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.limits import Recent
from neuroflux.sim.kit.streams import Hub
from neuroflux.sim.okx.orders import Operation, Orders
from neuroflux.sim.okx.private import CHANNELS, PrivateChannels
from neuroflux.sim.okx.public import VIP_ALONE, Followed, PublicChannels
from neuroflux.sim.okx.signing import Signer
from neuroflux.sim.okx.venue import OKX
from neuroflux.sim.okx.wire import ApiError, Json, envelope, outcome, text_of

PATHS = ("public", "private", "business")
SECOND, HOUR = 1_000_000, 3_600_000_000
MOST_CONNECTS, MOST_REQUESTS, MOST_BYTES, MOST_OF_CHANNEL = 3, 480, 64 << 10, 30
"""New sockets a second; subscriptions and logins of one socket an hour; bytes of a request; sockets of a channel."""
IDLE = (30.0, 4004, "No data received in 30s")
_WRONG = "Wrong URL or channel:{},instId:{} doesn't exist. Please use the correct URL, channel and parameters."


class Session:
    """What one socket has done."""

    def __init__(self, path: str, number: int) -> None:
        self.path, self.name = path, f"a4d3{number:04x}"
        self.is_logged_in = False
        self.requests = Recent(MOST_REQUESTS, HOUR)
        self.channels: dict[str, set[str]] = {}


class Sockets:
    """Serves the sockets of the three paths."""

    def __init__(
        self,
        simulation: Simulation,
        hub: Hub,
        channels: tuple[PublicChannels, PrivateChannels],
        orders: Orders,
        signer: Signer,
    ) -> None:
        self._simulation, self._hub, self._signer, self._orders = simulation, hub, signer, orders
        self._public, self._private = channels
        self._connects = Recent(MOST_CONNECTS, SECOND)
        self._numbers = count(1)
        self._following: dict[str, set[str]] = {channel: set() for channel in CHANNELS}
        self._operations: dict[str, Operation] = {
            "order": orders.place,
            "batch-orders": orders.place,
            "cancel-order": orders.cancel,
            "batch-cancel-orders": orders.cancel,
            "amend-order": orders.amend,
            "batch-amend-orders": orders.amend,
        }

    def routes(self) -> list[web.RouteDef]:
        return [web.get(f"/{OKX}/ws/v5/{path}", self._serving(path)) for path in PATHS]

    def _serving(self, path: str) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            if not self._connects.add(self._simulation.now(OKX)):
                return web.Response(status=429, text="Too Many Requests")
            return await self._serve(request, Session(path, next(self._numbers)))

        return serve

    async def _serve(self, request: web.Request, session: Session) -> web.StreamResponse:
        connection = self._simulation.connection(OKX)
        connection.idle = IDLE

        async def on_text(text: str) -> None:
            self._receive(connection, session, text)

        try:
            return await connection.run(request, on_text)
        finally:
            for sockets in self._following.values():
                sockets.discard(session.name)
            self._hub.leave(connection)
            self._simulation.leave(connection)

    # --- requests

    def _receive(self, connection: Connection, session: Session, text: str) -> None:
        if text == "ping":
            connection.reply("pong")
            return
        if len(text) > MOST_BYTES:
            connection.close(1009, "Request message exceeds the maximum frame length")
            return
        try:
            asked = msgspec.json.decode(text, type=dict[str, Any])
            args = asked["args"]
            do = {"login": self._login, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe}.get(asked["op"])
            if not isinstance(args, list) or (do is None and asked["op"] not in self._operations):
                raise TypeError("args")
        except (msgspec.DecodeError, KeyError, TypeError):
            self._refuse(connection, session, ApiError("60012", f"Illegal request: {text}"), {})
            return
        if do is None:
            self._operate(connection, session, asked, args)
        else:
            self._each(connection, session, asked, do)

    def _each(self, connection: Connection, session: Session, asked: Json, do: Callable[..., None]) -> None:
        for arg in asked["args"]:
            try:
                if not session.requests.add(self._simulation.now(OKX)):
                    raise ApiError("60014", "Requests too frequent")
                if not isinstance(arg, dict):
                    raise ApiError("60012", f"Illegal request: {json_text(asked)}")
                do(connection, session, arg, {"id": asked["id"]} if "id" in asked else {})
            except ApiError as error:
                self._refuse(connection, session, error, {"id": asked["id"]} if "id" in asked else {})

    @staticmethod
    def _refuse(connection: Connection, session: Session, error: ApiError, more: Json) -> None:
        event = {"event": "error", "code": error.code, "msg": error.text, "connId": session.name}
        connection.reply(json_text({**more, **event}))

    def _login(self, connection: Connection, session: Session, arg: Json, more: Json) -> None:
        """The socket is closed after a login that failed."""
        if session.is_logged_in:
            raise ApiError("60031", "The WebSocket endpoint does not support multiple or batch account login.")
        try:
            self._signer.check_login(arg, self._simulation.now(OKX))
        except ApiError as error:
            self._refuse(connection, session, error, more)
            connection.finish(4001, "Login failed")
            return
        session.is_logged_in = True
        connection.reply(json_text({"event": "login", "code": "0", "msg": "", "connId": session.name}))

    # --- subscriptions

    def _streams(self, session: Session, arg: Json) -> list[Followed]:
        """Raises ApiError for what there is not on this path."""
        channel = str(arg.get("channel"))
        if channel in VIP_ALONE:
            raise ApiError("64003", "Your trading fee tier doesn't meet the requirement to access this channel")
        if session.path == "private" and channel in CHANNELS:
            if not session.is_logged_in:
                raise ApiError("60011", "Please log in")
            found = self._private.find(arg)
        else:
            found = self._public.find(arg, session.path)
        if not found:
            raise ApiError("60018", _WRONG.format(channel, arg.get("instId", "")))
        return found

    def _subscribe(self, connection: Connection, session: Session, arg: Json, more: Json) -> None:
        """Once more brings the first frame once more."""
        streams = self._streams(session, arg)
        self._simulation.flush(OKX)
        connection.reply(json_text({**more, "event": "subscribe", "arg": arg, "connId": session.name}))
        channel = str(arg["channel"])
        if channel in CHANNELS and not self._count(connection, session, channel):
            return
        for stream in streams:
            self._hub.follow(connection, *stream)

    def _count(self, connection: Connection, session: Session, channel: str) -> bool:
        """Report how many sockets follow a private channel; one too many does not follow it, in spite of the answer."""
        sockets = self._following[channel]
        is_allowed = session.name in sockets or len(sockets) < MOST_OF_CHANNEL
        if is_allowed:
            sockets.add(session.name)
        event = {"event": f"channel-conn-count{'' if is_allowed else '-error'}", "channel": channel}
        connection.reply(json_text({**event, "connCount": str(len(sockets)), "connId": session.name}))
        return is_allowed

    def _unsubscribe(self, connection: Connection, session: Session, arg: Json, more: Json) -> None:
        for name, *_ in self._streams(session, arg):
            self._hub.unfollow(connection, name)
        connection.reply(json_text({**more, "event": "unsubscribe", "arg": arg, "connId": session.name}))

    # --- orders

    def _operate(self, connection: Connection, session: Session, asked: Json, args: Sequence[Any]) -> None:
        """Orders over the socket name their instrument by its number."""
        now, names = self._simulation.now(OKX), {"id": text_of(asked, "id"), "op": asked["op"]}
        try:
            if session.path != "private" or not session.is_logged_in:
                raise ApiError("60011", "Please log in")
            if any(not isinstance(arg, dict) or not text_of(arg, "instIdCode") for arg in args):
                raise ApiError("50014", "Parameter instIdCode can not be empty")
            rows = self._orders.batch(self._operations[asked["op"]], args, now)
        except Refused as error:
            code, text = (error.code, error.text) if isinstance(error, ApiError) else ("50026", str(error))
            connection.reply(json_text({**names, **envelope([], code, text), "inTime": str(now), "outTime": str(now)}))
            return
        is_any = asked["op"] in ("order", "batch-orders") and any(row["sCode"] == "0" for row in rows)
        if not (is_any and self._simulation.faults.take(OKX, "accept_then_timeout")):
            connection.reply(json_text({**names, **outcome(rows, now), "msg": ""}))
