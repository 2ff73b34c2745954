"""Coinbase's accounts, key and fees, over REST.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/accounts/list-accounts
"""

from __future__ import annotations

from decimal import Decimal
from uuid import NAMESPACE_DNS, uuid5

from neuroflux.sim.coinbase.keys import Signer
from neuroflux.sim.coinbase.pages import page
from neuroflux.sim.coinbase.venue import COINBASE
from neuroflux.sim.coinbase.wire import Json, Params, number, text, unknown
from neuroflux.sim.core.accounts import Balance
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.simulation import Simulation

FIAT = ("USD", "EUR")
ACCOUNTS_A_PAGE, MOST_ACCOUNTS = 49, 250
OPENED = "2023-01-01T00:00:00Z"


def account_id(currency: str) -> str:
    return str(uuid5(NAMESPACE_DNS, f"{currency}.{COINBASE}"))


def currency_of(exchange: SimExchange, params: Params) -> str:
    """Of the wallet with this id; raises ApiError."""
    wanted = text(params, "account_id")
    for name in exchange.spot.balances:
        if wanted in (name, account_id(name)):
            return name
    raise unknown("account not found")


class AccountApi:
    """Answers requests about the account."""

    def __init__(self, simulation: Simulation, signer: Signer) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(COINBASE)
        self._signer = signer

    def may_trade(self) -> bool:
        return self._simulation.faults.setting(COINBASE, "account_mode") is None

    def accounts(self, params: Params, _: int) -> Json:
        """A wallet for each currency that was ever held."""
        names = sorted(self._exchange.spot.balances)
        held, cursor = page(names, str, params, self._simulation.faults, (ACCOUNTS_A_PAGE, MOST_ACCOUNTS))
        rows = [self._account(name) for name in held]
        return {"accounts": rows, "has_next": bool(cursor), "cursor": cursor, "size": len(rows)}

    def account(self, params: Params, _: int) -> Json:
        return {"account": self._account(currency_of(self._exchange, params))}

    def _account(self, currency: str) -> Json:
        balance = self._exchange.spot.balances.get(currency, Balance())
        return {
            "uuid": account_id(currency),
            "name": f"{currency} Wallet",
            "currency": currency,
            "available_balance": {"value": number(balance.free), "currency": currency},
            "default": True,
            "active": True,
            "created_at": OPENED,
            "updated_at": OPENED,
            "deleted_at": None,
            "type": "ACCOUNT_TYPE_FIAT" if currency in FIAT else "ACCOUNT_TYPE_CRYPTO",
            "ready": True,
            "hold": {"value": number(balance.locked), "currency": currency},
            "retail_portfolio_id": self._signer.portfolio,
            "platform": "ACCOUNT_PLATFORM_CONSUMER",
        }

    def key_permissions(self, _: Params, now: int) -> Json:
        return {
            "can_view": True,
            "can_trade": self.may_trade(),
            "can_transfer": self._simulation.faults.is_active(COINBASE, "withdrawals"),
            "portfolio_uuid": self._signer.portfolio,
            "portfolio_type": "DEFAULT",
            "can_receive": False,
        }

    def portfolios(self, _: Params, now: int) -> Json:
        row = {"name": "Default", "uuid": self._signer.portfolio, "type": "DEFAULT", "deleted": False}
        return {"portfolios": [row]}

    def transaction_summary(self, _: Params, now: int) -> Json:
        """The account's tier: its rates as fractions."""
        rates = self._exchange.fees.rates(self._exchange.venue.listings[0])
        tier = {
            "pricing_tier": "Intro 1",
            "usd_from": "0",
            "usd_to": "10000",
            "taker_fee_rate": number(rates.taker),
            "maker_fee_rate": number(rates.maker),
            "aop_from": "0",
            "aop_to": "1000000",
        }
        fees = sum((fill.fee for fill in self._exchange.fills()), Decimal(0))
        return {
            "total_volume": 0,
            "total_fees": float(fees),
            "fee_tier": tier,
            "margin_rate": None,
            "goods_and_services_tax": None,
            "advanced_trade_only_volume": 0,
            "advanced_trade_only_fees": float(fees),
            "coinbase_pro_volume": 0,
            "coinbase_pro_fees": 0,
            "total_balance": "",
            "has_promo_fee": False,
        }
