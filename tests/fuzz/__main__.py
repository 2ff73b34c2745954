"""``python -m tests.fuzz --lines 1000000 --exchange binance --seed 1``: counts by type, and failures to repeat."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from itertools import islice

from tests.fuzz.campaign import run
from tests.fuzz.messages import MESSAGES

SHOWN = 50


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("--lines", type=int, default=100_000)
    asked.add_argument("--exchange", choices=[*MESSAGES], action="append")
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    return max([_one(exchange, given.lines, given.seed) for exchange in given.exchange or MESSAGES])


def _one(exchange: str, count: int, seed: int) -> int:
    counts, began = Counter[str](), time.monotonic()
    failures = [*islice(run(exchange, count, seed, counts), SHOWN)]
    for one in failures:
        print(f"{exchange} seed {seed} line {one.number}: {one.what}\n  {one.line[:2000]!r}")
    by_type = " ".join(f"{kind} {many}" for kind, many in sorted(counts.items()))
    print(f"{exchange}: seed {seed}, {time.monotonic() - began:.0f} s, failures {len(failures)}, {by_type}", flush=True)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
