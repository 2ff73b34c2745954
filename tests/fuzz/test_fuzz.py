"""Some thousand mutated lines of each exchange: none stops ``decode``, and each gets an answer."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from neuroflux.domain import InstrumentKind
from neuroflux.exchanges.decode import Decoding
from tests.fuzz.campaign import run
from tests.fuzz.messages import MESSAGES
from tests.fuzz.mutate import as_line, lines
from tests.neuroflux.exchanges.kit.examples import EXAMPLES

LINES = 3_000


@pytest.mark.parametrize("exchange", [*MESSAGES])
def test_every_line_is_answered(exchange: str) -> None:
    counts = Counter[str]()
    failures = [*islice(run(exchange, LINES, 17, counts), 5)]
    assert not failures, "\n".join(f"line {one.number}: {one.what}: {one.line[:500]}" for one in failures)
    assert counts["lines"] == LINES
    kinds = {"quote", "trade", "book", "balance", "order", "fill", "status", "ignored", "error"}
    has_perpetuals = InstrumentKind.PERPETUAL in EXAMPLES[exchange].kinds
    assert kinds | ({"funding", "position"} if has_perpetuals else set()) <= counts.keys()


def test_a_seed_gives_the_same_lines() -> None:
    first, second = (list(lines(MESSAGES["binance"], 200, 5)) for _ in range(2))
    assert first == second
    assert first != list(lines(MESSAGES["binance"], 200, 6))


@pytest.mark.parametrize("exchange", [*MESSAGES])
def test_every_unchanged_message_is_decoded(exchange: str) -> None:
    """The fixtures are valid messages: otherwise the fuzzer would only test their rejection."""
    decoding = Decoding(exchange, 20)
    for number, message in enumerate(MESSAGES[exchange], start=1):
        written = "".join(decoding.line(number, as_line(message)))
        expected = message.more.get("status", 200) != 200
        assert expected or '"type":"error"' not in written, (message, written)
