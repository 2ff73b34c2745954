"""Signed requests to the simulated Kraken, and its sockets, as the tests of this folder need them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp

from neuroflux.sim.kraken.keys import DemoKey, demo_key

SEED = 1
KEY = demo_key(SEED)
_NONCES = itertools.count(time.time_ns() // 1000)
"""The clock of a test may stand still."""


def nonce() -> str:
    return str(next(_NONCES))


def sign(secret: str, path: str, number: str, body: str) -> str:
    """Written from the manual, apart from the simulator's own."""
    digest = hashlib.sha256((number + body).encode()).digest()
    return base64.b64encode(
        hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512).digest()
    ).decode()


async def answer(session: aiohttp.ClientSession, name: str, key: DemoKey = KEY, **fields: Any) -> Any:
    """The JSON of an answer to a form; ``nonce`` may be one of the fields."""
    fields = {"nonce": nonce(), **fields}
    return await send(session, name, urlencode(fields), key, str(fields["nonce"]))


async def answer_json(session: aiohttp.ClientSession, name: str, key: DemoKey = KEY, **fields: Any) -> Any:
    fields = {"nonce": nonce(), **fields}
    return await send(session, name, json.dumps(fields), key, fields["nonce"], "application/json")


async def send(
    session: aiohttp.ClientSession,
    name: str,
    body: str,
    key: DemoKey,
    number: str,
    kind: str = "application/x-www-form-urlencoded",
) -> Any:
    path = f"/0/private/{name}"
    headers = {"API-Key": key.key, "API-Sign": sign(key.secret, path, number, body), "Content-Type": kind}
    async with session.post(f"/kraken{path}", data=body, headers=headers) as response:
        assert response.status == 200
        return json.loads(await response.text())


async def ask(session: aiohttp.ClientSession, name: str, key: DemoKey = KEY, **fields: Any) -> Any:
    """The result of an answer without an error."""
    body = await answer(session, name, key, **fields)
    assert body["error"] == []
    return body["result"]


async def error(session: aiohttp.ClientSession, name: str, key: DemoKey = KEY, **fields: Any) -> str:
    """The one error of an answer."""
    (text,) = (await answer(session, name, key, **fields))["error"]
    return str(text)


async def public(session: aiohttp.ClientSession, name: str, **query: Any) -> Any:
    async with session.get(f"/kraken/0/public/{name}", params=query) as response:
        assert response.status == 200
        return json.loads(await response.text())


def limit(volume: str = "0.001", price: str = "50000.0", side: str = "buy", **more: Any) -> dict[str, Any]:
    """The fields of an order."""
    return {"pair": "XBTUSD", "type": side, "ordertype": "limit", "volume": volume, "price": price, **more}


@asynccontextmanager
async def socket_of(
    session: aiohttp.ClientSession, path: str = "/kraken/v2"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket, after its first frame."""
    async with session.ws_connect(path) as socket:
        assert json.loads(await socket.receive_str())["channel"] == "status"
        yield socket


async def request(socket: aiohttp.ClientWebSocketResponse, method: str, number: int = 1, **params: Any) -> Any:
    """Send a message, and return its first answer."""
    await socket.send_json({"method": method, "params": params, "req_id": number})
    while (frame := await received(socket)).get("req_id") != number:
        pass
    return frame


async def received(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return json.loads(await socket.receive_str(timeout=10))


async def frame_of(socket: aiohttp.ClientWebSocketResponse, channel: str, kind: str = "update") -> Any:
    """The next frame of a channel and type."""
    while (frame := await received(socket)).get("channel") != channel or frame.get("type") != kind:
        pass
    return frame
