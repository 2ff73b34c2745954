"""How Coinbase reads, limits and refuses requests over REST.

Source: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/rest-api
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.coinbase.keys import Signer, Unauthorized
from neuroflux.sim.coinbase.venue import VENUE
from neuroflux.sim.core.orders import Rejected
from neuroflux.sim.kit.answers import json_answer
from neuroflux.sim.kit.api import Asked, Endpoint, JsonRules
from neuroflux.sim.kit.limits import Recent, Window

API, PUBLIC, APP = "/coinbase/api/v3/brokerage", "/coinbase/api/v3/brokerage/market", "/coinbase/v2"
SECOND = 1_000_000
PRIVATE_A_SECOND, PUBLIC_A_SECOND, AN_HOUR = 30, 10, 10_000
Params = dict[str, Any]
Json = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AVERAGE = Context(prec=16)


class ApiError(Refused):
    """An answer with an error: ``status`` is HTTP's, ``code`` gRPC's name."""

    def __init__(self, status: int, code: str, details: str) -> None:
        super().__init__(details)
        self.status, self.code, self.details = status, code, details


class Throttled(Refused):
    """Too many requests: HTTP 429."""


def malformed(details: str) -> ApiError:
    return ApiError(400, "INVALID_ARGUMENT", details)


def unknown(what: str) -> ApiError:
    return ApiError(404, "NOT_FOUND", what)


NO_ORDER = "order with this orderID was not found"


# --- values


def timestamp(micros: int) -> str:
    """RFC 3339; how many digits it has varies."""
    text = (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def micros_of(text: str) -> int:
    """The inverse; raises ApiError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise malformed(f"invalid time {text!r}") from error
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def number(value: Decimal) -> str:
    """Without trailing zeros."""
    return f"{value.normalize():f}"


def average(value: Decimal, quantity: Decimal) -> str:
    """Rounded: exact prices are those of the fills."""
    return number(_AVERAGE.divide(value, quantity)) if quantity else "0"


# --- parameters


def texts(params: Params, *names: str) -> list[str]:
    """Every value of a parameter of the query, by any of its names."""
    return [value for name in names for value in params.get(name, ()) if value]


def text(params: Params, name: str, default: str = "") -> str:
    """The value of a parameter of the query, or of the path."""
    return next(iter(texts(params, name)), default)


def required(params: Params, name: str) -> str:
    """A text of a body; raises ApiError."""
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise malformed(f"{name} is required")
    return value


def limit_of(params: Params, default: int, most: int) -> int:
    given = text(params, "limit", str(default))
    if not (given.isascii() and given.isdigit()):
        raise malformed("invalid limit")
    return min(int(given), most) or default


# --- answers


def throttled(status: int = 429, retry_after: int | None = None) -> web.Response:
    """No wait is named, but that of a fault."""
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    error = {"id": "rate_limit_exceeded", "message": "Too many requests"}
    return json_answer({"errors": [error]}, status, headers)


def failure(status: int, retry_after: int | None = None) -> web.Response:
    """The answer to a fault: an error of the exchange's gateway is no JSON."""
    if status in (418, 429):
        return throttled(status, retry_after)
    return web.Response(status=status, text="Service Unavailable\n")


class CoinbaseRules(JsonRules[Params]):
    """Implements ``Rules``. ``may_trade`` is whether the key may do more than view."""

    def __init__(self, signer: Signer, may_trade: Callable[[], bool]) -> None:
        self._signer, self._may_trade = signer, may_trade
        self._private, self._public = Recent(PRIVATE_A_SECOND, SECOND), Recent(PUBLIC_A_SECOND, SECOND)
        self._app = Recent(PRIVATE_A_SECOND, SECOND)
        self._hour = Window(AN_HOUR, 3600 * SECOND)

    async def read(self, request: web.Request) -> Asked[Params]:
        """A body is read for POST alone: some clients send an empty object with every GET."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        path = request.rel_url.raw_path.removeprefix(VENUE.path)
        asked = {"signed": f"{request.method} {path}", "signature": token if scheme == "Bearer" else ""}
        if request.method == "POST":
            return Asked(_object(await request.read()), **asked)
        query: Params = {name: request.query.getall(name) for name in request.query}
        return Asked({**query, **{name: [value] for name, value in request.match_info.items()}}, **asked)

    def check(self, endpoint: Endpoint[Params], asked: Asked[Params], now: int) -> None:
        if endpoint.access == "signed":
            method, _, path = asked.signed.partition(" ")
            self._signer.check(asked.signature, now, (method, path))
        if not self._bucket(endpoint).add(now):
            raise Throttled("requests of a second")
        if endpoint.access == "signed" and not self._hour.spend(1, now):
            raise Throttled("requests of an hour")
        if endpoint.method == "POST" and not self._may_trade():
            raise ApiError(403, "PERMISSION_DENIED", "Missing required scopes")

    def _bucket(self, endpoint: Endpoint[Params]) -> Recent:
        if endpoint.access == "signed":
            return self._private
        return self._app if endpoint.path.startswith(APP) else self._public

    def is_placed(self, body: Any) -> bool:
        return bool(body.get("success"))

    def answer(self, endpoint: Endpoint[Params], body: object) -> web.Response:
        bucket = self._bucket(endpoint)
        rates = {"limit": bucket.most, "remaining": bucket.most - bucket.counted, "reset": 1}
        return json_answer(body, headers={f"x-ratelimit-{name}": str(value) for name, value in rates.items()})

    def refuse(self, error: Refused) -> web.Response:
        if isinstance(error, Unauthorized):
            return web.Response(status=401, text="Unauthorized\n")
        if isinstance(error, Throttled):
            return throttled()
        if isinstance(error, Rejected):
            error = unknown(NO_ORDER)
        if not isinstance(error, ApiError):
            raise error
        body = {"error": error.code, "error_details": error.details, "message": error.details}
        return json_answer(body, error.status)


def _object(body: bytes) -> Params:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise malformed("the body is no JSON object") from error
