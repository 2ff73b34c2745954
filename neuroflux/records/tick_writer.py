"""Hand-written Avro writers of quotes, trades and books, at a quarter of the general writer's cost.

Source of the encoding: Avro 1.12, "Binary Encoding". A long is zigzagged and written in groups of 7 bits, lowest first;
within two minutes only the lowest 28 bits of the times of ticks change, so the encoding of the others is cached.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from neuroflux.domain import BookSnapshot, Level, Numeral, Quote, Side, Trade

_CONTINUED: Final = tuple(bytes((0x80 | number & 0x7F, 0x80 | number >> 7)) for number in range(1 << 14))
"""Two bytes of a long that continues after them, by their 14 bits."""
_TWO_DOUBLES, _FOUR_DOUBLES = struct.Struct("<2d").pack, struct.Struct("<4d").pack
_NO_MORE: Final = b"\x00"
_SIDES: Final = {Side.BUY: b"\x00", Side.SELL: b"\x02"}


def _groups(number: int) -> bytes:
    """A zigzagged number in groups of 7 bits."""
    written = bytearray()
    while number > 0x7F:
        written.append(0x80 | number & 0x7F)
        number >>= 7
    written.append(number)
    return bytes(written)


_SMALL: Final = tuple(map(_groups, range(1 << 12)))
"""The encodings of small numbers, such as lengths."""


@lru_cache(maxsize=4_096)
def _above(number: int) -> bytes:
    if number >> 36:
        raise ValueError("a number is out of range")
    return _groups(number)


def long(value: int) -> bytes:
    """The encoding of an Avro long; raises ValueError for a number that does not fit into 64 bits."""
    number = value << 1 if value >= 0 else -(value << 1) - 1
    if number < 1 << 28:
        return _SMALL[number] if number < len(_SMALL) else _groups(number)
    return _CONTINUED[number & 0x3FFF] + _CONTINUED[number >> 14 & 0x3FFF] + _above(number >> 28)


def string(text: str) -> bytes:
    encoded = text.encode()
    length = len(encoded) << 1
    return (_SMALL[length] if length < len(_SMALL) else _groups(length)) + encoded


@lru_cache(maxsize=16_384)
def _name(exchange: str, symbol: str, market: str) -> bytes:
    return string(exchange) + string(symbol) + string(market)


def quote(given: Quote[Numeral]) -> bytes:
    """The fields of ``market.quotes``."""
    event, received = given.event_time, given.received_time
    first = long(event)
    return b"".join(
        (
            _name(given.exchange, given.symbol, given.market),
            _FOUR_DOUBLES(float(given.bid_price), float(given.bid_size), float(given.ask_price), float(given.ask_size)),
            long(given.sequence),
            first,
            first if event == received else long(received),
        )
    )


def trade(given: Trade[Numeral]) -> bytes:
    """The fields of ``market.trades``."""
    return b"".join(
        (
            _name(given.exchange, given.symbol, given.market),
            string(given.trade_id),
            _SIDES[given.side],
            _TWO_DOUBLES(float(given.price), float(given.quantity)),
            long(given.event_time),
            long(given.received_time),
        )
    )


def _side(levels: Sequence[Level[Numeral]]) -> bytes:
    """An Avro array is a sequence of counted blocks, ended by an empty one."""
    if not levels:
        return _NO_MORE
    numbers = [float(number) for level in levels for number in (level.price, level.quantity)]
    return b"".join((long(len(levels)), struct.pack(f"<{len(numbers)}d", *numbers), _NO_MORE))


def book(given: BookSnapshot[Numeral]) -> bytes:
    """The fields of ``market.books``."""
    return b"".join(
        (
            _name(given.exchange, given.symbol, given.market),
            _side(given.bids),
            _side(given.asks),
            long(given.sequence),
            long(given.event_time),
            long(given.received_time),
        )
    )


BY_HAND: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "market.quotes": quote,
    "market.trades": trade,
    "market.books": book,
}
"""By topic. Their output equals the general writer's: tests/neuroflux/records/test_codec.py."""
