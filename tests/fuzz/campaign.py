"""Mutated lines through ``decode``, and the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from neuroflux.exchanges.decode import RAISED, Decoding
from tests.fuzz.frames import rest
from tests.fuzz.messages import MESSAGES
from tests.fuzz.mutate import as_line, lines
from tests.neuroflux.exchanges.kit.examples import EXAMPLES

SESSION = 500
"""Lines before feeds begin again, with a list of instruments: a sequence number far ahead makes valid messages look
old, so that books stop updating."""


class Written(Struct, frozen=True):
    """The fields of every line of output."""

    line: int
    type: str
    reason: str | None = None


class Failure(Struct, frozen=True):
    """A line with a wrong answer: exchange, seed and number to reproduce it, the line, and the fault."""

    exchange: str
    seed: int
    number: int
    line: str
    what: str


_WRITTEN = msgspec.json.Decoder(Written)


def run(exchange: str, count: int, seed: int, counts: Counter[str]) -> Iterator[Failure]:
    """The failures; ``counts`` counts the output lines by type, and ``lines``."""
    decoding = begun(exchange)
    for number, text in enumerate(lines(MESSAGES[exchange], count, seed), start=1):
        if number % SESSION == 0:
            decoding = begun(exchange)
        counts["lines"] += 1
        if text.strip(" \t\r\n") and (what := _wrong(decoding, number, text, counts)):
            yield Failure(exchange, seed, number, text, what)


def begun(exchange: str) -> Decoding:
    """What has read a list of instruments: contracts have a size."""
    decoding = Decoding(exchange, 20)
    for body in EXAMPLES[exchange].lists:
        for _ in decoding.line(0, as_line(rest(body))):
            pass
    return decoding


def _wrong(decoding: Decoding, number: int, text: str, counts: Counter[str]) -> str:
    """What is wrong with the answer to one line, "" if nothing is."""
    written = []
    try:
        for one in decoding.line(number, text):
            written.append(_WRITTEN.decode(one.encode()))  # noqa: PERF401 lines before an exception count
    except Exception as error:  # noqa: BLE001 the test is that nothing is raised
        return f"raised {type(error).__name__}: {error}"
    counts.update(one.type for one in written)
    if not written:
        return "no line came of it"
    if any(one.line != number for one in written):
        return "a line has another's number"
    return next((one.reason for one in written if one.reason and one.reason.startswith(RAISED)), "")
