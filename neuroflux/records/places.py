"""Where records are in the log: partitions and offsets."""

from __future__ import annotations

from msgspec import Struct


class Place(Struct, frozen=True):
    """Where a record stands in the log."""

    partition: int
    offset: int


class Extent(Struct, frozen=True):
    """The offsets of a partition: of the first record that is there, and of the next that will be."""

    start: int
    end: int
