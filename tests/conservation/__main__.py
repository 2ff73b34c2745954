"""``python -m tests.conservation --runs 200``: many seeds; one line per broken law, and the totals."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.conservation.run import Outcome, conserve


def run_all(seeds: range) -> list[Outcome]:
    found = []
    for seed in seeds:
        found.append(asyncio.run(conserve(seed)))
        for text in found[-1].faults:
            print(f"seed {seed}: {text}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conservation", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many runs (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count up (1)")
    given = parser.parse_args()
    found = run_all(range(given.seed, given.seed + given.runs))
    sums = {name: sum(getattr(one, name) for one in found) for name in ("fills", "funded", "samples")}
    broken = sum(bool(one.faults) for one in found)
    print(f"{len(found)} runs, {', '.join(f'{count} {name}' for name, count in sums.items())}, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
