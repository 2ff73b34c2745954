"""Kraken's balances, fees, key and token over REST.

Source: https://docs.kraken.com/api-reference/account-data/get-extended-balance and get-api-key-info
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kraken.keys import TOKEN_LIFE, Keys
from neuroflux.sim.kraken.names import asset_key, pair_key
from neuroflux.sim.kraken.pairs import Pairs, asset_decimals
from neuroflux.sim.kraken.rules import caller
from neuroflux.sim.kraken.venue import KRAKEN, is_flat
from neuroflux.sim.kraken.wire import SECOND, Json, Params, fixed, text

_RIGHTS = ("query-funds", "query-open-trades", "query-closed-trades", "query-ledger-entries", "websocket-interface")
_TRADING = ("modify-trades", "close-trades")


class AccountApi:
    """Answers questions about the account."""

    def __init__(self, simulation: Simulation, keys: Keys, pairs: Pairs) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(KRAKEN)
        self._keys, self._pairs = keys, pairs

    def may_trade(self) -> bool:
        return self._simulation.faults.setting(KRAKEN, "account_mode") is None

    def balance(self, _: Params, now: int) -> Json:
        """Every asset that was ever held."""
        return {
            asset_key(asset): fixed(balance.total, asset_decimals(asset))
            for asset, balance in self._exchange.spot.balances.items()
        }

    def balance_ex(self, _: Params, now: int) -> Json:
        """With what open orders hold."""
        return {
            asset_key(asset): {
                "balance": fixed(balance.total, asset_decimals(asset)),
                "hold_trade": fixed(balance.locked, asset_decimals(asset)),
            }
            for asset, balance in self._exchange.spot.balances.items()
        }

    def _worth(self, asset: str, quote: str) -> Decimal:
        """The best bid for one unit; 0 where none is known."""
        if asset == quote:
            return Decimal(1)
        listed, name, inverted = self._exchange.listings, pair_key(asset, quote), pair_key(quote, asset)
        if name in listed:
            return self._exchange.top(name)[0]
        inverse = self._exchange.top(inverted)[1] if inverted in listed else ZERO
        return 1 / inverse if inverse else ZERO

    def trade_balance(self, params: Params, _: int) -> Json:
        """Everything as one sum; nothing is on margin."""
        wanted = text(params, "asset", "ZUSD")
        quote = wanted.removeprefix("Z") if wanted in ("ZUSD", "ZEUR") else wanted
        held = self._exchange.spot.balances.items()
        total = sum((balance.total * self._worth(asset, quote) for asset, balance in held), ZERO)
        figure, nothing = f"{total:.4f}", "0.0000"
        zeros = dict.fromkeys(("m", "n", "c", "v", "uv"), nothing)
        return {"eb": figure, "tb": figure, **zeros, "e": figure, "mf": figure}

    def trade_volume(self, params: Params, _: int) -> Json:
        """What the account pays, in percent."""
        value = sum((fill.price * fill.quantity for fill in self._exchange.fills()), ZERO)
        fees: dict[str, Json] = {"fees": {}, "fees_maker": {}}
        for key, listing in self._pairs.chosen(params).items() if text(params, "pair") else ():
            rates = self._exchange.fees.rates(listing)
            fees["fees"][key] = _fee(rates.taker)
            if not is_flat(listing) or rates.maker != rates.taker:
                fees["fees_maker"][key] = _fee(rates.maker)
        return {"currency": "ZUSD", "volume": f"{value:.4f}", **fees}

    def key_info(self, params: Params, now: int) -> Json:
        """The key that sent this."""
        account, faults = caller(params), self._simulation.faults
        rights = [*_RIGHTS, *(_TRADING if self.may_trade() else ())]
        if faults.is_active(KRAKEN, "withdrawals"):
            rights.append("withdraw-funds")
        return {
            "apiKeyName": "simulated",
            "apiKey": account.key,
            "nonce": str(account.last_nonce),
            "nonceWindow": 0,
            "permissions": rights,
            "iban": "AA00 N84G SIMU LATE",
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": "1772542900",
            "modifiedTime": "1772543095",
            "ipAllowlist": [],
            "lastUsed": str(now // SECOND),
        }

    def token(self, params: Params, now: int) -> Json:
        """For the sockets: good for 15 minutes, or while it is used."""
        return {"token": self._keys.issue(caller(params), now), "expires": TOKEN_LIFE // SECOND}


def _fee(share: Decimal) -> Json:
    percent = f"{share * 100:.4f}"
    return {
        "fee": percent,
        "minfee": "0.1000",
        "maxfee": percent,
        "nextfee": None,
        "nextvolume": None,
        "tiervolume": "0.0000",
    }
