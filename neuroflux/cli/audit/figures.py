"""The compared figures and the rules of the verdict: pure.

A figure is read several times, each time between two readings of the exchange: it agrees if one of its readings equals
the exchange's answer before or after it. A figure that moves with the market (unrealised profit, free margin, prices)
agrees if it is between those two answers. The last reading may be as old as the first: so it may be within the range of
all answers, widened by the largest step between two of them, because a move of that size may have been missed. A figure
that never agrees is in flight if the exchange's own answer changed, if it is missing in a reading, or if it moves and
was reported before the exchange's first answer; it differs if the exchange's answer was the same throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from msgspec import Struct

from neuroflux.domain import Microseconds

Value = Decimal | str | None
"""None: not reported, or not known to the exchange."""
ZERO = Decimal(0)
OLDEST: Final[Microseconds] = 90_000_000
"""What was reported this long before the exchange's first answer is no longer in flight: a snapshot of a book, or the
figures of an account after a refusal for rate, are delayed for a minute at most. Readers refuse what is that old."""


class Key(NamedTuple):
    """The identity of a figure: ``source`` reports it; ``subject`` is an asset, an instrument, an order or a table."""

    what: str
    exchange: str
    subject: str
    source: str


class Figure(Struct, frozen=True):
    """One reading: ``before`` and ``after`` are the exchange's own answers on either side of it.

    ``tolerance`` is absolute and ``why`` is its reason. ``moves``: the figure moves with the market, so that values
    between the two answers agree as well. ``pending`` is why a disagreement is in flight, if known. ``as_of`` is when
    it was reported, and ``answered`` when ``before`` was answered, both by our clock; 0 where it is not known.
    """

    reported: Value
    before: Value
    after: Value
    tolerance: Decimal = ZERO
    why: str = ""
    moves: bool = False
    pending: str = ""
    as_of: Microseconds = 0
    answered: Microseconds = 0


Round = Mapping[Key, Figure]
"""The figures of one reading."""


class Verdict(StrEnum):
    AGREES = "agrees"
    IN_FLIGHT = "in flight"
    DIFFERS = "differs"


class Finding(Struct, frozen=True):
    """The verdict on one figure, with its last reading; ``reason`` is why it is in flight."""

    key: Key
    figure: Figure
    verdict: Verdict
    reason: str = ""


def all_agreed(rounds: Sequence[Round]) -> bool:
    """Whether each figure agreed in one of these readings, so that further ones would change no verdict."""
    agreed = {key for one in rounds for key, figure in one.items() if _agrees(figure)}
    return all(key in agreed for one in rounds for key in one)


def judge(rounds: Sequence[Round]) -> list[Finding]:
    """The verdict on every figure of these readings, in the order in which they were first read."""
    keys = dict.fromkeys(key for one in rounds for key in one)
    return [_finding(key, [one[key] for one in rounds if key in one], len(rounds)) for key in keys]


def _finding(key: Key, readings: Sequence[Figure], rounds: int) -> Finding:
    last = readings[-1]
    agreeing = next((number for number, one in enumerate(readings) if _agrees(one)), None)
    if agreeing is not None or (last.moves and _within(last, _own(readings), _step(_own(readings)))):
        late = f"agreed in reading {agreeing + 1} of {rounds}" if agreeing and not last.moves else ""
        return Finding(key, last, Verdict.IN_FLIGHT if late else Verdict.AGREES, late)
    reason = last.pending or _age(readings[0], last) or _reason(readings, rounds, moves=last.moves)
    return Finding(key, last, Verdict.IN_FLIGHT if reason else Verdict.DIFFERS, reason)


def _age(first: Figure, last: Figure) -> str:
    """Why a figure that moves is of a time for which the exchange was not queried; "" if it is not."""
    older = first.answered - last.as_of
    if not last.moves or not last.as_of or not 0 < older <= OLDEST:
        return ""
    return f"reported {older / 1e6:.1f} s before the exchange's first answer"


def _reason(readings: Sequence[Figure], rounds: int, *, moves: bool) -> str:
    """Why a figure that never agreed is in flight; "" if it is not."""
    if moves and rounds == 1 and None not in (readings[0].reported, *_own(readings)):
        return "it moves, and could be read only once"
    if len(readings) < rounds:
        return f"present in {len(readings)} of {rounds} readings"
    answers = list(dict.fromkeys(_own(readings)))
    if len(answers) > 1 and not moves:
        return f"the exchange's own changed from {answers[0]} to {answers[-1]} meanwhile"
    return ""


def _own(readings: Iterable[Figure]) -> list[Value]:
    return [value for one in readings for value in (one.before, one.after)]


def _agrees(one: Figure) -> bool:
    if one.moves:
        return _within(one, (one.before, one.after))
    return any(_equal(one.reported, own, one.tolerance) for own in (one.before, one.after))


def _equal(reported: Value, own: Value, tolerance: Decimal) -> bool:
    if isinstance(reported, Decimal) and isinstance(own, Decimal):
        return abs(reported - own) <= tolerance
    return reported == own


def _step(own: Sequence[Value]) -> Decimal:
    """The largest move from one answer to the next."""
    numbers = [value for value in own if isinstance(value, Decimal)]
    return max((abs(later - one) for one, later in pairwise(numbers)), default=ZERO)


def _within(one: Figure, own: Sequence[Value], beyond: Decimal = ZERO) -> bool:
    """Whether it is between the lowest and the highest of the exchange's own answers."""
    numbers = [value for value in own if isinstance(value, Decimal)]
    if not isinstance(one.reported, Decimal) or not numbers:
        return one.reported in own
    slack = one.tolerance + beyond
    return min(numbers) - slack <= one.reported <= max(numbers) + slack
