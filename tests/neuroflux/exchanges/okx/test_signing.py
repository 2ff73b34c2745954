"""Signatures. Expected values: the vectors of other people's clients, and those of the facts, computed apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroflux.exchanges.kit.requests import Keys
from neuroflux.exchanges.okx.rest import iso, signed
from tests.neuroflux.exchanges.okx.listed import KEYS, NOW, account

VECTORS = Path(__file__).parents[5] / "shared" / "wire" / "signing.dev.json"
ORDER = {
    "instId": "BTC-USDT",
    "tdMode": "cash",
    "side": "buy",
    "ordType": "limit",
    "px": "50000",
    "sz": "0.01",
    "clOrdId": "nf1a2b",
}


def test_a_request_is_signed_over_time_method_path_query_and_body() -> None:
    get = signed(KEYS, "GET", "/trade/order", iso(NOW), "t", instId="BTC-USDT", clOrdId="nf1a2b")
    post = signed(KEYS, "POST", "/trade/order", iso(NOW), "t", sent=ORDER)
    assert get.path == "/api/v5/trade/order?instId=BTC-USDT&clOrdId=nf1a2b"
    assert get.headers == {
        "OK-ACCESS-KEY": "the-key",
        "OK-ACCESS-SIGN": "Uolh+ZHCveMSEyiRd2P/k+mnkKkVpguovB8y9j1I0BA=",
        "OK-ACCESS-TIMESTAMP": "2026-11-28T12:00:00.123Z",
        "OK-ACCESS-PASSPHRASE": "the-word",
    }
    assert post.body == json.dumps(ORDER, separators=(",", ":")).encode()
    assert post.headers["OK-ACCESS-SIGN"] == "tUA6akLPml9su4LwO5tZTHa2tKmSSQRd+agO/wcThxQ="
    assert post.headers["Content-Type"] == "application/json"


def test_a_login_is_signed_in_seconds() -> None:
    (socket,) = account().subscriptions(NOW)
    assert json.loads(socket.frames[0]) == {
        "op": "login",
        "args": [
            {
                "apiKey": "the-key",
                "passphrase": "the-word",
                "timestamp": "1795867200",
                "sign": "TnrSI8TLU0dRt68wTioZ2WKVWMY42G3vor7IsGF1MWI=",
            }
        ],
    }


def test_the_testnet_is_named_by_a_header() -> None:
    of_testnet = Keys("k", "s", testnet=True, passphrase="p")
    assert signed(of_testnet, "GET", "/x", iso(NOW), "t").headers["x-simulated-trading"] == "1"
    assert "x-simulated-trading" not in signed(KEYS, "GET", "/x", iso(NOW), "t").headers


def test_the_vectors_of_other_clients() -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not here: it is other people's, and not part of the project")
    found = [one for one in json.loads(VECTORS.read_text()) if one["venue"] == "okx"]
    assert found
    for one in found:
        path = one["path"].removeprefix("/api/v5")
        request = signed(Keys("k", one["secret"]), one["method"], path, one["timestamp"], "t")
        assert request.headers["OK-ACCESS-SIGN"] == one["signature"]


def test_a_time_is_written_to_the_millisecond() -> None:
    assert iso(1_795_867_200_000_999) == "2026-11-28T12:00:00.000Z"
    assert iso(1_795_867_200_999_999) == "2026-11-28T12:00:00.999Z"
