"""Signed requests to the simulated Coinbase, and its sockets, as the tests of this folder need them."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import aiohttp
import jwt as tokens
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from neuroflux.sim.coinbase.keys import DemoKey, elliptic_key

API = "/api/v3/brokerage"
SEED = 1


def token(uri: str = "", key: DemoKey | None = None, private: Any = None, **claims: Any) -> str:
    """A token by another library than the simulator's; ``claims`` replace the usual ones, None leaves one out."""
    key, now = key or elliptic_key(SEED), int(time.time())
    usual = {"sub": key.name, "iss": "cdp", "nbf": now, "exp": now + 120, **({"uri": uri} if uri else {})}
    body = {name: value for name, value in (usual | claims).items() if value is not None}
    headers = {"kid": key.name, "nonce": "0" * 32}
    return tokens.encode(body, private or private_key(key), key.algorithm, headers)


def private_key(key: DemoKey) -> Any:
    if key.algorithm == "ES256":
        return load_pem_private_key(key.secret.encode(), None)
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.secret)[:32])


async def ask(session: aiohttp.ClientSession, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """The JSON of a signed answer; ``path`` below the API's."""
    return (await answer(session, method, path, body, **query))[1]


async def answer(
    session: aiohttp.ClientSession, method: str, path: str, body: Any = None, **query: Any
) -> tuple[int, Any]:
    """Status and JSON, or the text where it is none."""
    headers = {"Authorization": f"Bearer {token(f'{method} api.coinbase.com{API}/{path}')}"}
    url = f"/coinbase{API}/{path}"
    async with session.request(method, url, json=body, params=query, headers=headers) as response:
        text = await response.text()
        return response.status, json.loads(text) if "json" in response.content_type else text


def order(client_order_id: str, side: str = "BUY", product_id: str = "BTC-USD", **configuration: Any) -> Any:
    """The body of an order."""
    terms = {"client_order_id": client_order_id, "product_id": product_id, "side": side}
    return {**terms, "order_configuration": configuration}


def limit(size: str, price: str, *, post_only: bool = False) -> Any:
    return {"base_size": size, "limit_price": price, "post_only": post_only}


async def subscribe(socket: aiohttp.ClientWebSocketResponse, channel: str, *products: str, **more: Any) -> None:
    await socket.send_json({"type": "subscribe", "channel": channel, "product_ids": list(products), **more})
