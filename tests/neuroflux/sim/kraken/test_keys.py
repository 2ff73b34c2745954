"""Signatures, nonces, lockouts, limits and tokens of Kraken."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.kraken.keys import LOCKED_FOR, MOST_WRONG, demo_key, signature
from neuroflux.sim.kraken.limits import Counter, order_cost
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.kraken.client import (
    KEY,
    answer,
    answer_json,
    ask,
    error,
    limit,
    nonce,
    public,
    request,
    send,
    socket_of,
)

BYTES = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
"""The bytes from 0 to 63."""
S = 1_000_000


@pytest.mark.parametrize(
    ("secret", "name", "number", "body", "expected"),
    [
        (
            "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==",
            "AddOrder",
            "1616492376594",
            b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
            "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
        ),
        (
            BYTES,
            "AddOrder",
            "1795881600000000",
            b"nonce=1795881600000000&ordertype=limit&type=buy&pair=XBTUSD&volume=0.00100000&price=64000.0"
            b"&cl_ord_id=6d1b345e-2821-40e2-ad83-4ecb18a06876",
            "tLJdEv1SUntsli9oiVEYb4UQiTdOXDcj4fZ3r1FhzWSmgYwGZ0I5ByXzSroD3pjsr90FH2NgwNK+w/tzAyyGoQ==",
        ),
        (
            BYTES,
            "CancelOrder",
            "1795881600000001",
            b'{"nonce":"1795881600000001","txid":"OHYO67-6LP66-HMQ437"}',
            "oWFRbMbCrldbsjh9+OuBcKe+AF2rFwMcQEztgKkRalslJG6ClD+FoRRMLviaNHYzH/BoE4Fks4Z2kc1R5gu0uw==",
        ),
    ],
    ids=["the manual's", "form", "json"],
)
def test_the_signature_is_the_manuals(secret: str, name: str, number: str, body: bytes, expected: str) -> None:
    assert signature(secret, f"/0/private/{name}", number, body) == expected


async def test_a_request_is_a_form_or_json(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert (await answer(session, "Balance"))["result"]["XXBT"] == "0.0700000000"
        assert (await answer_json(session, "Balance"))["result"]["ZUSD"] == "7000.0000"
        body = await answer(session, "Balance", demo_key(1, "ccxt"), nonce="1")
        assert body["error"] == [], "each key has nonces of its own"


async def test_every_part_of_a_request_is_checked(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert await error(session, "Balance", demo_key(2)) == "EAPI:Invalid key"
        body = f"nonce={nonce()}"
        other = await send(session, "Balance", body, KEY, "1")
        assert other["error"] == ["EAPI:Invalid signature"]
        headers = {"API-Key": KEY.key, "API-Sign": signature(KEY.secret, "/0/private/Balance", "5", b"nonce=5")}
        async with session.post("/kraken/0/private/BalanceEx", data={"nonce": "5"}, headers=headers) as response:
            assert json.loads(await response.text())["error"] == ["EAPI:Invalid signature"], "of another path"
        async with session.post("/0/private/Balance", data={"nonce": "5"}, headers=headers) as response:
            assert json.loads(await response.text())["error"] == [], "the same without a prefix"


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", str(2**64), "٣"])
async def test_a_nonce_is_a_number_of_64_bits(served: Served, number: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert await error(session, "Balance", nonce=number) == "EAPI:Invalid nonce"


async def test_a_nonce_is_greater_than_the_last_one_and_never_given_back(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await ask(session, "Balance", nonce="1000")
        for number in ("1000", "999"):
            assert await error(session, "Balance", nonce=number) == "EAPI:Invalid nonce"
        assert await error(session, "AddOrder", nonce="1001", pair="NOPE") == "EQuery:Unknown asset pair"
        assert await error(session, "Balance", nonce="1001") == "EAPI:Invalid nonce", "used up by the refused one"
        await ask(session, "Balance", nonce=str(2**64 - 1))


async def test_many_wrong_requests_lock_the_key_out(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await ask(session, "Balance", nonce="9")
        seen = [await error(session, "Balance", nonce="9") for _ in range(MOST_WRONG + 2)]
        assert set(seen[:-1]) == {"EAPI:Invalid nonce"}
        assert seen[-1] == "EGeneral:Temporary lockout"
        await fault(session, "skew", "kraken", ms=LOCKED_FOR // 1000 + 60_000)
        assert (await answer(session, "Balance"))["error"] == []


# --- limits


def test_a_counter_decreases_with_time_and_rises_beyond_its_limit() -> None:
    counter = Counter()
    assert [counter.spend(1, 2, 0.5, S, is_kept=True) for _ in range(4)] == [True, True, False, False]
    assert counter.value == 3
    assert not counter.spend(1, 2, 0.5, 3 * S)
    assert counter.value == 2, "one that is refused is not counted unless it is kept"
    assert counter.spend(1, 2, 0.5, 5 * S)


@pytest.mark.parametrize(
    ("what", "seconds", "cost"),
    [
        ("add", 0, 1),
        ("amend", 4.9, 4),
        ("amend", 5, 3),
        ("amend", 15, 1),
        ("edit", 4, 7),
        ("edit", 89, 2),
        ("edit", 90, 1),
        ("cancel", 0, 8),
        ("cancel", 14, 5),
        ("cancel", 299, 1),
        ("cancel", 300, 0),
    ],
)
def test_what_rested_shortly_costs_more(what: str, seconds: float, cost: int) -> None:
    assert order_cost(what, int(seconds * S)) == cost


async def test_requests_are_counted_by_tier_and_orders_are_not_among_them(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        for _ in range(7):
            await ask(session, "TradesHistory")
        await ask(session, "Balance")
        assert await error(session, "BalanceEx") == "EAPI:Rate limit exceeded"
        await ask(session, "AddOrder", **limit(), validate="true")
        await fault(session, "tier", "kraken", value="pro")
        await ask(session, "Balance")
        await session.delete("/sim/faults")
        assert await error(session, "Balance") == "EAPI:Rate limit exceeded"
        for _ in range(30):
            await ask(session, "Balance", demo_key(1, "sdk"))


async def test_orders_of_a_pair_are_counted_together(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        placed = [(await ask(session, "AddOrder", **limit("0.0001")))["txid"][0] for _ in range(6)]
        for name in placed:
            assert await ask(session, "CancelOrder", txid=name) == {"count": 1}
        seen = [(await answer(session, "AddOrder", **limit("0.00001")))["error"][0] for _ in range(12)]
        assert seen[0] == "EOrder:Order minimum not met"
        for _ in range(14):
            await answer(session, "AddOrder", **limit("0.0001"), validate="true")
        rests = await answer(session, "AddOrder", **limit("0.0001"))
        assert rests["error"] == ["EOrder:Rate limit exceeded"]
        assert (await answer(session, "AddOrder", **{**limit("0.01", "2000"), "pair": "ETHUSD"}))["error"] == []


async def test_open_orders_of_a_pair_are_limited(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        key = demo_key(1, "sdk")
        await fault(session, "transfer", "kraken", asset="USD", amount="100000")
        for _ in range(225):
            await ask(session, "AddOrder", key, **limit("0.0001"))
        assert await error(session, "AddOrder", key, **limit("0.0001")) == "EOrder:Orders limit exceeded"


async def test_public_requests_are_limited_by_address(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        seen = [(await public(session, "Time"))["error"] for _ in range(80)]
        assert seen[0] == []
        assert seen[-1] == ["EGeneral:Too many requests"]


# --- rights and tokens


async def test_a_key_may_be_without_rights(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        rights = (await ask(session, "GetApiKeyInfo"))["permissions"]
        assert {"query-funds", "modify-trades"} <= set(rights)
        assert "withdraw-funds" not in rights
        await fault(session, "withdrawals", "kraken")
        await fault(session, "account_mode", "kraken", value="view_only")
        rights = (await ask(session, "GetApiKeyInfo"))["permissions"]
        assert "withdraw-funds" in rights
        assert "modify-trades" not in rights
        assert await error(session, "AddOrder", **limit()) == "EGeneral:Permission denied"
        assert (await ask(session, "OpenOrders"))["open"] == {}


async def test_a_token_expires_unless_a_socket_uses_it(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        used, unused = [(await ask(session, "GetWebSocketsToken"))["token"] for _ in range(2)]
        assert used != unused
        async with socket_of(session) as socket:

            async def following(token: Any) -> Any:
                return await request(socket, "subscribe", channel="executions", token=token)

            assert (await following("nope"))["error"] == "ESession:Invalid session"
            assert (await following(None))["success"] is False
            assert (await following(used))["success"] is True
            await fault(session, "skew", "kraken", ms=901_000)
            params = {"order_id": ["OAAAAA-BBBBB-CCCCCC"]}
            late = await request(socket, "cancel_order", 2, token=unused, **params)
            assert late["error"] == "ESession:Invalid session"
            kept = await request(socket, "cancel_order", 3, token=used, **params)
            assert kept["error"] == "EOrder:Unknown order"
        async with socket_of(session) as socket:
            gone = await request(socket, "subscribe", channel="balances", token=used)
            assert gone["error"] == "ESession:Invalid session"
