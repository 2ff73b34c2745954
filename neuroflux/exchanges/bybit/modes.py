"""Whether the account is in a mode that can be traded in: unified, cross margin, one-way.

Sources: https://bybit-exchange.github.io/docs/v5/acct-mode, v5/account/account-info and v5/position/position-mode. No
answer names the position mode: in hedge mode the positions have the indices 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.bybit.messages import AccountInfo
from neuroflux.exchanges.bybit.names import ID
from neuroflux.exchanges.kit.rows import unknown

_UNIFIED: Final = frozenset({3, 4, 5, 6})
_MARGINS: Final = {"REGULAR_MARGIN": "cross margin", "PORTFOLIO_MARGIN": "portfolio margin"}
_ISOLATED: Final = "ISOLATED_MARGIN"
_CLASSIC: Final = "not a unified account: upgrade it to the Unified Trading Account (Assets in the exchange's menu)"
_TO_CROSS: Final = (
    "isolated margin: switch the account to cross margin (Margin Mode in the exchange's settings, or "
    "POST /v5/account/set-margin-mode with setMarginMode=REGULAR_MARGIN)"
)
_HEDGED: Final = (
    "hedge mode: switch the account to one-way mode (Position Mode in the exchange's settings, or "
    "POST /v5/position/switch-mode with category=linear, coin=USDT, mode=0); it can have neither positions nor open "
    "orders then"
)


class Modes:
    """What was reported last. ``is_hedged`` and ``_account`` are None until then."""

    def __init__(self) -> None:
        self.is_hedged: bool | None = None
        self._fault: str | None = None
        self._margin = ""

    def account(self, info: AccountInfo, time: Microseconds) -> Sequence[ExchangeStatus]:
        """Take in the account's own modes."""
        classic = "" if info.unifiedMarginStatus in _UNIFIED else _CLASSIC
        self._fault = classic or (_TO_CROSS if info.marginMode == _ISOLATED else "")
        self._margin = _MARGINS.get(info.marginMode, info.marginMode[:80])
        is_known = info.marginMode in _MARGINS or info.marginMode == _ISOLATED
        odd = () if is_known else (unknown(ID, f"margin mode {info.marginMode[:80]!r} is not known", time),)
        return (*self._status(time), *odd)

    def positions(self, indices: Sequence[int], time: Microseconds) -> Sequence[ExchangeStatus]:
        """Take in the indices of positions; the mode, where it is another one than before."""
        is_hedged = any(indices)
        if not indices or is_hedged == self.is_hedged:
            return ()
        was_known, self.is_hedged = self.is_hedged is not None, is_hedged
        return self._status(time) if is_hedged or was_known else ()

    def _status(self, time: Microseconds) -> Sequence[ExchangeStatus]:
        what = self._fault or (_HEDGED if self.is_hedged else "")
        detail = what or f"unified account, {self._margin or 'one-way mode'}"
        return (ExchangeStatus(ID, "account", StatusKind.MODE, float(bool(what)), detail, time),)
