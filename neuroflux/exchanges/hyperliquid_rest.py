"""What Hyperliquid is asked over REST, with its weights, and what the HTTP status of an answer means."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from neuroflux.errors import MalformedFrame, RateLimited, Unreachable
from neuroflux.exchanges.base_exchange import Answer, Keys, Request

WEIGHT_PER_MINUTE: Final = 1200
_JSON: Final = {"content-type": "application/json"}
_LIGHT: Final = frozenset({"l2Book", "clearinghouseState", "spotClearinghouseState", "orderStatus", "exchangeStatus"})
"""Kinds of info that weigh 2; the others weigh 20, and 1 more for every 20 rows, which nobody knows before."""

THROTTLED_SECONDS: Final = 10.0
"""How long to wait where the exchange does not say: an address over its limit may act once in 10 s."""


def account_of(keys: Keys) -> str:
    """The address whose balances and orders are meant."""
    return (keys.subaccount or keys.key).lower()


def info_request(kind: str, tag: str = "", **fields: Any) -> Request:
    """``POST /info``; the tag is the kind of the answer (``kind_of``), which is mostly the kind of the request."""
    body = msgspec.json.encode({"type": kind, **fields})
    return Request("POST", "/info", body, _JSON, weight=2 if kind in _LIGHT else 20, tag=tag or kind)


def exchange_request(body: bytes, tag: str) -> Request:
    return Request("POST", "/exchange", body, _JSON, weight=1, tag=tag)


def retry_after(answer: Answer) -> float:
    """Seconds to wait after a 429."""
    try:
        return float(answer.headers.get("retry-after", THROTTLED_SECONDS))
    except ValueError:
        return THROTTLED_SECONDS


def checked(answer: Answer) -> bytes:
    """The body of a good answer; raises RateLimited, Unreachable or MalformedFrame for any other."""
    if answer.status == 200:
        return answer.body
    told = f"{answer.request.tag}: HTTP {answer.status}: {answer.body[:200]!r}"
    if answer.status == 429:
        raise RateLimited(told, retry_after(answer))
    if answer.status >= 500 or answer.status == 0:
        raise Unreachable(told)
    raise MalformedFrame(told)
