"""Frames of the older Coinbase Exchange, as recordings have them: books without numbers.

It is another API (``ws-feed.exchange.coinbase.com``), to which nothing is subscribed here. Its frames name no channel,
so they are distinguished from those of Advanced Trade. Source:
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, "Level2 channel"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds, Numeral
from neuroflux.exchanges.coinbase.messages import Time, microseconds
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import FeedEvent
from neuroflux.exchanges.kit.sequences import BookUpdate, Levels


class _Snapshot(Struct, frozen=True):
    product_id: str
    bids: list[tuple[Numeral, Numeral]]
    asks: list[tuple[Numeral, Numeral]]


class _Update(Struct, frozen=True):
    product_id: str
    changes: list[tuple[Literal["buy", "sell"], Numeral, Numeral]]
    time: Time


_SNAPSHOT: Final = Decoder(_Snapshot)
_UPDATE: Final = Decoder(_Update)


def _replaced(books: Books[Any], raw: bytes, received: Microseconds) -> Sequence[FeedEvent]:
    wire = _SNAPSHOT.decode(raw)
    return books.replaced(BookUpdate(wire.product_id, wire.bids, wire.asks, 0, received), received)


def _updated(books: Books[Any], raw: bytes, received: Microseconds) -> Sequence[FeedEvent]:
    wire = _UPDATE.decode(raw)

    def changed(side: str) -> Levels:
        return [(price, size) for of, price, size in wire.changes if of == side]

    update = BookUpdate(wire.product_id, changed("buy"), changed("sell"), 0, microseconds(wire.time))
    return books.update(update, received)


OLD_FRAMES: Final[Mapping[str, Callable[[Books[Any], bytes, Microseconds], Sequence[FeedEvent]]]] = {
    "snapshot": _replaced,
    "l2update": _updated,
}
