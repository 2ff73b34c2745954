"""An open façade in its own thread, with the stack that was started for it: for callers without asyncio."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Coroutine
from threading import Lock
from typing import Any, TypeVar

from neuroflux.errors import UsageError
from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.manager.event_loop import BackgroundLoop
from neuroflux.manager.from_memory import MemoryQueries
from neuroflux.manager.own_stack import find_or_start
from neuroflux.runtime.settings import Settings, load_settings

T = TypeVar("T")


class Session:
    """Open until ``close``, or the end of the program. For use from any thread."""

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or load_settings()
        self._closing = Lock()
        self._manager: AsyncExchangeManager | None = None
        self._own = find_or_start(settings)
        self._loop = BackgroundLoop()
        atexit.register(self.close)
        try:
            self._manager = self._loop.run(AsyncExchangeManager(settings).__aenter__)
        except BaseException:
            self.close()
            raise

    @property
    def queries(self) -> MemoryQueries:
        """The methods that only read memory, run in the calling thread. Raises UsageError if closed."""
        return self._open().queries

    def run(self, work: Callable[[AsyncExchangeManager], Coroutine[Any, Any, T]]) -> T:
        """The result of one of the façade's coroutines. Raises UsageError if closed."""
        manager = self._open()
        return self._loop.run(lambda: work(manager))

    def _open(self) -> AsyncExchangeManager:
        if self._manager is None:
            raise UsageError("the manager is closed")
        return self._manager

    def close(self) -> None:
        """Disconnect, and stop the stack if it was started here; does nothing the second time."""
        atexit.unregister(self.close)
        with self._closing:
            manager, self._manager = self._manager, None
            try:
                if manager is not None:
                    self._loop.run(manager.close)
            finally:
                self._loop.close()
                own, self._own = self._own, None
                if own is not None:
                    own.stop()
