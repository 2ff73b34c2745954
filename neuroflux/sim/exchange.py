"""One exchange that runs here, without its dialect: books, one demo account, orders and their settlement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from neuroflux.sim.accounts import PLACES, ZERO, PerpetualLedger, SpotLedger
from neuroflux.sim.faults import Fault
from neuroflux.sim.instruments import Listing
from neuroflux.sim.matching import Book, Match, Side
from neuroflux.sim.matching import Sequence as Numbers
from neuroflux.sim.orders import AccountEvent, Ask, Fill, FundingEvent, Happening, Order, OrderEvent, Reason, Rejected

MAX_LOTS = 9_000_000_000


class OrderFaults(Protocol):
    """What may be made to go wrong with an order."""

    def take(self, exchange: str, fault: str) -> Fault | None:
        """Whether this fault strikes now; uses one of its counts up."""


class SimExchange:
    """Takes orders, matches and settles them. Reads no clock: ``now`` is in µs, the exchange's.

    ``listeners`` are called with every AccountEvent, in order.
    """

    def __init__(
        self,
        exchange_id: str,
        listed: Sequence[tuple[Listing, Book]],
        spot: SpotLedger,
        perpetual: PerpetualLedger,
        faults: OrderFaults,
        ids: Numbers,
    ) -> None:
        self.exchange_id = exchange_id
        self.listings = {listing.symbol: listing for listing, _ in listed}
        self.books = {listing.symbol: book for listing, book in listed}
        self.spot = spot
        self.perpetual = perpetual
        self.orders: dict[int, Order] = {}
        self.open_orders: dict[int, Order] = {}
        self.listeners: list[Callable[[AccountEvent], None]] = []
        self.on_accept: Callable[[Order], None] = lambda order: None
        self.on_partial: Callable[[Order], None] = lambda order: None
        self._by_client: dict[str, list[Order]] = {}
        self._faults = faults
        self._ids = ids

    # --- questions

    def find(self, order_id: int | None, client_order_id: str = "", symbol: str = "") -> Order:
        """The order with this id, or the newest with this client id; raises Rejected(UNKNOWN_ORDER)."""
        found = [self.orders[order_id]] if order_id in self.orders else self._by_client.get(client_order_id, [])
        for order in reversed(found):
            if not symbol or order.listing.symbol == symbol:
                return order
        raise Rejected(Reason.UNKNOWN_ORDER)

    def fills(self, symbol: str = "") -> list[Fill]:
        """All fills of the account, oldest first."""
        orders = [order for order in self.orders.values() if not symbol or order.listing.symbol == symbol]
        return sorted((fill for order in orders for fill in order.fills), key=lambda fill: (fill.time, fill.trade_id))

    def top(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and best ask; 0 where a half is empty."""
        listing, book = self.listings[symbol], self.books[symbol]
        return (book.bids.best or 0) * listing.tick, (book.asks.best or 0) * listing.tick

    # --- orders

    def place(self, ask: Ask, now: int) -> Order:
        """Accept an order and match it; raises Rejected, and then nothing has changed."""
        listing = self.listings[ask.symbol]
        book = self.books[ask.symbol]
        lots = self._lots(listing, book, ask)
        ticks = self._ticks(listing, ask.price)
        self._check(listing, book, ask, lots, ticks)
        order = self._accept(listing, ask, lots * listing.lot, now)
        self._tell("new", order, now)
        self._match(order, book, lots, ticks, now)
        return order

    def _lots(self, listing: Listing, book: Book, ask: Ask) -> int:
        if ask.value:
            best = book.other(ask.side).best
            if best is None:
                raise Rejected(Reason.QUANTITY_LIMIT)
            return self._lots_for(listing, book, ask)
        try:
            lots = listing.lots(ask.quantity)
        except ValueError as error:
            raise Rejected(Reason.QUANTITY_STEP) from error
        if not 0 < lots <= MAX_LOTS:
            raise Rejected(Reason.QUANTITY_LIMIT)
        return lots

    def _lots_for(self, listing: Listing, book: Book, ask: Ask) -> int:
        """How many lots the value buys at present."""
        units, lots = int(ask.value / listing.unit), 0
        half = book.other(ask.side)
        for price, quantity in half.levels(len(half)):
            here = min(quantity, units // price)
            lots += here
            units -= here * price
            if here < quantity:
                break
        if not lots:
            raise Rejected(Reason.NOTIONAL)
        return lots

    @staticmethod
    def _ticks(listing: Listing, price: Decimal | None) -> int | None:
        if price is None:
            return None
        try:
            ticks = listing.ticks(price)
        except ValueError as error:
            raise Rejected(Reason.PRICE_STEP) from error
        if ticks <= 0:
            raise Rejected(Reason.PRICE_STEP)
        return ticks

    def _check(self, listing: Listing, book: Book, ask: Ask, lots: int, ticks: int | None) -> None:
        if self._faults.take(self.exchange_id, "reject"):
            raise Rejected(Reason.FAULT)
        best = book.other(ask.side).best or book.half(ask.side).best or 0
        if (ticks or best) * lots * listing.unit < listing.min_notional and not ask.reduce_only:
            raise Rejected(Reason.NOTIONAL)
        if ask.client_order_id and any(order.is_open for order in self._by_client.get(ask.client_order_id, ())):
            raise Rejected(Reason.DUPLICATE)
        if ask.time_in_force == "POST" and ticks is not None and book.crosses(ask.side, ticks):
            raise Rejected(Reason.WOULD_MATCH)
        if ask.reduce_only:
            self._check_reduces(listing, ask.side)
        if self._need(listing, book, ask, lots, ticks) > self._have(listing, ask.side):
            raise Rejected(Reason.BALANCE if listing.kind == "spot" else Reason.MARGIN)

    def _check_reduces(self, listing: Listing, side: Side) -> None:
        held = self.perpetual.position(listing).quantity
        if held == 0 or (held > 0) == (side == "buy"):
            raise Rejected(Reason.REDUCE_ONLY)

    def _have(self, listing: Listing, side: Side) -> Decimal:
        if listing.kind == "perpetual":
            return self.perpetual.available(listing.quote)
        return self.spot.of(listing.quote if side == "buy" else listing.base_asset).free

    def _need(self, listing: Listing, book: Book, ask: Ask, lots: int, ticks: int | None) -> Decimal:
        """What must be free for this order: assets, or margin and the fee."""
        if listing.kind == "spot" and ask.side == "sell":
            return lots * listing.lot
        worst = ticks if ticks is not None else self._average_ticks(book, ask.side, lots)
        if listing.kind == "spot":
            return worst * lots * listing.unit
        if ask.reduce_only:
            return ZERO
        opening = self.perpetual.increase(listing, ask.side, lots * listing.lot)
        return opening * worst * listing.tick * (1 / Decimal(self.perpetual.leverage_of(listing)) + listing.taker_fee)

    @staticmethod
    def _average_ticks(book: Book, side: Side, lots: int) -> Decimal:
        """The average price of taking so many lots now, in ticks."""
        half, cost, left = book.other(side), 0, lots
        for price, quantity in half.levels(len(half)):
            here = min(left, quantity)
            cost += here * price
            left -= here
            if not left:
                break
        return Decimal(cost) / max(1, lots - left)

    def _accept(self, listing: Listing, ask: Ask, quantity: Decimal, now: int) -> Order:
        order_id = self._ids.advance()
        client_id = ask.client_order_id or f"auto{order_id}"
        order = Order(order_id, listing, ask, client_id, quantity, now, now)
        self.orders[order_id] = self.open_orders[order_id] = order
        self._by_client.setdefault(client_id, []).append(order)
        self.on_accept(order)
        return order

    def _match(self, order: Order, book: Book, lots: int, ticks: int | None, now: int) -> None:
        ask = order.ask
        is_partial = self._faults.take(self.exchange_id, "partial_fill") is not None
        wanted = max(1, lots // 2) if is_partial else lots
        if ask.reduce_only:
            wanted = min(wanted, int(abs(self.perpetual.position(order.listing).quantity) / order.listing.lot))
        if ask.time_in_force == "FOK" and (is_partial or book.available(ask.side, ticks) < lots):
            self._finish(order, "expired", now)
            return
        for match in book.take(ask.side, wanted, ticks, order.order_id):
            self._settle(order, match, now, is_maker=False)
            self._settle_maker(match, now)
        if order.left and (ticks is None or ask.time_in_force in ("IOC", "FOK") or ask.reduce_only):
            self._finish(order, "expired", now)
        elif order.left and ticks is not None:
            self._rest(order, book, ticks, is_partial=is_partial)

    def _rest(self, order: Order, book: Book, ticks: int, *, is_partial: bool) -> None:
        if is_partial:
            self.on_partial(order)
        self._hold(order, order.left)
        book.rest(order.ask.side, ticks, order.listing.lots(order.left), order.order_id)

    def _hold(self, order: Order, quantity: Decimal) -> None:
        """Lock assets, or reserve margin, for this open quantity; replaces what was held before."""
        listing, price = order.listing, order.ask.price or ZERO
        if listing.kind == "perpetual":
            opening = self.perpetual.increase(listing, order.ask.side, quantity)
            held = opening * price / self.perpetual.leverage_of(listing)
            self.perpetual.reserve(listing.quote, held - order.reserved)
        else:
            is_buy = order.ask.side == "buy"
            held = quantity * price if is_buy else quantity
            self.spot.lock(listing.quote if is_buy else listing.base_asset, held - order.reserved)
        order.reserved = held

    def settle(self, matches: Iterable[Match], now: int) -> None:
        """Settle what others traded with users' resting orders."""
        for match in matches:
            self._settle_maker(match, now)

    def _settle_maker(self, match: Match, now: int) -> None:
        if match.maker:
            self._settle(self.orders[match.maker], match, now, is_maker=True)

    def _settle(self, order: Order, match: Match, now: int, *, is_maker: bool) -> None:
        listing = order.listing
        price, quantity = match.price * listing.tick, match.quantity * listing.lot
        fill = self._fill(order, match.trade_id, price, quantity, now, is_maker=is_maker)
        order.fills.append(fill)
        order.filled += quantity
        order.value_filled += price * quantity
        order.updated = now
        order.state = "partially_filled" if order.left else "filled"
        if not order.left:
            del self.open_orders[order.order_id]
        if is_maker:
            self._hold_after(order, quantity)
        self._tell("trade", order, now, fill)

    def _hold_after(self, order: Order, quantity: Decimal) -> None:
        """Lower what is held: spot's lock was already used up by the trade itself."""
        if order.listing.kind == "spot":
            order.reserved -= quantity * (order.ask.price or ZERO) if order.ask.side == "buy" else quantity
        else:
            self._hold(order, order.left)

    def _fill(
        self, order: Order, trade_id: int, price: Decimal, quantity: Decimal, now: int, *, is_maker: bool
    ) -> Fill:
        listing, side = order.listing, order.ask.side
        share = listing.maker_fee if is_maker else listing.taker_fee
        start, profit = ZERO, ZERO
        if listing.kind == "perpetual":
            start = self.perpetual.position(listing).quantity
            fee, fee_asset = round(price * quantity * share, PLACES), listing.quote
            profit = self.perpetual.trade(listing, side, quantity, price, fee)
            self.perpetual.position(listing).updated = now
        else:
            locked = ZERO
            if is_maker:
                locked = quantity * (order.ask.price or ZERO) if side == "buy" else quantity
            got = self.spot.trade(listing, side, quantity, price * quantity, locked)
            fee, fee_asset = round(got * share, PLACES), listing.base_asset if side == "buy" else listing.quote
            self.spot.charge(fee_asset, fee)
        return Fill(
            trade_id, order.order_id, listing, side, price, quantity, fee, fee_asset, is_maker, profit, start, now
        )

    def cancel(self, order: Order, now: int, cancel_id: str = "") -> None:
        """Take an open order out of the book; raises Rejected(UNKNOWN_ORDER) when it is no longer open."""
        if not order.is_open or order.ask.price is None:
            raise Rejected(Reason.UNKNOWN_ORDER)
        listing = order.listing
        self.books[listing.symbol].withdraw(order.ask.side, listing.ticks(order.ask.price), order.order_id)
        self._hold(order, ZERO)
        self._finish(order, "canceled", now, cancel_id)

    def _finish(self, order: Order, state: Happening, now: int, cancel_id: str = "") -> None:
        if state in ("canceled", "expired"):
            order.state = state
        order.updated = now
        self.open_orders.pop(order.order_id, None)
        self._tell(state, order, now, cancel_id=cancel_id)

    def _tell(
        self, happening: Happening, order: Order, now: int, fill: Fill | None = None, cancel_id: str = ""
    ) -> None:
        event = OrderEvent(happening, msgspec.structs.replace(order), fill, cancel_id, now)
        for listener in self.listeners:
            listener(event)

    # --- time

    def fund(self, symbol: str, rate: Decimal, now: int) -> None:
        """Settle one symbol's funding at this rate; nothing happens where there is no position."""
        listing = self.listings[symbol]
        quantity = self.perpetual.position(listing).quantity
        if not quantity:
            return
        amount = self.perpetual.fund(listing, rate)
        for listener in self.listeners:
            listener(FundingEvent(listing, rate, quantity, amount, now))
