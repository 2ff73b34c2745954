"""``python -m tests.torture``: many runs, one line each, and a summary of all faults at the end."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from neuroflux.cli.audit.audit import audit
from neuroflux.cli.audit.printed import lines, readable
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.manager.connection import Connection
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon
from tests.conftest import settings_in
from tests.torture.compare import Left, Verdict, compare, summary
from tests.torture.drive import Run
from tests.torture.plan import ORDERS, SECONDS, Disturbing, Killing, plan

RUNS_A_STACK = 5
"""Number of runs per stack; then a new one starts, on other exchanges, with new accounts and an empty log."""
FEWEST, MOST = 2, 4
"""How many exchanges a stack trades on: all at once would leave no room for the faults on two cores."""


class Report(Struct, frozen=True):
    """One run, for the report."""

    seed: int
    orders: int
    accepted: int
    fills: int
    pairs_skipped: int
    faults: list[str]
    kills: list[str]
    seconds: float
    verdict: Verdict


async def torture(settings: Settings, seed: int, orders: int, seconds: float) -> tuple[Report, Left]:
    """One run on a running stack."""
    began, acts = time.monotonic(), plan(seed, settings.exchanges, orders, seconds)
    async with Connection(settings) as connection, Run(settings, connection) as run:
        await run.perform(acts)
        left = await run.rest()
    report = Report(
        seed,
        len(left.journal),
        len(left.accepted),
        len(left.fills),
        run.skipped,
        [f"{act.fault['exchange']} {act.fault['fault']}" for act in acts if isinstance(act, Disturbing)],
        [f"{act.service}{f' for {act.pause:.1f} s' if act.pause else ''}" for act in acts if isinstance(act, Killing)],
        time.monotonic() - began,
        compare(left),
    )
    return report, left


def audited(settings: Settings) -> list[str]:
    """Figures that differ from the exchanges' own once nothing changes any more."""
    return [readable(line) for line in lines(asyncio.run(audit(settings))) if line.kind == "differs"]


@contextmanager
def stack(home: Path, exchanges: Sequence[str]) -> Iterator[Settings]:
    """A pipeline in this home, which ends with this process in any case."""
    settings = settings_in(home, exchanges)
    tie, hold = os.pipe()
    try:
        daemon.up(settings, tie=tie, report=lambda line: None)
        yield settings
    finally:
        daemon.down(settings)
        os.close(tie)
        os.close(hold)


def chosen(seed: int) -> Sequence[str]:
    """A random choice of exchanges, by a seed."""
    random = Random(f"exchanges {seed}")
    return sorted(random.sample(EXCHANGE_IDS, random.randint(FEWEST, min(MOST, len(EXCHANGE_IDS)))))


def run_all(
    seeds: Sequence[int],
    orders: int,
    seconds: float,
    home: Path,
    differences: list[str] | None = None,
    choose: Callable[[int], Sequence[str]] = chosen,
) -> list[Report]:
    """Run every seed; a failed one saves its findings beside the logs of its stack.

    ``choose`` gives the exchanges of a stack by the seed of its first run. If ``differences`` is a list, each stack is
    audited at its end, and differences are added to it.
    """
    found: list[Report] = []
    for first in range(0, len(seeds), RUNS_A_STACK):
        exchanges = choose(seeds[first])
        print(f"on {', '.join(exchanges)}", flush=True)
        with stack(home / f"stack-{first}", exchanges) as settings:
            for seed in seeds[first : first + RUNS_A_STACK]:
                report, left = asyncio.run(torture(settings, seed, orders, seconds))
                found.append(report)
                print(_line(report), flush=True)
                if report.verdict.faults:
                    (home / f"seed-{seed}.json").write_bytes(
                        msgspec.json.encode([report, plan(seed, exchanges, orders, seconds)])
                    )
                    (home / f"seed-{seed}.left").write_text(repr(left))
            if differences is not None:
                differences += audited(settings)
        if not any(one.verdict.faults for one in found[first:]):
            shutil.rmtree(home / f"stack-{first}")
    return found


def _line(report: Report) -> str:
    parts = f"{report.orders} orders, {report.accepted} accepted, {report.fills} fills, {len(report.faults)} faults"
    kills = f", killed {', '.join(report.kills)}" if report.kills else ""
    lines = [f"seed {report.seed}: {parts}{kills}, {report.seconds:.1f} s"]
    for name, each in report.verdict.faults.items():
        lines += [f"    {name}: {text}" for text in each[:20]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture ARGS=…", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many runs (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count up (1)")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"orders of a run ({ORDERS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for which a run sends them ({SECONDS})")
    parser.add_argument("--exchanges", help="the ones that every run uses, with commas (a random choice by the seed)")
    given = parser.parse_args()
    exchanges = given.exchanges.split(",") if given.exchanges else None
    home = Path(tempfile.mkdtemp(prefix="torture-"))
    differences: list[str] = []
    found = run_all(
        range(given.seed, given.seed + given.runs),
        given.orders,
        given.seconds,
        home,
        differences,
        chosen if exchanges is None else lambda seed: exchanges,
    )
    counts = summary(one.verdict for one in found)
    totals = {name: sum(getattr(one, name) for one in found) for name in ("orders", "accepted", "fills", "seconds")}
    print(", ".join(f"{name} {value:.0f}" for name, value in totals.items()))
    print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()))
    print("\n".join([*differences, f"figures that differ {len(differences)}"]))
    report = {"runs": found, "counts": counts, "differences": differences}
    (home / "report.json").write_bytes(msgspec.json.encode(report))
    print(f"report: {home / 'report.json'}")
    return 1 if any(counts.values()) or differences else 0


if __name__ == "__main__":
    sys.exit(main())
