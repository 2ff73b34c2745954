"""Binance USDⓈ-M's orders, leverage and fees, as USDⓈ-M reads and writes them.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import msgspec

from neuroflux.sim.binance.order_queries import OrderQueries, side_of, state_of
from neuroflux.sim.binance.rest import MarketData
from neuroflux.sim.binance.usdm_modes import Modes
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.binance.wire import (
    ApiError,
    Params,
    amount,
    client_id_of,
    decimal_of,
    decimals_of,
    integer_of,
    overloaded,
    required,
)
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import TimeInForce
from neuroflux.sim.core.orders import Ask, ConfigEvent, Fill, Order, Reason, Rejected
from neuroflux.sim.core.simulation import Simulation

PRICE_BAND = Decimal("0.05")
"""How far through the mark price a limit order may reach."""

_MOST_DECIMALS = 8
"""Of a price. A quantity has as many as its instrument permits, and zeros at the end count:
https://github.com/veighna-global/vnpy_binance/pull/43"""
_CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_ONLY_IN_QUERIES = ("avgPrice", "cumQuote", "time")
_TIMES_IN_FORCE = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "GTX": "POST"}


def time_in_force(order: Order) -> str:
    """GTX is post-only; a market order has GTC."""
    if order.kind == "market":
        return "GTC"
    return "GTX" if order.ask.time_in_force == "POST" else order.ask.time_in_force


def order_kind(order: Order) -> str:
    """LIQUIDATION is what the exchange itself made."""
    if order.forced:
        return "LIQUIDATION"
    return "MARKET" if order.kind == "market" else "LIMIT"


