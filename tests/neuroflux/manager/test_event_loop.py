"""The event loop in its own thread, and the imports of the package."""

import asyncio
import subprocess
import sys
import threading

import pytest

from neuroflux.errors import UsageError
from neuroflux.manager.event_loop import BackgroundLoop


async def answer() -> str:
    return threading.current_thread().name


def test_coroutines_run_in_its_own_thread_until_close() -> None:
    loop = BackgroundLoop()
    assert loop.run(answer) == "neuroflux-manager"
    loop.close()
    loop.close()
    assert not any(one.name == "neuroflux-manager" for one in threading.enumerate())
    with pytest.raises(UsageError, match="closed"):
        loop.run(answer)


def test_closing_cancels_what_still_runs() -> None:
    loop, cancelled = BackgroundLoop(), threading.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def start() -> asyncio.Task[None]:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        return task

    task = loop.run(start)
    loop.close()
    assert cancelled.is_set()
    assert task.cancelled()


def test_a_call_from_its_own_thread_is_refused() -> None:
    loop = BackgroundLoop()

    async def nested() -> None:
        loop.run(answer)

    with pytest.raises(UsageError, match="AsyncExchangeManager"):
        loop.run(nested)
    loop.close()


def test_the_package_names_the_facade_and_loads_no_client() -> None:
    code = "import neuroflux, sys; assert 'aiokafka' not in sys.modules; print(neuroflux.ExchangeManager.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "neuroflux.manager.sync_manager"
