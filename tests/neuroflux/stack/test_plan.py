from pathlib import Path

import pytest

from neuroflux.errors import UsageError
from neuroflux.runtime.settings import Settings
from neuroflux.stack import environment
from neuroflux.stack.plan import Venue, infrastructure, stages
from neuroflux.stack.supervise.service import Readiness


def test_stages_wait_for_topics_and_exchanges(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    services = {one.name: one for one in infrastructure(settings) + stages(settings)}
    assert list(services) == [
        *("kafka", "registry", "clickhouse", "setup"),
        *("sim", "market", "streams", "warehouse", "account", "execution"),
    ]
    assert set(services["setup"].needs) == {"kafka", "registry", "clickhouse"}
    for name in ("market", "account", "streams", "execution", "warehouse"):
        assert set(services[name].needs) == {"setup", "sim"}
        assert services[name].readiness is Readiness.NOTIFIES
    assert services["sim"].needs == (), "it starts in parallel with Kafka"


def test_stages_know_every_broker(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kafka="127.0.0.1:9092")
    setup = infrastructure(settings, 3)[-1]
    assert setup.command[-2:] == ("--replication", "3")
    every = "127.0.0.1:9092,127.0.0.1:9102,127.0.0.1:9112"
    assert {one.env["NEUROFLUX_KAFKA"] for one in (setup, *stages(settings, 3)[1:])} == {every}


def test_only_signing_stages_get_keys(tmp_path: Path) -> None:
    with_keys = {one.name for one in stages(Settings(home=tmp_path)) if "neuroflux.stack.demo_keys" in one.command}
    assert with_keys == {"account", "execution"}


def test_the_seed_and_port_of_the_exchanges(tmp_path: Path) -> None:
    sim = stages(Settings(home=tmp_path, sim="http://127.0.0.1:7777"), seed=5)[0]
    assert sim.command[-4:] == ("--port", "7777", "--seed", "5")


def test_paper_trading_uses_live_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("NEUROFLUX_BINANCE_REST_URL=https://live\nNEUROFLUX_BINANCE_API_KEY=real\n")
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_SECRET_KEY", "real")
    settings = Settings(home=tmp_path, sim="http://127.0.0.1:7777")
    services = {one.name: one for one in stages(settings, venue=Venue.PAPER)}
    for name in ("market", "streams", "warehouse"):
        assert services[name].needs == ("setup",)
    assert services["market"].env["NEUROFLUX_BINANCE_REST_URL"] == "https://live"
    assert "NEUROFLUX_HYPERLIQUID_REST_URL" not in services["market"].env
    assert set(services["sim"].needs) == {"setup", "market"}
    assert services["sim"].command[-1] == "--paper"
    for name in ("account", "execution"):
        assert "sim" in services[name].needs
        assert services[name].env["NEUROFLUX_BINANCE_REST_URL"] == "http://127.0.0.1:7777/binance"
    assert not [name for name, one in services.items() if "real" in one.env.values()]


def test_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    with pytest.raises(UsageError, match="checkout"):
        stages(Settings(home=tmp_path))
