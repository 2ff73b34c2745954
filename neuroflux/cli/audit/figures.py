"""What is compared, and how it is judged: pure.

A figure is read several times, between two readings of the exchange: it agrees when one of its readings is the
exchange's answer before or after it. What moves with the market (unrealised profit, free margin, prices) agrees within
the band of those two. In the last reading it may be as old as the readings go back: so within the band of all, and
beyond it by the largest step between two answers, since so far it may have gone unseen. A figure that never agrees is
in flight where the exchange's own answer changed meanwhile, or where it is not there in every reading; it differs where
the exchange said one thing all the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

Value = Decimal | str | None
"""None: nothing is reported, or the exchange has no such thing."""
ZERO = Decimal(0)


class Key(NamedTuple):
    """What a figure is of: ``source`` reports it, ``subject`` is an asset, an instrument, an order or a table."""

    what: str
    exchange: str
    subject: str
    source: str


class Figure(Struct, frozen=True):
    """One reading: ``before`` and ``after`` are the exchange's own answers on either side of it.

    ``tolerance`` is absolute and ``why`` names its reason. ``moves``: with the market, so that the values between the
    two answers are right as well. ``pending`` says why a disagreement is in flight, where that is known.
    """

    reported: Value
    before: Value
    after: Value
    tolerance: Decimal = ZERO
    why: str = ""
    moves: bool = False
    pending: str = ""


Round = Mapping[Key, Figure]
"""The figures of one reading."""


class Verdict(StrEnum):
    AGREES = "agrees"
    IN_FLIGHT = "in flight"
    DIFFERS = "differs"


class Finding(Struct, frozen=True):
    """The judgement of one figure, with its last reading; ``reason`` says why it is in flight."""

    key: Key
    figure: Figure
    verdict: Verdict
    reason: str = ""


def judge(rounds: Sequence[Round]) -> list[Finding]:
    """Judge every figure of these readings, in the order in which they were first read."""
    keys = dict.fromkeys(key for one in rounds for key in one)
    return [_finding(key, [one[key] for one in rounds if key in one], len(rounds)) for key in keys]


def _finding(key: Key, readings: Sequence[Figure], rounds: int) -> Finding:
    last = readings[-1]
    agreeing = next((number for number, one in enumerate(readings) if _agrees(one)), None)
    if agreeing is not None or (last.moves and _within(last, _own(readings), _step(_own(readings)))):
        late = f"agreed in reading {agreeing + 1} of {rounds}" if agreeing and not last.moves else ""
        return Finding(key, last, Verdict.IN_FLIGHT if late else Verdict.AGREES, late)
    reason = last.pending or _reason(readings, rounds, moves=last.moves)
    return Finding(key, last, Verdict.IN_FLIGHT if reason else Verdict.DIFFERS, reason)


def _reason(readings: Sequence[Figure], rounds: int, *, moves: bool) -> str:
    """Why a figure that never agreed is in flight; "" where it is not."""
    if moves and rounds == 1 and None not in (readings[0].reported, *_own(readings)):
        return "it moves, and could be read once only"
    if len(readings) < rounds:
        return f"there in {len(readings)} of {rounds} readings"
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
    """Between the least and the greatest of the exchange's own answers."""
    numbers = [value for value in own if isinstance(value, Decimal)]
    if not isinstance(one.reported, Decimal) or not numbers:
        return one.reported in own
    slack = one.tolerance + beyond
    return min(numbers) - slack <= one.reported <= max(numbers) + slack
