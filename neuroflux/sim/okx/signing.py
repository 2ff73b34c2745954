"""OKX's keys: three parts, a timestamp and a signature over it, the method, the path and the body.

Source: https://www.okx.com/docs-v5/en/#overview-rest-authentication and #overview-websocket-login
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from neuroflux.sim.core.keys import secret_bytes
from neuroflux.sim.okx.venue import OKX
from neuroflux.sim.okx.wire import ApiError, Credentials, text_of

TOLERANCE = 30_000_000
"""µs between the timestamp of a request and the exchange's clock."""
LOGIN_PATH = "/users/self/verify"
_HEADERS = (
    ("key", "50103", "OK-ACCESS-KEY"),
    ("passphrase", "50104", "OK-ACCESS-PASSPHRASE"),
    ("sign", "50106", "OK-ACCESS-SIGN"),
    ("timestamp", "50107", "OK-ACCESS-TIMESTAMP"),
)
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Signer:
    """The demo account's key, and the checks of what was signed with it. Times are in µs."""

    def __init__(self, seed: int) -> None:
        self.key = str(UUID(bytes=secret_bytes(seed, OKX, "key")[:16], version=4))
        self.secret = secret_bytes(seed, OKX, "secret")[:16].hex().upper()
        self.passphrase = "Demo-" + secret_bytes(seed, OKX, "passphrase")[:6].hex()

    def _sign(self, text: str) -> str:
        return base64.b64encode(hmac.new(self.secret.encode(), text.encode(), "sha256").digest()).decode()

    def check(self, given: Credentials, signed: str, now: int) -> None:
        """Raises ApiError; ``signed`` is the method, the path with its query, and the body."""
        for name, code, header in _HEADERS:
            if not getattr(given, name):
                raise ApiError(code, f'Request header "{header}" cannot be empty.', 401)
        if abs(now - _time(given.timestamp)) > TOLERANCE:
            raise ApiError("50102", "Timestamp request expired.", 401)
        if given.key != self.key:
            known = _is_uuid(given.key)
            raise ApiError(*(("50119", "API key doesn't exist") if known else ("50111", "Invalid OK-ACCESS-KEY")), 401)
        if given.simulated == "1":
            raise ApiError("50101", "APIKey does not match current environment.", 401)
        if given.passphrase != self.passphrase:
            raise ApiError("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
        if not hmac.compare_digest(given.sign.encode(), self._sign(given.timestamp + signed).encode()):
            raise ApiError("50113", "Invalid Sign", 401)

    def check_login(self, given: Mapping[str, Any], now: int) -> None:
        """Raises ApiError; the timestamp is in seconds, as text or as a number."""
        timestamp = text_of(given, "timestamp")
        if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp) * 1_000_000) > TOLERANCE:
            raise ApiError("60006", "Timestamp request expired")
        if text_of(given, "apiKey") != self.key:
            known = _is_uuid(text_of(given, "apiKey"))
            raise ApiError(*(("60032", "API key doesn't exist") if known else ("60005", "Invalid apiKey")))
        if text_of(given, "passphrase") != self.passphrase:
            raise ApiError("60024", "Wrong passphrase")
        if text_of(given, "sign") != self._sign(f"{timestamp}GET{LOGIN_PATH}"):
            raise ApiError("60007", "Invalid sign")


def _time(text: str) -> int:
    """A timestamp of a REST request in µs: ISO 8601, or seconds with a point."""
    try:
        moment = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000_000)
    except ValueError:
        pass
    try:
        return round(float(text) * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise ApiError("50112", "Invalid OK-ACCESS-TIMESTAMP", 401) from error


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
