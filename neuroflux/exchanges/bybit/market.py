"""Bybit's public feed: quotes, trades and books of both categories, funding of the perpetuals.

A symbol has the same name in both categories, and a frame does not say which it is of: the path of its socket does. So
there is a feed for each, which knows the instruments of its own category alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from neuroflux.domain import Instrument, Microseconds
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.bybit.category_feed import PATH, CategoryFeed
from neuroflux.exchanges.bybit.names import CATEGORIES, ID, LINEAR, SPOT
from neuroflux.exchanges.kit.events import FeedEvent
from neuroflux.exchanges.kit.requests import Answer, Subscription

_NAMED: Final = re.compile(rb'"topic":\s*"[^"]*\.([^".]+)"')
_TOPIC_WITHIN: Final = 200


class BybitMarketFeed:
    """Implements ``MarketFeed``."""

    exchange = ID

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        listed = list(instruments)
        self._feeds = {category: CategoryFeed(category, listed) for category in CATEGORIES}
        self._at = {f"{start}{category}": feed for category, feed in self._feeds.items() for start in ("", PATH)}

    def learn(self, instruments: Sequence[Instrument]) -> None:
        for feed in self._feeds.values():
            feed.learn(instruments)

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        unknown = [one for one in symbols if not any(one in feed.instruments for feed in self._feeds.values())]
        if unknown:
            raise UnknownSymbol(f"{ID} lists no {unknown[0]}")
        return [
            socket
            for feed in self._feeds.values()
            for socket in feed.subscriptions([one for one in symbols if one in feed.instruments])
        ]

    def disconnected(self, subscription: Subscription) -> None:
        for feed in self._feeds.values():
            feed.disconnected(subscription)

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        """``channel`` is the path of the socket, or the end of it."""
        feed = self._at.get(channel) or self._feeds[self._guessed(raw)]
        return feed.frame(raw, received_time, channel)

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        return self._feeds[LINEAR].answer(answer, received_time)

    def _guessed(self, raw: bytes | str) -> str:
        """The category of a frame from an unknown socket: spot where a pair has this name and no perpetual."""
        start = raw[:_TOPIC_WITHIN]
        found = _NAMED.search(start if isinstance(start, bytes) else start.encode(errors="replace"))
        name = found[1].decode(errors="replace") if found else ""
        is_spot = name in self._feeds[SPOT].labels and name not in self._feeds[LINEAR].labels
        return SPOT if is_spot else LINEAR
