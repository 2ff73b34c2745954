"""Binance spot's account: orders, balances and trades, as spot reads and writes them.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from neuroflux.sim.binance.order_queries import OrderQueries, order_id_of, side_of, state_of
from neuroflux.sim.binance.spot_venue import BINANCE, VENUE
from neuroflux.sim.binance.wire import (
    ApiError,
    Params,
    amount,
    client_id_of,
    decimal_of,
    decimals_of,
    overloaded,
    required,
)
from neuroflux.sim.core.accounts import ZERO, Balance
from neuroflux.sim.core.matching import TimeInForce
from neuroflux.sim.core.orders import Ask, Fill, Order
from neuroflux.sim.kit.numbers import Numbers

_MOST_PRICE, _LEAST_PRICE = Decimal(5), Decimal("0.2")
_MOST_DECIMALS = 8


def order_type(order: Order) -> str:
    """LIMIT, LIMIT_MAKER or MARKET."""
    if order.kind == "market":
        return "MARKET"
    return "LIMIT_MAKER" if order.ask.time_in_force == "POST" else "LIMIT"


def time_in_force(order: Order) -> str:
    return "GTC" if order.ask.time_in_force == "POST" or order.kind == "market" else order.ask.time_in_force


class SpotOrderApi(OrderQueries):
    """Answers everything about the account, over REST and the WebSocket API."""

    nameless = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"

    def _numbers(self, order: Order) -> Numbers:
        return self._frames.numbers[order.listing.symbol]

    # --- placing

    def place(self, params: Params, now: int) -> object:
        """ACK, RESULT or FULL, as asked."""
        ask = self._ask(params)
        if self._simulation.faults.take(BINANCE, "overload"):
            raise overloaded(BINANCE)
        order = self._exchange.place(ask, now)
        self._simulation.flush(BINANCE)
        style = params.get("newOrderRespType", "FULL")
        ack = {
            "symbol": order.listing.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": order.client_order_id,
            "transactTime": now // 1000,
        }
        if style == "ACK":
            return ack
        result = {**ack, **self._terms(order), "workingTime": now // 1000}
        return result if style == "RESULT" else {**result, "fills": [self._part(order, fill) for fill in order.fills]}

    def _ask(self, params: Params) -> Ask:
        symbol, side = self._market.symbol(params), side_of(params)
        kind = required(params, "type")
        price: Decimal | None = None
        tif = "IOC"
        if kind in ("LIMIT", "LIMIT_MAKER"):
            tif = "POST" if kind == "LIMIT_MAKER" else required(params, "timeInForce")
            if tif not in ("GTC", "IOC", "FOK", "POST"):
                raise ApiError(-1115, "Invalid timeInForce.")
            price = self._price(params, symbol)
        elif kind != "MARKET":
            raise ApiError(-1116, "Invalid orderType.")
        value = decimal_of(params, "quoteOrderQty") if kind == "MARKET" and params.get("quoteOrderQty") else Decimal(0)
        quantity = Decimal(0) if value else _precise(params, "quantity")
        return Ask(symbol, side, quantity, price, cast(TimeInForce, tif), client_id_of(params), value=value)

    def _price(self, params: Params, symbol: str) -> Decimal:
        price = _precise(params, "price")
        bid, ask = self._exchange.top(symbol)
        around = bid or ask or price
        if not around * _LEAST_PRICE <= price <= around * _MOST_PRICE:
            raise ApiError(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")
        return price

    # --- writing

    def _terms(self, order: Order) -> dict[str, object]:
        numbers = self._numbers(order)
        return {
            "price": numbers.price_text(order.ask.price or Decimal(0)),
            "origQty": numbers.quantity_text(order.quantity),
            "executedQty": numbers.quantity_text(order.filled),
            "origQuoteOrderQty": amount(order.ask.value),
            "cummulativeQuoteQty": amount(order.value_filled),
            "status": state_of(self._simulation, order),
            "timeInForce": time_in_force(order),
            "type": order_type(order),
            "side": order.ask.side.upper(),
            "selfTradePreventionMode": "NONE",
        }

    def _part(self, order: Order, fill: Fill) -> dict[str, object]:
        numbers = self._numbers(order)
        return {
            "price": numbers.price_text(fill.price),
            "qty": numbers.quantity_text(fill.quantity),
            "commission": amount(fill.fee),
            "commissionAsset": fill.fee_asset,
            "tradeId": fill.trade_id,
        }

    def written(self, order: Order) -> dict[str, object]:
        """An order as queries have it."""
        return {
            "symbol": order.listing.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": order.client_order_id,
            **self._terms(order),
            "stopPrice": "0.00000000",
            "icebergQty": "0.00000000",
            "time": order.created // 1000,
            "updateTime": order.updated // 1000,
            "isWorking": True,
            "workingTime": order.created // 1000,
        }

    # --- questions

    def cancel(self, params: Params, now: int) -> object:
        """Raises ApiError -2011 for an order that isn't open."""
        cancel_id = params.get("newClientOrderId") or f"cancel{now}"
        return self._cancellation(self._cancelled(params, now, cancel_id), cancel_id, now)

    def _cancellation(self, order: Order, cancel_id: str, now: int) -> dict[str, object]:
        return {
            "symbol": order.listing.symbol,
            "origClientOrderId": order.client_order_id,
            "orderId": order.order_id,
            "orderListId": -1,
            "clientOrderId": cancel_id,
            "transactTime": now // 1000,
            **self._terms(order),
        }

    def cancel_all(self, params: Params, now: int) -> object:
        """Raises ApiError -2011 where nothing is open."""
        required(params, "symbol")
        orders = self._open(params)
        if not orders:
            raise ApiError(-2011, "Unknown order sent.")
        for order in orders:
            self._exchange.cancel(order, now, f"cancel{now}")
        self._simulation.flush(BINANCE)
        return [self._cancellation(order, f"cancel{now}", now) for order in orders]

    def my_trades(self, params: Params, now: int) -> object:
        symbol = self._market.symbol(params)
        if order_id_of(params) is not None and (params.get("startTime") or params.get("endTime")):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        return self._trades(params, symbol)

    def _trade(self, fill: Fill) -> dict[str, object]:
        numbers = self._frames.numbers[fill.listing.symbol]
        return {
            "symbol": fill.listing.symbol,
            "id": fill.trade_id,
            "orderId": fill.order_id,
            "orderListId": -1,
            "price": numbers.price_text(fill.price),
            "qty": numbers.quantity_text(fill.quantity),
            "quoteQty": amount(fill.price * fill.quantity),
            "commission": amount(fill.fee),
            "commissionAsset": fill.fee_asset,
            "time": fill.time // 1000,
            "isBuyer": fill.side == "buy",
            "isMaker": fill.is_maker,
            "isBestMatch": True,
        }

    def commission(self, params: Params, now: int) -> object:
        """The account's fees in one symbol."""
        listing = self._exchange.listings[self._market.symbol(params)]
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
        rates = self._exchange.fees.rates(listing)
        fees = {"maker": amount(rates.maker), "taker": amount(rates.taker)}
        is_reduced = rates.asset != ""
        return {
            "symbol": listing.symbol,
            "standardCommission": {**nothing, **fees},
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": is_reduced,
                "enabledForSymbol": is_reduced,
                "discountAsset": "BNB",
                "discount": amount(1 - VENUE.fee_discount) if is_reduced else "0",
            },
        }

    def account(self, params: Params, now: int) -> object:
        """Balances and rates; ``omitZeroBalances`` leaves the empty ones out."""
        spot, listings = self._exchange.spot, self._exchange.listings.values()
        held = {asset for asset, balance in spot.balances.items() if balance.total}
        traded = {asset for listing in listings for asset in (listing.base_asset, listing.quote)}
        balances = [
            {"asset": asset, "free": amount(balance.free), "locked": amount(balance.locked)}
            for asset in sorted(held if params.get("omitZeroBalances") == "true" else held | traded)
            for balance in [spot.balances.get(asset, Balance())]
        ]
        fees = self._exchange.fees.rates(next(iter(listings)))
        rates = {
            "maker": amount(fees.maker),
            "taker": amount(fees.taker),
            "buyer": amount(ZERO),
            "seller": amount(ZERO),
        }
        return {
            "makerCommission": int(fees.maker * 10_000),
            "takerCommission": int(fees.taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rates,
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": now // 1000,
            "accountType": "SPOT",
            "balances": balances,
            "permissions": ["SPOT"],
            "uid": 1,
        }


def _precise(params: Params, name: str) -> Decimal:
    """A positive number with at most eight decimals; raises ApiError -1111, -1013."""
    value = decimal_of(params, name)
    if decimals_of(params, name) > _MOST_DECIMALS:
        raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
    if not value:
        raise ApiError(-1013, f"Invalid {name}.")
    return value
