"""What the tests of Bybit's dialect send: signed requests, and frames of its sockets."""

from __future__ import annotations

import hmac
import json
import time
from typing import Any

import aiohttp
from yarl import URL

from neuroflux.sim.server import Served

PATH = "/bybit/v5/"


def sign(served: Served, text: str) -> str:
    secret = served.simulation.dialects["bybit"].account().secret
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


def headers(served: Served, payload: str, at: int = 0, window: str = "5000") -> dict[str, str]:
    key, stamp = served.simulation.dialects["bybit"].account().key, str(at or int(time.time() * 1000))
    names = {"X-BAPI-API-KEY": key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": window}
    return {**names, "X-BAPI-SIGN": sign(served, f"{stamp}{key}{window}{payload}")}


async def got(session: aiohttp.ClientSession, served: Served, path: str, query: str = "") -> Any:
    """The answer to a signed GET, whose query is sent exactly as it was signed."""
    url = URL(f"{served.url}{PATH}{path}?{query}", encoded=True)
    async with session.get(url, headers=headers(served, query)) as answer:
        return json.loads(await answer.text())


async def rows(session: aiohttp.ClientSession, served: Served, path: str, query: str) -> Any:
    """The list of the answer to a signed GET."""
    return (await got(session, served, path, query))["result"]["list"]


async def posted(session: aiohttp.ClientSession, served: Served, path: str, **body: Any) -> Any:
    """The answer to a signed POST."""
    text = json.dumps(body)
    async with session.post(f"{PATH}{path}", data=text, headers=headers(served, text)) as answer:
        return json.loads(await answer.text())


async def placed(session: aiohttp.ClientSession, served: Served, **more: Any) -> Any:
    """The answer to an order: by default one that buys 0.001 BTC on spot at the market."""
    order = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.001"}
    usual = {"marketUnit": "baseCoin"} if more.get("orderType", "Market") == "Market" else {}
    return await posted(session, served, "order/create", **{**order, **usual, **more})


async def public(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(PATH + path) as answer:
        return json.loads(await answer.text())


def login(served: Served, ahead: int = 5000) -> dict[str, Any]:
    expires = int(time.time() * 1000) + ahead
    key = served.simulation.dialects["bybit"].account().key
    return {"op": "auth", "args": [key, expires, sign(served, f"GET/realtime{expires}")]}
