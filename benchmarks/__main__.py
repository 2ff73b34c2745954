"""``make bench ARGS="[--rounds N] [ROW …]"``: runs the named rows, or all."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks.local import end_on_sigterm
from benchmarks.report import save, show
from benchmarks.turns import Row

ROWS = ("codec", "book", "growth", "feed", "reconnect", "streams", "warehouse", "signals", "orders")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    end_on_sigterm()
    for name in arguments.rows or ROWS:
        rows: list[Row] = import_module(f"benchmarks.{name}").rows(arguments.rounds)
        show(rows)
        save(rows, arguments.rounds)


if __name__ == "__main__":
    main()
