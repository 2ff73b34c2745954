"""``python -m neuroflux.sim``: the exchanges alone, until SIGTERM."""

from __future__ import annotations

import argparse
import sys

import uvloop

from neuroflux.errors import NeuroFluxError
from neuroflux.sim.server import run_forever


def main() -> int:
    """Parse the arguments and serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m neuroflux.sim", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--paper", action="store_true", help="mirror the live books of market.books")
    arguments = parser.parse_args()
    try:
        uvloop.run(run_forever(arguments.port, arguments.seed, arguments.host, paper=arguments.paper))
    except NeuroFluxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
