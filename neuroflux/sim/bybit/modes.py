"""How the account trades: its kind, one position a symbol or two, and the leverage.

Source: https://bybit-exchange.github.io/docs/v5/account/account-info, …/v5/position/position-mode
and …/v5/position/leverage
"""

from __future__ import annotations

from neuroflux.sim.bybit.names import Names
from neuroflux.sim.bybit.venue import BYBIT
from neuroflux.sim.bybit.wire import ApiError, Json, Params, bad, choice, decimal_of, integer_of, required, text_of
from neuroflux.sim.core.orders import ConfigEvent
from neuroflux.sim.core.simulation import Simulation

_MARGIN_MODES = {"isolated": "ISOLATED_MARGIN", "portfolio": "PORTFOLIO_MARGIN"}
_CLASSIC, _UNIFIED = 1, 6
_HEDGED = 3


def account_mode(simulation: Simulation) -> str:
    """The mode that the fault sets, "" for the usual one: a unified account with cross margin."""
    fault = simulation.faults.setting(BYBIT, "account_mode")
    return (fault.value or "classic") if fault else ""


def require_unified(simulation: Simulation) -> None:
    """Raises ApiError for an account that is none."""
    if account_mode(simulation) == "classic":
        raise ApiError(10028, "The API can only be accessed by unified account users.")


class Modes:
    """Answers what the modes are, and changes them where the account's state permits it."""

    def __init__(self, simulation: Simulation, names: Names) -> None:
        self._simulation, self._names = simulation, names
        self._exchange = simulation.exchange(BYBIT)
        self._ledger = self._exchange.perpetual

    def info(self, _: Params, now: int) -> Json:
        mode = account_mode(self._simulation)
        return {
            "unifiedMarginStatus": _CLASSIC if mode == "classic" else _UNIFIED,
            "marginMode": _MARGIN_MODES.get(mode, "REGULAR_MARGIN"),
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
            "updatedTime": "1697078946000",
        }

    def switch(self, params: Params, now: int) -> Json:
        """One coin's or one symbol's mode, which here is that of all perpetuals."""
        choice(params, "category", ("linear",))
        mode = integer_of(params, "mode", 1)
        if mode not in (0, _HEDGED) or not (text_of(params, "symbol") or text_of(params, "coin")):
            raise bad("mode")
        self.set_hedged(is_hedged=mode == _HEDGED)
        return {}

    def set_hedged(self, *, is_hedged: bool) -> None:
        """Raises ApiError where nothing changes, and with positions or open orders."""
        if is_hedged == self._ledger.is_hedged:
            raise ApiError(110025, "Position mode is not modified")
        if self._ledger.held():
            raise ApiError(110024, "You have an existing position, so the position mode cannot be switched")
        if any(one.listing.kind == "perpetual" for one in self._exchange.open_orders.values()):
            raise ApiError(110028, "You have an open order, so the position mode cannot be switched")
        self._ledger.is_hedged = is_hedged

    def set_leverage(self, params: Params, now: int) -> Json:
        choice(params, "category", ("linear",))
        listing = self._names.find("linear", required(params, "symbol"))
        leverage, sell = (decimal_of(params, name, "linear") for name in ("buyLeverage", "sellLeverage"))
        if listing is None or leverage != sell or leverage != int(leverage) or leverage < 1:
            raise bad("symbol" if listing is None else "buyLeverage")
        if leverage > listing.max_leverage:
            raise ApiError(110013, "cannot set leverage gt maxLeverage by risk limit")
        if leverage == self._ledger.leverage_of(listing):
            raise ApiError(110043, "leverage not modified")
        self._ledger.leverage[listing.symbol] = int(leverage)
        self._exchange.announce(ConfigEvent(listing.symbol, int(leverage), False, now))
        return {}
