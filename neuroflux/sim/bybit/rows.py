"""Bybit's rows of orders and executions, for answers and for the account's stream.

Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order and …/v5/websocket/private/execution
"""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_DOWN, Decimal

from neuroflux.sim.bybit.names import id_text
from neuroflux.sim.bybit.venue import BYBIT, category_of, name_of
from neuroflux.sim.bybit.wire import Json, plain
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import Fill, FundingEvent, Order
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.books import BookTexts

UNKNOWN_STATUS = "PendingReview"
PROTECTION = Decimal("0.05")
"""How far from the mark price a market order may trade, which becomes a limit order at that price."""
TIMES_IN_FORCE = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "PostOnly": "POST"}
_TIMES = {core: name for name, core in TIMES_IN_FORCE.items()}
_STATUS = {"new": "New", "partially_filled": "PartiallyFilled", "filled": "Filled"}
_EXPIRED = {"FOK": "EC_CancelForNoFullFill", "IOC": "EC_NoImmediateQtyToFill"}
_EXEC_TYPES = {"": "Trade", "liquidation": "BustTrade", "adl": "AdlTrade"}
_CREATED_BY = {"": "CreateByUser", "liquidation": "CreateByLiq", "adl": "CreateByAdl_PassThrough"}
_EMPTY = ("stopOrderType", "triggerPrice", "takeProfit", "stopLoss", "triggerBy", "tpTriggerBy", "slTriggerBy")
_EMPTY_TOO = ("orderIv", "placeType", "lastPriceOnCreated", "smpOrderId", "blockTradeId")
_NOT_CONDITIONAL: Json = dict.fromkeys((*_EMPTY, *_EMPTY_TOO), "") | {
    "triggerDirection": 0,
    "closeOnTrigger": False,
    "smpType": "None",
}
_NOT_CONDITIONAL |= {"smpGroup": 0, "slLimitPrice": "0", "tpLimitPrice": "0"}
"""The keys of conditional orders, and of orders that protect from trades with oneself, of an order that is neither."""
LEGS = {"": 0, "LONG": 1, "SHORT": 2}


