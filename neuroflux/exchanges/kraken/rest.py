"""Kraken's REST: the envelope of every answer, what kind it is, pages, waits and refusals.

HTTP is 200 whatever the API answers: a refusal is a text in ``error``. Source: https://docs.kraken.com/api/docs/rest-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from neuroflux.errors import RateLimited, Refused, Unreachable, UsageError
from neuroflux.exchanges.kit import rest
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.order_client import Failure
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.rows import Rows
from neuroflux.exchanges.kit.shapes import UNREADABLE, Shapes, kind_of
from neuroflux.exchanges.kraken.codes import DEFINITE, THROTTLED, code_of, wait_of
from neuroflux.exchanges.kraken.messages import Holding, RestFill, RestOrder
from neuroflux.exchanges.kraken.names import asset_of
from neuroflux.exchanges.kraken.signing import API, private

ROWS: Final = 50
"""Orders or fills of a page."""

ADD, CANCEL = f"{API}AddOrder", f"{API}CancelOrder"
OPEN, CLOSED, ORDERS = f"{API}OpenOrders", f"{API}ClosedOrders", f"{API}QueryOrders"
FILLS, BALANCES, FEES = f"{API}TradesHistory", f"{API}BalanceEx", f"{API}TradeVolume"
TOKEN, RIGHTS = f"{API}GetWebSocketsToken", f"{API}GetApiKeyInfo"

_PATHS: Final = frozenset((ADD, CANCEL, OPEN, CLOSED, ORDERS, FILLS, BALANCES, FEES, TOKEN, RIGHTS))
_NO_ERROR: Final = b'{"error":[],'
W = TypeVar("W", bound=Struct)


class _Envelope(Struct, frozen=True):
    error: list[str]
    result: Raw = Raw()


_ENVELOPE: Final = Decoder(_Envelope)
_OBJECT: Final = Decoder(dict[str, Raw])
_ORDER: Final = Decoder(RestOrder, strict=False)
_FILL: Final = Decoder(RestFill, strict=False)
_HOLDING: Final = Decoder(Holding)

_RESULTS: Final = Shapes(
    objects=(
        ("open", OPEN),
        ("closed", CLOSED),
        ("trades", FILLS),
        ("token", TOKEN),
        ("fees", FEES),
        ("permissions", RIGHTS),
        ("txid", ADD),
        ("count", CANCEL),
    ),
    rows=(),
)
_VALUES: Final = Shapes(
    objects=(("descr vol_exec", ORDERS), ("hold_trade", BALANCES)),
    rows=(),
)


def result_of(body: bytes) -> Raw:
    """The result of an answer. Raises ``UNREADABLE``, with the exchange's words where it refused."""
    wire = _ENVELOPE.decode(body)
    if errors := _errors(wire):
        raise ValueError("; ".join(errors)[:200])
    return wire.result


def _errors(wire: _Envelope) -> list[str]:
    return [one for one in wire.error if not one.startswith("W")]


def failure(body: bytes) -> Failure | None:
    """The error in a body, None where it is none; of several the one that leaves most open."""
    if body.startswith(_NO_ERROR):
        return None
    try:
        errors = _errors(_ENVELOPE.decode(body))
    except UNREADABLE:
        return None
    return Failure(code_of(errors), "; ".join(errors)[:200]) if errors else None


def kind(answer: Answer, result: Raw) -> str:
    """The path whose answer this is: one that names no request, as in a recording, is known by its keys."""
    if answer.request.path in _PATHS:
        return answer.request.path
    text = bytes(result)
    values = _OBJECT.decode(text).values() if text.startswith(b"{") else ()
    return kind_of(text, _RESULTS) or next((found for one in values if (found := kind_of(bytes(one), _VALUES))), "")


def wait(answer: Answer) -> float:
    """Seconds after which a request that was refused for its rate may be sent again."""
    failed = failure(answer.body)
    if failed is None:
        return rest.retry_after(answer)
    return wait_of(str(failed.code), answer.received_at / 1e6)


def checked(answer: Answer) -> bytes:
    """The body of an answer that was not refused; raises what ``kit.rest.checked`` raises, for an error too."""
    body = rest.checked(answer, answer.request.tag, wait, lambda body: failure(body) is not None)
    failed = failure(body)
    if failed is None:
        return body
    fault = f"{answer.request.tag}: {failed.msg}"
    if failed.code in THROTTLED:
        raise RateLimited(fault, wait(answer))
    raise Refused(fault) if failed.code in DEFINITE else Unreachable(fault)


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rows(listed: Raw, decode: Callable[[str, Raw], W]) -> Rows[W]:
    """The rows of an object by their keys. Raises ``UNREADABLE`` for what is none."""
    found = _OBJECT.decode(listed)
    keys = iter(found)
    return Rows(found.values(), lambda row: decode(next(keys), row))


def part(result: Raw, name: str) -> Raw:
    """One of the parts of a result. Raises ``UNREADABLE``."""
    found = _OBJECT.decode(result).get(name)
    if found is None:
        raise ValueError(f"no {name!r} in the answer")
    return found


def decoded_order(row: Raw) -> RestOrder:
    return _ORDER.decode(row)


def decoded_fill(row: Raw) -> RestFill:
    return _FILL.decode(row)


def holding(asset_id: str, row: Raw) -> Holding:
    return replace(_HOLDING.decode(row), asset=asset_of(asset_id))


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Count(Struct, frozen=True):
    count: int | None = None


_COUNT: Final = Decoder(_Count)


def asked(request: Request) -> Mapping[str, str]:
    """The fields of a request."""
    return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))


def next_page(keys: Keys, answer: Answer, result: Raw, read: int) -> list[PageNeeded]:
    """The request for what follows ``read`` rows of a list, which is newest first; none at its end."""
    fields, request = asked(answer.request), answer.request
    offset = fields.get("ofs", "0")
    after = (int(offset) if offset.isascii() and offset.isdecimal() and len(offset) < 10 else 0) + read
    count = _COUNT.decode(result).count
    if not read or not (after < count if count is not None else read >= ROWS):
        return []
    name = request.path.removeprefix(API)
    more = {**fields, "ofs": after}
    try:
        return [PageNeeded(private(keys, name, request.tag, request.bucket, more, request.weight))]
    except UsageError:  # the keys of a recording sign nothing
        return []
