"""One after the other: the requests of a key whose order matters to its exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from neuroflux.http.buckets import Seconds


class InTurn:
    """Holders wait for each other, in the order in which they came, but for none longer than ``most``.

    A request that gets no answer must not keep back a cancel for as long as its timeout. It then arrives behind the
    next one, or never.
    """

    def __init__(self, most: Seconds) -> None:
        self._most, self._lock = most, asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._lock.acquire()
        held = ExitStack()
        held.callback(self._lock.release)
        late = asyncio.get_running_loop().call_later(self._most, held.close)
        try:
            yield
        finally:
            late.cancel()
            held.close()  # does nothing a second time
