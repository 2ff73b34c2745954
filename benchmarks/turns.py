"""Contenders measured alternately, so that other load on the machine affects all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Literal

from msgspec import Struct

Role = Literal["ours", "peer", "limit"]


class Contender(Struct, frozen=True):
    """``run`` does the work once and returns its figure in the unit of the row."""

    name: str
    role: Role
    run: Callable[[], float]


class Measured(Struct, frozen=True):
    """All figures of one contender, in the order of the rounds."""

    name: str
    role: Role
    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.figures)

    @property
    def spread(self) -> float:
        """Half the range, as a fraction of the median."""
        return (max(self.figures) - min(self.figures)) / 2 / self.median


class Goal(Struct, frozen=True):
    """A goal: ours reaches ``factor`` times the speed of another contender."""

    other: str
    factor: float


class Row(Struct, frozen=True):
    """``more_is_better``: the unit is a rate; else it is a time."""

    name: str
    unit: str
    more_is_better: bool
    measured: tuple[Measured, ...]
    goals: tuple[Goal, ...] = ()
    note: str = ""

    @property
    def ours(self) -> Measured:
        return next(one for one in self.measured if one.role == "ours")

    def ratio(self, other: Measured) -> float:
        """Speed of ours relative to the other: the median of the ratios within each round."""
        pairs = zip(self.ours.figures, other.figures, strict=True)
        return median(ours / theirs if self.more_is_better else theirs / ours for ours, theirs in pairs)

    def met(self, goal: Goal) -> bool:
        return self.ratio(next(one for one in self.measured if one.name == goal.other)) >= goal.factor


def delays(name: str, times: Mapping[str, Sequence[list[float]]], roles: Mapping[str, Role], goal: Goal) -> list[Row]:
    """Median and 99th percentile in milliseconds; ``times`` are by contender and round."""
    rows = []
    for part, of in (("p50", median), ("p99", nearly_all)):
        measured = tuple(Measured(who, role, tuple(map(of, times[who]))) for who, role in roles.items())
        rows.append(Row(f"{name}: {part}", "ms", False, measured, (goal,)))
    return rows


def nearly_all(times: list[float]) -> float:
    """The 99th percentile by nearest rank: the slowest of thirty."""
    return sorted(times)[-(-99 * len(times) // 100) - 1]


def in_turns(contenders: Sequence[Contender], rounds: int) -> tuple[Measured, ...]:
    """Each contender once as warm-up, then all in every round, each round starting with another one."""
    for one in contenders:
        one.run()
    figures: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(rounds):
        first = number % len(contenders)
        for one in (*contenders[first:], *contenders[:first]):
            figures[one.name].append(one.run())
    return tuple(Measured(one.name, one.role, tuple(figures[one.name])) for one in contenders)
