"""Values as Kraken reads and writes them, and its errors: HTTP 200 with a text.

Source: https://docs.kraken.com/api/docs/guides/global-intro
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.kit.answers import json_answer

Params = dict[str, Any]
Json = dict[str, Any]
SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d{1,20}(\.\d{0,20})?", re.ASCII)
_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_CLOUDFLARE = (
    "<!DOCTYPE html>\n<html><head><title>api.kraken.com | {0}</title></head>"
    "<body><h1>Error {0}</h1><p>cloudflare</p></body></html>\n"
)
"""From memory: what stands in front of the API answers with a page of its own."""


class ApiError(Refused):
    """An error by its text, such as ``EOrder:Insufficient funds``."""

    @property
    def text(self) -> str:
        return str(self)


def invalid(what: str) -> ApiError:
    return ApiError(f"EGeneral:Invalid arguments:{what}")


# --- values


def timestamp(micros: int) -> str:
    """RFC 3339 with microseconds, as the socket has it."""
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def whole_seconds(micros: int) -> str:
    """RFC 3339 with seconds, as REST has it."""
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(micros: int) -> float:
    """Unix time as a number."""
    return micros / SECOND


def micros_of(text: object, name: str) -> int:
    """The time of an RFC 3339 text, in µs; raises ApiError."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise invalid(name) from error
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def fixed(value: Decimal, digits: int) -> str:
    """With so many decimals, or as many more as the value has: nothing is rounded away."""
    plain = value.normalize()
    return f"{plain:.{max(digits, -int(plain.as_tuple().exponent))}f}"


def lexeme(text: str) -> msgspec.Raw:
    """A number by its text, so that no digit is lost."""
    return msgspec.Raw(text.encode())


# --- parameters


def object_of(body: bytes | str) -> Params:
    """A JSON object, its numbers as Decimal; raises ApiError."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiError("EGeneral:Invalid arguments") from error


def form_of(body: bytes) -> Params:
    """The fields of a form; raises ApiError."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError as error:
        raise ApiError("EGeneral:Invalid arguments") from error


def text(params: Params, name: str, default: str = "") -> str:
    """A parameter as text; what is absent or null is the default."""
    value = params.get(name)
    return default if value is None or isinstance(value, dict | list) else str(value)


def required(params: Params, name: str) -> str:
    """A parameter that must be there; raises ApiError."""
    given = text(params, name)
    if not given:
        raise invalid(name)
    return given


def texts(params: Params, name: str) -> list[str]:
    """A list, or the parts of a text between commas."""
    value = params.get(name)
    if isinstance(value, list):
        return [str(one) for one in value]
    return [one.strip() for one in text(params, name).split(",") if one.strip()]


def flag(params: Params, name: str, *, default: bool = False) -> bool:
    """A boolean; clients write it as their language does: ``False``, ``true``, ``1``."""
    value = text(params, name).lower()
    return value in ("true", "1") if value else default


def amount(params: Params, name: str) -> Decimal:
    """A number that is not negative; raises ApiError."""
    given = text(params, name)
    if not _NUMBER.fullmatch(given):
        raise invalid(name)
    return Decimal(given)


def whole(params: Params, name: str, default: int = 0) -> int:
    """A whole number, not negative; raises ApiError."""
    given = text(params, name)
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise invalid(name)
    return int(given)


# --- answers


def answered(result: object) -> Json:
    return {"error": [], "result": result}


def refused(*errors: str) -> web.Response:
    return json_answer({"error": errors})


def failure(status: int, retry_after: int | None = None) -> web.Response:
    """The answer to a fault: a page of what stands in front of the API."""
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return web.Response(status=status, text=_CLOUDFLARE.format(status), headers=headers, content_type="text/html")
