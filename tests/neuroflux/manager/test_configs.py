"""The configurations of ``initialize_exchanges``: each key has its effect, each error its key; no secret is shown."""

from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import ControlCommand, ControlKind
from neuroflux.engine.risk.command_bounds import control_fault
from neuroflux.engine.risk.limits import BALANCES_LIFE
from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import EXCHANGE_IDS, exchange
from neuroflux.exchanges.kit.exchange import NO_TESTNET
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.manager.configs import RequestedConfig, read_configs
from neuroflux.manager.initialise import Simulated, config_fault, initialization_answer, state_fault
from neuroflux.manager.key_handover import HandoverResult, variables
from neuroflux.manager.view import View
from neuroflux.runtime.settings import Settings
from tests.neuroflux.manager.reports import NOW, SECOND, healthy_view

SIMULATED = Simulated({"binance": frozenset({""}), "hyperliquid": frozenset({"", "0xaccount"})})


def test_the_reference_s_structure_is_read() -> None:
    binance = {"api_key": "k", "secret_key": "s", "subaccount": "desk", "default_leverage": 3.0}
    hyperliquid = {"testnet": True, "max_leverage": 5, "rate_limits": {"requests_per_second": 10}}
    assert read_configs({"hyperliquid": hyperliquid, "binance": binance}) == [
        RequestedConfig("hyperliquid", testnet=True, leverage=5.0, max_leverage=5.0, weight_per_minute=600.0),
        RequestedConfig("binance", Keys("k", "s"), leverage=3.0, subaccount="desk"),
        RequestedConfig("binanceusdm", Keys("k", "s"), leverage=3.0, subaccount="desk"),
    ]


@pytest.mark.parametrize("rates", [{"weight_per_minute": 100}, {"requests_per_second": 1.67}])
def test_the_lowest_accepted_rate_is_accepted_by_the_execution(rates: dict[str, float]) -> None:
    (requested,) = read_configs({"hyperliquid": {"rate_limits": rates}})
    command = ControlCommand(kind=ControlKind.LIMITS, account="hyperliquid", limits=requested.limits)
    assert control_fault(command, EXCHANGE_IDS) == ""


def test_a_testnet_that_there_is_not_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(exchange("coinbase")), "TESTNET", NO_TESTNET)
    assert read_configs({"coinbase": {"testnet": False}}) == [RequestedConfig("coinbase", testnet=False)]
    with pytest.raises(UsageError, match=r"\['coinbase'\]\['testnet'\]: coinbase has no testnet"):
        read_configs({"coinbase": {"testnet": True}})


def test_a_part_with_its_own_entry_has_its_own_configuration() -> None:
    own = read_configs({"binance": {"max_leverage": 2}, "binanceusdm": {"max_leverage": 4}})
    assert {one.exchange: one.leverage for one in own} == {"binance": 2, "binanceusdm": 4}


