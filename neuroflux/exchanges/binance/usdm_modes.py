"""Whether a USDⓈ-M account is in a mode that can be traded in.

In hedge mode a symbol has two positions, and every order names the one it means: refused, since a position here is a
symbol's only one. Multi-assets mode is accepted: orders are the same in it, and what is free of an asset is counted so
that it is never too much (see ``usdm_wallets``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.binance.rest import signed
from neuroflux.exchanges.kit.requests import Keys, Request

DUAL: Final = "/fapi/v1/positionSide/dual"
MULTI: Final = "/fapi/v1/multiAssetsMargin"
MODE_WEIGHT: Final = 30

_HEDGED: Final = (
    "hedge mode: switch the account to one-way mode (Position Mode in the exchange's preferences, or "
    "POST /fapi/v1/positionSide/dual with dualSidePosition=false); it can have neither positions nor open orders then"
)
_FORBIDDEN: Final = "this account may not trade (canTrade is false): ask the exchange to allow it"


class Flags(Struct, frozen=True):
    """What an answer reports of the mode: each alone, or all in ``accountConfig``."""

    dualSidePosition: bool | None = None
    multiAssetsMargin: bool | None = None
    canTrade: bool | None = None


class Modes:
    """The modes of one account; None is what was not reported."""

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._may_trade: bool | None = None
        self.is_hedged: bool | None = None
        self.is_multi: bool | None = None

    def requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (
            signed(keys, "GET", DUAL, now, MODE_WEIGHT, "dual"),
            signed(keys, "GET", MULTI, now, MODE_WEIGHT, "multiAssetsMargin"),
        )

    def take(self, flags: Flags, time: Microseconds) -> Sequence[ExchangeStatus]:
        """Take in what was reported; the mode as it is then, where the decisive part of it is known."""
        if flags.dualSidePosition is not None:
            self.is_hedged = flags.dualSidePosition
        if flags.multiAssetsMargin is not None:
            self.is_multi = flags.multiAssetsMargin
        if flags.canTrade is not None:
            self._may_trade = flags.canTrade
        return self._status(time)

    def _status(self, time: Microseconds) -> Sequence[ExchangeStatus]:
        if self.is_hedged is None and self._may_trade is not False:
            return ()
        what = _FORBIDDEN if self._may_trade is False else _HEDGED if self.is_hedged else ""
        detail = what or ("one-way mode, multi-assets margin" if self.is_multi else "one-way mode")
        return (ExchangeStatus(self._exchange, "account", StatusKind.MODE, float(bool(what)), detail, time),)

    def hedged(self, name: str, time: Microseconds) -> ExchangeStatus:
        """A position of ``name`` that is not 0 has a side, as in hedge mode only."""
        self.is_hedged = True
        detail = f"{name} has a position by side; {_HEDGED}"
        return ExchangeStatus(self._exchange, "account", StatusKind.MODE, 1.0, detail, time)