class Rows:
    """Writes them. ``dead`` has status and reason of the orders that were accepted and never reached the book."""

    def __init__(self, simulation: Simulation, texts: BookTexts) -> None:
        self._simulation, self._exchange, self._texts = simulation, simulation.exchange(BYBIT), texts
        self.dead: dict[int, tuple[str, str]] = {}

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    def order(self, order: Order) -> Json:
        """A perpetual's has keys that spot's is without."""
        listing, ask, numbers = order.listing, order.ask, self._texts.numbers[order.listing.symbol]
        left = order.left if order.is_open else ZERO
        status, cancel_type, reason = self._end(order)
        row: Json = {
            "symbol": name_of(listing),
            "orderId": id_text(listing, order.order_id),
            "orderLinkId": link_of(order),
            "side": ask.side.capitalize(),
            "positionIdx": LEGS[ask.leg],
            "orderStatus": self._simulation.status(order, status, UNKNOWN_STATUS),
            "cancelType": cancel_type,
            "rejectReason": reason,
            "timeInForce": _TIMES["IOC" if order.kind == "market" else ask.time_in_force],
            "isLeverage": "0" if listing.kind == "spot" else "",
            "price": self._price(order),
            "qty": plain(ask.value) if ask.value else numbers.quantity_text(order.quantity),
            "avgPrice": plain(order.average_price, 10) if order.filled else "",
            "leavesQty": numbers.quantity_text(left) if left else "0",
            "leavesValue": plain(left * (ask.price or ZERO)),
            "cumExecQty": numbers.quantity_text(order.filled),
            "cumExecValue": plain(order.value_filled),
            **_fees(order),
            "orderType": order.kind.capitalize(),
            **_NOT_CONDITIONAL,
            "reduceOnly": ask.reduce_only,
            "marketUnit": _unit(order),
            "createdTime": str(order.created // 1000),
            "updatedTime": str(order.updated // 1000),
        }
        if listing.kind == "spot":
            return row
        closed = plain(sum((fill.profit for fill in order.fills), ZERO))
        return {**row, "tpslMode": "", "createType": _CREATED_BY[order.forced], "closedPnl": closed}

    def _end(self, order: Order) -> tuple[str, str, str]:
        """Status, how it was cancelled, and why."""
        if order.order_id in self.dead:
            status, reason = self.dead[order.order_id]
            return status, "UNKNOWN", reason
        if order.state in _STATUS:
            return _STATUS[order.state], "UNKNOWN", "EC_NoError"
        is_spot_part = order.listing.kind == "spot" and order.filled
        status = "PartiallyFilledCanceled" if is_spot_part else "Cancelled"
        if order.state == "canceled":
            return status, "CancelByUser", "EC_PerCancelRequest"
        if order.ask.time_in_force == "GTC" and order.kind == "limit":
            return status, "CancelByReduceOnly", "EC_NoError"
        return status, "UNKNOWN", _EXPIRED.get(order.ask.time_in_force, "EC_NoImmediateQtyToFill")

    def _price(self, order: Order) -> str:
        """A market order of a perpetual shows the price that protects it."""
        listing, numbers = order.listing, self._texts.numbers[order.listing.symbol]
        if order.ask.price is not None:
            return numbers.price_text(order.ask.price)
        if listing.kind == "spot":
            return "0"
        share = 1 + PROTECTION if order.ask.side == "buy" else 1 - PROTECTION
        price = (order.average_price or self._exchange.perpetual.mark(listing.symbol)) * share
        return numbers.price_text((price / listing.tick).to_integral_value(ROUND_DOWN) * listing.tick)

    # ── executions ───────────────────────────────────────────────────────────────────────────────────────────────

    def execution(self, fill: Fill, order: Order) -> Json:
        listing, numbers = fill.listing, self._texts.numbers[fill.listing.symbol]
        rates, before = self._exchange.fees.rates(listing), _filled_until(order, fill)
        is_spot = listing.kind == "spot"
        return {
            "category": category_of(listing),
            "symbol": name_of(listing),
            "orderId": id_text(listing, fill.order_id),
            "orderLinkId": link_of(order),
            "side": fill.side.capitalize(),
            "execId": id_text(listing, fill.trade_id, "trade"),
            "execPrice": numbers.price_text(fill.price),
            "execQty": numbers.quantity_text(fill.quantity),
            "execValue": plain(fill.price * fill.quantity),
            "execFee": plain(fill.fee),
            "feeCurrency": fill.fee_asset if is_spot else "",
            "feeRate": plain(rates.maker if fill.is_maker else rates.taker),
            "isMaker": fill.is_maker,
            "execTime": str(fill.time // 1000),
            "execType": _EXEC_TYPES[order.forced],
            "leavesQty": numbers.quantity_text(max(ZERO, order.quantity - before)),
            "orderQty": plain(order.ask.value) if order.ask.value else numbers.quantity_text(order.quantity),
            "orderPrice": self._price(order),
            "orderType": order.kind.capitalize(),
            "stopOrderType": "",
            "isLeverage": "0",
            "closedSize": "" if is_spot else numbers.quantity_text(_closed(fill)),
            "execPnl": "" if is_spot else plain(fill.profit),
            "markPrice": "" if is_spot else numbers.price_text(self._exchange.perpetual.mark(listing.symbol)),
            "indexPrice": "",
            "blockTradeId": "",
            "marketUnit": _unit(order),
            "createType": "" if is_spot else _CREATED_BY[order.forced],
            "extraFees": "",
            "seq": fill.time,
        }

    def funding(self, event: FundingEvent) -> Json:
        """Funding is an execution that is no fill: a positive fee was paid."""
        listing, numbers = event.listing, self._texts.numbers[event.listing.symbol]
        mark, size = self._exchange.perpetual.mark(listing.symbol), abs(event.quantity)
        number = event.time // 1000
        return {
            "category": "linear",
            "symbol": name_of(listing),
            "orderId": f"{number // 1000}-8-592324-1-2",
            "orderLinkId": "",
            "side": "Buy" if event.quantity > 0 else "Sell",
            "execId": id_text(listing, number, "funding"),
            "execPrice": numbers.price_text(mark),
            "execQty": numbers.quantity_text(size),
            "execValue": plain(mark * size),
            "execFee": plain(-event.amount),
            "feeCurrency": "",
            "feeRate": plain(event.rate),
            "isMaker": False,
            "execTime": str(number),
            "execType": "Funding",
            "leavesQty": "0",
            "orderQty": "0",
            "orderPrice": "0",
            "orderType": "UNKNOWN",
            "stopOrderType": "UNKNOWN",
            "isLeverage": "",
            "closedSize": "0",
            "execPnl": "0",
            "extraFees": "",
            "seq": event.time,
        }


def link_of(order: Order) -> str:
    """The client's id; an order of the exchange itself has none."""
    return "" if order.forced else order.ask.client_order_id


def _unit(order: Order) -> str:
    if order.listing.kind != "spot" or order.kind != "market":
        return ""
    return "quoteCoin" if order.ask.value else "baseCoin"


def _fees(order: Order) -> Json:
    by_coin: dict[str, Decimal] = defaultdict(Decimal)
    for fill in order.fills:
        by_coin[fill.fee_asset] += fill.fee
    coin = next(iter(by_coin), "")
    detail = {asset: plain(fee) for asset, fee in by_coin.items()}
    currency = coin if order.listing.kind == "spot" else ""
    total = plain(sum(by_coin.values(), ZERO))
    return {"cumExecFee": total, "cumFeeDetail": detail, "feeCurrency": currency}


def _filled_until(order: Order, fill: Fill) -> Decimal:
    """The quantity that the order had traded after this fill."""
    filled = ZERO
    for one in order.fills:
        filled += one.quantity
        if one is fill:
            break
    return filled


def _closed(fill: Fill) -> Decimal:
    """How much of a fill closed what was held before."""
    opposite = max(ZERO, -fill.start_position if fill.side == "buy" else fill.start_position)
    return min(fill.quantity, opposite)
