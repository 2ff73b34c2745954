from pathlib import Path

import pytest

from neuroflux.runtime.settings import Settings
from neuroflux.stack import environment


def test_settings_survive_the_way_through_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"markets": ("BTC/USD", "ETH/USD"), "exchanges": ("binance",), "max_notional_usd": 7.5}
    settings = Settings(home=tmp_path, kafka="127.0.0.1:1", **chosen)  # type: ignore[arg-type]
    for name, value in environment.spelled_out(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_only_a_stage_that_signs_is_given_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEUROFLUX_BINANCE_PASSPHRASE", "phrase")
    assert "phrase" in environment.signing(Settings()).values()
    assert "phrase" not in environment.base(Settings()).values()


def test_a_stage_trades_on_exchanges_that_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("NEUROFLUX_BINANCE_REST_URL=https://real\nNEUROFLUX_BINANCE_API_KEY=real\nOTHER=1\n")
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_SECRET_KEY", "real")
    variables = environment.stage(Settings(sim="http://127.0.0.1:8900"))
    assert variables["NEUROFLUX_BINANCE_REST_URL"] == "http://127.0.0.1:8900/binance"
    assert variables["NEUROFLUX_BINANCEUSDM_WS_URL"] == "ws://127.0.0.1:8900/binance"
    assert variables["NEUROFLUX_HYPERLIQUID_WS_URL"] == "ws://127.0.0.1:8900/hyperliquid"
    assert "real" not in variables.values()
    assert "OTHER" not in variables
