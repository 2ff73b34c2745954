"""How an account of Binance USDⓈ-M trades: one position a symbol or two, one asset as collateral or all of them.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api, and the codes -4059,
-4061, -4067, -4068, -4169 to -4171 of …/error-code
"""

from __future__ import annotations

from typing import cast

from neuroflux.sim.binance.wire import ApiError, Params, required
from neuroflux.sim.core.accounts import Leg
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import ConfigEvent


class Modes:
    """Answers what the modes are, and changes them where the account's state permits it."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self._ledger = exchange.perpetual

    def position_side(self, _: Params, now: int) -> object:
        return {"dualSidePosition": self._ledger.is_hedged}

    def set_position_side(self, params: Params, now: int) -> object:
        """Raises ApiError -4059 where nothing changes, -4067 and -4068 with open orders and positions."""
        is_hedged = _flag(params, "dualSidePosition")
        if is_hedged == self._ledger.is_hedged:
            raise ApiError(-4059, "No need to change position side.")
        if self._exchange.open_orders:
            raise ApiError(-4067, "Position side cannot be changed if there exists open orders.")
        if self._ledger.held():
            raise ApiError(-4068, "Position side cannot be changed if there exists position.")
        self._ledger.is_hedged = is_hedged
        return {"code": 200, "msg": "success"}

    def multi_assets(self, _: Params, now: int) -> object:
        return {"multiAssetsMargin": self._ledger.is_multi_assets}

    def set_multi_assets(self, params: Params, now: int) -> object:
        """Raises ApiError -4171 where nothing changes, -4170 with open orders, -4169 without enough margin."""
        is_multi = _flag(params, "multiAssetsMargin")
        if is_multi == self._ledger.is_multi_assets:
            raise ApiError(-4171, "Adjusted asset mode is currently set and does not need to be adjusted repeatedly")
        if self._exchange.open_orders:
            raise ApiError(-4170, "Unable to adjust Multi-Assets Mode with open orders in USDⓈ-M Futures")
        if any(self._ledger.left(asset) < 0 for asset in self._ledger.wallet):
            text = "Unable to adjust Multi-Assets Mode with insufficient margin balance in USDⓈ-M Futures"
            raise ApiError(-4169, text)
        self._ledger.is_multi_assets = is_multi
        self._exchange.announce(ConfigEvent("", 0, is_multi, now))
        return {"code": 200, "msg": "success"}

    def leg(self, params: Params) -> Leg:
        """The position that an order is for; raises ApiError -4061 where that does not fit the mode, and -1106.

        In hedge mode the leg alone decides whether an order reduces: reduceOnly may not be sent.
        """
        side = params.get("positionSide") or "BOTH"
        if side not in ("BOTH", "LONG", "SHORT"):
            raise ApiError(-1117, "Invalid side.")
        if (side != "BOTH") != self._ledger.is_hedged:
            raise ApiError(-4061, "Order's position side does not match user's setting.")
        if self._ledger.is_hedged and params.get("reduceOnly"):
            raise ApiError(-1106, "Parameter 'reduceonly' sent when not required.")
        return "" if side == "BOTH" else cast(Leg, side)


def _flag(params: Params, name: str) -> bool:
    text = required(params, name).lower()
    if text not in ("true", "false"):
        raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return text == "true"
