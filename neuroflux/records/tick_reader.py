"""Hand-written Avro readers of quotes, trades and books: nearly all records, at a third of the general reader's cost.

Only the usual layout is read here: names shorter than 64 bytes, a sequence from 8,192 on, times of eight bytes (1978 to
3111). For anything else a reader returns None, and the general reader is used. Source of the encoding: Avro 1.12,
"Binary Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import starmap
from typing import Any, Final

from neuroflux.domain import BookSnapshot, Level, Quote, Side, Trade

FRAMING: Final = 5
"""Size of the framing before a record, in bytes."""
_TIMES: Final = struct.Struct("<HH4sHH4s")
_TWO_DOUBLES, _FOUR_DOUBLES = struct.Struct("<2d"), struct.Struct("<4d")
_SIDES: Final = {0: Side.BUY, 2: Side.SELL}
_CONTINUED: Final = tuple(int.from_bytes(b"\x80" * (length - 1) + b"\x00", "little") for length in range(1, 7))
"""The continuation bits of the last bytes of a long, by their number."""
_FOURTEEN_BITS: Final = {pair: pair & 0x7F | pair >> 1 & 0x3F80 for pair in range(1 << 16) if pair & 0x8080 == 0x8080}
"""The 14 bits held by two bytes of a long that continues after them."""


class _UnlikeTicksError(Exception):
    """The bytes do not have the usual layout of ticks."""


@lru_cache(maxsize=16_384)
def _slow(raw: bytes) -> int:
    """The high groups of a long, which are constant for minutes; the eighth bit of every byte is removed."""
    number = int.from_bytes(raw, "little")
    if not raw or number & 0x8080808080808080 != _CONTINUED[len(raw) - 1]:
        raise _UnlikeTicksError
    number = number & 0x007F007F007F007F | (number & 0x7F007F007F007F00) >> 1
    number = number & 0x00003FFF00003FFF | (number & 0x3FFF00003FFF0000) >> 2
    return number & 0x000000000FFFFFFF | (number & 0x0FFFFFFF00000000) >> 4


def _sequence(raw: bytes) -> int:
    """A non-negative long of three to eight bytes."""
    quick = _FOURTEEN_BITS[raw[0] | raw[1] << 8]
    if quick & 1:  # negative, by the zigzag
        raise _UnlikeTicksError
    return (quick >> 1) + (_slow(raw[2:]) << 13)


def _times(raw: bytes) -> tuple[int, int]:
    low, middle, slow, low_too, middle_too, slow_too = _TIMES.unpack_from(raw, len(raw) - _TIMES.size)
    event = _FOURTEEN_BITS[low] | _FOURTEEN_BITS[middle] << 14
    received = _FOURTEEN_BITS[low_too] | _FOURTEEN_BITS[middle_too] << 14
    if (event | received) & 1:
        raise _UnlikeTicksError
    return (event >> 1) + (_slow(slow) << 27), (received >> 1) + (_slow(slow_too) << 27)


def _end_of_names(raw: bytes) -> int:
    """Where the strings of exchange, symbol and market end."""
    symbol = FRAMING + 1 + (raw[FRAMING] >> 1)
    market = symbol + 1 + (raw[symbol] >> 1)
    return market + 1 + (raw[market] >> 1)


@lru_cache(maxsize=16_384)
def _names(raw: bytes) -> tuple[str, str, str]:
    """Three strings, each with a length of one byte."""
    found, at = [], 0
    for _ in range(3):
        length = raw[at]
        if length & 0x81:
            raise _UnlikeTicksError
        found.append(raw[at + 1 : at + 1 + (length >> 1)].decode())
        at += 1 + (length >> 1)
    return found[0], found[1], found[2]


def _quote(raw: bytes) -> Quote[float]:
    at = _end_of_names(raw)
    exchange, symbol, market = _names(raw[FRAMING:at])
    bid_price, bid_size, ask_price, ask_size = _FOUR_DOUBLES.unpack_from(raw, at)
    sequence = _sequence(raw[at + _FOUR_DOUBLES.size : -_TIMES.size])
    event, received = _times(raw)
    return Quote(exchange, symbol, market, bid_price, bid_size, ask_price, ask_size, sequence, event, received)


def _trade(raw: bytes) -> Trade[float]:
    at = _end_of_names(raw)
    length, end = raw[at], len(raw) - _TIMES.size - _TWO_DOUBLES.size
    if length & 0x81 or at + 2 + (length >> 1) != end:
        raise _UnlikeTicksError
    exchange, symbol, market = _names(raw[FRAMING:at])
    trade_id, side = raw[at + 1 : end - 1].decode(), _SIDES[raw[end - 1]]
    price, quantity = _TWO_DOUBLES.unpack_from(raw, end)
    event, received = _times(raw)
    return Trade(exchange, symbol, market, trade_id, side, price, quantity, event, received)


def _side(raw: bytes, at: int) -> tuple[tuple[Level[float], ...], int]:
    """The levels of one block of fewer than 64, and the position after them."""
    count = raw[at]  # doubled, by the zigzag
    if count & 0x81:
        raise _UnlikeTicksError
    if not count:
        return (), at + 1
    end = at + 1 + _TWO_DOUBLES.size // 2 * count
    if raw[end]:
        raise _UnlikeTicksError
    return tuple(starmap(Level, _TWO_DOUBLES.iter_unpack(raw[at + 1 : end]))), end + 1


def _book(raw: bytes) -> BookSnapshot[float]:
    at = _end_of_names(raw)
    exchange, symbol, market = _names(raw[FRAMING:at])
    bids, at = _side(raw, at)
    asks, at = _side(raw, at)
    event, received = _times(raw)
    return BookSnapshot(exchange, symbol, market, bids, asks, _sequence(raw[at : -_TIMES.size]), event, received)


def _or_none(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def reader(raw: bytes) -> Any:
        try:
            return read(raw)
        except (_UnlikeTicksError, IndexError, KeyError, UnicodeDecodeError, struct.error):
            return None

    return reader


BY_HAND: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "market.quotes": _or_none(_quote),
    "market.trades": _or_none(_trade),
    "market.books": _or_none(_book),
}
"""By topic: a function from framed bytes to the same record as the general reader's, or None."""