class UsdmOrderApi(OrderQueries):
    """Answers everything about orders."""

    nameless = "Either orderId or origClientOrderId must be sent."

    def __init__(self, simulation: Simulation, market: MarketData, frames: Frames, modes: Modes) -> None:
        super().__init__(simulation, market, frames)
        self._modes = modes

    # --- placing

    def place(self, params: Params, now: int) -> object:
        """ACK (the default) shows the order as it was accepted, RESULT as it ended."""
        ask = self._ask(params)
        if not ask.only_reduces and self._simulation.faults.take(BINANCE_USDM, "overload"):
            raise overloaded(BINANCE_USDM)
        if ask.time_in_force == "FOK" and not self._is_fillable(ask):
            text = "Due to the order could not be filled immediately, the FOK order has been rejected."
            raise ApiError(-5021, f"{text} The order will not be recorded in the order history")
        try:
            order = self._exchange.place(ask, now)
        except Rejected as error:
            if error.reason is Reason.NOTIONAL:
                least = self._exchange.listings[ask.symbol].min_notional
                text = f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
                raise ApiError(-4164, text) from error
            raise
        self._simulation.flush(BINANCE_USDM)
        if params.get("newOrderRespType") == "RESULT":
            return self._answered(order)
        nothing = {"state": "new", "filled": ZERO, "value_filled": ZERO, "updated": order.created}
        return self._answered(msgspec.structs.replace(order, **nothing))

    def _answered(self, order: Order) -> dict[str, object]:
        """An order as placing and cancelling answer it: only a query has the price that it traded at."""
        return {name: value for name, value in self.written(order).items() if name not in _ONLY_IN_QUERIES}

    def _is_fillable(self, ask: Ask) -> bool:
        listing, book = self._exchange.listings[ask.symbol], self._exchange.books[ask.symbol]
        limit = None if ask.price is None else int(ask.price / listing.tick)
        return book.available(ask.side, limit) * listing.lot >= ask.quantity

    def _ask(self, params: Params) -> Ask:
        symbol, side = self._market.symbol(params), side_of(params)
        kind, leg = required(params, "type"), self._modes.leg(params)
        price: Decimal | None = None
        tif = "IOC"
        if kind == "LIMIT":
            tif = _TIMES_IN_FORCE.get(required(params, "timeInForce"), "")
            if not tif:
                raise ApiError(-1115, "Invalid timeInForce.")
            price = self._price(params, symbol)
        elif kind in _CONDITIONAL:
            text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            raise ApiError(-4120, text)
        elif kind != "MARKET":
            raise ApiError(-1116, "Invalid orderType.")
        return Ask(
            symbol,
            side,
            self._quantity(params, symbol),
            price,
            cast(TimeInForce, tif),
            client_id_of(params),
            reduce_only=params.get("reduceOnly", "").lower() == "true",
            leg=leg,
        )

    def _quantity(self, params: Params, symbol: str) -> Decimal:
        quantity = decimal_of(params, "quantity")
        if not quantity:
            raise ApiError(-4003, "Quantity less than or equal to zero.")
        self._check_decimals(params, "quantity", self._frames.numbers[symbol].quantity_digits)
        return quantity

    def _check_decimals(self, params: Params, name: str, most: int) -> None:
        if decimals_of(params, name) > most:
            raise ApiError(-1111, "Precision is over the maximum defined for this asset.")

    def _price(self, params: Params, symbol: str) -> Decimal:
        price = decimal_of(params, "price")
        if not price:
            raise ApiError(-4001, "Price less than 0.")
        mark = self._exchange.perpetual.mark(symbol)
        highest, lowest = mark * (1 + PRICE_BAND), mark * (1 - PRICE_BAND)
        numbers = self._frames.numbers[symbol]
        self._check_decimals(params, "price", _MOST_DECIMALS)
        if params["side"] == "BUY" and price > highest:
            raise ApiError(-4016, f"Limit price can't be higher than {numbers.price_text(highest)}.")
        if params["side"] == "SELL" and price < lowest:
            raise ApiError(-4024, f"Limit price can't be lower than {numbers.price_text(lowest)}.")
        return price

    # --- writing

    def written(self, order: Order) -> dict[str, object]:
        """An order as every query has it."""
        numbers = self._frames.numbers[order.listing.symbol]
        kind = order_kind(order)
        average = order.average_price
        return {
            "orderId": order.order_id,
            "symbol": order.listing.symbol,
            "status": state_of(self._simulation, order),
            "clientOrderId": order.client_order_id,
            "price": numbers.price_text(order.ask.price or ZERO),
            "avgPrice": f"{average:.8f}" if average else "0.00",
            "origQty": numbers.quantity_text(order.quantity),
            "executedQty": numbers.quantity_text(order.filled),
            "cumQty": numbers.quantity_text(order.filled),
            "cumQuote": f"{order.value_filled:.8f}",
            "timeInForce": time_in_force(order),
            "type": kind,
            "reduceOnly": order.ask.reduce_only,
            "closePosition": False,
            "side": order.ask.side.upper(),
            "positionSide": order.ask.leg or "BOTH",
            "stopPrice": "0",
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": kind,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "NONE",
            "goodTillDate": 0,
            "time": order.created // 1000,
            "updateTime": order.updated // 1000,
        }

    # --- questions

    def open_order(self, params: Params, now: int) -> object:
        """Raises Rejected(UNKNOWN_ORDER) for an order that is over."""
        order = self._find(params)
        if not order.is_open:
            raise Rejected(Reason.UNKNOWN_ORDER)
        return self.written(order)

    def cancel(self, params: Params, now: int) -> object:
        """Raises ApiError -2011 for an order that isn't open."""
        return self._answered(self._cancelled(params, now))

    def cancel_all(self, params: Params, now: int) -> object:
        required(params, "symbol")
        for order in self._open(params):
            self._exchange.cancel(order, now)
        self._simulation.flush(BINANCE_USDM)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def user_trades(self, params: Params, now: int) -> object:
        return self._trades(params, self._symbol_or_all(params))

    def _trade(self, fill: Fill) -> dict[str, object]:
        numbers = self._frames.numbers[fill.listing.symbol]
        return {
            "symbol": fill.listing.symbol,
            "id": fill.trade_id,
            "orderId": fill.order_id,
            "side": fill.side.upper(),
            "price": numbers.price_text(fill.price),
            "qty": numbers.quantity_text(fill.quantity),
            "realizedPnl": amount(fill.profit),
            "quoteQty": amount(fill.price * fill.quantity),
            "commission": amount(fill.fee),
            "commissionAsset": fill.fee_asset,
            "time": fill.time // 1000,
            "positionSide": self._exchange.orders[fill.order_id].ask.leg or "BOTH",
            "buyer": fill.side == "buy",
            "maker": fill.is_maker,
        }

    # --- leverage

    def set_leverage(self, params: Params, now: int) -> object:
        """Raises ApiError -4028."""
        listing = self._exchange.listings[self._market.symbol(params)]
        leverage = integer_of(params, "leverage")
        if not 1 <= leverage <= listing.max_leverage:
            raise ApiError(-4028, f"Leverage {leverage} is not valid")
        self._exchange.perpetual.leverage[listing.symbol] = leverage
        self._exchange.announce(ConfigEvent(listing.symbol, leverage, self._exchange.perpetual.is_multi_assets, now))
        return {"leverage": leverage, "maxNotionalValue": "1000000", "symbol": listing.symbol}

    def set_margin_type(self, params: Params, now: int) -> object:
        """Cross margin is what there is; raises ApiError -4046, and -4168 for any other."""
        self._market.symbol(params)
        if required(params, "marginType") == "CROSSED":
            raise ApiError(-4046, "No need to change margin type.")
        raise ApiError(-4168, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.")

    def commission(self, params: Params, now: int) -> object:
        """The account's fees in one symbol."""
        listing = self._exchange.listings[self._market.symbol(params)]
        rates = self._exchange.fees.rates(listing)
        shares = {"makerCommissionRate": f"{rates.maker:f}", "takerCommissionRate": f"{rates.taker:f}"}
        return {"symbol": listing.symbol, **shares}

    def brackets(self, params: Params, now: int) -> object:
        """One bracket a symbol."""
        if params.get("symbol"):
            return [_bracket(self._exchange.listings[self._market.symbol(params)])]
        return [_bracket(listing) for listing in self._exchange.listings.values()]


def _bracket(listing: Listing) -> dict[str, object]:
    bracket = {
        "bracket": 1,
        "initialLeverage": listing.max_leverage,
        "notionalCap": 10_000_000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.004,
        "cum": 0.0,
    }
    return {"symbol": listing.symbol, "notionalCoef": 1.0, "brackets": [bracket]}
