"""The results as a table, and as results.json."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.turns import Row

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = ("msgspec", "fastavro", "aiokafka", "faust-streaming", "cryptofeed", "ccxt", "quixstreams", "picows")


def show(rows: Sequence[Row]) -> None:
    table = Table("row", "contender", "median", "±", "ours is", "goal", box=None)
    for row in rows:
        goals = {goal.other: goal for goal in row.goals}
        for one in row.measured:
            goal = goals.get(one.name)
            verdict = f"{goal.factor:g} ×: {'met' if row.met(goal) else 'missed'}" if goal else ""
            times = "" if one.role == "ours" else f"{row.ratio(one):.2f} × as fast"
            figure = f"{one.median:,.0f}" if row.more_is_better else f"{one.median:,.2f}"
            table.add_row(
                row.name, f"{one.name} ({one.role})", f"{figure} {row.unit}", f"{one.spread:.0%}", times, verdict
            )
        if row.note:
            table.add_row("", row.note)
    Console(width=160).print(table)


def save(rows: Sequence[Row], rounds: int) -> None:
    """Replace the rows measured in this run, and keep those of earlier runs, each with its machine."""
    kept = msgspec.json.decode(RESULTS.read_bytes()) if RESULTS.exists() else {}
    for row in rows:
        measured = [
            {"name": one.name, "role": one.role, "median": one.median, "spread": one.spread, "figures": one.figures}
            | ({} if one.role == "ours" else {"ours_times": row.ratio(one)})
            for one in row.measured
        ]
        goals = [{"other": goal.other, "factor": goal.factor, "met": row.met(goal)} for goal in row.goals]
        where = {"machine": _machine(), "load_before": _LOAD, "commit": _commit(), "versions": _versions()}
        kept[row.name] = {"unit": row.unit, "rounds": rounds, "measured": measured, "goals": goals, **where}
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


_LOAD = os.getloadavg()[0]


def _machine() -> str:
    return f"{os.cpu_count()} × {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def _commit() -> str:
    done = subprocess.run(("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}
