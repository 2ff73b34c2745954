"""Kraken's signatures: HMAC-SHA512 over the path and a hash of the nonce and the body, with a key in base64.

A nonce must be greater than the last one that was accepted for the key, and is never set back. So it is taken when a
request is sent, in microseconds of our own clock, and is at least one more than the one before. Source:
https://docs.kraken.com/api/docs/guides/spot-rest-auth
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from msgspec.structs import replace

from neuroflux.domain import Microseconds
from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.requests import Keys, Request

API: Final = "/0/private/"
_FORM: Final = "application/x-www-form-urlencoded"


class Nonces:
    """The nonces of one process: the time of our clock in microseconds, or one more than the last."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, now: Microseconds) -> int:
        self._last = max(self._last + 1, now)
        return self._last


NONCES: Final = Nonces()
"""All feeds and clients of the process take from it, whatever the key: a new one must not begin below the last."""


def secret_of(keys: Keys) -> bytes:
    """Raises UsageError, which does not show the key, for what is no base64."""
    try:
        secret = base64.b64decode("".join(keys.secret.split()), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret:
        raise UsageError("the Kraken secret key must be the private key in base64, as Kraken shows it")
    return secret


def signature(secret: bytes, path: str, nonce: int, body: bytes) -> str:
    """``path`` begins with ``/0/private/``, whatever the address; ``body`` is what is sent, with the nonce in it."""
    hashed = hashlib.sha256(str(nonce).encode() + body).digest()
    return base64.b64encode(hmac.new(secret, path.encode() + hashed, hashlib.sha512).digest()).decode()


class _Signer:
    """``Request.sign`` of one key."""

    def __init__(self, keys: Keys) -> None:
        self._key, self._secret = keys.key, secret_of(keys)

    def __call__(self, request: Request, now: Microseconds) -> Request:
        nonce = NONCES.next(now)
        body = b"&".join(part for part in (f"nonce={nonce}".encode(), request.body) if part)
        signed = {"API-Key": self._key, "API-Sign": signature(self._secret, request.path, nonce, body)}
        return replace(request, body=body, headers={**signed, "Content-Type": _FORM}, sign=None)


def start_at(since: Microseconds) -> int:
    """The parameter ``start`` of a list that begins then: whole seconds, of which what is equal to it is left out."""
    return max(since - 1, 0) // 1_000_000


def private(
    keys: Keys, name: str, tag: str, bucket: str, fields: Mapping[str, object] | None = None, weight: int = 1
) -> Request:
    """A request of the private API, which is signed when it is sent. Raises UsageError for a key that can't sign."""
    body = urlencode(fields or {}).encode()
    return Request("POST", f"{API}{name}", body, weight=weight, tag=tag, bucket=bucket, sign=_Signer(keys))
