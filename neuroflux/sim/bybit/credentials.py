"""Keys, signatures and limits of requests.

Source: https://bybit-exchange.github.io/docs/v5/guide#authentication and …/v5/rate-limit
"""

from __future__ import annotations

import hmac
import re
from typing import Any

from msgspec import Struct

from neuroflux.sim.bybit.venue import BYBIT
from neuroflux.sim.bybit.wire import ApiError, Params
from neuroflux.sim.core.keys import secret_bytes
from neuroflux.sim.kit.limits import MINUTE, Recent

DEFAULT_WINDOW = 5000
SECOND = 1_000_000
_AHEAD = 1000
"""ms by which a request may be ahead of the exchange's clock."""
_ADDRESS_REQUESTS, _ADDRESS_CONNECTIONS = 600, 500
_BAN = 10 * MINUTE
_RATES = {
    "order/create": (20, 10),
    "order/cancel": (20, 10),
    "order/cancel-all": (20, 10),
    "position/set-leverage": (10, 10),
    "position/switch-mode": (10, 10),
    "user/query-api": (10, 10),
    "account/fee-rate": (5, 5),
    "asset/transfer/query-account-coins-balance": (5, 5),
}
"""Requests a second, on spot and on perpetuals."""
_RATE = (50, 50)
_TRANSFERS = "asset/transfer/inter-transfer"


class Call(Struct, frozen=True):
    """A request as it came: its parameters, and what its signature is made of."""

    params: Params
    payload: str = ""
    key: str = ""
    timestamp: str = ""
    window: str = ""
    signature: str = ""


class Signer:
    """Checks the key, the time and the signature."""

    def __init__(self, seed: int) -> None:
        self.key = secret_bytes(seed, BYBIT, "key").hex()[:18]
        self.secret = secret_bytes(seed, BYBIT, "secret").hex()[:36]

    def sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(errors="replace"), "sha256").hexdigest()

    def _is_signed(self, text: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(text).encode(), signature.encode(errors="replace"))

    def check(self, call: Call, now: int) -> None:
        """In the exchange's order: presence, key, time, signature. Raises ApiError; ``now`` in µs."""
        if not (call.key and call.timestamp and call.signature):
            given = f"apiTimestamp[{call.timestamp}] apiKey[{call.key}] apiSignature[{call.signature}]"
            raise ApiError(10001, f"empty value: {given}: openapi sign params error!")
        if call.key != self.key:
            raise ApiError(10003, "API key is invalid.")
        check_time(call.timestamp, call.window, now)
        origin = f"{call.timestamp}{call.key}{call.window}{call.payload}"
        if not self._is_signed(origin, call.signature):
            raise ApiError(10004, f"error sign! origin_string[{origin}]")

    def check_login(self, args: Any, now: int) -> None:
        """A login over a socket: key, expiry (a number or its text) and signature."""
        key, expires, signature = args if isinstance(args, list) and len(args) == 3 else ("", "", "")
        if key != self.key:
            raise ApiError(10003, "Invalid apikey")
        if _milliseconds(expires) * 1000 <= now:
            raise ApiError(10002, "request expired")
        if not self._is_signed(f"GET/realtime{expires}", str(signature)):
            raise ApiError(10004, "Invalid sign")


def check_time(timestamp: Any, window: Any, now: int) -> None:
    """Raises ApiError 10002 for a request that is too old, or from the future; ``now`` in µs."""
    here, recv = now // 1000, _milliseconds(window or DEFAULT_WINDOW)
    if recv < 0 or not here - recv <= _milliseconds(timestamp) < here + _AHEAD:
        given = f"req_timestamp[{timestamp}],server_timestamp[{here}],recv_window[{window}]"
        raise ApiError(10002, f"invalid request, please check your server timestamp or recv_window param. {given}")


def _milliseconds(value: Any) -> int:
    """A number of ms, as a number or as text; -1 for what is none."""
    return int(value) if re.fullmatch(r"[0-9]{1,15}", str(value)) else -1


class Limits:
    """Counts the requests of the account by endpoint and category, and those of the address. Times in µs."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, bool], Recent] = {}
        self._last: dict[str, bool] = {}  # by path, whether the last request was of spot
        self._address = Recent(_ADDRESS_REQUESTS, 5 * SECOND)
        self._connections = Recent(_ADDRESS_CONNECTIONS, 5 * MINUTE)
        self._banned_until = 0

    def count_address(self, now: int) -> None:
        """Raises ApiError 403; too many requests of an address end in a ban."""
        if now < self._banned_until:
            raise banned()
        if not self._address.add(now):
            self._banned_until = now + _BAN
            raise banned()

    def count_connection(self, now: int) -> None:
        if not self._connections.add(now):
            raise banned()

    def count(self, path: str, category: str, now: int) -> None:
        """Raises ApiError 10006."""
        is_spot = self._last[path] = category == "spot"
        if not self._bucket(path, is_spot).add(now):
            raise too_many(self.headers(path, now))

    def _bucket(self, path: str, is_spot: bool) -> Recent:
        if (path, is_spot) not in self._buckets:
            most = _RATES.get(path, _RATE)[0 if is_spot else 1]
            self._buckets[path, is_spot] = Recent(60, MINUTE) if path == _TRANSFERS else Recent(most, SECOND)
        return self._buckets[path, is_spot]

    def headers(self, path: str, now: int) -> dict[str, str]:
        """How many requests are left of this endpoint, and when there are more; nothing before the first of them."""
        if path not in self._last:
            return {}
        bucket = self._bucket(path, self._last[path])
        left = bucket.most - bucket.count(now)
        return limit_headers(bucket.most, left, now + (0 if left else bucket.wait(now)))


def limit_headers(most: int, left: int, reset: int) -> dict[str, str]:
    """``reset`` in µs."""
    numbers = {"X-Bapi-Limit": most, "X-Bapi-Limit-Status": left, "X-Bapi-Limit-Reset-Timestamp": -(-reset // 1000)}
    return {name: str(number) for name, number in numbers.items()}


def too_many(headers: dict[str, str]) -> ApiError:
    return ApiError(10006, "Too many visits. Exceeded the API Rate Limit.", headers=headers)


def banned(retry_after: int | None = None) -> ApiError:
    """The ban of an address; its length is not reported, unless ``retry_after`` is given."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return ApiError(0, "access too frequent", 403, headers)
