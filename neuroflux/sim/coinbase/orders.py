"""Coinbase's orders over REST: placing, editing, cancelling.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.coinbase.order_texts import OrderTexts
from neuroflux.sim.coinbase.placing import Wanted, amended, read
from neuroflux.sim.coinbase.refusals import NotPlaced, not_edited, reason_of, refused
from neuroflux.sim.coinbase.venue import COINBASE, order_name, order_number
from neuroflux.sim.coinbase.wire import Json, Params, malformed, number, required
from neuroflux.sim.core.orders import Order, Rejected
from neuroflux.sim.core.simulation import Simulation

MOST_CANCELS = 100


class OrderApi:
    """Places orders and changes them."""

    def __init__(self, simulation: Simulation, written: OrderTexts) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(COINBASE)
        self._texts = written
        self._ends: dict[int, int] = {}

    # --- placing

    def place(self, params: Params, now: int) -> Json:
        """A client order id that was used before places nothing: the answer is the earlier order's."""
        client_order_id = required(params, "client_order_id")
        order = self._named(client_order_id)
        if order is None:
            try:
                order = self._placed(read(self._exchange, params, client_order_id, now), now)
            except (NotPlaced, Rejected) as error:
                return refused(error, params.get("order_configuration"))
        response = {
            "order_id": order_name(order.order_id),
            "product_id": order.listing.symbol,
            "side": order.ask.side.upper(),
            "client_order_id": order.client_order_id,
            "attached_order_id": "",
        }
        configuration = self._texts.configuration(order)
        return {"success": True, "success_response": response, "order_configuration": configuration}

    def _named(self, client_order_id: str) -> Order | None:
        try:
            return self._exchange.find(None, client_order_id)
        except Rejected:
            return None

    def _placed(self, wanted: Wanted, now: int) -> Order:
        name = wanted.ask.client_order_id
        self._texts.configurations[name] = wanted.configuration  # before the events of the order are written
        try:
            order = self._exchange.place(wanted.ask, now)
        except Rejected:
            del self._texts.configurations[name]
            raise
        if wanted.end:
            self._ends[order.order_id] = wanted.end
        self._simulation.flush(COINBASE)
        return order

    def end(self, now: int) -> None:
        """Cancel the orders whose time is over."""
        for order_id in [one for one, end in self._ends.items() if end <= now]:
            del self._ends[order_id]
            if self._exchange.orders[order_id].is_open:
                self._texts.timed_out.add(order_id)
                self._exchange.cancel(self._exchange.orders[order_id], now)

    def preview(self, params: Params, now: int) -> Json:
        """What an order would cost by the best price, and why it would not be placed."""
        errors: list[str] = []
        price = size = fee = Decimal(0)
        bid, ask = self._exchange.top(required(params, "product_id")) if self._lists(params) else (price, price)
        try:
            wanted = read(self._exchange, params, "", now).ask
            price = wanted.price or (ask if wanted.side == "buy" else bid)
            size = wanted.quantity or wanted.value / price
            fee = price * size * self._exchange.fees.rates(self._exchange.listings[wanted.symbol]).taker
            if wanted.side == "buy" and price * size + fee > self._free(wanted.symbol):
                errors.append("PREVIEW_INSUFFICIENT_FUND")
        except (NotPlaced, Rejected) as error:
            errors.append(reason_of(error).preview)
        total = price * size + (fee if params.get("side") == "BUY" else -fee)
        sums = {"order_total": total, "commission_total": fee, "quote_size": price * size, "base_size": size}
        tops = {"best_bid": bid, "best_ask": ask, "average_filled_price": price}
        written = {name: number(round(value, 8)) for name, value in (sums | tops).items()}
        return {**written, "errs": errors, "warning": [], "is_max": False, "slippage": "0", "preview_id": ""}

    def _lists(self, params: Params) -> bool:
        return params.get("product_id") in self._exchange.listings

    def _free(self, symbol: str) -> Decimal:
        return self._exchange.spot.of(self._exchange.listings[symbol].quote).free

    # --- changing

    def edit(self, params: Params, now: int) -> Json:
        """Of orders that are good until cancelled; ``size`` is the whole one."""
        try:
            order = self._find(required(params, "order_id"))
            size, price = amended(order.listing, params)
            if order.ask.price is None or order.ask.time_in_force not in ("GTC", "POST"):
                raise NotPlaced("ONLY_LIMIT_ORDER_EDITS_SUPPORTED", "UNKNOWN_PREVIEW_FAILURE_REASON", "")
            if size <= order.filled:
                raise NotPlaced("CANNOT_EDIT_TO_BELOW_FILLED_SIZE", "UNKNOWN_PREVIEW_FAILURE_REASON", "")
            self._exchange.amend(order, size, price, now)
        except (NotPlaced, Rejected) as error:
            return not_edited(error)
        self._simulation.flush(COINBASE)
        return {"success": True, "success_response": {"order_id": order_name(order.order_id)}, "errors": []}

    def edit_preview(self, params: Params, now: int) -> Json:
        order = self._find(required(params, "order_id"))
        size, price = amended(order.listing, params)
        return {"errors": [], "slippage": "0", "order_total": number(size * price), "base_size": number(size)}

    def cancel(self, params: Params, now: int) -> Json:
        """Each by itself; the exchange's own ids alone."""
        names = params.get("order_ids")
        if not isinstance(names, list) or not 0 < len(names) <= MOST_CANCELS:
            raise malformed("order_ids must have 1 to 100 ids")
        rows = [self._cancelled(name, now) for name in names]
        self._simulation.flush(COINBASE)
        return {"results": rows}

    def _cancelled(self, name: object, now: int) -> Json:
        failure = "UNKNOWN_CANCEL_FAILURE_REASON"
        try:
            self._exchange.cancel(self._find(name), now)
        except Rejected:
            failure = "UNKNOWN_CANCEL_ORDER"
        return {"success": failure != "UNKNOWN_CANCEL_ORDER", "failure_reason": failure, "order_id": name}

    def _find(self, name: object) -> Order:
        """Raises Rejected(UNKNOWN_ORDER)."""
        return self._exchange.find(order_number(name))
