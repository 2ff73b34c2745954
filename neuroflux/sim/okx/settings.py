"""OKX's account: its settings, fees, bills, and its other wallet, from which and to which money is transferred.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api and #funding-account-rest-api
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from neuroflux.errors import UsageError
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.okx.account import UID, AccountMode, AccountRows
from neuroflux.sim.okx.bills import Bills
from neuroflux.sim.okx.instruments import GROUP, Instruments
from neuroflux.sim.okx.limits import MOST_ORDERS
from neuroflux.sim.okx.pages import Pages
from neuroflux.sim.okx.venue import OKX
from neuroflux.sim.okx.wire import ApiError, Json, Params, ms, number, parameter_error, positive

FUNDING, TRADING = "6", "18"
_MODES = {"net_mode": False, "long_short_mode": True}


class Settings:
    """Answers for one account. Deposits of the simulator arrive in the trading wallet; the other begins empty."""

    def __init__(
        self, simulation: Simulation, instruments: Instruments, rows: AccountRows, bills: Bills, mode: AccountMode
    ) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange(OKX)
        self._instruments, self._rows, self._bills, self._mode = instruments, rows, bills, mode
        self._pages = Pages(simulation.faults)
        self._funding: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._transfers: list[Json] = []

    # --- what the account has

    def balance(self, params: Params, now: int) -> object:
        wanted = [name for name in params.text("ccy").split(",") if name]
        return [self._rows.balance(wanted or self._rows.assets(), now)]

    def positions(self, params: Params, now: int) -> object:
        return self._rows.positions(now, params.text("instType"), params.text("instId"))

    def bills(self, params: Params, now: int) -> object:
        wanted = {name: params.text(name) for name in ("ccy", "type", "subType", "instType", "instId")}
        wanted = {name: value for name, value in wanted.items() if value}
        found = [one for one in self._bills.kept if wanted.items() <= one.row.items()]
        page = self._pages.page(params, found, lambda one: one.number, lambda one: one.time)
        return [one.row for one in page]

    # --- settings

    def config(self, params: Params, now: int) -> object:
        may_withdraw = self._simulation.faults.setting(OKX, "withdrawals") is not None
        names = {"uid": UID, "mainUid": UID, "label": "demo", "level": "Lv1", "levelTmp": "", "kycLv": "3", "ip": ""}
        modes = {"acctLv": self._mode.level, "posMode": "long_short_mode" if self._mode.is_hedged else "net_mode"}
        more = {
            "autoLoan": False,
            "ctIsoMode": "automatic",
            "mgnIsoMode": "automatic",
            "greeksType": "PA",
            "feeType": "0",
        }
        perm = "read_only,withdraw,trade" if may_withdraw else "read_only,trade"
        return [{**names, **modes, **more, "perm": perm, "acctStpMode": "cancel_maker", "enableSpotBorrow": False}]

    def instruments(self, params: Params, now: int) -> object:
        return self._instruments.rows(params.needed("instType"), params.text("instId"))

    def trade_fee(self, params: Params, now: int) -> object:
        kind = params.needed("instType")
        listings = self._instruments.of(kind)
        if params.text("instId"):
            listings = [self._instruments.listing(params.text("instId"))]
        if not listings:
            return []
        rates = self._exchange.fees.rates(listings[0])
        maker, taker = number(-rates.maker), number(-rates.taker)
        both = dict.fromkeys(("maker", "makerU", "makerUSDC"), maker) | dict.fromkeys(
            ("taker", "takerU", "takerUSDC"), taker
        )
        group = {"groupId": GROUP, "maker": maker, "taker": taker}
        names = {"instType": kind, "level": "Lv1", "category": "1", "ruleType": "normal", "ts": ms(now)}
        return [{**names, **both, "feeGroup": [group], "fiat": [], "delivery": "", "exercise": "", "settle": ""}]

    def set_leverage(self, params: Params, now: int) -> object:
        mode, leverage = params.needed("mgnMode"), positive(params.values, "lever")
        listing = self._instruments.listing(params.needed("instId"))
        if mode not in ("cross", "isolated"):
            raise parameter_error("mgnMode")
        if leverage < 1 or listing.kind == "spot":
            raise parameter_error("lever")
        if leverage > listing.max_leverage:
            raise ApiError("59102", "Leverage exceeds the maximum limit. Please lower the leverage.")
        self._exchange.perpetual.leverage[listing.symbol] = int(leverage)
        names = {"instId": listing.symbol, "mgnMode": mode, "posSide": params.text("posSide")}
        return [{**names, "lever": str(int(leverage))}]

    def leverage(self, params: Params, now: int) -> object:
        listings = [self._instruments.listing(name) for name in params.needed("instId").split(",")]
        names = {"mgnMode": params.needed("mgnMode"), "posSide": "net", "ccy": ""}
        return [
            {"instId": one.symbol, **names, "lever": str(self._exchange.perpetual.leverage_of(one))} for one in listings
        ]

    def set_position_mode(self, params: Params, now: int) -> object:
        mode = params.needed("posMode")
        if mode not in _MODES:
            raise parameter_error("posMode")
        if _MODES[mode] != self._mode.is_hedged and (self._exchange.perpetual.held() or self._exchange.open_orders):
            raise ApiError("59000", "Settings failed. Close any open positions and orders first.")
        self._mode.is_hedged = self._exchange.perpetual.is_hedged = _MODES[mode]
        return [{"posMode": mode}]

    def hedge(self, fault: Fault) -> None:
        """The fault ``hedge_mode``: somebody changed the mode on the website."""
        if self._exchange.perpetual.held() or self._exchange.open_orders:
            raise UsageError("there are positions or open orders")
        self._mode.is_hedged = self._exchange.perpetual.is_hedged = fault.value != "false"

    # --- the other wallet

    def funding(self, params: Params, now: int) -> object:
        wanted = params.text("ccy")
        found = [
            (asset, held) for asset, held in self._funding.items() if held and asset in (wanted or asset).split(",")
        ]
        return [{"ccy": one, "bal": number(held), "frozenBal": "0", "availBal": number(held)} for one, held in found]

    def transfer(self, params: Params, now: int) -> object:
        """Between the two wallets, done at once."""
        asset, amount = params.needed("ccy"), positive(params.values, "amt")
        way = (params.needed("from"), params.needed("to"))
        if way not in ((FUNDING, TRADING), (TRADING, FUNDING)):
            raise parameter_error("from")
        is_in = way == (FUNDING, TRADING)
        if amount > (self._funding[asset] if is_in else self._free(asset)):
            raise ApiError("58350", "Insufficient balance.")
        self._funding[asset] += -amount if is_in else amount
        self._exchange.transfer(asset, amount if is_in else -amount, now, is_spot=True)
        self._simulation.flush(OKX)
        names = {"transId": str(754_147 + len(self._transfers)), "clientId": params.text("clientId")}
        self._transfers.append({**names, "ccy": asset, "amt": number(amount), "from": way[0], "to": way[1]})
        return [self._transfers[-1]]

    def _free(self, asset: str) -> Decimal:
        return self._exchange.available(asset, is_spot=True) if self._bills.cash(asset) else ZERO

    def transfer_state(self, params: Params, now: int) -> object:
        if not params.text("transId") and not params.text("clientId"):
            raise ApiError("50015", "Either parameter transId or clientId is required", 400)
        name = "transId" if params.text("transId") else "clientId"
        more = {"state": "success", "type": "0", "subAcct": "", "instId": "", "toInstId": ""}
        return [{**row, **more} for row in self._transfers if row[name] == params.text(name)]

    def currencies(self, params: Params, now: int) -> object:
        return list(self._instruments.currencies(params.text("ccy")))

    def rate_limit(self, params: Params, now: int) -> object:
        names = dict.fromkeys(("fillRatio", "mainFillRatio", "nextAccRateLimit"), "")
        return [{**names, "accRateLimit": str(MOST_ORDERS), "ts": ms(now)}]
