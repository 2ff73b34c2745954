"""Kraken's orders: placing, changing and cancelling them, over REST and by a socket.

Source: https://docs.kraken.com/api-reference/trading/add-order
"""

from __future__ import annotations

import msgspec

from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import Order, Reason, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kraken.keys import Account, Keys
from neuroflux.sim.kraken.limits import order_cost
from neuroflux.sim.kraken.names import order_number
from neuroflux.sim.kraken.order_texts import OrderTexts
from neuroflux.sim.kraken.pairs import Pairs
from neuroflux.sim.kraken.placing import Wanted, check_deadline, check_volume, limit_price, read
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import ApiError, Params, amount, flag, required, text


class Desk:
    """Does what a request wants, for the account that sent it. Times are in µs."""

    def __init__(self, simulation: Simulation, keys: Keys, pairs: Pairs, texts: OrderTexts) -> None:
        self._simulation, self._keys, self._pairs = simulation, keys, pairs
        self.exchange: SimExchange = simulation.exchange(KRAKEN)
        self.texts = texts
        self.cancel_at = 0
        self._ends: dict[int, int] = {}

    # --- placing

    def read(self, params: Params, now: int) -> Wanted:
        """Raises ApiError."""
        check_deadline(params, now)
        return read(self._pairs, params, now)

    def count(self, account: Account, symbol: str, cost: float, now: int) -> None:
        """Count what changes orders of a pair; raises ApiError."""
        if not account.limits.order(symbol, cost, self._keys.tier(account), now):
            raise ApiError("EOrder:Rate limit exceeded")

    def place(self, account: Account, wanted: Wanted, now: int) -> Order:
        """Raises ApiError and Rejected, and then nothing was placed."""
        symbol = wanted.listing.symbol
        waiting = sum(order.listing.symbol == symbol for order in self.exchange.open_orders.values())
        if waiting >= self._keys.tier(account).open_orders and wanted.ask.price is not None:
            raise ApiError("EOrder:Orders limit exceeded")
        before, self.texts.coming = self.texts.coming, wanted.terms
        try:
            order = self.exchange.place(wanted.ask, now)
            self.texts.terms(order)
        finally:
            self.texts.coming = before
        if wanted.terms.end:
            self._ends[order.order_id] = wanted.terms.end
        self._simulation.flush(KRAKEN)
        return order

    def add(self, account: Account, params: Params, now: int) -> tuple[Wanted, Order | None]:
        """Place an order; with ``validate`` it is checked alone. One that can't be read is counted too."""
        self.count(account, self._pairs.find(required(params, "pair")).symbol, order_cost("add"), now)
        wanted = self.read(params, now)
        if flag(params, "validate"):
            self.exchange.check(wanted.ask)
            return wanted, None
        return wanted, self.place(account, wanted, now)

    def add_several(
        self, account: Account, rows: list[Params], params: Params, now: int
    ) -> list[tuple[Wanted, Order | ApiError | Rejected | None]]:
        """Place up to fifteen orders of one pair: one that can't be read refuses all, the engine refuses each alone."""
        wanted = [self.read({**params, **row}, now) for row in rows]
        if not 2 <= len(rows) <= 15 or len({one.listing.symbol for one in wanted}) > 1:
            raise ApiError("EGeneral:Invalid arguments:orders")
        self.count(account, wanted[0].listing.symbol, len(rows) / 2, now)
        return [(one, self._placed(account, one, now, validate=flag(params, "validate"))) for one in wanted]

    def _placed(
        self, account: Account, wanted: Wanted, now: int, *, validate: bool
    ) -> Order | ApiError | Rejected | None:
        try:
            if not validate:
                return self.place(account, wanted, now)
            self.exchange.check(wanted.ask)
        except (ApiError, Rejected) as error:
            return error
        return None

    # --- changing

    def amend(self, account: Account, params: Params, now: int) -> Order:
        """Change the size or the price of an open order, which keeps its ids; raises ApiError and Rejected."""
        check_deadline(params, now)
        order = self.named(text(params, "txid") or text(params, "order_id"), text(params, "cl_ord_id"))
        self.count(account, order.listing.symbol, order_cost("amend", now - order.updated), now)
        quantity = amount(params, "order_qty") if text(params, "order_qty") else order.quantity
        price = limit_price(params, "limit_price") if text(params, "limit_price") else order.ask.price
        if not order.is_open or price is None:
            raise Rejected(Reason.UNKNOWN_ORDER)
        check_volume(order.listing, quantity)
        if quantity <= order.filled:
            raise ApiError("EOrder:Invalid order")
        before = order.ask
        if flag(params, "post_only"):
            order.ask = msgspec.structs.replace(before, time_in_force="POST")
        try:
            self.exchange.amend(order, quantity, price, now)
        except Rejected:
            order.ask = before
            raise
        self._simulation.flush(KRAKEN)
        return order

    def edit(self, account: Account, params: Params, now: int) -> tuple[Order, Order]:
        """Cancel an order and place another in its stead, which has another id; raises ApiError and Rejected."""
        check_deadline(params, now)
        order = self.named(text(params, "txid") or text(params, "order_id"), "")
        self.count(account, order.listing.symbol, order_cost("edit", now - order.updated), now)
        if not order.is_open or order.ask.price is None:
            raise Rejected(Reason.UNKNOWN_ORDER)
        terms, before = self.texts.terms(order), order.ask
        volume = amount(params, "volume") if text(params, "volume") else order.quantity
        check_volume(order.listing, volume)
        price = limit_price(params, "price") if text(params, "price") else before.price
        ask = msgspec.structs.replace(before, quantity=volume, price=price, client_order_id="")
        self.exchange.cancel(order, now)
        return order, self.place(account, Wanted(order.listing, ask, terms), now)

    # --- cancelling

    def named(self, name: str, client_order_id: str) -> Order:
        """The order with Kraken's id, or the newest with the client's; raises Rejected."""
        found = self.exchange.find(order_number(name) if name else None, client_order_id)
        if client_order_id and found.ask.client_order_id != client_order_id:
            raise Rejected(Reason.UNKNOWN_ORDER)
        return found

    def _open(self, name: str, client_order_id: str) -> list[Order]:
        """The open orders that an id means; a ``userref`` may mean several. Raises Rejected where there is none."""
        waiting = list(self.exchange.open_orders.values())
        if client_order_id:
            found = [order for order in waiting if order.ask.client_order_id == client_order_id]
        else:
            number = order_number(name)
            found = [order for order in waiting if number == order.order_id or self._is_referred(order, name)]
        if not found:
            raise Rejected(Reason.UNKNOWN_ORDER)
        return found

    def _is_referred(self, order: Order, name: str) -> bool:
        userref = self.texts.terms(order).userref
        return userref is not None and str(userref) == name

    def cancel(self, account: Account, now: int, name: str = "", client_order_id: str = "") -> int:
        """How many orders were cancelled; raises Rejected."""
        return self._cancel_all(account, self._open(name, client_order_id), now)

    def cancel_every(self, account: Account, now: int) -> int:
        return self._cancel_all(account, list(self.exchange.open_orders.values()), now)

    def _cancel_all(self, account: Account, orders: list[Order], now: int) -> int:
        tier = self._keys.tier(account)
        for order in orders:
            cost = order_cost("cancel", now - order.updated)
            account.limits.order(order.listing.symbol, cost, tier, now, is_kept=True)
            self.exchange.cancel(order, now)
        self._simulation.flush(KRAKEN)
        return len(orders)

    # --- time

    def end(self, now: int) -> None:
        """End the orders whose time is over, and every order where the client asked for it and did not come back."""
        for order_id in [one for one, end in self._ends.items() if end <= now]:
            del self._ends[order_id]
            self.texts.timed_out.add(order_id)
            if not self._finished(order_id, now):
                self.texts.timed_out.discard(order_id)
        if self.cancel_at and self.cancel_at <= now:
            self.cancel_at = 0
            for order_id in list(self.exchange.open_orders):
                self._finished(order_id, now)

    def _finished(self, order_id: int, now: int) -> bool:
        order = self.exchange.orders[order_id]
        if order.is_open:
            self.exchange.cancel(order, now)
            return True
        return False
