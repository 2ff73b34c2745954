"""Kraken's keys: signatures, nonces, lockouts, and the tokens of sockets.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-auth. From memory: how many wrong requests lock a key out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Hashable, Mapping

from msgspec import Struct

from neuroflux.sim.core.keys import secret_bytes
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.api import Asked
from neuroflux.sim.kit.limits import MINUTE, Recent
from neuroflux.sim.kraken.limits import TIERS, Limits, Tier
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import ApiError, Params, text

MOST_WRONG, LOCKED_FOR = 20, 15 * MINUTE
"""Refused requests of a minute that lock a key out, and for how long, in µs."""
TOKEN_LIFE = 900_000_000
"""µs until a token that no socket uses has expired."""
_MOST_NONCE = 2**64 - 1
_CLIENTS = {"": "starter", "ccxt": "agreed", "sdk": "agreed"}
"""The tier of each key's account; the key without a name is that of the stages."""


class DemoKey(Struct, frozen=True):
    """A key, and its secret as base64."""

    key: str
    secret: str
    tier: str


def demo_key(seed: int, client: str = "") -> DemoKey:
    """The key of one client: the nonces of two are of different lengths, so that they can't share one."""
    halves = [secret_bytes(seed, KRAKEN, f"{client} {part}") for part in ("key", "key 2", "secret", "secret 2")]
    key, secret = (base64.b64encode(b"".join(pair)) for pair in (halves[:2], halves[2:]))
    return DemoKey(key.decode()[:56], secret.decode(), _CLIENTS[client])


def signature(secret: str, path: str, nonce: str, body: bytes) -> str:
    """HMAC-SHA512 over the path and SHA-256 of nonce and body, as base64."""
    message = path.encode() + hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.digest(base64.b64decode(secret), message, "sha512")).decode()


class Account:
    """What is kept for one key."""

    def __init__(self, key: DemoKey) -> None:
        self.key, self.secret = key.key, key.secret
        self.limits = Limits(key.tier)
        self.last_nonce = 0
        self._wrong = Recent(MOST_WRONG, MINUTE)
        self._locked_until = 0

    def check_lock(self, now: int) -> None:
        if now < self._locked_until:
            raise ApiError("EGeneral:Temporary lockout")

    def wrong(self, error: str, now: int) -> ApiError:
        """Count a refusal; one too many locks the key out."""
        if not self._wrong.add(now):
            self._locked_until = now + LOCKED_FOR
        return ApiError(error)


class Token(Struct):
    """``users`` are the sockets that have a private subscription by it."""

    account: Account
    until: int
    users: set[Hashable]


class Keys:
    """Checks requests over REST and the tokens of sockets. Times are in µs."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.demo = [demo_key(simulation.seed, client) for client in _CLIENTS]
        self._accounts = {key.key: Account(key) for key in self.demo}
        self._tokens: dict[str, Token] = {}

    def tier(self, account: Account) -> Tier:
        """That of the account, or the one that the fault ``tier`` set."""
        fault = self._simulation.faults.setting(KRAKEN, "tier")
        return TIERS[fault.value if fault else account.limits.tier]

    # --- REST

    def check(self, asked: Asked[Params], path: str, body: bytes, now: int) -> Account:
        """The account of a request whose key, signature and nonce are right; raises ApiError.

        A nonce is used up once the signature is right, whatever becomes of the request.
        """
        account = self._accounts.get(asked.key)
        if account is None:
            raise ApiError("EAPI:Invalid key")
        account.check_lock(now)
        nonce = text(asked.params, "nonce")
        if not hmac.compare_digest(signature(account.secret, path, nonce, body), asked.signature):
            raise account.wrong("EAPI:Invalid signature", now)
        if not _is_next(nonce, account.last_nonce):
            raise account.wrong("EAPI:Invalid nonce", now)
        account.last_nonce = int(nonce)
        return account

    # --- tokens

    def issue(self, account: Account, now: int) -> str:
        """A new token of an account."""
        raw = secret_bytes(self._simulation.seed, KRAKEN, f"token {account.key} {now} {len(self._tokens)}")
        name = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        self._tokens[name] = Token(account, now + TOKEN_LIFE, set())
        return name

    def of_token(self, params: Mapping[str, object], now: int) -> Token:
        """Raises ApiError; the text is from memory."""
        token = self._tokens.get(str(params.get("token")))
        if token is None or (now >= token.until and not token.users):
            raise ApiError("ESession:Invalid session")
        return token

    def leave(self, user: Hashable) -> None:
        """A socket was closed: the tokens that it used live no longer than the others."""
        for token in self._tokens.values():
            token.users.discard(user)


def _is_next(nonce: str, last: int) -> bool:
    return nonce.isascii() and nonce.isdigit() and len(nonce) <= 20 and last < int(nonce) <= _MOST_NONCE
