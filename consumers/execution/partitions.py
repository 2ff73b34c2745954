"""The partitions of the commands that this executor has claimed, and the work that is done for each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from consumers.execution.journal import Fenced
from neuroflux.errors import Forbidden, Unreachable

STOPPING = (Fenced, Unreachable, Forbidden)
"""Errors that end the stage; any other error of a command or an order concerns only that one."""


class Partitions:
    """``ours`` are the claimed ones."""

    def __init__(self) -> None:
        self.ours: set[int] = set()
        self._claimed: dict[int, asyncio.Event] = defaultdict(asyncio.Event)

    def add(self, partition: int) -> None:
        self.ours.add(partition)
        self._claimed[partition].set()

    def remove(self, partition: int) -> None:
        self.ours.discard(partition)
        self._claimed[partition].clear()

    async def claimed(self, partition: int) -> None:
        """Wait until a partition is claimed."""
        await self._claimed[partition].wait()


class Tasks:
    """Runs coroutines concurrently, each for one partition. ``failed`` raises the first error of any of them."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running: dict[asyncio.Task[None], int] = {}

    def spawn(self, work: Coroutine[Any, Any, None], partition: int) -> None:
        task = asyncio.create_task(work)
        self._running[task] = partition
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def cancel(self, partitions: set[int]) -> None:
        """Cancel the work of these partitions and wait for its end."""
        tasks = [task for task, partition in self._running.items() if partition in partitions]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def cancel_all(self) -> None:
        await self.cancel(set(self._running.values()))
