"""One of three brokers is lost during trading: trading continues, and all accepted records are stored exactly once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.stack.supervise.service import State
from tests.conftest import service
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for
from tests.pipeline.test_fire import check_stored, is_restored, trade

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    yield from run_pipeline(tmp_path_factory.mktemp("three"), make_settings, "--brokers", "3")


@contextmanager
def kept_down(pipeline: Pipeline, name: str) -> Iterator[None]:
    """Kill the broker whenever the supervisor has restarted it, long before it is ready."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.1):
            if pid := service(pipeline.settings, name).pid:
                with suppress(ProcessLookupError):  # the status is updated shortly after it died
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        wait_for(lambda: service(pipeline.settings, name).state is not State.READY)
        yield
    finally:
        ended.set()
        killer.join()


def test_orders_continue_while_one_of_three_brokers_is_lost(pipeline: Pipeline) -> None:
    with ExchangeManager(pipeline.settings) as manager:
        wait_for(lambda: trade(manager) == "filled", 60)
        before = service(pipeline.settings, "kafka-2").restarts
        with kept_down(pipeline, "kafka-2"):
            wait_for(lambda: trade(manager) == "filled", 60)
            assert service(pipeline.settings, "kafka-2").state is not State.READY
        wait_for(lambda: is_restored(pipeline.settings, "kafka-2", before), 60)
        wait_for(lambda: trade(manager) == "filled", 60)
    check_stored(pipeline)
