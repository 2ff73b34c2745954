"""How Kraken writes orders and fills over REST.

Source: https://docs.kraken.com/api-reference/account-data/get-open-orders and get-trades-history. From memory: the
reasons of orders that ended other than by the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import Fill, Order
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kraken.names import altname, hashed_name, order_name
from neuroflux.sim.kraken.placing import Terms
from neuroflux.sim.kraken.venue import COST_DECIMALS
from neuroflux.sim.kraken.wire import Json, fixed, seconds

_STATUS = {"new": "open", "partially_filled": "open", "filled": "closed", "canceled": "canceled", "expired": "canceled"}
_REASONS = {"IOC": "Immediate or cancel", "FOK": "Fill or kill", "market": "Insufficient liquidity"}


def exec_id(fill: Fill) -> str:
    """The name of a fill."""
    return hashed_name("T", fill.listing.symbol, fill.trade_id, fill.order_id)


def average(order: Order, digits: int) -> str:
    """The average price, rounded."""
    value = round(order.average_price, max(digits, COST_DECIMALS))
    return fixed(value, digits)


class OrderTexts:
    """Writes orders. ``coming`` are the terms of the order that is being placed, while its first events are written.

    Orders in ``timed_out`` ended at their time.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._terms: dict[int, Terms] = {}
        self.coming = Terms()
        self.timed_out: set[int] = set()

    def terms(self, order: Order) -> Terms:
        return self._terms.setdefault(order.order_id, self.coming)

    def ended(self, order: Order) -> str:
        """``canceled`` or ``expired``; what the core lets expire, Kraken cancels."""
        return "expired" if order.order_id in self.timed_out else "canceled"

    def reason(self, order: Order) -> str:
        """Why an order ended; "" where it was filled, or is open."""
        if order.state in ("canceled", "expired") and order.order_id in self.timed_out:
            return "Order expired"
        if order.state == "canceled":
            return "User requested"
        if order.state != "expired":
            return ""
        kind = "market" if order.ask.price is None else order.ask.time_in_force
        return _REASONS.get(kind, "Self trade prevention")

    def status(self, order: Order) -> str:
        written = self.ended(order) if order.state in ("canceled", "expired") else _STATUS[order.state]
        return self._simulation.status(order, written, "reviewed")

    def description(self, order: Order) -> str:
        """``buy 0.00100000 XBTUSD @ limit 64000.0``; clients split it at the blanks."""
        return describe(Numbers(order.listing), order.ask.side, order.ask.value or order.quantity, order.ask.price)

    def order(self, order: Order, *, with_trades: bool) -> Json:
        """Prices of an order are its limit in ``descr``, and the average in ``price``."""
        numbers, terms = Numbers(order.listing), self.terms(order)
        fees = sum((fill.fee for fill in order.fills), ZERO)
        row: Json = {
            "refid": None,
            "userref": terms.userref,
            **({"cl_ord_id": order.ask.client_order_id} if order.ask.client_order_id else {}),
            "status": self.status(order),
            "opentm": seconds(order.created),
            "starttm": 0,
            "expiretm": seconds(terms.end) if terms.end else 0,
            "descr": {
                "pair": altname(order.listing),
                "type": order.ask.side,
                "ordertype": order.kind,
                "price": "0" if order.ask.price is None else numbers.price_text(order.ask.price),
                "price2": "0",
                "leverage": "none",
                "order": self.description(order),
                "close": "",
            },
            "vol": numbers.quantity_text(order.ask.value or order.quantity),
            "vol_exec": numbers.quantity_text(order.filled),
            "cost": fixed(order.value_filled, COST_DECIMALS),
            "fee": fixed(fees, COST_DECIMALS),
            "price": average(order, COST_DECIMALS),
            "stopprice": "0.00000",
            "limitprice": "0.00000",
            "misc": "partial" if order.is_open and order.filled else "",
            "oflags": ",".join(terms.flags),
        }
        if with_trades and order.fills:
            row["trades"] = [exec_id(fill) for fill in order.fills]
        if not order.is_open:
            row |= {"closetm": seconds(order.updated), "reason": self.reason(order) or None}
        return row

    def fill(self, fills: Sequence[Fill], order: Order) -> Json:
        """Fills of one order as one row: the prices are averaged, the rest is added up."""
        numbers, last = Numbers(order.listing), fills[-1]
        volume = sum((fill.quantity for fill in fills), ZERO)
        value = sum((fill.price * fill.quantity for fill in fills), ZERO)
        price = value / volume if len(fills) > 1 else last.price
        return {
            "ordertxid": order_name(order.order_id),
            "postxid": hashed_name("T", "position", order.order_id),
            "pair": order.listing.symbol,
            "time": seconds(last.time),
            "type": order.ask.side,
            "ordertype": order.kind,
            "price": fixed(round(price, max(numbers.price_digits, COST_DECIMALS)), COST_DECIMALS),
            "cost": fixed(value, COST_DECIMALS),
            "fee": fixed(sum((fill.fee for fill in fills), ZERO), COST_DECIMALS),
            "vol": numbers.quantity_text(volume),
            "margin": "0.00000",
            "leverage": "0",
            "misc": "",
            "trade_id": last.trade_id,
            "maker": last.is_maker,
        }


def describe(numbers: Numbers, side: str, volume: Decimal, price: Decimal | None) -> str:
    """An order in words."""
    kind = "market" if price is None else f"limit {numbers.price_text(price)}"
    return f"{side} {numbers.quantity_text(volume)} {altname(numbers.listing)} @ {kind}"
