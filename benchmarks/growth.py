"""Cost of a tick and memory of a symbol, with 10, 100 and 1,000 symbols in one stage.

A tick is a quote, a trade or a diff of a book that is kept up, from its frame to Avro bytes; a symbol's book begins
with 500 levels a side.
"""

from __future__ import annotations

from benchmarks import local
from benchmarks.turns import Contender, Goal, Measured, Row, in_turns

SYMBOLS = (1_000, 100, 10)
WITHIN = 1 / 1.3
"""A tick with 1,000 symbols costs at most 1.3 times as much as with ten; memory likewise."""


def rows(rounds: int) -> list[Row]:
    held: dict[str, list[float]] = {}
    contenders = [
        Contender(f"{count:,} symbols", "limit" if count < SYMBOLS[0] else "ours", lambda n=count: _grown(n, held))  # type: ignore[misc]
        for count in SYMBOLS
    ]
    measured = in_turns(contenders, rounds)
    memory = tuple(
        Measured(one.name, one.role, tuple(held[one.name][1:])) for one in measured
    )  # the first was the warm-up
    few = Goal("10 symbols", WITHIN)
    return [
        Row("growth: a tick", "µs", False, measured, (few,)),
        Row("growth: memory", "KiB a symbol", False, memory, (Goal("100 symbols", WITHIN),)),
    ]


def _grown(symbols: int, held: dict[str, list[float]]) -> float:
    tick, kib = local.figures_of("benchmarks.growers", str(symbols))
    held.setdefault(f"{symbols:,} symbols", []).append(kib)
    return tick
