"""Coinbase's accounts, key and fees, over REST; and the older App API, which clients still use.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/accounts/list-accounts
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import NAMESPACE_DNS, uuid5

from neuroflux.sim.coinbase.keys import Signer
from neuroflux.sim.coinbase.venue import COINBASE, order_name
from neuroflux.sim.coinbase.wire import Json, Params, limit_of, malformed, number, text, timestamp, unknown
from neuroflux.sim.core.accounts import Balance
from neuroflux.sim.core.orders import TransferEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.pages import rows_of_a_page

FIAT = ("USD", "EUR")
ACCOUNTS_A_PAGE, MOST_ACCOUNTS = 49, 250
TRANSACTIONS_A_PAGE, MOST_TRANSACTIONS = 25, 300
_OPENED = "2023-01-01T00:00:00Z"


def account_id(currency: str) -> str:
    return str(uuid5(NAMESPACE_DNS, f"{currency}.{COINBASE}"))


class AccountApi:
    """Answers requests about the account. ``mode`` is "" or the fault's."""

    def __init__(self, simulation: Simulation, signer: Signer) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(COINBASE)
        self._signer = signer

    def may_trade(self) -> bool:
        return self._simulation.faults.setting(COINBASE, "account_mode") is None

    # --- Advanced Trade

    def accounts(self, params: Params, _: int) -> Json:
        """A wallet for each currency that was ever held."""
        names = sorted(self._exchange.spot.balances)
        page, cursor = self._page(names, text(params, "cursor"), limit_of(params, ACCOUNTS_A_PAGE, MOST_ACCOUNTS))
        rows = [self._account(name) for name in page]
        return {"accounts": rows, "has_next": bool(cursor), "cursor": cursor, "size": len(rows)}

    def account(self, params: Params, _: int) -> Json:
        return {"account": self._account(self._currency(params))}

    def _currency(self, params: Params) -> str:
        """Of the wallet with this id; raises ApiError."""
        wanted = text(params, "account_id")
        for name in self._exchange.spot.balances:
            if wanted in (name, account_id(name)):
                return name
        raise unknown("account not found")

    def _page(self, names: list[str], cursor: str, most: int) -> tuple[list[str], str]:
        if cursor and cursor not in names:
            raise malformed("invalid cursor")
        begin = names.index(cursor) + 1 if cursor else 0
        end = begin + rows_of_a_page(self._simulation.faults, COINBASE, most)
        return names[begin:end], names[end - 1] if end < len(names) else ""

    def _account(self, currency: str) -> Json:
        balance = self._exchange.spot.balances.get(currency, Balance())
        return {
            "uuid": account_id(currency),
            "name": f"{currency} Wallet",
            "currency": currency,
            "available_balance": {"value": number(balance.free), "currency": currency},
            "default": True,
            "active": True,
            "created_at": _OPENED,
            "updated_at": _OPENED,
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

    # --- the App API

    def app_time(self, _: Params, now: int) -> Json:
        return {"data": {"iso": timestamp(now), "epoch": now // 1_000_000}}

    def currencies(self, _: Params, now: int) -> Json:
        return {"data": [{"id": name, "name": name, "min_size": "0.01"} for name in FIAT]}

    def coins(self, _: Params, now: int) -> Json:
        rows = [
            {"asset_id": account_id(name), "code": name, "name": name, "exponent": 8, "type": "crypto"}
            for name in sorted(self._traded() - set(FIAT))
        ]
        return {"data": rows}

    def _traded(self) -> set[str]:
        listings = self._exchange.listings.values()
        return {name for one in listings for name in (one.base_asset, one.quote)} | self._exchange.spot.balances.keys()

    def rates(self, params: Params, _: int) -> Json:
        """What a dollar buys of everything."""
        tops = {name: self._exchange.top(f"{name}-USD") for name in self._traded() if self._has(f"{name}-USD")}
        rates = {name: number(round(1 / bid, 12)) for name, (bid, _) in sorted(tops.items()) if bid}
        return {"data": {"currency": text(params, "currency", "USD"), "rates": {"USD": "1", **rates}}}

    def _has(self, symbol: str) -> bool:
        return symbol in self._exchange.listings

    def wallets(self, params: Params, _: int) -> Json:
        """Every currency's total."""
        rows = [self._wallet(name) for name in sorted(self._exchange.spot.balances)]
        return _data(rows, text(params, "starting_after"), self._rows_of_a_page(params, MOST_ACCOUNTS))

    def _rows_of_a_page(self, params: Params, most: int) -> int:
        return rows_of_a_page(self._simulation.faults, COINBASE, limit_of(params, TRANSACTIONS_A_PAGE, most))

    def _wallet(self, name: str) -> Json:
        kind = "fiat" if name in FIAT else "crypto"
        return {
            "id": account_id(name),
            "name": f"{name} Wallet",
            "primary": False,
            "type": "fiat" if name in FIAT else "wallet",
            "currency": {"code": name, "name": name, "exponent": 8, "type": kind, "asset_id": account_id(name)},
            "balance": {"amount": number(self._exchange.spot.balances[name].total), "currency": name},
            "created_at": _OPENED,
            "updated_at": _OPENED,
            "resource": "account",
            "resource_path": f"/v2/accounts/{account_id(name)}",
            "allow_deposits": True,
            "allow_withdrawals": True,
        }

    def transactions(self, params: Params, _: int) -> Json:
        """Everything that moved one currency, newest first."""
        name = self._currency(params)
        rows = sorted(self._moved(name), key=lambda row: str(row["created_at"]), reverse=True)
        return _data(rows, text(params, "starting_after"), self._rows_of_a_page(params, MOST_TRANSACTIONS))

    def _moved(self, name: str) -> Iterator[Json]:
        for place, event in enumerate(self._exchange.moved):
            if isinstance(event, TransferEvent) and event.asset == name:
                kind = f"fiat_{'deposit' if event.amount > 0 else 'withdrawal'}" if name in FIAT else "send"
                yield _transaction(f"transfer {place}", kind, name, event.amount, event.time)
        for fill in self._exchange.fills():
            sign = 1 if fill.side == "buy" else -1
            amounts = {
                fill.listing.base_asset: sign * fill.quantity,
                fill.listing.quote: -sign * fill.price * fill.quantity - fill.fee,
            }
            if name in amounts:
                number_of_fill = f"fill {fill.trade_id} {fill.order_id} {name}"
                details = {
                    "fill_price": number(fill.price),
                    "product_id": fill.listing.symbol,
                    "order_id": order_name(fill.order_id),
                    "commission": number(fill.fee),
                    "order_side": fill.side,
                }
                row = _transaction(number_of_fill, "advanced_trade_fill", name, amounts[name], fill.time)
                yield {**row, "advanced_trade_fill": details}


def _transaction(name: str, kind: str, currency: str, amount: Decimal, time: int) -> Json:
    number_of = str(uuid5(NAMESPACE_DNS, f"{name}.{COINBASE}"))
    return {
        "id": number_of,
        "type": kind,
        "status": "completed",
        "amount": {"amount": number(amount), "currency": currency},
        "native_amount": {"amount": number(amount), "currency": currency},
        "description": None,
        "created_at": timestamp(time),
        "updated_at": timestamp(time),
        "resource": "transaction",
        "resource_path": f"/v2/accounts/{account_id(currency)}/transactions/{number_of}",
    }


def _data(rows: list[Json], after: str, most: int) -> Json:
    """A page after the row with this id."""
    names = [row["id"] for row in rows]
    begin = names.index(after) + 1 if after in names else 0
    page = rows[begin : begin + most]
    following = names[begin + most - 1] if begin + most < len(names) else None
    pages = {"ending_before": None, "starting_after": after or None, "limit": most, "order": "desc"}
    links = {"previous_uri": None, "next_uri": None, "next_starting_after": following}
    return {"pagination": {**pages, **links}, "data": page}
