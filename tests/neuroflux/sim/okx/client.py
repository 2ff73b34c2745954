"""What the tests of this folder send to the simulated OKX: signed requests and logins, written from the manual."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from neuroflux.sim.server import Served

API = "/api/v5/"


def sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), "sha256").digest()).decode()


class Client:
    """A user of the demo account. ``headers`` replace those that are sent, ``late`` shifts the timestamp in seconds."""

    def __init__(self, served: Served, http: aiohttp.ClientSession) -> None:
        self.account = served.simulation.dialects["okx"].account()
        self.served, self.http = served, http
        self.headers: dict[str, str] = {}
        self.late = 0.0
        self.status = 0
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def connect(self, path: str) -> aiohttp.ClientWebSocketResponse:
        socket = await self.http.ws_connect(f"/okx/ws/v5/{path}")
        self._sockets.append(socket)
        return socket

    async def close(self) -> None:
        for socket in self._sockets:
            await socket.close()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The whole answer."""
        text = "" if body is None else json.dumps(body)
        moment = datetime.now(UTC) - timedelta(seconds=self.late)
        timestamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "OK-ACCESS-KEY": self.account.key,
            "OK-ACCESS-SIGN": sign(self.account.secret, f"{timestamp}{method}{API}{path}{text}"),
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-PASSPHRASE": self.account.passphrase,
            "Content-Type": "application/json",
            **self.headers,
        }
        async with self.http.request(method, f"/okx{API}{path}", data=text or None, headers=headers) as answer:
            self.status = answer.status
            return json.loads(await answer.text())

    async def get(self, path: str) -> Any:
        """The rows of a good answer."""
        answer = await self.ask("GET", path)
        assert answer["code"] == "0", answer
        return answer["data"]

    async def place(self, **row: Any) -> Any:
        """The row of an order."""
        return (await self.ask("POST", "trade/order", row))["data"][0]

    async def fault(self, name: str, **more: Any) -> Any:
        async with self.http.post("/sim/faults", json={"exchange": "okx", "fault": name, **more}) as answer:
            assert answer.status == 200, await answer.text()

    def login(self, **changed: Any) -> Any:
        timestamp = str(int(time.time()))
        arg = {"apiKey": self.account.key, "passphrase": self.account.passphrase, "timestamp": timestamp}
        arg["sign"] = sign(self.account.secret, f"{timestamp}GET/users/self/verify")
        return {"op": "login", "args": [{**arg, **changed}]}

    async def private(self, *args: Any) -> aiohttp.ClientWebSocketResponse:
        """A socket that is logged in and follows these."""
        socket = await self.connect("private")
        await socket.send_json(self.login())
        await until(socket, lambda frame: frame.get("event") == "login")
        await socket.send_json({"op": "subscribe", "args": list(args)})
        return socket


async def until(socket: aiohttp.ClientWebSocketResponse, matches: Callable[[Any], bool]) -> Any:
    """The first frame that matches."""
    while not matches(frame := json.loads(await socket.receive_str(timeout=10))):
        pass
    return frame


def of(channel: str) -> Callable[[Any], bool]:
    return lambda frame: frame.get("arg", {}).get("channel") == channel and "data" in frame
