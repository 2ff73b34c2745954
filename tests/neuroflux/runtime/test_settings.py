"""Settings are read from the environment or a .env file, and invalid ones are named."""

import os
import stat
from pathlib import Path

import pytest

from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import exchange
from neuroflux.exchanges.config import ORDER_LIMITS
from neuroflux.exchanges.kit.exchange import NO_TESTNET
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.runtime.credentials import check_trusted
from neuroflux.runtime.settings import load_settings, port_of


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("NEUROFLUX_KAFKA=127.0.0.1:1\nNEUROFLUX_SIM=http://127.0.0.1:2\n")
    monkeypatch.setenv("NEUROFLUX_KAFKA", "127.0.0.1:3")
    settings = load_settings()
    assert (settings.kafka, settings.sim) == ("127.0.0.1:3", "http://127.0.0.1:2")


@pytest.mark.parametrize(
    ("native", "http"),
    [
        ("clickhouse://me:secret@stores:9000/neuroflux", "http://stores:8123"),
        ("clickhouses://stores:9440/neuroflux", "https://stores:8443"),
        ("clickhouse://[::1]:9000/neuroflux", "http://[::1]:8123"),
    ],
)
def test_clickhouse_answers_http_on_the_same_host(monkeypatch: pytest.MonkeyPatch, native: str, http: str) -> None:
    monkeypatch.setenv("NEUROFLUX_CLICKHOUSE", native)
    assert load_settings().clickhouse_http == http
    monkeypatch.setenv("NEUROFLUX_CLICKHOUSE_HTTP", "http://elsewhere:1")
    assert load_settings().clickhouse_http == "http://elsewhere:1"


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFLUX_MARKETS", "BTC/USD, ETH/USD,")
    assert load_settings().markets == ("BTC/USD", "ETH/USD")


def test_an_unknown_exchange_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFLUX_EXCHANGES", "binance,mtgox")
    with pytest.raises(UsageError, match=r"NEUROFLUX_EXCHANGES: unknown exchange mtgox"):
        load_settings()


def test_keys_need_both_halves_and_hide_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFLUX_BINANCE_API_KEY", "the-key")
    assert load_settings().keys("binance") is None
    env = tmp_path / ".env"
    env.write_text("NEUROFLUX_BINANCE_SECRET_KEY=the-secret\n")
    env.chmod(0o600)
    keys = load_settings().keys("binance")
    assert keys is not None
    assert (keys.key, keys.secret) == ("the-key", "the-secret")
    assert "the-" not in repr(keys)


def test_a_file_that_anyone_may_change_is_refused(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("NEUROFLUX_KAFKA=127.0.0.1:1\n")
    env.chmod(0o666)
    with pytest.raises(UsageError, match="anyone may change it"):
        load_settings()


def test_only_root_and_ourselves_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses in another's file could receive our keys and passwords."""
    env, owner = tmp_path / ".env", 1234
    env.touch(0o600)

    def owned(us: int) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: us)
        check_trusted(env)

    status = list(env.stat())
    status[stat.ST_UID] = owner
    monkeypatch.setattr(Path, "stat", lambda _: os.stat_result(status))
    owned(owner)
    owned(0)
    with pytest.raises(UsageError, match="another user's"):
        owned(owner + 1)


def test_an_address_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_WS_URL", "ws://127.0.0.1:8900/hyperliquid")
    settings = load_settings()
    assert settings.ws_url("hyperliquid") == settings.private_ws_url("hyperliquid") == "ws://127.0.0.1:8900/hyperliquid"


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1:9092", 9092), ("http://h:8081/apis", 8081)])
def test_port_of(address: str, port: int) -> None:
    assert port_of(address) == port


def test_an_address_without_a_port_is_named() -> None:
    with pytest.raises(UsageError, match="names no port"):
        port_of("127.0.0.1")


def test_the_testnet_is_other_addresses_and_other_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_TESTNET", "1")
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_API_KEY", "0xmaster")
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_SECRET_KEY", "agent")
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_SUBACCOUNT", "0xdesk")
    settings = load_settings()
    assert settings.rest_url("hyperliquid") == "https://api.hyperliquid-testnet.xyz"
    assert settings.private_ws_url("hyperliquid") == "wss://api.hyperliquid-testnet.xyz"
    assert settings.rest_url("binance") == "https://api.binance.com"
    assert settings.keys("hyperliquid") == Keys("0xmaster", "agent", "0xdesk", testnet=True)


def test_a_key_may_have_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"API_KEY": "key", "SECRET_KEY": "secret", "PASSPHRASE": "phrase"}.items():
        monkeypatch.setenv(f"NEUROFLUX_BINANCE_{name}", value)
    assert load_settings().keys("binance") == Keys("key", "secret", passphrase="phrase")


