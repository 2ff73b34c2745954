"""What the suite of all exchanges must know of one: a few lines in a module of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from neuroflux.domain import InstrumentKind, Outcome
from neuroflux.exchanges.kit.requests import Answer, Keys
from tests.fuzz.frames import Message

Side = list[tuple[str, str]]


class Source(Protocol):
    """An exchange that numbers the changes of one book as the real one does, and knows what its book is.

    ``last`` is the number of the newest change.
    """

    last: int

    def change(self, side: str, price: int, quantity: int) -> bytes:
        """Change a level of ``b`` or ``a``, and return the frame."""
        ...

    def snapshot(self) -> bytes | Answer:
        """The whole book, as it is sent or answered."""
        ...

    def top(self) -> tuple[Side, Side]: ...


class Levels:
    """The levels of a source."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"b": {"10": "1"}, "a": {"20": "1"}}

    def top(self) -> tuple[Side, Side]:
        bids, asks = (
            sorted(((price, size) for price, size in self.sides[side].items() if size != "0"), key=_price)
            for side in "ba"
        )
        return bids[::-1], asks


def _price(level: tuple[str, str]) -> float:
    return float(level[0])


class Verdict(Struct, frozen=True):
    """What an answer to ``action`` (place, cancel, query) must mean."""

    action: str
    status: int
    body: Any
    outcome: type[Outcome]


class Example(Struct, frozen=True):
    """``lists`` are the bodies that answer ``instruments_requests``, ``messages`` one of each kind of frame and answer.

    ``quotes`` has, for every symbol of the lists, a frame that gives a quote of 1 at 10 and 2 at 20.
    """

    keys: Keys
    lists: Sequence[Any]
    messages: Sequence[Message]
    symbol: str
    kinds: frozenset[InstrumentKind]
    quotes: Mapping[str, Any]
    source: Callable[[], Source]
    verdicts: Sequence[Verdict]


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()
