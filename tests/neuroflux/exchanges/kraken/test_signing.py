"""Kraken's signatures: worked examples, and nonces that only rise."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.exchanges.kraken.signing import Nonces, private, secret_of, signature
from tests.neuroflux.exchanges.kraken.listed import KEYS, NOW

VECTORS = Path(__file__).parents[5] / "shared" / "wire" / "signing.dev.json"
OFFICIAL = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
COUNTED = base64.b64encode(bytes(range(64))).decode()
EXAMPLES = [
    (
        *(OFFICIAL, "/0/private/AddOrder", 1616492376594),
        "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
    ),
    (
        *(COUNTED, "/0/private/AddOrder", 1795881600000000),
        "nonce=1795881600000000&ordertype=limit&type=buy&pair=XBTUSD&volume=0.00100000&price=64000.0"
        "&cl_ord_id=6d1b345e-2821-40e2-ad83-4ecb18a06876",
        "tLJdEv1SUntsli9oiVEYb4UQiTdOXDcj4fZ3r1FhzWSmgYwGZ0I5ByXzSroD3pjsr90FH2NgwNK+w/tzAyyGoQ==",
    ),
    (
        *(COUNTED, "/0/private/CancelOrder", 1795881600000001),
        '{"nonce":"1795881600000001","txid":"OHYO67-6LP66-HMQ437"}',
        "oWFRbMbCrldbsjh9+OuBcKe+AF2rFwMcQEztgKkRalslJG6ClD+FoRRMLviaNHYzH/BoE4Fks4Z2kc1R5gu0uw==",
    ),
]
"""The first is of Kraken's manual."""


@pytest.mark.parametrize(("secret", "path", "nonce", "body", "expected"), EXAMPLES, ids=["manual", "form", "JSON"])
def test_a_signature_is_that_of_the_worked_example(
    secret: str, path: str, nonce: int, body: str, expected: str
) -> None:
    assert signature(secret_of(Keys("k", secret)), path, nonce, body.encode()) == expected


def test_the_shared_vectors_of_kraken_are_signed_alike() -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not here: it is not part of the project")
    found = [one for one in json.loads(VECTORS.read_text()) if one["venue"] == "kraken"]
    if not found:
        pytest.skip(f"{VECTORS} has no vector of Kraken")
    for one in found:
        secret = secret_of(Keys("k", one["secret"]))
        assert signature(secret, one["path"], int(one["nonce"]), one["body"].encode()) == one["signature"]


def test_a_request_is_signed_over_what_is_sent_each_time_with_a_greater_nonce() -> None:
    request = private(KEYS, "CancelOrder", "cancel", "orders", {"txid": "O/1"})
    assert (request.body, request.headers) == (b"txid=O%2F1", {})
    nonces = []
    for now in (NOW, NOW, NOW - 5_000_000):  # the clock was set back
        sent = request.signed(now)
        fields = dict(one.split("=") for one in sent.body.decode().split("&"))
        nonces.append(int(fields["nonce"]))
        assert (sent.path, sent.sign, fields["txid"]) == ("/0/private/CancelOrder", None, "O%2F1")
        assert sent.headers["API-Key"] == KEYS.key
        assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert sent.headers["API-Sign"] == signature(secret_of(KEYS), sent.path, nonces[-1], sent.body)
        assert KEYS.secret not in f"{sent}"
    assert nonces[0] >= NOW
    assert nonces == sorted(set(nonces))


def test_a_request_without_fields_has_its_nonce_alone() -> None:
    assert private(KEYS, "BalanceEx", "balances", "polling").signed(NOW).body.startswith(b"nonce=")


def test_nonces_follow_the_clock_and_never_fall() -> None:
    nonces = Nonces()
    assert [nonces.next(now) for now in (10, 10, 5, 20)] == [10, 11, 12, 20]


@pytest.mark.parametrize("secret", ["", "not base64!", "0x" + "01" * 32, "AAE"])
def test_what_is_no_key_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(UsageError, match="base64") as raised:
        private(Keys("k", secret), "BalanceEx", "balances", "polling")
    assert not secret or secret not in str(raised.value)