@pytest.mark.parametrize("text", ["1", "true", "YES", "on", " on ", "1 ", "y"])
def test_every_usual_yes_is_the_testnet(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NEUROFLUX_BINANCE_TESTNET", text)
    assert load_settings().rest_url("binance") == "https://testnet.binance.vision"


def test_an_exchange_without_a_testnet_says_so_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(exchange("coinbase")), "TESTNET", NO_TESTNET)
    monkeypatch.setenv("NEUROFLUX_COINBASE_TESTNET", "0")
    assert load_settings().rest_url("coinbase") == "https://api.coinbase.com"
    monkeypatch.setenv("NEUROFLUX_COINBASE_TESTNET", "1")
    with pytest.raises(UsageError, match="NEUROFLUX_COINBASE_TESTNET: coinbase has no testnet"):
        load_settings()
    with pytest.raises(UsageError, match="coinbase has no testnet"):
        load_settings(exchanges=("binance",)).rest_url("coinbase")


@pytest.mark.parametrize("text", ["enabled", "testnet", "2", "yes please", "wahr"])
def test_an_unclear_testnet_value_does_not_mean_the_real_exchange(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NEUROFLUX_BINANCE_TESTNET", text)
    with pytest.raises(UsageError, match=r"NEUROFLUX_BINANCE_TESTNET: .* is neither yes"):
        load_settings()


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"BINANCE_REST_URL": "http://api.binance.com"}, "BINANCE_REST_URL: .* is not encrypted"),
        ({"BINANCE_WS_URL": "ws://stream.binance.com:9443"}, "BINANCE_WS_URL: .* is not encrypted"),
        ({"BINANCE_REST_URL": "http://127.0.0.1.evil.example"}, "is not encrypted"),
        ({"BINANCE_REST_URL": "http://127.0.0.1@evil.example"}, "is not encrypted"),
        ({"BINANCE_REST_URL": "api.binance.com"}, "is not an address"),
        ({"BINANCE_REST_URL": "wss://api.binance.com"}, "is not an address"),
        ({"BINANCE_TESTNET": "1", "BINANCE_REST_URL": "https://api.binance.com"}, "the real exchange"),
        ({"BINANCE_TESTNET": "1", "BINANCE_WS_URL": "wss://stream.binance.com:9443"}, "the real exchange"),
        ({"BINANCE_REST_URL": "https://testnet.binance.vision"}, "is of NEUROFLUX_"),
        ({"HYPERLIQUID_WS_URL": "wss://api.hyperliquid-testnet.xyz"}, "is of NEUROFLUX_"),
    ],
)
def test_an_address_in_clear_or_of_the_other_net_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], why: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"NEUROFLUX_{name}", value)
    with pytest.raises(UsageError, match=why):
        load_settings()


@pytest.mark.parametrize(
    "variables",
    [
        {"BINANCE_REST_URL": "https://proxy.example/binance", "BINANCE_WS_URL": "wss://proxy.example"},
        {"BINANCE_REST_URL": "http://127.0.0.1:1/binance", "BINANCE_WS_URL": "ws://localhost:1/binance"},
        {"SIM": "http://sim:8900", "BINANCE_REST_URL": "http://sim:8900/binance"},
        {"EXCHANGES": "hyperliquid", "BINANCE_REST_URL": "http://not.followed"},
        {"OKX_REST_URL": "https://www.okx.com"},
        {"OKX_TESTNET": "1", "OKX_REST_URL": "https://www.okx.com"},
    ],
)
def test_tls_loopback_and_local_exchanges_are_accepted(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"NEUROFLUX_{name}", value)
    load_settings()


def test_default_limits_on_real_exchanges_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().order_limits(live=False) == ORDER_LIMITS
    live = load_settings().order_limits(live=True)
    assert (live["max_notional_usd"], live["max_daily_loss_usd"]) == (100.0, 1_000.0)
    assert live.keys() == ORDER_LIMITS.keys()
    monkeypatch.setenv("NEUROFLUX_MAX_NOTIONAL_USD", "2500.5")
    monkeypatch.setenv("NEUROFLUX_MAX_DAILY_LOSS_USD", "")
    set_ones = load_settings().order_limits(live=True)
    assert (set_ones["max_notional_usd"], set_ones["max_daily_loss_usd"]) == (2500.5, 1_000.0)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "much"])
def test_an_invalid_limit_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NEUROFLUX_MAX_NOTIONAL_USD", value)
    with pytest.raises(UsageError, match="NEUROFLUX_MAX_NOTIONAL_USD"):
        load_settings()


@pytest.mark.parametrize(
    ("address", "is_simulated"),
    [
        ("http://127.0.0.1:8900/binance", True),
        ("http://127.0.0.1:8900", True),
        ("http://127.0.0.1:89001/binance", False),
        ("http://127.0.0.1:8901/binance", False),
        ("", False),
    ],
)
def test_a_simulated_exchange_is_recognised_by_its_address(
    monkeypatch: pytest.MonkeyPatch, address: str, is_simulated: bool
) -> None:
    monkeypatch.setenv("NEUROFLUX_BINANCE_REST_URL", address)
    assert load_settings().is_simulated("binance") is is_simulated
