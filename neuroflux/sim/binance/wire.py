"""What both of Binance's dialects share below the messages: errors, parameters, signatures, limits.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.kit.answers import json_answer
from neuroflux.sim.kit.limits import MINUTE, Recent, Window
from neuroflux.sim.kit.numbers import Numbers

Params = dict[str, str]
MAX_RECV_WINDOW = 60_000
DEFAULT_RECV_WINDOW = 5_000
_CLIENT_ID = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_VIOLATIONS_TO_A_BAN = 20
_BAN = 2 * MINUTE
TEN_SECONDS = 10_000_000


class ApiError(Refused):
    """An error of Binance; ``status`` is HTTP's."""

    def __init__(self, code: int, text: str, status: int = 400, retry_after: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.retry_after = retry_after


def error_answer(error: ApiError, headers: Mapping[str, str] | None = None) -> web.Response:
    """The error as an HTTP answer."""
    extra = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return json_answer({"code": error.code, "msg": error.text}, error.status, {**(headers or {}), **extra})


def fault_error(exchange_id: str, status: int, now: int, retry_after: int | None = None) -> ApiError:
    """The error of a limit or an overload; ``now`` in µs, ``retry_after`` in seconds."""
    if status == 429:
        text = "Too many requests; please use WebSocket Streams for live updates to avoid polling the API."
        return ApiError(-1003, text, 429, retry_after=1 if retry_after is None else retry_after)
    if status == 418:
        seconds = 120 if retry_after is None else retry_after
        return banned(exchange_id, now + seconds * 1_000_000, retry_after or stated_wait(exchange_id, seconds))
    return ApiError(-1000, "Unknown error, please check your request or try again later.", status)


def banned(exchange_id: str, until: int, retry_after: int) -> ApiError:
    """A ban until a time in µs; its text always has the end."""
    used, stream = "Way too many requests", "the websocket"
    if exchange_id == BINANCE:
        used, stream = "Way too much request weight used", "WebSocket Streams"
    text = f"{used}; IP banned until {until // 1000}. Please use {stream} for live updates to avoid bans."
    return ApiError(-1003, text, 418, retry_after=retry_after)


def stated_wait(exchange_id: str, seconds: int) -> int:
    """The value of ``Retry-After``, 0 where there is none: of the two, spot alone documents the header."""
    return seconds if exchange_id == BINANCE else 0


def overloaded(exchange_id: str) -> ApiError:
    """The answer of an overloaded exchange to new risk; it still accepts what reduces risk."""
    if exchange_id == BINANCE:
        text = "Server is currently overloaded with other requests. Please try again in a few minutes."
    else:
        text = "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. "
        text += "Please try again."
    return ApiError(-1008, text, 503)


def required(params: Params, name: str) -> str:
    """The parameter; raises ApiError -1102 where it is missing."""
    value = params.get(name, "")
    if not value:
        raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def decimal_of(params: Params, name: str) -> Decimal:
    """A number above zero; raises ApiError."""
    text = required(params, name)
    if not _NUMBER.fullmatch(text):
        legal = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
    return Decimal(text)


def decimals_of(params: Params, name: str) -> int:
    """How many decimals a number is written with: zeros at its end are counted too."""
    return len(required(params, name).partition(".")[2])


def client_id_of(params: Params) -> str:
    """The order's client id, "" where none is given; raises ApiError -1100 for one that isn't allowed."""
    client_id = params.get("newClientOrderId", "")
    if client_id and not _CLIENT_ID.fullmatch(client_id):
        text = f"Illegal characters found in parameter 'newClientOrderId'; legal range is '^{_CLIENT_ID.pattern}$'."
        raise ApiError(-1100, text)
    return client_id


def integer_of(params: Params, name: str, default: int | None = None) -> int:
    """A whole number; raises ApiError -1102 where it is missing and there is no default, -1100 where it is none."""
    if default is not None and not params.get(name):
        return default
    text = required(params, name)
    if not text.lstrip("-").isdigit():
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def split_signature(raw: str) -> tuple[str, str]:
    """A query or a form without its signature, and the signature ("" where there is none)."""
    parts = raw.split("&") if raw else []
    signatures = [part.removeprefix("signature=") for part in parts if part.startswith("signature=")]
    return "&".join(part for part in parts if not part.startswith("signature=")), "".join(signatures)


class Signer:
    """Checks the key, the time and the signature of signed requests."""

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self.secret = secret

    def sign(self, payload: str) -> str:
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def check_key(self, key: str) -> None:
        """Raises ApiError -2014 or -2015."""
        if not key:
            raise ApiError(-2014, "API-key format invalid.", 401)
        if key != self.key:
            raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def check(self, key: str, payload: str, signature: str, params: Params, now: int) -> None:
        """Check a signed request in the exchange's order: key, time, signature. Raises ApiError; ``now`` in µs."""
        self.check_key(key)
        if not signature:
            raise ApiError(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
        self._check_time(params, now)
        if not hmac.compare_digest(self.sign(payload), signature):
            raise ApiError(-1022, "Signature for this request is not valid.")

    @staticmethod
    def _check_time(params: Params, now: int) -> None:
        timestamp = integer_of(params, "timestamp")
        stamp = timestamp if timestamp > 10**14 else timestamp * 1000
        window = float(params.get("recvWindow") or DEFAULT_RECV_WINDOW)
        if window > MAX_RECV_WINDOW:
            raise ApiError(-1131, "recvWindow must be less than 60000.")
        if stamp >= now + 1_000_000:
            raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - stamp > window * 1000:
            raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")

    def check_socket(self, params: Params, now: int) -> None:
        """The WebSocket API signs its parameters sorted by name, not percent-encoded."""
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        self.check(params.get("apiKey", ""), payload, params.get("signature", ""), params, now)


async def read_request(request: web.Request) -> tuple[Params, str, str]:
    """All parameters, the text that was signed, and the signature; from the query and the body, exactly as sent."""
    query, in_query = split_signature(request.raw_path.partition("?")[2])
    body, in_body = split_signature(await request.text())
    params = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body, keep_blank_values=True))
    return params, query + body, in_query or in_body


