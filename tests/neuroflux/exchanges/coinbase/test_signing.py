"""Coinbase's tokens: worked examples, and what a server would check of them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from neuroflux.errors import UsageError
from neuroflux.exchanges.coinbase.rest import signed, signed_at
from neuroflux.exchanges.coinbase.signing import token, token_of
from neuroflux.exchanges.kit.requests import Keys

SECONDS = 1_795_881_600
NOW = SECONDS * 1_000_000 + 123_456
URI = "POST api.coinbase.com/api/v3/brokerage/orders"
NAME = "organizations/00000000-0000-4000-8000-000000000001/apiKeys/00000000-0000-4000-8000-000000000002"
SCALAR = int.from_bytes(hashlib.sha256(b"neuroflux example").digest(), "big")
KEY = ec.derive_private_key(SCALAR, ec.SECP256R1())
SEED = bytes(range(32))
EDDSA = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6IjZlN2YxYTJiLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsIm5vbmNlIjoiMDAwMDAwMDAwMDAwMDAwMD"
    "AwMDAwMDAwMDAwMDAwMDAiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiI2ZTdmMWEyYi0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJpc3MiOiJjZ"
    "HAiLCJuYmYiOjE3OTU4ODE2MDAsImV4cCI6MTc5NTg4MTcyMCwidXJpIjoiR0VUIGFwaS5jb2luYmFzZS5jb20vYXBpL3YzL2Jyb2tlcmFnZS9hY2Nv"
    "dW50cyJ9.WPZ4zsc9KWSuDxUnGa1RsdWO3kw5mJNrTd2TH71dukZi86h7ZRAqbKoby6dr1SwLPzbhhrQgE9pOycCbAdJ8CA"
)


def pem(key: Any) -> str:
    formats = serialization.PrivateFormat
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, formats.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return text.decode()


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(bearer: str) -> tuple[Any, Any, bytes, bytes]:
    """The header, the claims, what is signed, and the signature."""
    text, _, signature = bearer.removeprefix("Bearer ").rpartition(".")
    header, claims = text.split(".")
    return json.loads(part(header)), json.loads(part(claims)), text.encode(), part(signature)


def test_an_ed25519_token_is_that_of_the_worked_example() -> None:
    for raw in (SEED, SEED + ed25519.Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()):
        keys = Keys("6e7f1a2b-0000-4000-8000-000000000001", base64.b64encode(raw).decode())
        uri = "GET api.coinbase.com/api/v3/brokerage/accounts"
        assert token_of(keys, SECONDS, "0" * 32, uri) == EDDSA


@pytest.mark.parametrize("secret", [pem(KEY), pem(KEY).replace("\n", "\\n"), f" {pem(KEY)} \n"])
def test_an_es256_token_verifies_with_the_public_key(secret: str) -> None:
    """Also where an environment variable has the line breaks of the PEM as two letters each."""
    jwt = token_of(Keys(NAME, secret), SECONDS, "1" * 32, URI)
    header, claims, text, signature = parts(jwt)
    assert header == {"alg": "ES256", "kid": NAME, "nonce": "1" * 32, "typ": "JWT"}
    assert claims == {"sub": NAME, "iss": "cdp", "nbf": SECONDS, "exp": SECONDS + 120, "uri": URI}
    assert len(signature) == 64
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    KEY.public_key().verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
    assert token_of(Keys(NAME, secret), SECONDS, "1" * 32, URI) == jwt


def test_the_public_key_of_the_example_is_the_documented_one() -> None:
    numbers = KEY.public_key().public_numbers()
    assert f"{numbers.x:064x}" == "758ae093c3d5492e86ab998df93542591f3735bff991d58e5a39da02e2d8063e"


def test_the_nonce_follows_from_the_arguments_and_differs_with_them() -> None:
    keys = Keys(NAME, pem(KEY))
    nonces = {parts(token(keys, now, uri))[0]["nonce"] for now in (NOW, NOW + 1) for uri in (URI, "")}
    assert len(nonces) == 4
    assert token(keys, NOW, URI) == token(keys, NOW, URI)


def test_the_token_of_a_socket_names_no_path() -> None:
    _, claims, _, _ = parts(token(Keys(NAME, pem(KEY)), NOW, ""))
    assert set(claims) == {"sub", "iss", "nbf", "exp"}


def test_a_request_is_signed_for_its_path_without_the_query() -> None:
    request = signed(Keys(NAME, pem(KEY)), "GET", "/api/v3/brokerage/accounts", NOW, "accounts", [("limit", 250)])
    scheme, _, jwt = request.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    assert parts(jwt)[1]["uri"] == "GET api.coinbase.com/api/v3/brokerage/accounts"
    assert request.path == "/api/v3/brokerage/accounts?limit=250"
    assert signed_at(request) == SECONDS * 1_000_000


def test_requests_of_one_path_and_time_have_nonces_of_their_own() -> None:
    asked = [signed(Keys(NAME, pem(KEY)), "GET", "/x", NOW, "x", [("cursor", one)]) for one in ("1", "2")]
    asked += [signed(Keys(NAME, pem(KEY)), "GET", "/x", NOW, "x", body=body) for body in (b"1", b"2")]
    assert len({parts(one.headers["Authorization"])[0]["nonce"] for one in asked}) == 4


@pytest.mark.parametrize(
    "secret",
    [
        *("", "x", "0x" + "01" * 32, base64.b64encode(SEED[:31]).decode(), base64.b64encode(SEED * 3).decode()),
        *("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", pem(KEY)[:-60]),
        *(pem(ec.derive_private_key(SCALAR, curve)) for curve in (ec.SECP256K1(), ec.SECP384R1())),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(UsageError, match="P-256") as raised:
        token(Keys(NAME, secret), NOW, URI)
    assert not secret or secret not in str(raised.value).split()
