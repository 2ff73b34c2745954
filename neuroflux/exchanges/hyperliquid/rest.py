"""Hyperliquid's requests over REST with their weights, and what the HTTP status of an answer means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from neuroflux.exchanges.kit import rest as kit
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

WEIGHT_PER_MINUTE: Final = 1200
_JSON: Final = {"content-type": "application/json"}
_LIGHT: Final = frozenset({"l2Book", "clearinghouseState", "spotClearinghouseState", "orderStatus", "exchangeStatus"})
"""Kinds of info that weigh 2; ``userRole`` weighs 60. The others weigh 20, and 1 more for every 20 rows, whose number
is unknown before the answer."""


class _Asked(Struct, frozen=True):
    startTime: int


_ASKED: Final = msgspec.json.Decoder(_Asked)

THROTTLED_SECONDS: Final = 10.0
"""The wait where the exchange names none: an address over its limit may act once in 10 s."""


def account_of(keys: Keys) -> str:
    """The address whose balances and orders are meant."""
    return (keys.subaccount or keys.key).lower()


def info_request(kind: str, tag: str = "", **fields: Any) -> Request:
    """``POST /info``; the tag is the kind of the answer (``kind_of``), which is mostly the kind of the request."""
    body = msgspec.json.encode({"type": kind, **fields})
    return Request(
        "POST", "/info", body, _JSON, weight=2 if kind in _LIGHT else 60 if kind == "userRole" else 20, tag=tag or kind
    )


def fills_request(user: str, start: int) -> Request:
    """The account's fills of every instrument from ``start`` (ms) on: 2,000 at most, the oldest first."""
    return info_request("userFillsByTime", tag="userFills", user=user, startTime=start)


def ledger_request(user: str, start: int) -> Request:
    """Transfers to and from the account from ``start`` (ms) on: 500 rows at most, the oldest first."""
    return info_request("userNonFundingLedgerUpdates", user=user, startTime=start)


def next_page(
    answer: Answer, user: str, start: int | None, build: Callable[[str, int], Request] = fills_request
) -> tuple[PageNeeded, ...]:
    """The page of fills, or of what ``build`` requests, after this answer; none where ``start`` is None.

    It begins with the last row's own millisecond, which may have more rows; with the next millisecond where a whole
    page was of that one, since the answer would be the same page.
    """
    if start is None:
        return ()
    try:
        asked = _ASKED.decode(answer.request.body).startTime
    except (msgspec.MsgspecError, ValueError):
        asked = -1
    return (PageNeeded(build(user, start + (start == asked))),)


def exchange_request(body: bytes, tag: str) -> Request:
    return Request("POST", "/exchange", body, _JSON, weight=1, tag=tag)


def retry_after(answer: Answer) -> float:
    """Seconds to wait after a 418 or 429."""
    return kit.retry_after(answer, THROTTLED_SECONDS)


def checked(answer: Answer) -> bytes:
    """The body of a good answer; raises RateLimited, Unreachable or MalformedFrame for any other."""
    return kit.checked(answer, answer.request.tag, retry_after)
