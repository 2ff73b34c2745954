"""Whether OKX's account is in a mode that can be traded in, and what its key may do.

Perpetuals need an account mode other than spot, and positions must be one an instrument (net mode). Source:
https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-account-configuration
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.kit.requests import KeyRights
from neuroflux.exchanges.okx.rest import ID

HEDGED: Final = (
    "long/short mode: switch the account to net mode (Position mode in the exchange's settings, or POST "
    "/api/v5/account/set-position-mode with posMode net_mode); it can have neither positions nor open orders then"
)
_SPOT: Final = (
    "spot mode, which refuses perpetuals: switch the account to futures mode (Account mode in the exchange's settings)"
)
_NO_TRADE: Final = "the key may not trade: give it the permission Trade in the exchange's list of keys"
_LEVELS: Final = {"1": "spot", "2": "futures", "3": "multi-currency margin", "4": "portfolio margin"}
_POOLED: Final = ("3", "4")


class Config(Struct, frozen=True):
    acctLv: str
    posMode: str
    perm: str = ""
    ip: str = ""

    @property
    def is_pooled(self) -> bool:
        """Whether all assets are margin together."""
        return self.acctLv in _POOLED

    @property
    def permissions(self) -> list[str]:
        return self.perm.split(",")


_CONFIGS: Final = Decoder(list[Config])


def config_of(data: bytes | Raw) -> Config | None:
    """None for an empty answer. Raises ``UNREADABLE``."""
    return next(iter(_CONFIGS.decode(data)), None)


def mode(config: Config, time: Microseconds) -> ExchangeStatus:
    known = f"{_LEVELS.get(config.acctLv, config.acctLv[:80])} mode, {config.posMode[:80]}"
    fault = _fault(config)
    return ExchangeStatus(ID, "account", StatusKind.MODE, float(bool(fault)), fault or known, time)


def _fault(config: Config) -> str:
    if config.perm and "trade" not in config.permissions:
        return _NO_TRADE
    if config.acctLv == "1":
        return _SPOT
    return HEDGED if config.posMode != "net_mode" else ""


def rights(config: Config) -> KeyRights:
    if "withdraw" in config.permissions:
        return KeyRights(True, "clear the permission Withdraw of this key in OKX's list of keys")
    if not config.perm:
        return KeyRights(None, "the exchange did not name the rights of the key")
    return KeyRights(False, "bound to IP addresses" if config.ip else "bound to no IP address, which it could be")