@pytest.mark.parametrize(
    ("configs", "named"),
    [
        ({}, "exchange_configs"),
        ([], "exchange_configs"),
        ({"nosuch": {}}, "'nosuch'"),
        ({"binance": None}, r"\['binance'\]: expected a dict"),
        ({"binance": {"apikey": "x"}}, r"\['binance'\]\['apikey'\]: unknown key"),
        ({"binance": {"api_key": 7}}, r"\['api_key'\]: expected text, not int"),
        ({"binance": {"testnet": "yes"}}, r"\['testnet'\]: expected True or False"),
        ({"binance": {"max_leverage": "3"}}, r"\['max_leverage'\]: a number of at least 1"),
        ({"binance": {"max_leverage": True}}, r"\['max_leverage'\]"),
        ({"binance": {"max_leverage": float("nan")}}, r"\['max_leverage'\]"),
        ({"binance": {"max_leverage": 2, "default_leverage": 3}}, r"\['default_leverage'\]: is above max_leverage"),
        ({"binance": {"rate_limits": 5}}, r"\['rate_limits'\]: expected a dict"),
        ({"binance": {"rate_limits": {"per_year": 5}}}, r"\['rate_limits'\]\['per_year'\]: unknown"),
        (
            {"binance": {"rate_limits": {"weight_per_minute": 0}}},
            r"\['weight_per_minute'\]: a number of at least 100 is",
        ),
        ({"binance": {"rate_limits": {"requests_per_minute": 99}}}, r"\['requests_per_minute'\]: .* at least 100 is"),
        (
            {"binance": {"rate_limits": {"requests_per_second": 0.01}}},
            r"\['requests_per_second'\]: .* at least 1.67 is",
        ),
    ],
)
def test_an_error_names_the_key(configs: Any, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        read_configs(configs)


def test_no_secret_is_shown() -> None:
    (requested,) = read_configs({"hyperliquid": {"api_key": "SECRET1", "secret_key": "SECRET2"}})
    assert "SECRET" not in repr(requested)
    with pytest.raises(UsageError) as error:
        read_configs({"hyperliquid": {"api_key": ["SECRET1"]}})
    assert "SECRET" not in str(error.value)


def test_simulated_exchanges_accept_any_keys_and_known_subaccounts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    given = RequestedConfig("binance", Keys("your_key", "your_secret"), testnet=True)
    assert not config_fault(given, SIMULATED, settings, HandoverResult())
    assert not config_fault(
        RequestedConfig("hyperliquid", subaccount="0xaccount"), SIMULATED, settings, HandoverResult()
    )
    assert "no subaccount 'desk'" in config_fault(
        RequestedConfig("binance", subaccount="desk"), SIMULATED, settings, HandoverResult()
    )


def test_the_settings_of_a_remote_stack_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, real = Settings(home=tmp_path), Simulated()

    def fault(requested: RequestedConfig) -> str:
        return config_fault(requested, real, settings, HandoverResult())

    assert not fault(RequestedConfig("binance")), "the services report themselves whether they have keys"
    assert "not those of" in fault(RequestedConfig("binance", Keys("KEY", "HIDDEN")))
    monkeypatch.setenv("NEUROFLUX_BINANCE_API_KEY", "KEY")
    monkeypatch.setenv("NEUROFLUX_BINANCE_SECRET_KEY", "HIDDEN")
    assert not fault(RequestedConfig("binance", Keys("KEY", "HIDDEN")))
    other = fault(RequestedConfig("binance", Keys("KEY", "OTHER")))
    assert "not those of" in other
    assert "HIDDEN" not in other
    assert "OTHER" not in other
    assert "testnet" in fault(RequestedConfig("binance", testnet=True))
    assert not fault(RequestedConfig("binance", testnet=False))
    assert "it needs its own keys" in fault(RequestedConfig("binance", subaccount="desk"))
    assert "subaccount 'desk'" in fault(RequestedConfig("binance", Keys("KEY", "HIDDEN"), subaccount="desk"))
    monkeypatch.setenv("NEUROFLUX_BINANCE_SUBACCOUNT", "desk")
    assert not fault(RequestedConfig("binance", Keys("KEY", "HIDDEN"), subaccount="desk"))
    alone = Settings(home=tmp_path, exchanges=("hyperliquid",))
    assert "NEUROFLUX_EXCHANGES" in config_fault(RequestedConfig("binance"), real, alone, HandoverResult(local=True))


def test_a_passphrase_is_handed_over_with_its_key() -> None:
    (requested,) = read_configs({"hyperliquid": {"api_key": "k", "secret_key": "s", "passphrase": "p"}})
    assert requested.keys == Keys("k", "s", passphrase="p")
    assert variables([requested]) == {
        "NEUROFLUX_HYPERLIQUID_API_KEY": "k",
        "NEUROFLUX_HYPERLIQUID_SECRET_KEY": "s",
        "NEUROFLUX_HYPERLIQUID_PASSPHRASE": "p",
    }


def test_a_local_stack_gets_exactly_the_requested_variables(tmp_path: Path) -> None:
    subaccount = "0x" + "dE" * 20
    requested = RequestedConfig("hyperliquid", Keys("0xmaster", "agent"), testnet=False, subaccount=subaccount)
    assert variables([requested, RequestedConfig("binance")]) == {
        "NEUROFLUX_HYPERLIQUID_API_KEY": "0xmaster",
        "NEUROFLUX_HYPERLIQUID_SECRET_KEY": "agent",
        "NEUROFLUX_HYPERLIQUID_SUBACCOUNT": subaccount,
        "NEUROFLUX_HYPERLIQUID_TESTNET": "0",
    }
    settings, real, here = Settings(home=tmp_path), Simulated(), HandoverResult(local=True)
    assert not config_fault(requested, real, settings, here)
    assert "expected an address" in config_fault(
        RequestedConfig("hyperliquid", subaccount="desk"), real, settings, here
    )
    assert "its own keys" in config_fault(RequestedConfig("binance", subaccount="desk"), real, settings, here)
    assert not config_fault(RequestedConfig("binance", Keys("K", "S"), subaccount="desk"), real, settings, here)


def test_ready_requires_fresh_health_and_balances() -> None:
    view = healthy_view()
    assert state_fault(view, "binance", NOW) == ""
    assert state_fault(view, "binance", NOW, since=NOW + 1) == "its balances are not known", "of another account"
    assert "21 s ago" in state_fault(view, "binance", NOW + 21 * SECOND)
    assert "its health is not known" in state_fault(View(), "binance", NOW)
    view.balances_written.clear()
    assert state_fault(view, "binance", NOW) == "its balances are not known"
    assert BALANCES_LIFE > 120 * SECOND, "balances are published every minute"


@pytest.mark.parametrize(
    ("reasons", "status", "active"),
    [
        ({"binance": "", "hyperliquid": ""}, "full_success", 2),
        ({"binance": "offline: x", "hyperliquid": ""}, "partial_success", 1),
        ({"binance": "offline: x", "hyperliquid": "y"}, "failed", 0),
    ],
)
def test_the_answer_lists_failures_and_reasons(reasons: dict[str, str], status: str, active: int) -> None:
    requested = [RequestedConfig(name) for name in reasons]
    reports = initialization_answer(healthy_view(), SIMULATED, requested, reasons, NOW)
    assert (reports["status"], reports["active_connections"]) == (status, active)
    assert set(reports["initialized_exchanges"]) | set(reports["failed_exchanges"]) == set(reasons)
    assert {name: one["reason"] for name, one in reports["connection_health"].items()} == reasons
    assert reports["connection_health"]["binance"]["simulated"] is True
