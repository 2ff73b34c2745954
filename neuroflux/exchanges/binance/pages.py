"""Binance's lists of fills, read to their end: a full page is followed by the one from the next trade id.

Source: "Account Trade List" of each exchange: 500 rows if no ``limit`` was given, 1000 at most; ``fromId`` must be sent
without times. USDⓈ-M reads 7 days at most at once, so that what is older is read window by window:
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Account-Trade-List
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from neuroflux.domain import Microseconds
from neuroflux.exchanges.binance.orders import Records
from neuroflux.exchanges.binance.rest import signed_within
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys

PAGE: Final = 1000
_DEFAULT_PAGE: Final = 500
LONG_WINDOW_MS: Final = 60_000
"""The longest recvWindow: a further page is requested with the time of the first."""


def next_page(
    keys: Keys, answer: Answer, found: Records, path: str, weight: int, now: Microseconds
) -> list[PageNeeded]:
    """The request for the page after a full one, or for the next window; ``path`` is that of fills.

    ``now`` is used where the request had no time of its own: an answer has no time of the exchange.
    """
    asked = query_of(answer)
    limit = asked.get("limit", "")
    full = int(limit) if limit.isdecimal() and len(limit) < 6 else _DEFAULT_PAGE
    time, tag = asked_at(answer) or now, answer.request.tag
    is_full = found.last_trade >= 0 and found.count >= full
    more: dict[str, object] = {"fromId": found.last_trade + 1} if is_full else {**_next_window(asked, time)}
    if not more:
        return []
    more = {"symbol": asked.get("symbol", "") or found.name, **more, "limit": PAGE}
    return [PageNeeded(signed_within(keys, "GET", path, time, weight, tag, LONG_WINDOW_MS, **more))]


def window(start: int, longest: int, now: Microseconds) -> dict[str, int]:
    """The times to request from ``start`` (ms) on, ``longest`` ms at once; 0: everything at once."""
    is_all = not longest or now // 1000 - start <= longest
    return {"startTime": start} if is_all else {"startTime": start, "endTime": start + longest}


def _next_window(asked: Mapping[str, str], now: Microseconds) -> dict[str, int]:
    """After one that ended; its last millisecond is read twice: whether a window includes it is not documented."""
    start, end = asked.get("startTime", ""), asked.get("endTime", "")
    if not (_is_time(start) and _is_time(end) and int(start) < int(end)):
        return {}
    return window(int(end), int(end) - int(start), now)


def _is_time(text: str) -> bool:
    return text.isdecimal() and len(text) < 16


def asked_for(answer: Answer) -> str:
    """The last part of the path."""
    return answer.request.path.partition("?")[0].rpartition("/")[2]


def query_of(answer: Answer) -> dict[str, str]:
    """The parameters of the request."""
    query = answer.request.path.partition("?")[2]
    return {name: values[0] for name, values in parse_qs(query, max_num_fields=100).items()}


def asked_at(answer: Answer) -> Microseconds:
    """When a signed request was made, by the exchange's clock; 0 where that is not known."""
    timestamp = query_of(answer).get("timestamp", "")
    return int(timestamp) * 1000 if _is_time(timestamp) else 0
