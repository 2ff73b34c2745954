"""Binance's REST: signed queries, and the meaning of an answer's headers and errors.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (request security, limits, error codes).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlencode

from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit import rest as kit
from neuroflux.exchanges.kit.order_client import Failure
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Usage
from neuroflux.exchanges.kit.rest import header_wait
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.kit.signing import hmac_hex

RECV_WINDOW_MS: Final = 5_000
"""A request that reaches the exchange later is not executed: one that was given up for lost can't be executed late."""
THROTTLED_SECONDS: Final = 60.0
"""The wait where the answer names none; the limits are by the minute."""
LONGEST_WAIT_SECONDS: Final = 3 * 86_400.0
"""A ban lasts three days at most."""
LEAST_WAIT_SECONDS: Final = 1.0
"""The wait where the exchange names 0: a request that is sent at once would be refused too."""
UNREAD_LIMIT_SECONDS: Final = 10.0
"""The wait for a limit of orders whose window can't be read: the shortest window that there is."""
ORDERS_AGAIN: Final = 1.0
"""Seconds until an order is tried again where none are named; the order rates delay it further."""
TOO_MANY_ORDERS: Final = -1015


class NumberedFailure(Failure, frozen=True):
    code: int


_FAILURE: Final = Decoder(NumberedFailure)


def signature(keys: Keys, payload: str) -> str:
    """HMAC-SHA256 in hex over exactly what is sent."""
    return hmac_hex(keys.secret, payload)


def signed(
    keys: Keys, method: str, path: str, now: Microseconds, weight: int, tag: str, **parameters: object
) -> Request:
    """A request whose parameters and signature are in the query, for any method."""
    return signed_within(keys, method, path, now, weight, tag, RECV_WINDOW_MS, **parameters)


def signed_within(
    keys: Keys,
    method: str,
    path: str,
    now: Microseconds,
    weight: int,
    tag: str,
    window_ms: int,
    **parameters: object,
) -> Request:
    """The same, valid for ``window_ms`` after ``now``."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    query = urlencode({**given, "recvWindow": window_ms, "timestamp": now // 1000})
    full = f"{path}?{query}&signature={signature(keys, query)}"
    return Request(method, full, headers={"X-MBX-APIKEY": keys.key}, weight=weight, tag=tag)


def failure(body: bytes) -> NumberedFailure | None:
    """The error in a body; None where it is none."""
    try:
        return _FAILURE.decode(body)
    except UNREADABLE:
        return None


_BANNED_UNTIL: Final = re.compile(rb"banned until (\d{13})(?!\d)")


def retry_after(answer: Answer) -> float:
    """Seconds to wait after a 418 or 429.

    USDⓈ-M documents no header for it; the text of -1003 there has the end of a ban:
    https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
    """
    named = header_wait(answer, unreadable=THROTTLED_SECONDS)
    longest = max(named or 0.0, _ban_left(answer))
    if not longest:
        return THROTTLED_SECONDS if named is None else LEAST_WAIT_SECONDS
    return min(max(longest, LEAST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)


_ORDER_LIMIT: Final = re.compile(rb"orders per (?:([1-9]\d{0,2}) )?(TEN_SECONDS|SECOND|MINUTE|HOUR|DAY)")
_UNITS: Final = {b"TEN_SECONDS": 10, b"SECOND": 1, b"MINUTE": 60, b"HOUR": 3_600, b"DAY": 86_400}


def orders_again(answer: Answer) -> float:
    """Seconds to wait after an order too many: as asked, or to the end of the window of the limit that is named.

    Windows begin at whole multiples of their length: a day at 0:00 UTC. Only spot documents the header.
    """
    if "retry-after" in answer.headers:
        return retry_after(answer)
    limit = _ORDER_LIMIT.search(answer.body)
    if limit is None:
        return UNREAD_LIMIT_SECONDS if b"orders per" in answer.body else ORDERS_AGAIN
    window = int(limit[1] or 1) * _UNITS[limit[2]]
    return min(window - _answered_at(answer) % window, LONGEST_WAIT_SECONDS)


def ban_end(text: bytes) -> int:
    """The end of the ban that a text names, in ms since the epoch; 0 where it names none."""
    until = _BANNED_UNTIL.search(text)
    return int(until[1]) if until is not None else 0


def _ban_left(answer: Answer) -> float:
    """Seconds until the end of the ban that the body names; 0 where it names none, or one that has passed."""
    until, now = ban_end(answer.body), _answered_at(answer)
    return max(until / 1e3 - now, 0.0) if until and now else 0.0


def _answered_at(answer: Answer) -> float:
    """By the exchange's clock, to the second, else by ours; 0 where neither is known."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return answer.received_at / 1e6


_INTERVALS: Final = {"10s": 10, "1m": 60, "1d": 86_400}
_ORDER_COUNT: Final = "x-mbx-order-count-"


def usage(answer: Answer, weight_per_minute: int) -> Usage:
    """From ``X-MBX-USED-WEIGHT-1M`` and, of an order that was taken, ``X-MBX-ORDER-COUNT-10S`` and its like.

    An order too many is a 429 too, which bars new orders alone.
    """
    used = answer.headers.get("x-mbx-used-weight-1m", "")
    orders = {
        seconds: int(count)
        for interval, seconds in _INTERVALS.items()
        if _is_count(count := answer.headers.get(_ORDER_COUNT + interval, ""))
    }
    weight = int(used) / weight_per_minute if _is_count(used) else 0.0
    is_full = answer.status != 200 and is_one_too_many(failure(answer.body))
    wait = retry_after(answer) if answer.status in (418, 429) and not is_full else None
    return Usage(weight, orders, is_full, wait)


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) < 12


def is_one_too_many(failed: Failure | None) -> bool:
    """Whether a limit of new orders was passed, while anything else may be queried and cancelled."""
    return failed is not None and failed.code == TOO_MANY_ORDERS


def checked(answer: Answer) -> bytes:
    """The body of a good answer; raises RateLimited, Unreachable, Refused or MalformedFrame for any other."""
    path = answer.request.path.partition("?")[0]
    return kit.checked(answer, path, retry_after, lambda body: failure(body) is not None)


def server_time(answer: Answer) -> Microseconds:
    """Raises what ``checked`` raises, and MalformedFrame."""
    return kit.milliseconds(checked(answer), "serverTime", "time")
