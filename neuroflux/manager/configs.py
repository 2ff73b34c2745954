"""The configurations of ``initialize_exchanges``, read and validated; keys are stored so that no text shows them."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any, Final

from msgspec import Struct

from neuroflux.engine.risk.command_bounds import LIMITS
from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.manager.exchange_names import parts
from neuroflux.runtime.exchange_addresses import check_testnet

KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "api_key": str,
    "secret_key": str,
    "passphrase": str,
    "testnet": bool,
    "max_leverage": (int, float),
    "default_leverage": (int, float),
    "rate_limits": Mapping,
    "subaccount": str,
}
RATES: Final = {"weight_per_minute": 1.0, "requests_per_minute": 1.0, "requests_per_second": 60.0}
"""The keys of ``rate_limits``, and the weight per minute of one unit of each: a plain request weighs 1."""
WORDS: Final = {str: "text", bool: "True or False", Mapping: "a dict"}


class RequestedConfig(Struct, frozen=True):
    """The requested configuration of one exchange id. What was not requested is None, 0 or ""."""

    exchange: str
    keys: Keys | None = None
    testnet: bool | None = None
    leverage: float = 0.0
    max_leverage: float = 0.0
    weight_per_minute: float = 0.0
    subaccount: str = ""

    @property
    def limits(self) -> dict[str, float]:
        """The limits to publish, by the names of ``control.commands``."""
        named = {
            "leverage": self.leverage,
            "max_leverage": self.max_leverage,
            "weight_per_minute": self.weight_per_minute,
        }
        return {name: value for name, value in named.items() if value}


def read_configs(configs: Mapping[str, Any]) -> list[RequestedConfig]:
    """One configuration per requested exchange id; raises UsageError that names the exchange and key, never a value."""
    if not isinstance(configs, Mapping) or not configs:
        raise UsageError("exchange_configs: expected a dict with at least one exchange")
    found: dict[str, RequestedConfig] = {}
    for name, config in configs.items():
        for exchange in parts(name, "exchange_configs"):
            if exchange == name or exchange not in configs:
                found[exchange] = _requested(exchange, _checked(name, config))
    return list(found.values())


def _checked(name: str, config: Any) -> Mapping[str, Any]:
    if not isinstance(config, Mapping):
        raise UsageError(f"exchange_configs[{name!r}]: expected a dict")
    for key, value in config.items():
        place = f"exchange_configs[{name!r}][{key!r}]"
        if key not in KINDS:
            raise UsageError(f"{place}: unknown key; known: {', '.join(KINDS)}")
        _check_kind(place, value, KINDS[key])
    _check_leverage(name, config)
    for key, value in config.get("rate_limits", {}).items():
        if key not in RATES:
            raise UsageError(f"exchange_configs[{name!r}]['rate_limits'][{key!r}]: unknown; known: {', '.join(RATES)}")
        least = LIMITS["weight_per_minute"] / RATES[key]
        _check_amount(f"exchange_configs[{name!r}]['rate_limits'][{key!r}]", value, least)
    return config


def _check_kind(place: str, value: Any, kind: Any) -> None:
    if isinstance(kind, tuple):
        _check_amount(place, value, 1.0)
    elif not isinstance(value, kind):
        raise UsageError(f"{place}: expected {WORDS[kind]}, not {type(value).__name__}")


def _check_amount(place: str, value: Any, least: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or value < least:
        raise UsageError(f"{place}: a number of at least {ceil(least * 100) / 100:g} is needed")


def _check_leverage(name: str, config: Mapping[str, Any]) -> None:
    default, most = config.get("default_leverage"), config.get("max_leverage")
    if default and most and default > most:
        raise UsageError(f"exchange_configs[{name!r}]['default_leverage']: is above max_leverage")


def _requested(exchange: str, config: Mapping[str, Any]) -> RequestedConfig:
    if config.get("testnet"):
        check_testnet(exchange, f"exchange_configs[{exchange!r}]['testnet']")
    key, secret = config.get("api_key", ""), config.get("secret_key", "")
    leverage = config.get("default_leverage") or config.get("max_leverage") or 0.0
    rates = [float(value) * RATES[name] for name, value in config.get("rate_limits", {}).items()]
    return RequestedConfig(
        exchange,
        Keys(key, secret, passphrase=config.get("passphrase", "")) if key and secret else None,
        config.get("testnet"),
        float(leverage),
        float(config.get("max_leverage") or 0.0),
        min(rates, default=0.0),
        config.get("subaccount", ""),
    )
