"""What an HTTP answer means before its body is read: the status, the wait that it asks for, the exchange's clock."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final

import msgspec

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame, RateLimited, Refused, Unreachable
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.exchanges.kit.shapes import UNREADABLE

OK: Final = 200
LIMITED: Final = (418, 429)
"""HTTP statuses of a request that is refused for the rate of all of them; 418 is Binance's, of a ban."""

DEFAULT_WAIT_SECONDS: Final = 1.0
"""The wait after a limit whose answer names none."""


def checked(
    answer: Answer, what: str, wait: Callable[[Answer], float], is_error: Callable[[bytes], bool] = lambda body: False
) -> bytes:
    """The body of a good answer; raises RateLimited, Unreachable, Refused or MalformedFrame for any other.

    ``what`` names the request in the error, ``wait`` returns the seconds to wait after a limit, and ``is_error``
    whether a body is an error that the exchange itself wrote.
    """
    if answer.status == OK:
        return answer.body
    fault = f"{what}: HTTP {answer.status}: {answer.body[:200]!r}"
    if answer.status in LIMITED:
        raise RateLimited(fault, wait(answer))
    if answer.status >= 500 or answer.status == 0:
        raise Unreachable(fault)
    if is_error(answer.body):
        raise Refused(fault)
    raise MalformedFrame(fault)


def header_wait(answer: Answer, unreadable: float) -> float | None:
    """The seconds in ``retry-after``; None without the header, ``unreadable`` where it is no finite number from 0."""
    text = answer.headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return unreadable
    return seconds if 0 <= seconds < inf else unreadable


def retry_after(answer: Answer, otherwise: float = DEFAULT_WAIT_SECONDS) -> float:
    """The seconds in ``retry-after``, ``otherwise`` where there are none."""
    named = header_wait(answer, unreadable=otherwise)
    return otherwise if named is None else named


def milliseconds(body: bytes, key: str, what: str) -> Microseconds:
    """The exchange's time, which an object has under ``key`` in ms. Raises MalformedFrame."""
    try:
        fields: Any = msgspec.json.decode(body)
        time = fields[key]
        if not isinstance(time, int) or isinstance(time, bool):
            raise ValueError(f"{time!r:.80} is no time")
    except (*UNREADABLE, LookupError, TypeError) as error:
        raise MalformedFrame(f"{what}: {error}") from error
    return time * 1000
