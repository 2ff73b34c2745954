"""So many lines through ``decode``, and what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from neuroflux.exchanges.decode import RAISED, Decoding
from tests.fuzz.frames import MESSAGES
from tests.fuzz.mutate import lines

SESSION = 500
"""Lines before feeds begin anew: a number far ahead makes all that is right look old, and no book would be read."""


class Written(Struct, frozen=True):
    """What every line of output has."""

    line: int
    type: str
    reason: str | None = None


class Failure(Struct, frozen=True):
    """A line that broke a promise: the exchange, seed and number that make it again, the line, and what was wrong."""

    exchange: str
    seed: int
    number: int
    line: str
    what: str


_WRITTEN = msgspec.json.Decoder(Written)


def run(exchange: str, count: int, seed: int, counts: Counter[str]) -> Iterator[Failure]:
    """The failures; ``counts`` grows by the type of every line written, and by ``lines``."""
    decoding = Decoding(exchange, 20)
    for number, text in enumerate(lines(MESSAGES[exchange], count, seed), start=1):
        if number % SESSION == 0:
            decoding = Decoding(exchange, 20)
        counts["lines"] += 1
        if text.strip(" \t\r\n") and (what := _wrong(decoding, number, text, counts)):
            yield Failure(exchange, seed, number, text, what)


def _wrong(decoding: Decoding, number: int, text: str, counts: Counter[str]) -> str:
    """What is wrong with the answer to one line, "" where nothing is."""
    written = []
    try:
        for one in decoding.line(number, text):
            written.append(_WRITTEN.decode(one.encode()))  # noqa: PERF401 what came before an exception is counted
    except Exception as error:  # noqa: BLE001 that nothing at all is raised is what is tested
        return f"raised {type(error).__name__}: {error}"
    counts.update(one.type for one in written)
    if not written:
        return "no line came of it"
    if any(one.line != number for one in written):
        return "a line has another's number"
    return next((one.reason for one in written if one.reason and one.reason.startswith(RAISED)), "")
