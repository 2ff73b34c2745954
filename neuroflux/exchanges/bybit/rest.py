"""Bybit's REST: signed requests, what a refusal means, the pages of a list.

Sources: https://bybit-exchange.github.io/docs/v5/guide ("Authentication"), v5/rate-limit and v5/error. A refusal is
HTTP 200 with a ``retCode``; every answer has the exchange's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame, RateLimited, Refused
from neuroflux.exchanges.bybit.codes import BANNED, BANNED_SECONDS, THROTTLED
from neuroflux.exchanges.bybit.messages import ENVELOPE, Envelope
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.order_client import Failure
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.rest import LIMITED, retry_after
from neuroflux.exchanges.kit.rest import checked as checked_status
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.kit.signing import hmac_hex

RECV_WINDOW_MS: Final = 5_000
"""How old a request may be when it reaches the exchange."""
PAGE_WINDOW_MS: Final = 20_000
"""The same for a following page, which is signed at the time of the answer before it."""
WEEK_MS: Final = 7 * 86_400_000
"""The longest span of one list of executions, or of the transaction log."""
_MOST_WAIT: Final = 60.0
"""Seconds; a limit counts by the second, so that a reset further ahead is a mistake."""
_FORBIDDEN: Final = 403

Parameters = Mapping[str, object]


def signed_get(keys: Keys, path: str, query: str, now: Microseconds, tag: str, window: int = RECV_WINDOW_MS) -> Request:
    """``query`` is signed exactly as it is sent. The bucket is that of the path."""
    headers = _headers(keys, now, window, query)
    return Request("GET", f"{path}?{query}" if query else path, headers=headers, tag=tag, bucket=_bucket_of(path))


def asked(keys: Keys, path: str, now: Microseconds, tag: str, **parameters: object) -> Request:
    return signed_get(keys, path, urlencode(parameters), now, tag)


def signed_post(keys: Keys, path: str, now: Microseconds, tag: str, body: Parameters) -> Request:
    encoded = msgspec.json.encode(body)
    headers = _headers(keys, now, RECV_WINDOW_MS, encoded.decode()) | {"Content-Type": "application/json"}
    return Request("POST", path, encoded, headers, tag=tag, bucket=_bucket_of(path))


def _headers(keys: Keys, now: Microseconds, window: int, payload: str) -> dict[str, str]:
    time = now // 1000
    return {
        "X-BAPI-API-KEY": keys.key,
        "X-BAPI-TIMESTAMP": str(time),
        "X-BAPI-RECV-WINDOW": str(window),
        "X-BAPI-SIGN": hmac_hex(keys.secret, f"{time}{keys.key}{window}{payload}"),
    }


def _bucket_of(path: str) -> str:
    """Each path of an account is limited apart; new orders are counted by ``ORDER_RATES``."""
    return path if path in PATHS_PER_SECOND else ""


PATHS_PER_SECOND: Final = {
    "/v5/order/cancel": 10,
    "/v5/order/realtime": 50,
    "/v5/execution/list": 50,
    "/v5/account/wallet-balance": 50,
    "/v5/position/list": 50,
    "/v5/account/info": 50,
    "/v5/account/fee-rate": 5,
    "/v5/account/transaction-log": 30,
    "/v5/position/set-leverage": 10,
    "/v5/user/query-api": 10,
}
"""Requests per second and account; where the categories differ, the lower figure."""

# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def failure(body: bytes) -> Failure | None:
    """The refusal in a body, None where it is none."""
    try:
        answer = ENVELOPE.decode(body)
    except UNREADABLE:
        return None
    return Failure(answer.retCode, answer.retMsg or "") if answer.retCode else None


def is_banned(answer: Answer) -> bool:
    """Whether the address itself is barred for its rate; another 403 is for the country of the caller."""
    return answer.status == _FORBIDDEN and BANNED in answer.body.lower()


def wait(answer: Answer) -> float:
    """Seconds until a request that was refused for its rate may be sent again.

    The header names the time of the exchange, and so does the answer. A ban lasts as long as it says, if it does.
    """
    if is_banned(answer):
        return retry_after(answer, BANNED_SECONDS)
    reset = answer.headers.get("x-bapi-limit-reset-timestamp", "")
    try:
        seconds = (int(reset) - ENVELOPE.decode(answer.body).time) / 1000
    except (*UNREADABLE, OverflowError):
        return retry_after(answer)
    return min(seconds, _MOST_WAIT) if seconds > 0 else retry_after(answer)


def is_limited(answer: Answer) -> bool:
    if answer.status in LIMITED or is_banned(answer):
        return True
    failed = failure(answer.body)
    return failed is not None and failed.code in THROTTLED


def checked(answer: Answer) -> Envelope:
    """A good answer; raises RateLimited, Unreachable, Refused or MalformedFrame for any other."""
    what = answer.request.tag
    if is_limited(answer):
        raise RateLimited(f"{what}: HTTP {answer.status}: {answer.body[:200]!r}", wait(answer))
    body = checked_status(answer, what, wait, lambda body: failure(body) is not None)
    failed = failure(body)
    if failed is not None:
        raise Refused(f"{what}: {failed.reason}")
    try:
        return ENVELOPE.decode(body)
    except UNREADABLE as error:
        raise MalformedFrame(f"{what}: {error}") from error


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def window(start: int, now: Microseconds) -> dict[str, int]:
    """A span to request from ``start`` (ms) on; the exchange answers a week at once."""
    return {"startTime": start, "endTime": min(start + WEEK_MS, now // 1000 + RECV_WINDOW_MS)}


def next_page(keys: Keys, answer: Answer, cursor: str, time: Microseconds) -> list[PageNeeded]:
    """The request for what follows: the next page, or the next week after one that has ended.

    ``time`` is the exchange's. The cursor is written with escapes, and is sent back as it is.
    """
    path, _, query = answer.request.path.partition("?")
    query = query.partition("&cursor=")[0]
    following = f"{query}&cursor={quote(cursor, safe='%')}" if cursor else _next_week(query, time)
    if not following or not query:
        return []
    return [PageNeeded(signed_get(keys, path, following, time, answer.request.tag, PAGE_WINDOW_MS))]


def _next_week(query: str, time: Microseconds) -> str:
    """A millisecond is read twice: whether a span includes its end is not documented."""
    asked_for = dict(parse_qsl(query))
    end = asked_for.get("endTime", "")
    if not (end.isdecimal() and len(end) < 16 and int(end) < time // 1000):
        return ""
    return urlencode(asked_for | window(int(end), time))


def query_of(answer: Answer) -> dict[str, str]:
    return dict(parse_qsl(answer.request.path.partition("?")[2]))


def asked_at(answer: Answer) -> Microseconds:
    """When the request was signed, by the exchange's clock as far as it was known; 0 where it was not signed."""
    text = answer.request.headers.get("X-BAPI-TIMESTAMP", "")
    return int(text) * 1000 if text.isdecimal() and len(text) < 16 else 0
