"""How Coinbase writes orders and fills: over REST, and on the user channel.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/get-order
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from neuroflux.sim.coinbase.keys import Signer
from neuroflux.sim.coinbase.venue import order_name
from neuroflux.sim.coinbase.wire import Json, average, number, timestamp
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import Fill, Order
from neuroflux.sim.core.simulation import Simulation

_STATUS = {
    "new": "OPEN",
    "partially_filled": "OPEN",
    "filled": "FILLED",
    "canceled": "CANCELLED",
    "expired": "CANCELLED",
}
_TIME_IN_FORCE = {
    "limit_limit_gtc": "GOOD_UNTIL_CANCELLED",
    "limit_limit_gtd": "GOOD_UNTIL_DATE_TIME",
    "sor_limit_ioc": "IMMEDIATE_OR_CANCEL",
    "market_market_ioc": "IMMEDIATE_OR_CANCEL",
    "limit_limit_fok": "FILL_OR_KILL",
}
_KINDS = {"GTC": "limit_limit_gtc", "POST": "limit_limit_gtc", "IOC": "sor_limit_ioc", "FOK": "limit_limit_fok"}
_EDITED = "limit_limit_gtc", "limit_limit_gtd"


class OrderTexts:
    """Writes orders. ``configurations`` are those that they were placed with, by client order id; those that are in
    ``timed_out`` ended at their time."""

    def __init__(self, simulation: Simulation, signer: Signer) -> None:
        self._simulation, self._signer = simulation, signer
        self.configurations: dict[str, Json] = {}
        self.timed_out: set[int] = set()

    def status(self, order: Order) -> str:
        ended = "EXPIRED" if order.order_id in self.timed_out else "CANCELLED"
        written = ended if order.state == "canceled" else _STATUS[order.state]
        return self._simulation.status(order, written, "UNKNOWN_ORDER_STATUS")

    def configuration(self, order: Order) -> Json:
        """As it was placed; with the price and size that it was edited to."""
        ((kind, given),) = (self.configurations.get(order.client_order_id) or _configuration(order)).items()
        if kind in _EDITED:
            given = {**given, "base_size": number(order.quantity), "limit_price": number(order.ask.price or ZERO)}
        return {kind: given}

    def _is_in_quote(self, order: Order) -> bool:
        return bool(order.ask.value)

    def _sums(self, order: Order) -> tuple[Decimal, Decimal]:
        """The fees, and the value with them."""
        fees = sum((fill.fee for fill in order.fills), ZERO)
        return fees, order.value_filled + (fees if order.ask.side == "buy" else -fees)

    def _completion(self, order: Order) -> str:
        done, whole = order.filled, order.quantity
        return "100" if order.state == "filled" else number(round(done * 100 / whole, 2)) if whole else "0"

    def order(self, order: Order) -> Json:
        """Over REST."""
        configuration, (fees, total) = self.configuration(order), self._sums(order)
        in_quote = self._is_in_quote(order)
        return {
            "order_id": order_name(order.order_id),
            "product_id": order.listing.symbol,
            "user_id": self._signer.user,
            "order_configuration": configuration,
            "side": order.ask.side.upper(),
            "client_order_id": order.client_order_id,
            "status": self.status(order),
            "time_in_force": _TIME_IN_FORCE[next(iter(configuration))],
            "created_time": timestamp(order.created),
            "completion_percentage": self._completion(order),
            "filled_size": number(order.filled),
            "average_filled_price": average(order.value_filled, order.filled),
            "fee": "",
            "number_of_fills": str(len(order.fills)),
            "filled_value": number(order.value_filled),
            "pending_cancel": False,
            "size_in_quote": in_quote,
            "total_fees": number(fees),
            "size_inclusive_of_fees": in_quote,
            "total_value_after_fees": number(total),
            "trigger_status": "INVALID_ORDER_TYPE",
            "order_type": order.kind.upper(),
            "reject_reason": "REJECT_REASON_UNSPECIFIED",
            "settled": order.state == "filled",
            "product_type": "SPOT",
            "reject_message": "",
            "cancel_message": "User requested cancel" if order.state == "canceled" else "",
            "order_placement_source": "RETAIL_ADVANCED",
            "outstanding_hold_amount": number(order.reserved),
            "is_liquidation": False,
            "last_fill_time": timestamp(order.fills[-1].time) if order.fills else None,
            "edit_history": [],
            "leverage": "",
            "margin_type": "UNKNOWN_MARGIN_TYPE",
            "retail_portfolio_id": self._signer.portfolio,
            "originating_order_id": "",
            "attached_order_id": "",
            "attached_order_configuration": None,
        }

    def pushed(self, order: Order, status: str = "") -> Json:
        """On the user channel: no fills, only their sums, and nothing is left of an order that has ended.

        ``status`` is one that the order passes through, where it is not its present one.
        """
        (fees, total), is_market = self._sums(order), order.kind == "market"
        configuration = self.configuration(order)
        return {
            "avg_price": average(order.value_filled, order.filled),
            "cancel_reason": "User requested cancel" if order.state == "canceled" and not status else "",
            "client_order_id": order.client_order_id,
            "completion_percentage": self._completion(order),
            "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
            "creation_time": timestamp(order.created),
            "cumulative_quantity": number(order.filled),
            "end_time": next(iter(configuration.values())).get("end_time", "0001-01-01T00:00:00Z"),
            "filled_value": number(order.value_filled),
            "leaves_quantity": number(order.left) if order.is_open or status else "0",
            "limit_price": number(order.ask.price or ZERO),
            "number_of_fills": str(len(order.fills)),
            "order_id": order_name(order.order_id),
            "order_side": order.ask.side.upper(),
            "order_type": "Market" if is_market else "Limit",
            "outstanding_hold_amount": number(order.reserved),
            "post_only": "true" if order.ask.time_in_force == "POST" else "false",
            "product_id": order.listing.symbol,
            "product_type": "SPOT",
            "reject_reason": "",
            "retail_portfolio_id": self._signer.portfolio,
            "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
            "status": status or self.status(order),
            "stop_price": "",
            "time_in_force": _TIME_IN_FORCE[next(iter(configuration))],
            "total_fees": number(fees),
            "total_value_after_fees": number(total),
            "trigger_status": "INVALID_ORDER_TYPE",
        }

    def fill(self, fill: Fill, order: Order) -> Json:
        """Of an order that was sized in the quote, the size is in the quote, too."""
        in_quote, time = self._is_in_quote(order), timestamp(fill.time)
        return {
            "entry_id": entry_id(fill),
            "trade_id": str(fill.trade_id),
            "order_id": order_name(fill.order_id),
            "trade_time": time,
            "trade_type": "FILL",
            "price": number(fill.price),
            "size": number(fill.price * fill.quantity if in_quote else fill.quantity),
            "commission": number(fill.fee),
            "product_id": fill.listing.symbol,
            "sequence_timestamp": time,
            "liquidity_indicator": "MAKER" if fill.is_maker else "TAKER",
            "size_in_quote": in_quote,
            "user_id": self._signer.user,
            "side": fill.side.upper(),
            "retail_portfolio_id": self._signer.portfolio,
        }


def entry_id(fill: Fill) -> str:
    return hashlib.sha256(f"{fill.trade_id} {fill.order_id}".encode()).hexdigest()


def _configuration(order: Order) -> Json:
    """Of an order that did not come over REST."""
    ask = order.ask
    if ask.price is None:
        size = {"quote_size": number(ask.value)} if ask.value else {"base_size": number(order.quantity)}
        return {"market_market_ioc": size}
    terms: Json = {"base_size": number(order.quantity), "limit_price": number(ask.price)}
    if ask.time_in_force in ("GTC", "POST"):
        terms["post_only"] = ask.time_in_force == "POST"
    return {_KINDS[ask.time_in_force]: terms}
