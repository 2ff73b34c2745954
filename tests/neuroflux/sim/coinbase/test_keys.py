"""Every part of a token is checked, by keys of both kinds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt as tokens
import pytest
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from neuroflux.sim.coinbase.keys import DemoKey, Signer, Unauthorized, edwards_key, elliptic_key
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.coinbase.client import API, SEED, private_key, token

KEYS = (elliptic_key(SEED), edwards_key(SEED))
PATH = f"{API}/accounts"
EDWARDS = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6IjZlN2YxYTJiLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsIm5vbmNlIjoiMDAwMDAwMDAwMDAwMDAwMDAw"
    "MDAwMDAwMDAwMDAwMDAiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiI2ZTdmMWEyYi0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJpc3MiOiJjZHAiLCJu"
    "YmYiOjE3OTU4ODE2MDAsImV4cCI6MTc5NTg4MTcyMCwidXJpIjoiR0VUIGFwaS5jb2luYmFzZS5jb20vYXBpL3YzL2Jyb2tlcmFnZS9hY2NvdW50cyJ9.WPZ4"
    "zsc9KWSuDxUnGa1RsdWO3kw5mJNrTd2TH71dukZi86h7ZRAqbKoby6dr1SwLPzbhhrQgE9pOycCbAdJ8CA"
)
ELLIPTIC = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9yZ2FuaXphdGlvbnMvMDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAxL2FwaUtleXMvMDAwMDAwMDAt"
    "MDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAyIiwibm9uY2UiOiIxMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMSIsInR5cCI6IkpXVCJ9.eyJzdWIi"
    "OiJvcmdhbml6YXRpb25zLzAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMS9hcGlLZXlzLzAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAw"
    "MDAwMDAwMiIsImlzcyI6ImNkcCIsIm5iZiI6MTc5NTg4MTYwMCwiZXhwIjoxNzk1ODgxNzIwLCJ1cmkiOiJQT1NUIGFwaS5jb2luYmFzZS5jb20vYXBpL3Yz"
    "L2Jyb2tlcmFnZS9vcmRlcnMifQ.SSlNEbXLY7_cnCmZBWzJjfAvKPLHsmq0k6eIf08RrqN1FiRplZDW9_Z5QSe7BZP6WFv1u649TBAuNvUMp7SmsQ"
)
"""The worked examples of the facts, which were signed by another program."""
THEN = 1_795_881_610_000_000


def test_the_worked_examples_are_accepted() -> None:
    signer = Signer(SEED)
    edwards = eddsa.import_public_key(bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"))
    elliptic = ECC.construct(
        curve="P-256",
        point_x=0x758AE093C3D5492E86AB998DF93542591F3735BFF991D58E5A39DA02E2D8063E,
        point_y=0x62D005E212675F8FA6BECFA1438DA6649564CF050D42793EEDDFCCBD5483AD65,
    )
    for name, public, algorithm in (
        ("6e7f1a2b-0000-4000-8000-000000000001", edwards, "EdDSA"),
        (
            "organizations/00000000-0000-4000-8000-000000000001/apiKeys/00000000-0000-4000-8000-000000000002",
            elliptic,
            "ES256",
        ),
    ):
        signer.keys[name] = DemoKey(name, "", algorithm, public)  # type: ignore[arg-type]
    signer.check(EDWARDS, THEN, ("GET", f"{API}/accounts"))
    signer.check(ELLIPTIC, THEN, ("POST", f"{API}/orders"))
    for broken in (EDWARDS[:-6] + "AAAACA", ELLIPTIC.replace("SSlN", "TSlN")):
        with pytest.raises(Unauthorized):
            signer.check(broken, THEN)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
@pytest.mark.parametrize("host", ["api.coinbase.com", "127.0.0.1:8900/coinbase", "http://127.0.0.1:8900/coinbase"])
def test_the_host_is_free(key: DemoKey, host: str) -> None:
    now = int(time.time() * 1_000_000)
    Signer(SEED).check(token(f"GET {host}{PATH}", key), now, ("GET", PATH))
    more: dict[str, Any] = {"uris": [f"GET {host}{PATH}"], "aud": ["cdp_service"]}
    Signer(SEED).check(token(key=key, **more), now, ("GET", PATH))


URI = f"GET api.coinbase.com{PATH}"
OTHER = elliptic_key(SEED + 1)


def at(begin: int, end: int) -> str:
    """A token that begins and ends so many seconds from now."""
    now = int(time.time())
    return token(URI, nbf=now + begin, exp=now + end)


WRONG: list[Callable[[], str]] = [
    lambda: "",
    lambda: "a.b",
    lambda: "a.b.c",
    lambda: "ä.ö.ü",
    token,
    lambda: token(f"POST api.coinbase.com{PATH}"),
    lambda: token(f"GET api.coinbase.com{PATH}/x"),
    lambda: token(URI, sub="other"),
    lambda: at(60, 100),
    lambda: at(-100, -1),
    lambda: at(-60, 600),
    lambda: token(URI, nbf=None),
    lambda: token(URI, exp="soon"),
    lambda: token(URI, private=private_key(OTHER)),
    lambda: token(URI, OTHER),
    lambda: tokens.encode({"sub": KEYS[0].name, "uri": URI}, "", "none", {"kid": KEYS[0].name}),
    lambda: tokens.encode({"sub": KEYS[0].name, "uri": URI}, "x" * 32, "HS256", {"kid": KEYS[0].name}),
]


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_token_is_refused(served: Served, wrong: Callable[[], str]) -> None:
    headers = {"Authorization": f"Bearer {wrong()}"}
    async with aiohttp.ClientSession(served.url) as session:
        async with session.get(f"/coinbase{PATH}", headers=headers) as answer:
            assert (answer.status, answer.content_type) == (401, "text/plain")
            assert await answer.text() == "Unauthorized\n"


async def test_market_data_needs_no_key(served: Served) -> None:
    headers: dict[str, Any] = {"Authorization": "Bearer nonsense"}
    async with aiohttp.ClientSession(served.url) as session:
        async with session.get(f"/coinbase{API}/market/products/BTC-USD", headers=headers) as answer:
            assert answer.status == 200
        async with session.get(f"/coinbase{API}/products/BTC-USD") as answer:
            assert answer.status == 401


async def test_the_account_offers_the_pem(served: Served) -> None:
    account = served.simulation.dialects["coinbase"].account()
    assert account.secret.startswith("-----BEGIN EC PRIVATE KEY-----\n")
    assert account.key.startswith("organizations/")
    assert account.balances["USD"] == "7000"


def test_keys_differ_by_seed() -> None:
    assert len({key.secret for seed in (1, 2) for key in (elliptic_key(seed), edwards_key(seed))}) == 4


@pytest.mark.parametrize(("skew", "status"), [(-60_000, 401), (-3_000, 200), (60_000, 200), (130_000, 401)])
async def test_a_skewed_clock_refuses_the_right_time(served: Served, skew: int, status: int) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "skew", "coinbase", ms=skew)
        async with session.get(f"/coinbase{PATH}", headers={"Authorization": f"Bearer {token(URI)}"}) as answer:
            assert answer.status == status
