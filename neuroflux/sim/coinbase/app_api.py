"""Coinbase's older App API, which clients still use beside Advanced Trade: currencies, rates, wallets, transactions.

Source: https://docs.cdp.coinbase.com/coinbase-app/track-apis/transactions
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import NAMESPACE_DNS, uuid5

from neuroflux.sim.coinbase.account import FIAT, MOST_ACCOUNTS, OPENED, account_id, currency_of
from neuroflux.sim.coinbase.pages import page
from neuroflux.sim.coinbase.venue import COINBASE, order_name
from neuroflux.sim.coinbase.wire import Json, Params, number, text, timestamp
from neuroflux.sim.core.orders import TransferEvent
from neuroflux.sim.core.simulation import Simulation

TRANSACTIONS_A_PAGE, MOST_TRANSACTIONS = 25, 300


class AppApi:
    """Answers requests of the App API."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(COINBASE)

    def time(self, _: Params, now: int) -> Json:
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
        return self._data([self._wallet(name) for name in sorted(self._exchange.spot.balances)], params, MOST_ACCOUNTS)

    def _data(self, rows: list[Json], params: Params, most: int) -> Json:
        limits, after = (TRANSACTIONS_A_PAGE, most), "starting_after"
        part, following = page(rows, lambda row: str(row["id"]), params, self._simulation.faults, limits, after)
        pages = {"ending_before": None, "starting_after": text(params, after) or None, "limit": len(part)}
        links = {"order": "desc", "previous_uri": None, "next_uri": None, "next_starting_after": following or None}
        return {"pagination": {**pages, **links}, "data": part}

    def _wallet(self, name: str) -> Json:
        kind = "fiat" if name in FIAT else "crypto"
        return {
            "id": account_id(name),
            "name": f"{name} Wallet",
            "primary": False,
            "type": "fiat" if name in FIAT else "wallet",
            "currency": {"code": name, "name": name, "exponent": 8, "type": kind, "asset_id": account_id(name)},
            "balance": {"amount": number(self._exchange.spot.balances[name].total), "currency": name},
            "created_at": OPENED,
            "updated_at": OPENED,
            "resource": "account",
            "resource_path": f"/v2/accounts/{account_id(name)}",
            "allow_deposits": True,
            "allow_withdrawals": True,
        }

    def transactions(self, params: Params, _: int) -> Json:
        """Everything that moved one currency, newest first."""
        name = currency_of(self._exchange, params)
        rows = sorted(self._moved(name), key=lambda row: str(row["created_at"]), reverse=True)
        return self._data(rows, params, MOST_TRANSACTIONS)

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
