"""Runs a stage as a process: by name, on uvloop, until SIGTERM or SIGINT, with a one-line message on failure."""

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
from neuroflux.runtime.watchdog import end_if_blocked

COLLECTED_AT = 250_000
"""The number of live container objects that starts a garbage collection: more than the warehouse accumulates. Python's
default is 700.
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
    """The stage named on the command line; the only stage of a package has the name "" and no argument."""
    name = " ".join(sys.argv[1:])
    if name not in stages:
        raise UsageError(f"python -m {package} {'|'.join(stages)}")
    return stages[name]


def spare_collector() -> None:
    """Collect garbage rarely, and not among imported objects: these are permanent, and scanning them takes 10 to 20 ms.

    Ticks arrive by the thousand, contain no cycles, and are freed by reference counting.
    """
    gc.freeze()
    gc.set_threshold(COLLECTED_AT)


async def _until_stopped(main: Main) -> None:
    spare_collector()
    work = asyncio.ensure_future(main(load_settings()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    watchdog = asyncio.ensure_future(end_if_blocked())
    try:
        await work
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("stopped")
    finally:
        watchdog.cancel()


def _report(error: NeuroFluxError, code: int) -> int:
    sys.stderr.write(f"neuroflux: {error}\n")
    return code
