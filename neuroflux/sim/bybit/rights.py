"""What the account pays, and what its key may do.

Source: https://bybit-exchange.github.io/docs/v5/account/fee-rate and …/v5/user/apikey-info
"""

from __future__ import annotations

from neuroflux.sim.bybit.modes import account_mode
from neuroflux.sim.bybit.names import CATEGORIES, Names
from neuroflux.sim.bybit.venue import BYBIT, name_of
from neuroflux.sim.bybit.wire import Json, Params, bad, choice, plain, text_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.simulation import Simulation

_RIGHTS: dict[str, list[str]] = {
    "ContractTrade": ["Order", "Position"],
    "Spot": ["SpotTrade"],
    "Options": [],
    "Derivatives": ["DerivativesTrade"],
    "CopyTrading": [],
    "BlockTrade": [],
    "Exchange": ["ExchangeHistory"],
    "NFT": [],
    "Affiliate": [],
}
_KEY: Json = {"id": "13770661", "note": "neuroflux", "readOnly": 0, "type": 1, "unified": 0, "userID": 24617703}
_KEY |= {"deadlineDay": 66, "expiredAt": "2027-12-22T07:20:25Z", "createdAt": "2026-10-16T02:24:40Z"}
_KEY |= {"inviterID": 0, "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0, "isMaster": True}
_KEY |= {"parentUid": "0", "kycLevel": "LEVEL_1", "secret": "", "rsaPublicKey": "", "kycRegion": ""}


class Rights:
    """Answers about the fees and the key."""

    def __init__(self, simulation: Simulation, names: Names, key: str) -> None:
        self._simulation, self._names, self._key = simulation, names, key
        self._fees = simulation.exchange(BYBIT).fees

    def fees(self, params: Params, now: int) -> Json:
        category, symbol = choice(params, "category", (*CATEGORIES, "inverse", "option")), text_of(params, "symbol")
        found = [one for one in self._names.of(category) if symbol in ("", name_of(one))]
        if symbol and not found:
            raise bad("symbol")
        return {"category": category, "list": [self._fee(one) for one in found]}

    def _fee(self, listing: Listing) -> Json:
        rates = self._fees.rates(listing)
        shares = {"takerFeeRate": plain(rates.taker), "makerFeeRate": plain(rates.maker)}
        return {"symbol": name_of(listing), "baseCoin": "", **shares}

    def key(self, _: Params, now: int) -> Json:
        """Only a key that is bound to addresses may be allowed to withdraw."""
        may_withdraw = self._simulation.faults.setting(BYBIT, "withdrawals") is not None
        is_unified = account_mode(self._simulation) != "classic"
        wallet = ["AccountTransfer", "SubMemberTransferList", *(["Withdraw"] if may_withdraw else [])]
        where = {"ips": ["192.0.2.1"] if may_withdraw else ["*"], "uta": int(is_unified)}
        return {**_KEY, "apiKey": self._key, "permissions": {**_RIGHTS, "Wallet": wallet}, **where}
