"""The best prices of one category: the topic ``orderbook.1``.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook. It is whole in every frame, and is sent
again with the same number after 3 s without a change. Older servers sent changes of it, numbered as those of a book.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from neuroflux.domain import Microseconds, Quote
from neuroflux.exchanges.bybit.names import ID
from neuroflux.exchanges.bybit.public_messages import BookFrame
from neuroflux.exchanges.kit.books import Labels
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.numerals import plain

_Level = tuple[str, str]
_NONE: Final = ("0", "0")
"""A side without orders: such a quote is not published, and withdraws the one before."""


_NOTHING: Final = (0, _NONE, _NONE)


class Tops:
    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._last: dict[str, tuple[int, _Level, _Level]] = {}

    def forget(self, names: Iterable[str]) -> None:
        """Their socket is lost."""
        for name in names:
            self._last.pop(name, None)

    def take(self, frame: BookFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """Raises ValueError for what is no number."""
        data, before = frame.data, _NOTHING
        if frame.type != "snapshot":
            known = self._last.pop(data.s, None)
            if known is None or data.u != known[0] + 1:
                return (Ignored("orderbook.1: no change of the last one"),)
            before = known
        bid, ask = _best(data.b, before[1]), _best(data.a, before[2])
        if not plain(*bid, *ask):
            raise ValueError("orderbook.1: a level without price and quantity")
        self._last[data.s] = data.u, bid, ask
        symbol, market = self._labels[data.s]
        number, time = data.seq or data.u, 1000 * (frame.cts or frame.ts)
        return (Quote(ID, symbol, market, bid[0], bid[1], ask[0], ask[1], number, time, received),)


def _best(levels: Sequence[_Level], before: _Level) -> _Level:
    """The first level that is not removed; ``before`` where nothing changed."""
    for level in levels:
        if float(level[1]):
            return level
    return _NONE if levels else before
