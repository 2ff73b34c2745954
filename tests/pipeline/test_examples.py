"""The examples, those of the API reference, and the façade's commands, started as by a user."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from tests.pipeline.conftest import ROOT, MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

REFERENCE = ROOT.parent / "shared" / "exchange_manager_api.md"
SAYS = {
    "multi_exchange_order_routing.py": "Order routed to binance - ID: ",
    "cross_exchange_arbitrage.py": "",
    "health_monitoring.py": "Overall health: ",
    "signal_bot.py": "earned ",
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    """A separate pipeline for this module: its trades spend money that other tests need."""
    yield from run_pipeline(tmp_path_factory.mktemp("own"), make_settings)


@pytest.fixture
def portfolio(pipeline: Pipeline) -> Iterator[None]:
    """Restore the portfolio after a rebalance: other tests trade on the same accounts."""
    with ExchangeManager(pipeline.settings) as manager:
        wait_for(lambda: not manager.get_unified_balance()["unpriced"])
        before = manager.get_unified_balance()["asset_breakdown"]
        total = sum(one["value_usd"] for one in before.values())
        yield
        shares, dollars = {asset: one["value_usd"] / total for asset, one in before.items()}, ("USDC", "USDT")

        def is_restored() -> bool:
            """Try again for what was left because books were too old or thin."""
            manager.rebalance_portfolio(shares, 0.01)
            after = manager.get_unified_balance()["asset_breakdown"]
            return sum(after[one]["available"] for one in dollars) > 0.95 * free

        free = sum(before[one]["available"] for one in dollars)
        wait_for(is_restored, 60)


def python(pipeline: Pipeline, *arguments: str) -> str:
    """The output of a program that must exit with 0 and print nothing to stderr."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=pipeline.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.usefixtures("portfolio")
def test_the_examples_of_the_reference_run_unchanged(pipeline: Pipeline, tmp_path: Path) -> None:
    """All in one program, in order: the later ones use the manager of the first."""
    if not REFERENCE.exists():
        pytest.skip("the API reference is not beside the project")
    examples = re.findall(r"```python\n(.*?)```", REFERENCE.read_text().partition("## Usage Examples")[2], re.S)
    assert len(examples) == 4
    program = tmp_path / "examples.py"
    program.write_text("\n".join(examples))
    output = python(pipeline, str(program))
    assert "Order routed to binance - ID: " in output
    assert "Overall health: healthy" in output or "Overall health: degraded" in output
    assert re.search("hyperliquid: (online|degraded) - Latency: ", output)


def test_every_example_has_a_check() -> None:
    assert {one.name for one in (ROOT / "examples").glob("*.py")} == {*SAYS, "portfolio_rebalancing.py"}


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs_as_a_script(pipeline: Pipeline, name: str) -> None:
    arguments = ("5",) if name == "signal_bot.py" else ()
    assert SAYS[name] in python(pipeline, f"examples/{name}", *arguments)


@pytest.mark.usefixtures("portfolio")
def test_the_rebalancing_example_prints_what_was_not_traded(pipeline: Pipeline) -> None:
    output = python(pipeline, "examples/portfolio_rebalancing.py")
    assert output.startswith("Rebalance partial\nmove ")


def answered(pipeline: Pipeline, *arguments: str) -> object:
    done = pipeline.program(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: object = json.loads(done.stdout)
    return found


@pytest.mark.long
def test_the_facades_commands_answer(pipeline: Pipeline) -> None:
    for command, key in {"balances": "total_balance_usd", "health": "overall_health", "performance": "notes"}.items():
        answer = answered(pipeline, command)
        assert isinstance(answer, dict)
        assert key in answer
        assert pipeline.program(command).stdout
    assert isinstance(answered(pipeline, "opportunities"), list)
    assert pipeline.program("opportunities").returncode == 0


def test_an_order_is_explained_with_figures_and_ticks(pipeline: Pipeline) -> None:
    done = pipeline.program("order", "buy", "BTC/USD", "0.002", "--strategy", "balanced", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    order_id = json.loads(done.stdout.splitlines()[0])["order_id"]
    wait_for(lambda: pipeline.query(f"SELECT 1 FROM order_events WHERE order_id = '{order_id}' AND state = 'filled'"))
    answer = answered(pipeline, "explain", order_id)
    assert isinstance(answer, dict)
    assert answer["strategy"] == "balanced"
    assert {(one["exchange"], one["symbol"]) for one in answer["candidates"]} >= {("binance", "BTC/USDT")}
    assert {one["exchange"] for one in answer["ticks"]} >= {answer["chosen"][0]["exchange"]}
    assert order_id in pipeline.program("explain", order_id).stdout
    unknown = pipeline.program("explain", "nobody")
    assert (unknown.returncode, unknown.stderr) == (2, "neuroflux: order nobody is not known, or was not stored yet\n")
