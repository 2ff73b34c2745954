"""Bybit's orders: placed, cancelled and found.

Source: https://bybit-exchange.github.io/docs/v5/order/create-order and its neighbours. An answer says that an order was
accepted, no more: a post-only order that would take, or one that the matching engine rejects, ends by the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import cast

from neuroflux.sim.bybit.modes import require_unified
from neuroflux.sim.bybit.names import CATEGORIES, Names, id_text, order_number
from neuroflux.sim.bybit.rows import LEGS, PROTECTION, TIMES_IN_FORCE, Rows
from neuroflux.sim.bybit.venue import BYBIT, category_of, name_of
from neuroflux.sim.bybit.wire import (
    ApiError,
    Json,
    Params,
    bad,
    choice,
    decimal_of,
    integer_of,
    link_id_of,
    required,
    text_of,
)
from neuroflux.sim.core.accounts import ZERO, Leg
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import AccountEvent, Ask, Order, OrderEvent, Reason, Rejected
from neuroflux.sim.core.simulation import Simulation

CLOSED_KEPT = 500
"""Closed orders that ``realtime`` still finds."""
_FIRST_DEAD = 3_000_000_000
_DEATHS = {
    Reason.WOULD_MATCH: ("Cancelled", "EC_PostOnlyWillTakeLiquidity"),
    Reason.FAULT: ("Rejected", "EC_Others"),
}
"""Status and reason of orders that are refused only after they were accepted."""


class Orders:
    """Places and cancels. ``on_dead`` is called with an order that never reached the book, ``closed`` are the last."""

    def __init__(self, simulation: Simulation, names: Names, rows: Rows) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(BYBIT)
        self._names, self._rows = names, rows
        self._dead: dict[int, Order] = {}
        self.closed: deque[int] = deque(maxlen=CLOSED_KEPT)
        self._exchange.listeners.append(self._on_event)
        self.on_dead: Callable[[Order], None] = lambda order: None

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent) and not event.order.is_open:
            self.closed.append(event.order.order_id)

    def is_placed(self, body: Json) -> bool:
        """Whether this is the answer to an order that stands."""
        return order_number(str(body.get("orderId"))) in self._exchange.orders

    # ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, params: Params, now: int) -> Json:
        require_unified(self._simulation)
        listing = self._listing(params)
        ask = self._ask(params, listing)
        if ask.client_order_id and self._known(ask.client_order_id):
            raise Rejected(Reason.DUPLICATE)
        try:
            order = self._exchange.place(ask, now)
        except Rejected as error:
            if error.reason not in _DEATHS:
                raise
            order = self._die(listing, ask, error.reason, now)
        self._simulation.flush(BYBIT)
        return self._ids(order)

    def _known(self, link_id: str) -> bool:
        """An id is never free again."""
        return any(one.ask.client_order_id == link_id for one in self._dead.values()) or self._has(link_id)

    def _has(self, link_id: str) -> bool:
        try:
            return bool(self._exchange.find(None, link_id))
        except Rejected:
            return False

    def _die(self, listing: Listing, ask: Ask, reason: Reason, now: int) -> Order:
        number = _FIRST_DEAD + len(self._dead)
        order = Order(number, listing, ask, ask.client_order_id, ask.quantity, now, now, "expired")
        self._dead[number], self._rows.dead[number] = order, _DEATHS[reason]
        self.closed.append(number)
        self.on_dead(order)
        return order

    @staticmethod
    def _ids(order: Order) -> Json:
        return {"orderId": id_text(order.listing, order.order_id), "orderLinkId": order.ask.client_order_id}

    def _listing(self, params: Params) -> Listing:
        """Raises ApiError for what is not traded."""
        category = choice(params, "category", CATEGORIES)
        listing = self._names.find(category, required(params, "symbol", category))
        if listing is None:
            raise ApiError(170121, "Invalid symbol.") if category == "spot" else bad("symbol")
        return listing

    def _ask(self, params: Params, listing: Listing) -> Ask:
        is_spot, category = listing.kind == "spot", category_of(listing)
        wrong = (170117, "Invalid side."), (170116, "Invalid orderType."), (170115, "Invalid timeInForce.")
        side, kind, force = (ApiError(*one) if is_spot else None for one in wrong)
        direction = cast(Side, choice(params, "side", ("Buy", "Sell"), side).lower())
        is_market = choice(params, "orderType", ("Limit", "Market"), kind) == "Market"
        params = {"timeInForce": "GTC"} | {name: value for name, value in params.items() if value is not None}
        tif = cast(TimeInForce, TIMES_IN_FORCE[choice(params, "timeInForce", tuple(TIMES_IN_FORCE), force)])
        amount = decimal_of(params, "qty", category)
        is_value = is_market and is_spot and _is_value(params, direction)
        return Ask(
            listing.symbol,
            direction,
            ZERO if is_value else amount,
            None if is_market else self._price(params, listing, direction),
            "IOC" if is_market else tif,
            link_id_of(params),
            reduce_only=not is_spot and params.get("reduceOnly") is True,
            value=amount if is_value else ZERO,
            leg="" if is_spot else self._leg(params),
        )

    def _price(self, params: Params, listing: Listing, side: Side) -> Decimal:
        """Raises ApiError for one that is too far from the mark price."""
        price = decimal_of(params, "price", category_of(listing))
        mark = self._exchange.perpetual.mark(listing.symbol)
        highest, lowest = mark * (1 + PROTECTION), mark * (1 - PROTECTION)
        if price > highest if side == "buy" else price < lowest:
            if listing.kind == "perpetual":
                raise ApiError(110003, "Order price exceeds the allowable range.")
            word, code, most = ("Buy", 170193, highest) if side == "buy" else ("Sell", 170194, lowest)
            limit = f"{'higher' if side == 'buy' else 'lower'} than {most:.4f}USDT."
            raise ApiError(code, f"{word} order price cannot be {limit}")
        return price

    def _leg(self, params: Params) -> Leg:
        """The position that an order is for; raises ApiError where that does not fit the mode."""
        number = integer_of(params, "positionIdx", 0)
        leg = next((one for one, place in LEGS.items() if place == number), None)
        if leg is None or (leg != "") != self._exchange.perpetual.is_hedged:
            raise ApiError(10001, "position idx not match position mode")
        return cast(Leg, leg)

    # ── cancelling ───────────────────────────────────────────────────────────────────────────────────────────────

    def cancel(self, params: Params, now: int) -> Json:
        """The order's own id wins where both are given."""
        listing, order_id, link_id = self._listing(params), text_of(params, "orderId"), link_id_of(params)
        if not order_id and not link_id:
            raise ApiError(10001, "params error: orderId or orderLinkId is required")
        order = self._exchange.find(order_number(order_id) if order_id else None, "" if order_id else link_id)
        if order.listing is not listing:
            raise Rejected(Reason.UNKNOWN_ORDER)
        self._exchange.cancel(order, now)
        self._simulation.flush(BYBIT)
        return self._ids(order)

    def cancel_all(self, params: Params, now: int) -> Json:
        category = choice(params, "category", CATEGORIES)
        self.require_scope(params, category)
        found = [one for one in self.found(params, category) if one.is_open]
        for order in found:
            self._exchange.cancel(order, now)
        self._simulation.flush(BYBIT)
        return {"list": [self._ids(order) for order in found], "success": "1"}

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def found(self, params: Params, category: str) -> list[Order]:
        """The orders that a request is about, the newest first."""
        order_id, link_id = text_of(params, "orderId"), text_of(params, "orderLinkId")
        wanted = {name: text_of(params, name) for name in ("symbol", "baseCoin", "settleCoin")}
        if wanted["symbol"] and not self._names.find(category, wanted["symbol"]):
            self._listing(params)
        named = self._named(order_id, "" if order_id else link_id)
        here = [one for one in named if category_of(one.listing) == category and _is_of(one.listing, wanted)]
        return sorted(here, key=lambda one: (one.created, one.order_id), reverse=True)

    def _named(self, order_id: str, link_id: str) -> list[Order]:
        """The orders with this id, or all where none is given."""
        if order_id:
            number = order_number(order_id)
            found = self._exchange.orders.get(number) or self._dead.get(number)
            return [found] if found and id_text(found.listing, number) == order_id else []
        every = [*self._exchange.orders.values(), *self._dead.values()]
        return [one for one in every if not link_id or (one.ask.client_order_id == link_id and not one.forced)]

    @staticmethod
    def require_scope(params: Params, category: str) -> None:
        scopes = ("symbol", "baseCoin", "settleCoin")
        if category == "linear" and not any(text_of(params, name) for name in scopes):
            raise ApiError(10001, "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin")


def _is_value(params: Params, side: Side) -> bool:
    """Whether the quantity of a market order on spot is of the quote: of a purchase, unless it says otherwise."""
    unit = text_of(params, "marketUnit", "quoteCoin" if side == "buy" else "baseCoin")
    return choice({"marketUnit": unit}, "marketUnit", ("baseCoin", "quoteCoin")) == "quoteCoin"


def _is_of(listing: Listing, wanted: dict[str, str]) -> bool:
    own = {"symbol": name_of(listing), "baseCoin": listing.base_asset, "settleCoin": listing.quote}
    return all(value in ("", own[name]) for name, value in wanted.items())
