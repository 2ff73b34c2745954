"""Coinbase's REST: signed requests, pages, waits and refusals.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.errors import UsageError
from neuroflux.exchanges.coinbase.codes import UNAUTHORIZED, code_of
from neuroflux.exchanges.coinbase.messages import Pages
from neuroflux.exchanges.coinbase.signing import LIFE_SECONDS, token
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.order_client import Failure
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Keys, Request
from neuroflux.exchanges.kit.rest import retry_after
from neuroflux.exchanges.kit.shapes import UNREADABLE, Shapes

API: Final = "/api/v3/brokerage"
ACCOUNTS: Final = f"{API}/accounts"
ORDERS: Final = f"{API}/orders"
ORDER_LIST: Final = f"{API}/orders/historical/batch"
FILLS: Final = f"{API}/orders/historical/fills"
PERMISSIONS: Final = f"{API}/key_permissions"
FEES: Final = f"{API}/transaction_summary"
PUBLIC_BUCKET: Final = "public"
ROWS: Final = 100
"""Orders or fills of a page."""

SHAPES: Final = Shapes(
    objects=(
        ("accounts", "accounts"),
        ("orders", "orders"),
        ("order.order_id", "order"),
        ("fills", "fills"),
        ("fee_tier", "fees"),
        ("can_view can_trade", "permissions"),
        ("results", "cancelled"),
        ("success", "placed"),
    ),
    rows=(),
)

Query = Sequence[tuple[str, object]]

_HOST: Final = "api.coinbase.com"
"""The host that tokens name, wherever they are sent."""
_LONGEST_WAIT: Final = 3600.0
_NBF: Final = re.compile(rb'"nbf":([0-9]{1,12})[,}]')
_PAGES: Final = Decoder(Pages)


def signed(
    keys: Keys,
    method: str,
    path: str,
    now: Microseconds,
    tag: str,
    query: Query = (),
    body: bytes = b"",
    life: int = LIFE_SECONDS,
) -> Request:
    """All requests of a key count alike, orders too. The token covers the path without its query."""
    full = f"{path}?{urlencode(query)}" if query else path
    headers = {"Authorization": f"Bearer {token(keys, now, f'{method} {_HOST}{path}', life, f'{full} {body!r}')}"}
    if body:
        headers["Content-Type"] = "application/json"
    return Request(method, full, body, headers, tag=tag, bucket=ORDER_BUCKET)


def signed_at(request: Request) -> Microseconds:
    """When a request was signed, by the exchange's clock; 0 where it is not signed."""
    claims = request.headers.get("Authorization", "").partition(".")[2].partition(".")[0]
    found = _NBF.search(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return int(found[1]) * 1_000_000 if found is not None else 0


def further(keys: Keys, path: str, now: Microseconds, tag: str, query: Query = ()) -> Sequence[PageNeeded]:
    """One more request because of what was read; none with keys that can sign nothing, as those of a recording."""
    try:
        return (PageNeeded(signed(keys, "GET", path, now, tag, query)),)
    except UsageError:
        return ()


def next_page(keys: Keys, answer: Answer, now: Microseconds) -> Sequence[PageNeeded]:
    """The request for what follows in a list, none at its end. Raises ``UNREADABLE``."""
    pages = _PAGES.decode(answer.body)
    if not pages.goes_on:
        return ()
    path, _, asked = answer.request.path.partition("?")
    query = [(name, value) for name, value in parse_qsl(asked) if name != "cursor"]
    return further(keys, path, now, answer.request.tag, [*query, ("cursor", pages.cursor)])


def order_path(order_id: str) -> str:
    return f"{ORDERS}/historical/{quote(order_id, safe='')}"


def wait(answer: Answer) -> float:
    """Seconds after a 429: ``retry-after``, else ``x-ratelimit-reset`` where that can be a number of seconds."""
    try:
        reset = float(answer.headers.get("x-ratelimit-reset", ""))
    except ValueError:
        reset = 0.0
    return retry_after(answer, otherwise=reset if 1.0 <= reset <= _LONGEST_WAIT else 1.0)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reasons(Struct, frozen=True):
    error: str | None = None
    message: str | None = None
    error_details: str | None = None
    preview_failure_reason: str | None = None
    new_order_failure_reason: str | None = None


class _Refused(_Reasons, frozen=True):
    """An order that is refused is HTTP 200 with ``success`` false; anything else has an ``error`` and its status."""

    success: bool | None = None
    error_response: _Reasons | None = None


_REFUSED: Final = Decoder(_Refused)


def failure(body: bytes) -> Failure | None:
    """The error in a body, None where it is none; one of a token is a bare word."""
    if body.strip() == UNAUTHORIZED.encode():
        return Failure(UNAUTHORIZED, "the key, its signature or its time")
    try:
        wire = _REFUSED.decode(body)
    except UNREADABLE:
        return None
    if wire.success is False:
        return _failure(wire.error_response or wire)
    return _failure(wire) if wire.error and wire.success is None else None


def _failure(wire: _Reasons) -> Failure:
    named = (wire.new_order_failure_reason, wire.preview_failure_reason, wire.error)
    return Failure(code_of(named), wire.message or wire.error_details or "")


def encoded(body: Any) -> bytes:
    return msgspec.json.encode(body)
