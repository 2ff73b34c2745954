"""The demo account's keys, and the JSON Web Tokens that are signed with them, one for each request.

Source: https://docs.cdp.coinbase.com/coinbase-app/authentication-authorization/api-key-authentication
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC
from Crypto.Signature import DSS, eddsa
from msgspec import Struct

from neuroflux.errors import Refused
from neuroflux.sim.coinbase.venue import COINBASE
from neuroflux.sim.core.keys import secret_bytes

EARLY, LIFE = 5, 120
"""Seconds: how long before its time a token is good, and how long it may live."""
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Algorithm = Literal["ES256", "EdDSA"]


class Unauthorized(Refused):
    """A token that is missing or wrong: HTTP 401."""


class DemoKey(Struct, frozen=True):
    """``secret`` is what a client is given: a PEM, or the seed and public key of Ed25519 as base64."""

    name: str
    secret: str
    algorithm: Algorithm
    public: ECC.EccKey

    def is_signed(self, signature: bytes, text: bytes) -> bool:
        try:
            if self.algorithm == "ES256":
                DSS.new(self.public, "fips-186-3").verify(SHA256.new(text), signature)
            else:
                eddsa.new(self.public, "rfc8032").verify(text, signature)
        except ValueError:
            return False
        return True


def _uuid(seed: int, name: str) -> str:
    return str(UUID(bytes=secret_bytes(seed, COINBASE, name)[:16], version=4))


def elliptic_key(seed: int) -> DemoKey:
    """The key that is offered with the demo account: ES256."""
    scalar = int.from_bytes(secret_bytes(seed, COINBASE, "ES256"), "big") % (_P256_ORDER - 1) + 1
    private = ECC.construct(curve="P-256", d=scalar)
    name = f"organizations/{_uuid(seed, 'organization')}/apiKeys/{_uuid(seed, 'key')}"
    return DemoKey(name, str(private.export_key(format="PEM", use_pkcs8=False)) + "\n", "ES256", private.public_key())


def edwards_key(seed: int) -> DemoKey:
    """Another key of the same account: Ed25519."""
    private = eddsa.import_private_key(secret_bytes(seed, COINBASE, "Ed25519"))
    public = private.public_key()
    raw = secret_bytes(seed, COINBASE, "Ed25519") + bytes(public.export_key(format="raw"))
    return DemoKey(_uuid(seed, "Ed25519 key"), base64.b64encode(raw).decode(), "EdDSA", public)


class Signer:
    """Checks tokens: the key, its algorithm, the signature, the time, and over REST the method and path."""

    def __init__(self, seed: int) -> None:
        self.keys = {key.name: key for key in (elliptic_key(seed), edwards_key(seed))}
        self.user, self.portfolio = _uuid(seed, "user"), _uuid(seed, "portfolio")

    @property
    def published(self) -> DemoKey:
        return next(iter(self.keys.values()))

    def check(self, token: object, now: int, request: tuple[str, str] | None = None) -> None:
        """``now`` in µs; ``request`` is the method and the exchange's path, without the query. Raises Unauthorized."""
        text, _, signature = str(token).rpartition(".")
        header, _, claims = text.partition(".")
        named, claimed = _part(header), _part(claims)
        key = self.keys.get(str(named.get("kid")))
        if key is None or claimed.get("sub") != key.name or named.get("alg") != key.algorithm:
            raise Unauthorized("key")
        if not key.is_signed(_bytes(signature), text.encode()):
            raise Unauthorized("signature")
        if not _is_timely(claimed, now / 1_000_000):
            raise Unauthorized("time")
        if request is not None and not _is_for(claimed, *request):
            raise Unauthorized("uri")


def _bytes(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _part(part: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(_bytes(part), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _is_timely(claims: Mapping[str, Any], now: float) -> bool:
    begin, end = claims.get("nbf"), claims.get("exp")
    if not isinstance(begin, int) or not isinstance(end, int):
        return False
    return begin - EARLY <= now < end and end - begin <= LIFE


def _is_for(claims: Mapping[str, Any], method: str, path: str) -> bool:
    """Whatever precedes the path is free: clients write the host that they know."""
    several = claims.get("uris")
    uri = claims.get("uri") or (several[0] if isinstance(several, list) and several else "")
    named, _, rest = str(uri).partition(" ")
    return named == method and rest.endswith(path)
