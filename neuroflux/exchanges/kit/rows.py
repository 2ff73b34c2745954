"""Lists, row by row: a row that can't be read costs itself alone, and is named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from neuroflux.domain import DECIMAL_PLACES, ExchangeStatus, Instrument, Microseconds, StatusKind
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.shapes import UNREADABLE

W = TypeVar("W", bound=Struct)

_MOST_DIGITS: Final = 18
"""Digits of an amount before its point: the topics have room for 20, and some amounts are added up."""
_LIST: Final = msgspec.json.Decoder(list[Raw])
_ANYTHING: Final = msgspec.json.Decoder()
_NAMES: Final = ("symbol", "asset", "coin", "s", "a", "product_id", "currency", "name", "instId", "ccy")
"""The keys under which a row names its instrument or asset."""


def sane(wire: W) -> W:
    """Return the message; raises ValueError for an amount that is no number, or that no record has room for."""
    for value in msgspec.structs.astuple(wire):
        if isinstance(value, Decimal) and not _has_room(value):
            raise ValueError(f"an amount of {value!s:.40}")
    return wire


def _has_room(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -DECIMAL_PLACES and value.adjusted() <= _MOST_DIGITS


class Rows(Generic[W]):
    """The rows of one list that could be read, what is wrong with the others, and the names of those.

    ``is_whole`` says whether every row has at least a name, so that what is not named is known not to be there.
    """

    def __init__(self, rows: Iterable[Raw], decode: Callable[[Raw], W]) -> None:
        self.good: list[W] = []
        self.faults: list[str] = []
        self.bad_names: set[str] = set()
        self.is_whole = True
        for number, row in enumerate(rows):
            try:
                self.good.append(sane(decode(row)))
            except UNREADABLE as error:
                self._faulty(number, row, error)

    @property
    def count(self) -> int:
        """All rows of the list, whether they could be read or not."""
        return len(self.good) + len(self.faults)

    def _faulty(self, number: int, row: Raw, error: Exception) -> None:
        name = name_of(row)
        self.is_whole = self.is_whole and bool(name)
        self.bad_names.add(name)
        self.faults.append(f"{name or 'a row without a name'} (row {number}): {error!s:.200}")

    def statuses(self, exchange: str, what: str, time: Microseconds) -> list[ExchangeStatus]:
        """The faults, as they are published."""
        return [malformed(exchange, f"{what}: {fault}", time) for fault in self.faults]


def rows(body: bytes | str | Raw, decode: Callable[[Raw], W]) -> Rows[W]:
    """Read a list; raises ``UNREADABLE`` for what is none."""
    return Rows(_LIST.decode(body), decode)


def taken(body: bytes | str | Raw, decode: Callable[[Raw], W], take: Callable[[W], None]) -> Rows[W]:
    """Read a list, and hand each row on; what ``take`` raises costs the row too. Raises ``UNREADABLE`` for no list."""

    def read(row: Raw) -> W:
        wire = decode(row)
        take(wire)
        return wire

    return rows(body, read)


def listing_of(bodies: Iterable[bytes], decode: Callable[[Raw], W], make: Callable[[W], Instrument]) -> Listing:
    """Read lists of instruments: a bad row costs that row alone. Raises MalformedFrame for what is no list."""
    try:
        found = [rows(body, decode) for body in bodies]
    except UNREADABLE as error:
        raise MalformedFrame(f"list of instruments: {error}") from error
    made = tuple(make(one) for read in found for one in read.good)
    return Listing(made, tuple(fault for read in found for fault in read.faults))


def name_of(row: Raw) -> str:
    """The instrument or asset that a row names, "" where it names none."""
    try:
        fields: Any = _ANYTHING.decode(row)
    except UNREADABLE:
        return ""
    named = fields if isinstance(fields, dict) else {}
    return next((text for key in _NAMES if isinstance(text := named.get(key), str) and text), "")[:80]


def malformed(exchange: str, detail: str, time: Microseconds) -> ExchangeStatus:
    return ExchangeStatus(exchange, "account", StatusKind.MALFORMED, 0.0, detail, time)


def unknown(exchange: str, detail: str, time: Microseconds) -> ExchangeStatus:
    return ExchangeStatus(exchange, "account", StatusKind.UNKNOWN, 0.0, detail, time)


def keys_of(body: bytes) -> tuple[Collection[str], bool]:
    """The keys of an object, or those of all objects in a list, and whether it was a list.

    Raises ``UNREADABLE`` for no JSON.
    """
    shape = _ANYTHING.decode(body)
    is_list = isinstance(shape, list)
    return {key for row in (shape if is_list else [shape]) if isinstance(row, dict) for key in row}, is_list
