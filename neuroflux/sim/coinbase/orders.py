"""Coinbase's orders over REST: placing, editing, cancelling, and the lists of orders and fills.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from neuroflux.sim.coinbase.order_texts import OrderTexts, entry_id
from neuroflux.sim.coinbase.placing import Wanted, amended, read
from neuroflux.sim.coinbase.refusals import NotPlaced, not_edited, reason_of, refused
from neuroflux.sim.coinbase.venue import COINBASE, order_name, order_number
from neuroflux.sim.coinbase.wire import (
    NO_ORDER,
    Json,
    Params,
    limit_of,
    malformed,
    micros_of,
    number,
    required,
    text,
    texts,
    unknown,
)
from neuroflux.sim.core.orders import Fill, Order, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.pages import rows_of_a_page

MOST_CANCELS = 100
ORDERS_A_PAGE, FILLS_A_PAGE, MOST_ROWS = 100, 100, 1000
Row = TypeVar("Row")


class OrderApi:
    """Answers requests about orders."""

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

    # --- questions

    def _find(self, name: object) -> Order:
        """Raises Rejected(UNKNOWN_ORDER)."""
        return self._exchange.find(order_number(name))

    def query(self, params: Params, _: int) -> Json:
        """By the exchange's id: a client order id is ignored."""
        try:
            return {"order": self._texts.order(self._find(text(params, "order_id")))}
        except Rejected as error:
            raise unknown(NO_ORDER) from error

    def orders(self, params: Params, _: int) -> Json:
        """Newest first."""
        statuses, sides = texts(params, "order_status"), texts(params, "order_side")
        if "OPEN" in statuses and len(statuses) > 1:
            raise malformed("OPEN orders cannot be requested with other statuses")
        kinds, among = texts(params, "order_types", "order_type"), _among(params, "start_date", "end_date")
        chosen = [
            order
            for order in reversed(self._exchange.orders.values())
            if _is_wanted(order, params)
            and among(order.created)
            and (not sides or order.ask.side.upper() in sides)
            and (not kinds or order.kind.upper() in kinds)
        ]
        wanted = [order for order in chosen if not statuses or self._is_in(order, statuses)]
        page, cursor = self._page(wanted, params, ORDERS_A_PAGE, lambda order: order_name(order.order_id))
        rows = [self._texts.order(order) for order in page]
        return {"orders": rows, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}

    def _is_in(self, order: Order, statuses: Sequence[str]) -> bool:
        """Open ones are chosen before they are written, which a fault may change."""
        if order.is_open:
            return "OPEN" in statuses
        ended = "EXPIRED" if order.order_id in self._texts.timed_out else "CANCELLED"
        return ("FILLED" if order.state == "filled" else ended) in statuses

    def fills(self, params: Params, _: int) -> Json:
        """Newest first."""
        among = _among(params, "start_sequence_timestamp", "end_sequence_timestamp")
        chosen = [
            fill
            for fill in reversed(self._exchange.fills())
            if _is_wanted(self._exchange.orders[fill.order_id], params) and among(fill.time)
        ]
        wanted = texts(params, "trade_ids")
        rows = [fill for fill in chosen if not wanted or str(fill.trade_id) in wanted]
        page, cursor = self._page(rows, params, FILLS_A_PAGE, entry_id)
        return {"fills": [self._written(fill) for fill in page], "cursor": cursor}

    def _written(self, fill: Fill) -> Json:
        return self._texts.fill(fill, self._exchange.orders[fill.order_id])

    def _page(self, rows: list[Row], params: Params, default: int, name: Callable[[Row], str]) -> tuple[list[Row], str]:
        """The rows after the one that the cursor names, and the next cursor; "" at the end."""
        cursor, names = text(params, "cursor"), [name(row) for row in rows]
        if cursor and cursor not in names:
            raise malformed("invalid cursor")
        begin = names.index(cursor) + 1 if cursor else 0
        end = begin + rows_of_a_page(self._simulation.faults, COINBASE, limit_of(params, default, MOST_ROWS))
        return rows[begin:end], names[end - 1] if end < len(rows) else ""


def _is_wanted(order: Order, params: Params) -> bool:
    """By product and by id; the singular names are those of older documents."""
    products, ids = texts(params, "product_ids", "product_id"), texts(params, "order_ids", "order_id")
    return (not products or order.listing.symbol in products) and (not ids or order_name(order.order_id) in ids)


def _among(params: Params, start: str, end: str) -> Callable[[int], bool]:
    """Whether a time is among those that were asked for."""
    first = micros_of(text(params, start)) if text(params, start) else 0
    last = micros_of(text(params, end)) if text(params, end) else 10**17
    return lambda time: first <= time <= last