class Limits:
    """Request weight by minute, orders by ten seconds; repeated violations end in a ban. Times in µs."""

    def __init__(self, weight_a_minute: int, orders_in_ten_seconds: int, exchange_id: str = BINANCE) -> None:
        self.weight = Window(weight_a_minute)
        self.orders = Recent(orders_in_ten_seconds, TEN_SECONDS)
        self._exchange_id = exchange_id
        self.orders_today = 0
        self._violations = 0
        self._banned_until = 0

    def spend(self, weight: int, now: int) -> None:
        """Count a request; raises ApiError 429 above the limit, 418 while banned."""
        if self.weight.begin(now):
            self._violations = 0
        if now < self._banned_until:
            raise self._ban(now)
        if self.weight.spend(weight, now):
            return
        self._violations += 1
        if self._violations > _VIOLATIONS_TO_A_BAN:
            self._banned_until = now + _BAN
            raise self._ban(now)
        text = f"Too many requests; current limit is {self.weight.most} request weight per 1 MINUTE. "
        text += "Please use WebSocket Streams for live updates to avoid polling the API."
        raise ApiError(-1003, text, 429, retry_after=60 - now // 1_000_000 % 60)

    def _ban(self, now: int) -> ApiError:
        seconds = (self._banned_until - now) // 1_000_000 + 1
        return banned(self._exchange_id, self._banned_until, stated_wait(self._exchange_id, seconds))

    def count_order(self, now: int) -> None:
        """Count a new order; raises ApiError -1015 when there were too many."""
        if not self.orders.add(now):
            text = f"Too many new orders; current limit is {self.orders.most} orders per 10 SECOND."
            seconds = self.orders.wait(now) // 1_000_000 + 1
            raise ApiError(-1015, text, 429, stated_wait(self._exchange_id, seconds))
        self.orders_today += 1

    def headers(self, *, is_order: bool) -> dict[str, str]:
        """The limits' headers of an answer."""
        used = str(self.weight.used)
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if is_order:
            headers |= {
                "X-MBX-ORDER-COUNT-10S": str(self.orders.counted),
                "X-MBX-ORDER-COUNT-1D": str(self.orders_today),
            }
        return headers


def numbers_of(listing: Listing) -> Numbers:
    """Spot has eight decimals, USDⓈ-M those of its steps."""
    return Numbers(listing, 8) if listing.kind == "spot" else Numbers(listing)


def amount(value: Decimal) -> str:
    """An amount of an asset, with eight decimals."""
    return f"{value:.8f}"
