"""The topics of books: each is a window of its own, of so many levels a side, numbered without a hole.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from zlib import crc32

from msgspec import Struct

from neuroflux.sim.bybit.venue import category_of, name_of
from neuroflux.sim.bybit.wire import Json
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Half
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.books import BookTexts, Levels
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.streams import Channel, Hub, Unsent

DEPTHS = {1: 1_000_000, 50: 0, 200: 0, 1000: 200_000}
"""The least µs between two frames, by depth; the first level is looked at once a second, and sent when it changes."""
DEEPEST = 1000
AGAIN = 3_000_000
"""µs without a change after which the first level is sent again."""


class Window(Struct):
    """What a topic shows, in ticks and lots: ``number`` is ``u``, ``sequence`` is ``seq``; times in µs."""

    bids: dict[int, int]
    asks: dict[int, int]
    number: int
    sequence: int
    changed: int
    sent: int


def stream_name(listing: Listing, topic: str) -> str:
    """The name of a topic inside the simulator: the same topic is another one on the other socket."""
    return f"{category_of(listing)}:{topic}.{name_of(listing)}"


class Books:
    """Writes the frames of all books."""

    def __init__(self, exchange: SimExchange, texts: BookTexts, hub: Hub, now: Callable[[], int]) -> None:
        self._exchange, self._texts, self._hub, self._now = exchange, texts, hub, now
        self._windows: dict[str, Window] = {}

    def channel(self, depth: int) -> Channel:
        first = partial(self._snapshot, depth)
        if depth == 1:
            return Channel(first=first, top=partial(self._changed, 1), timed=self._again, is_depth=True)
        return Channel(first=first, levels=partial(self._update, depth), is_depth=True)

    def number(self, listing: Listing) -> int:
        """``u`` of the deepest topic, which answers over HTTP have."""
        window = self._windows.get(self._stream(DEEPEST, listing))
        return window.number if window else self._start(DEEPEST, listing)

    @staticmethod
    def _stream(depth: int, listing: Listing) -> str:
        return stream_name(listing, f"orderbook.{depth}")

    def _start(self, depth: int, listing: Listing) -> int:
        return 1000 + crc32(self._stream(depth, listing).encode()) % 10_000_000

    def _snapshot(self, depth: int, symbol: str) -> str:
        """What the others who follow this topic were last shown; where there are none, what the book is now."""
        listing = self._exchange.listings[symbol]
        stream = self._stream(depth, listing)
        if self._hub.followers(stream) == 1 or stream not in self._windows:
            self._windows[stream] = self._taken(depth, listing, self._now())
        return self._whole(depth, listing, self._windows[stream])

    def _taken(self, depth: int, listing: Listing, now: int) -> Window:
        """The book as it is now; a new number for a new state."""
        book, last = self._exchange.books[listing.symbol], self._windows.get(self._stream(depth, listing))
        bids, asks = dict(book.bids.levels(depth)), dict(book.asks.levels(depth))
        number = last.number + ((last.bids, last.asks) != (bids, asks)) if last else self._start(depth, listing)
        return Window(bids, asks, number, book.sequence, now, now)

    def _whole(self, depth: int, listing: Listing, window: Window) -> str:
        numbers = self._texts.numbers[listing.symbol]
        sides = numbers.levels([*window.bids.items()]), numbers.levels([*window.asks.items()])
        return _frame(depth, listing, "snapshot", sides, window)

    # ── one level ────────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, depth: int, symbol: str, now: int) -> str:
        listing = self._exchange.listings[symbol]
        window = self._windows[self._stream(depth, listing)] = self._taken(depth, listing, now)
        return self._whole(depth, listing, window)

    def _again(self, symbol: str, now: int) -> str:
        listing = self._exchange.listings[symbol]
        window = self._windows[self._stream(1, listing)]
        if now - window.sent < AGAIN:
            return ""
        window.sent = now
        return self._whole(1, listing, window)

    # ── many levels ──────────────────────────────────────────────────────────────────────────────────────────────

    def _update(self, depth: int, symbol: str, _: Unsent, now: int) -> str:
        """The levels that changed, left the window or came into it; nothing where there are none."""
        listing, book = self._exchange.listings[symbol], self._exchange.books[symbol]
        window, numbers = self._windows[self._stream(depth, listing)], self._texts.numbers[symbol]
        window.bids, bids = _moved(window.bids, book.bids, depth, numbers)
        window.asks, asks = _moved(window.asks, book.asks, depth, numbers)
        if not bids and not asks:
            return ""
        window.number, window.sequence, window.changed = window.number + 1, book.sequence, now
        return _frame(depth, listing, "delta", (bids, asks), window)


def _moved(shown: dict[int, int], half: Half, depth: int, numbers: Numbers) -> tuple[dict[int, int], Levels]:
    """What is shown from now on, and the levels that differ."""
    present = dict(half.levels(depth))
    gone = [(price, 0) for price in shown if price not in present]
    new = [(price, quantity) for price, quantity in present.items() if shown.get(price) != quantity]
    return present, numbers.levels([*gone, *new])


def _frame(depth: int, listing: Listing, kind: str, sides: tuple[Levels, Levels], window: Window) -> str:
    """The time stands before the type on spot, and for the first level."""
    time = window.sent if depth == 1 else window.changed
    heads: list[Json] = [{"type": kind}, {"ts": time // 1000}]
    first, second = heads[::-1] if listing.kind == "spot" or depth == 1 else heads
    body = {"s": name_of(listing), "b": sides[0], "a": sides[1], "u": window.number, "seq": window.sequence}
    topic = f"orderbook.{depth}.{name_of(listing)}"
    return json_text({"topic": topic, **first, **second, "data": body, "cts": window.changed // 1000})
