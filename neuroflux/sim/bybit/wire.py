"""What all of Bybit's answers share: the envelope, errors, parameters and numbers.

Source: https://bybit-exchange.github.io/docs/v5/guide and …/v5/error
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.core.orders import Reason
from neuroflux.sim.kit.answers import json_answer

Params = dict[str, Any]
Json = dict[str, Any]
Row = TypeVar("Row")
BAD_PARAMETER = 10001
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_MISSING = {"spot": (170105, "Parameter '{}' was empty.")}
_REFUSALS = {
    Reason.PRICE_STEP: ((170134, "Order price has too many decimals."), (BAD_PARAMETER, "params error: Price invalid")),
    Reason.QUANTITY_STEP: ((170137, "Order quantity has too many decimals."), (BAD_PARAMETER, "Qty invalid")),
    Reason.QUANTITY_LIMIT: ((170136, "Order quantity exceeded lower limit."), (BAD_PARAMETER, "Qty invalid")),
    Reason.NOTIONAL: (
        (170140, "Order value exceeded lower limit."),
        (110094, "Order does not meet minimum order value 5USDT"),
    ),
    Reason.BALANCE: ((170131, "Insufficient balance."), (110004, "Wallet balance is insufficient")),
    Reason.MARGIN: ((170131, "Insufficient balance."), (110007, "ab not enough for new order")),
    Reason.DUPLICATE: ((170141, "Duplicate clientOrderId"), (110072, "OrderLinkedID is duplicate")),
    Reason.WOULD_MATCH: (
        (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
        (110032, "Illegal order"),
    ),
    Reason.REDUCE_ONLY: (
        (170210, "New order rejected."),
        (110017, "current position is zero, cannot fix reduce-only order qty"),
    ),
    Reason.UNKNOWN_ORDER: (
        (170213, "Order does not exist."),
        (110001, "order not exists or too late to cancel"),
    ),
    Reason.HALTED: ((170157, "Trading pair is not available for API trading."), (110074, "This contract is not live")),
    Reason.FAULT: ((170210, "New order rejected."), (110032, "Illegal order")),
    Reason.UNKNOWN_CODE: ((170999, "A rule of today was violated."), (110999, "A rule of today was violated.")),
}
"""Code and text by the core's reason: on spot, and on perpetuals."""


class ApiError(Refused):
    """An error of Bybit: its code and text, HTTP's status, headers."""

    def __init__(self, code: int, text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.code, self.text, self.status, self.headers = code, text, status, headers or {}


def refusal(reason: Reason, category: str) -> ApiError:
    return ApiError(*_REFUSALS[reason][0 if category == "spot" else 1])


def envelope(result: object, now: int, code: int = 0, text: str = "OK") -> Json:
    """``now`` in µs."""
    return {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": now // 1000}


def error_answer(error: ApiError, now: int) -> web.Response:
    """The error as an HTTP answer; a ban is not JSON."""
    if not error.code:
        return web.Response(status=error.status, text=error.text, headers=error.headers)
    return json_answer(envelope({}, now, error.code, error.text), error.status, error.headers)


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────


def bad(name: str) -> ApiError:
    return ApiError(BAD_PARAMETER, f"params error: {name} invalid")


def text_of(params: Params, name: str, default: str = "") -> str:
    """A text, the default where it is left out or empty; raises ApiError for anything else."""
    value = params.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str):
        raise bad(name)
    return value


def required(params: Params, name: str, category: str = "") -> str:
    """The parameter; raises ApiError where it is missing."""
    text = text_of(params, name)
    if not text:
        code, words = _MISSING.get(category, (BAD_PARAMETER, "params error: {} is empty"))
        raise ApiError(code, words.format(name))
    return text


def choice(params: Params, name: str, values: Sequence[str], error: ApiError | None = None) -> str:
    """One of these; raises the error, or 10001."""
    text = text_of(params, name)
    if text not in values:
        raise error or bad(name)
    return text


def decimal_of(params: Params, name: str, category: str) -> Decimal:
    """A number, which orders have as text."""
    text = required(params, name, category)
    if not _NUMBER.fullmatch(text):
        raise bad(name)
    return Decimal(text)


def integer_of(params: Params, name: str, default: int) -> int:
    """A whole number, in text or not."""
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,18}", str(value)):
        raise bad(name)
    return int(value)


def link_id_of(params: Params) -> str:
    """The id that the client gave an order, "" for none."""
    link_id = text_of(params, "orderLinkId")
    if link_id and not _LINK_ID.fullmatch(link_id):
        raise bad("orderLinkId")
    return link_id


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def page(rows: Sequence[tuple[str, Row]], params: Params, limit: int) -> tuple[list[Row], str]:
    """The rows behind the cursor, and the next cursor: every page that is not empty has one.

    Each row is given with its mark, which is unique. A cursor is encoded for a URL, once or twice.
    """
    after = unquote(unquote(text_of(params, "cursor"))).partition(",")[0]
    marks = [mark for mark, _ in rows]
    first = marks.index(after) + 1 if after in marks else 0
    found = rows[first : first + limit]
    return [row for _, row in found], quote(f"{found[-1][0]},{found[-1][0]}", safe="") if found else ""


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(value: Decimal, places: int = 8) -> str:
    """An amount without zeros at its end."""
    text = f"{round(value, places):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
