"""How OKX writes numbers, answers and errors, and reads parameters.

Source: https://www.okx.com/docs-v5/en/#error-code
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from neuroflux.errors import Refused
from neuroflux.sim.core.orders import Reason

Json = dict[str, Any]
_DIGITS = Context(prec=18)
"""An average price has no endless fraction."""

REASONS: Mapping[Reason, tuple[str, str]] = {
    Reason.PRICE_STEP: ("51000", "Parameter px error"),
    Reason.QUANTITY_STEP: ("51121", "Order quantity must be a multiple of the lot size."),
    Reason.QUANTITY_LIMIT: ("51005", "Your order amount exceeds the max order amount."),
    Reason.NOTIONAL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Reason.BALANCE: ("51008", "Order failed. Insufficient balance in account."),
    Reason.MARGIN: ("51008", "Order failed. Insufficient USDT margin in account."),
    Reason.DUPLICATE: ("51016", "Client order ID already exists."),
    Reason.WOULD_MATCH: ("51006", "Order price is not within the price limit."),
    Reason.REDUCE_ONLY: ("51169", "Order failed because you don't have any positions in this direction to reduce."),
    Reason.UNKNOWN_ORDER: ("51603", "Order does not exist"),
    Reason.HALTED: ("51022", "Contract suspended"),
    Reason.FAULT: ("51008", "Order failed. Insufficient balance in account."),
    Reason.UNKNOWN_CODE: ("51999", "A rule that came into force today was violated."),
}
SHORT_OF_MONEY = ("51008",)


class ApiError(Refused):
    """An error of OKX; ``status`` is HTTP's where it is the error of a whole request."""

    def __init__(self, code: str, text: str, status: int = 200) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text, self.status = code, text, status


class Credentials(Struct, frozen=True):
    """The headers of a signed request; "" for one that is missing."""

    key: str = ""
    sign: str = ""
    timestamp: str = ""
    passphrase: str = ""
    simulated: str = ""


class Params(Struct, frozen=True):
    """What a request asks: the query or the body, the rows of a body that is a list, and the other headers."""

    values: Mapping[str, Any] = {}
    rows: Sequence[Any] = ()
    credentials: Credentials = Credentials()
    expires: str = ""

    def text(self, name: str) -> str:
        """A parameter, "" where it is missing or empty."""
        return text_of(self.values, name)

    def needed(self, name: str) -> str:
        return needed(self.values, name)


def text_of(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def needed(values: Mapping[str, Any], name: str) -> str:
    """A parameter that must be there; raises ApiError 50014."""
    text = text_of(values, name)
    if not text:
        raise ApiError("50014", f"Parameter {name} cannot be empty.", 400)
    return text


def parameter_error(name: str) -> ApiError:
    return ApiError("51000", f"Parameter {name} error", 400)


def positive(values: Mapping[str, Any], name: str) -> Decimal:
    """A number above 0; raises ApiError."""
    try:
        number = Decimal(needed(values, name))
    except InvalidOperation as error:
        raise parameter_error(name) from error
    if not number.is_finite() or not 0 < number < 10**20 or number.as_tuple().exponent < -20:  # type: ignore[operator]
        raise parameter_error(name)
    return number


def whole(values: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number; raises ApiError."""
    text = text_of(values, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise parameter_error(name)
    return int(text)


def number(value: Decimal) -> str:
    """Without an exponent and trailing zeros."""
    return f"{_DIGITS.create_decimal(value).normalize():f}" if value else "0"


def ms(microseconds: int) -> str:
    return str(microseconds // 1000)


def envelope(rows: Sequence[Any], code: str = "0", text: str = "") -> Json:
    return {"code": code, "msg": text, "data": rows}


def outcome(rows: Sequence[Json], now: int) -> Json:
    """The answer to orders and cancellations: the code says whether all, some or none of them were accepted."""
    failed = sum(row["sCode"] != "0" for row in rows)
    code = "0" if not failed else "1" if failed == len(rows) else "2"
    text = {"0": "", "1": "All operations failed", "2": "Bulk operation partially succeeded"}[code]
    return {**envelope(rows, code, text), "inTime": str(now), "outTime": str(now + 1_000)}
