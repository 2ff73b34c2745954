"""How a stage runs as a process: by name, on uvloop, until SIGTERM or SIGINT, with one clear line when it can't."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping

import uvloop

from neuroflux.errors import NeuroFluxError, UsageError
from neuroflux.runtime.settings import Settings, load_settings

COLLECTED_AT = 250_000
"""Objects that may hold others, made and not gone, at which cycles are looked for: more than the warehouse gathers.
Python's own is 700.
"""

Main = Callable[[Settings], Awaitable[None]]


def run_stage(package: str, stages: Mapping[str, Main]) -> None:
    """Run the stage that the command line names; exits 0 when stopped, 2 on wrong use, 1 on failure."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("aiokafka", "faust", "mode", "websockets"):  # the last is picows' name for its logger
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        uvloop.run(_until_stopped(_chosen(package, stages)))
    except UsageError as error:
        sys.exit(_report(error, 2))
    except NeuroFluxError as error:
        sys.exit(_report(error, 1))


def _chosen(package: str, stages: Mapping[str, Main]) -> Main:
    """A package of one stage names it "": then the command line has no word."""
    name = " ".join(sys.argv[1:])
    if name not in stages:
        raise UsageError(f"python -m {package} {'|'.join(stages)}")
    return stages[name]


def spare_collector() -> None:
    """Look for cycles seldom, and not among what was imported: that stays, and takes 10 to 20 ms to look through.

    Ticks come by the thousand, hold no cycles, and are gone when they are counted.
    """
    gc.freeze()
    gc.set_threshold(COLLECTED_AT)


async def _until_stopped(main: Main) -> None:
    spare_collector()
    work = asyncio.ensure_future(main(load_settings()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("stopped")


def _report(error: NeuroFluxError, code: int) -> int:
    sys.stderr.write(f"neuroflux: {error}\n")
    return code
