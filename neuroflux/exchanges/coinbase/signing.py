"""Coinbase's JSON Web Tokens, one for each request.

ES256 for keys with a PEM (P-256), EdDSA for keys in base64 (Ed25519: the seed, or seed and public key). Both signatures
are derived (RFC 6979, RFC 8032), so that equal input gives an equal token. Source:
https://docs.cdp.coinbase.com/coinbase-app/authentication-authorization/api-key-authentication
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from neuroflux.domain import Microseconds
from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.requests import Keys

LIFE_SECONDS: Final = 120
"""The longest that a token may be valid."""

_ES256: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_SCALAR: Final = 32
_FAULT: Final = "Coinbase's secret key is neither a PEM of an EC key on P-256 nor an Ed25519 key in base64"

_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def token(keys: Keys, now: Microseconds, uri: str, life: int = LIFE_SECONDS, what: str = "") -> str:
    """``uri`` is the method, a blank, host and path without query; "" for a socket. Raises UsageError for a bad key.

    ``what`` distinguishes the requests of one ``uri`` and time, so that no nonce is used twice.
    """
    nonce = blake2b(f"{now} {uri} {what}".encode(), digest_size=16).hexdigest()
    return token_of(keys, now // 1_000_000, nonce, uri, life)


def token_of(keys: Keys, seconds: int, nonce: str, uri: str, life: int = LIFE_SECONDS) -> str:
    key = _loaded(keys.secret)
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "EdDSA"
    head = {"alg": algorithm, "kid": keys.key, "nonce": nonce, "typ": "JWT"}
    claims: dict[str, Any] = {"sub": keys.key, "iss": "cdp", "nbf": seconds, "exp": seconds + life}
    text = f"{_part(head)}.{_part(claims | ({'uri': uri} if uri else {}))}"
    return f"{text}.{_base64(_signature(key, text.encode()))}"


def _signature(key: _Key, text: bytes) -> bytes:
    """Of ES256 the two numbers one after the other, and not DER."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    return b"".join(number.to_bytes(_SCALAR, "big") for number in decode_dss_signature(key.sign(text, _ES256)))


@lru_cache(maxsize=8)
def _loaded(secret: str) -> _Key:
    """A PEM in an environment variable often has its line breaks as backslash and n. Raises UsageError."""
    try:
        return _pem(secret.replace("\\n", "\n")) if "-----BEGIN" in secret else _seed(secret)
    except (ValueError, TypeError) as error:
        raise UsageError(_FAULT) from error


def _pem(text: str) -> _Key:
    key = serialization.load_pem_private_key(text.strip().encode(), password=None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError(f"a {type(key).__name__}")


def _seed(text: str) -> _Key:
    raw = b64decode("".join(text.split()), validate=True)
    if len(raw) not in (32, 64):
        raise ValueError(f"{len(raw)} bytes")
    return ed25519.Ed25519PrivateKey.from_private_bytes(raw[:32])


def _part(fields: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(fields))


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
