"""A fault of an exchange is in ``exchange.health`` with its reason, and is cleared afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import stopped
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    yield from run_pipeline(tmp_path_factory.mktemp("reasons"), make_settings)


def reported(pipeline: Pipeline, exchange: str) -> tuple[str, str]:
    """The status and reason reported last."""
    sql = f"SELECT status, reason FROM exchange_health WHERE exchange = '{exchange}' ORDER BY _offset DESC LIMIT 1"
    found = pipeline.query(sql)
    return (found[0][0], found[0][1]) if found else ("", "")


def is_online(pipeline: Pipeline, exchange: str) -> bool:
    return reported(pipeline, exchange) == ("online", "")


@pytest.mark.parametrize(
    ("exchange", "fault", "status", "reason"),
    [
        ("binance", {"fault": "http_5xx", "seconds": 60}, "offline", "HTTP 50"),
        pytest.param("hyperliquid", {"fault": "mute", "seconds": 60}, "offline", "no data for", marks=pytest.mark.long),
        pytest.param("binance", {"fault": "http_429", "seconds": 60}, "offline", "HTTP 429", marks=pytest.mark.long),
    ],
)
def test_the_reason_is_reported_and_cleared(
    pipeline: Pipeline, exchange: str, fault: dict[str, object], status: str, reason: str
) -> None:
    wait_for(lambda: is_online(pipeline, exchange), 60)
    pipeline.sim("/sim/faults", {"exchange": exchange, **fault})

    def is_reported() -> bool:
        now, why = reported(pipeline, exchange)
        return now == status and reason in why

    try:
        wait_for(is_reported, 45)
    finally:
        pipeline.clear_faults()
    wait_for(lambda: is_online(pipeline, exchange), 90)


@pytest.mark.long
def test_a_hanging_market_stage_is_reported_for_every_exchange(pipeline: Pipeline) -> None:
    exchanges = ("binance", "binanceusdm", "hyperliquid")
    wait_for(lambda: all(is_online(pipeline, one) for one in exchanges), 60)
    with stopped(pipeline.settings, "market"):
        wait_for(lambda: all("of its market data" in reported(pipeline, one)[1] for one in exchanges), 60)
        refused = pipeline.program("order", "buy", "BTC/USD", "0.01", "--wait", "--json")
        assert refused.returncode == 1
        assert "stale" in refused.stdout + refused.stderr
    wait_for(lambda: all(is_online(pipeline, one) for one in exchanges), 60)
    wait_for(lambda: pipeline.program("order", "buy", "BTC/USD", "0.01", "--wait").returncode == 0, 30)
