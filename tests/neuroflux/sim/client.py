"""What the tests of this folder send to a simulator: signed requests, faults; and the frames of its sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from neuroflux.sim.server import Served

USDM = "/binance/fapi/"
SPOT = "/binance/api/"


async def fault(session: aiohttp.ClientSession, name: str, exchange: str = "binance", **more: Any) -> None:
    """Begin a fault; fails where it is refused."""
    assert await refusal(session, name, exchange, **more) == ""


async def refusal(session: aiohttp.ClientSession, name: str, exchange: str = "binance", **more: Any) -> str:
    """Why a fault is refused; "" where it is not."""
    async with session.post("/sim/faults", json={"exchange": exchange, "fault": name, **more}) as answer:
        body = json.loads(await answer.text())
        return str(body["error"]) if answer.status == 400 else ""


async def signed(session: aiohttp.ClientSession, served: Served, method: str, path: str, query: str = "") -> Any:
    """The body of Binance's answer to a signed request; ``path`` with its prefix, such as USDM + "v1/order"."""
    account = served.simulation.dialects["binance"].account()
    query += f"&timestamp={int(time.time() * 1000)}"
    signature = hmac.new(account.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    url, headers = f"{path}?{query}&signature={signature}", {"X-MBX-APIKEY": account.key}
    async with session.request(method, url, headers=headers) as answer:
        return json.loads(await answer.text())


async def info(session: aiohttp.ClientSession, kind: str, **more: Any) -> Any:
    """Hyperliquid's answer to ``POST /info``."""
    async with session.post("/hyperliquid/info", json={"type": kind, **more}) as answer:
        return json.loads(await answer.text())


async def following(
    socket: aiohttp.ClientWebSocketResponse, matches: Callable[[Any], bool], seconds: float = 10
) -> Any:
    """The first matching frame of a socket; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not matches(frame := json.loads(await socket.receive_str())):
            pass
        return frame


async def listen_key(session: aiohttp.ClientSession, served: Served) -> str:
    """A listen key of USDⓈ-M."""
    headers = {"X-MBX-APIKEY": served.simulation.dialects["binanceusdm"].account().key}
    async with session.post("/binance/fapi/v1/listenKey", headers=headers) as answer:
        return str(json.loads(await answer.text())["listenKey"])
