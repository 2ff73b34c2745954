"""Where records are in the log: partitions and offsets."""

from __future__ import annotations

from msgspec import Struct


class Place(Struct, frozen=True):
    """The position of a record within its topic."""

    partition: int
    offset: int


class Extent(Struct, frozen=True):
    """The offsets of a partition: of its first stored record, and of the next one to be written."""

    start: int
    end: int
