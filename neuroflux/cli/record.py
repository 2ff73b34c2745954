"""``neuroflux record``: writes the raw frames of the public feeds to a file, without Kafka, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from neuroflux.cli.run import of_paper, progress, stop_requested
from neuroflux.errors import NeuroFluxError, UsageError
from neuroflux.runtime.settings import Settings
from neuroflux.stack import environment


async def record(settings: Settings, path: Path, *, seconds: float, live: bool) -> None:
    """Record the simulated exchanges, or the real ones if ``live``; ``seconds`` of 0: until Ctrl-C or SIGTERM."""
    chosen, stop = _recorded(of_paper(settings) if live else settings, path), stop_requested()
    capture = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "producers", "capture"),
        cwd=environment.CHECKOUT,
        env=environment.base(chosen) if live else environment.stage(chosen),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is ours to pass on
    )
    progress(f"recording to {path}; press Ctrl-C to stop")
    ended, stopped = asyncio.create_task(capture.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopped}, timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        capture.terminate()
    if await ended:
        raise NeuroFluxError("the recording ended with an error, which is printed above")


def _recorded(settings: Settings, path: Path) -> Settings:
    if path.exists():
        raise UsageError(f"{path} already exists")
    return settings.model_copy(update={"recording": path.absolute()})
