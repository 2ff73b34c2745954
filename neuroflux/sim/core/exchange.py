"""One simulated exchange without its dialect: books, one demo account, orders and their settlement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec

from neuroflux.sim.core.accounts import ZERO, Leg, PerpetualLedger, SpotLedger
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.fees import Fees
from neuroflux.sim.core.matching import Book, Match, Side
from neuroflux.sim.core.matching import Sequence as Numbers
from neuroflux.sim.core.order_checks import OrderChecks, OrderFaults
from neuroflux.sim.core.orders import (
    AccountEvent,
    Ask,
    EventKind,
    Fill,
    Forced,
    FundingEvent,
    Order,
    OrderEvent,
    Reason,
    Rejected,
    TransferEvent,
)
from neuroflux.sim.core.venue import Venue


class SimExchange:
    """Takes orders, matches and settles them. Reads no clock: ``now`` is in µs, the exchange's.

    ``listeners`` are called with every AccountEvent, in order; ``moved`` keeps those that are of money alone.
    """

    def __init__(
        self,
        venue: Venue,
        listed: Sequence[tuple[Listing, Book]],
        spot: SpotLedger,
        perpetual: PerpetualLedger,
        faults: OrderFaults,
        ids: Numbers,
    ) -> None:
        self.venue = venue
        self.exchange_id = venue.id
        self.listings = {listing.symbol: listing for listing, _ in listed}
        self.books = {listing.symbol: book for listing, book in listed}
        self.spot = spot
        self.perpetual = perpetual
        self.halted: set[str] = set()
        self._ticks_now: dict[str, Decimal] = {}
        self.on_list: list[Callable[[Listing], None]] = []
        self.orders: dict[int, Order] = {}
        self.open_orders: dict[int, Order] = {}
        self.moved: list[FundingEvent | TransferEvent] = []
        self.listeners: list[Callable[[AccountEvent], None]] = []
        self.on_accept: Callable[[Order], None] = lambda order: None
        self.on_partial: Callable[[Order], None] = lambda order: None
        self._by_client: dict[str, list[Order]] = {}
        self._faults = faults
        self._ids = ids
        self._checks = OrderChecks(self, faults)
        self.fees = Fees(lambda: faults.setting(venue.id, "fees"), self._price_of, venue.fee_discount)

    # --- instruments

    def add(self, listing: Listing, book: Book) -> None:
        """Trade one instrument more, and call ``on_list``."""
        self.listings[listing.symbol], self.books[listing.symbol] = listing, book
        for listener in self.on_list:
            listener(listing)

    def tick_of(self, listing: Listing) -> Decimal:
        """The step of prices that orders must keep to now."""
        return self._ticks_now.get(listing.symbol, listing.tick)

    def set_tick(self, listing: Listing, tick: Decimal) -> None:
        """Make the step of prices coarser; resting orders keep their prices. Raises ValueError."""
        if tick <= 0 or tick % listing.tick:
            raise ValueError(f"the tick must be a whole multiple of {listing.tick:f}")
        self._ticks_now[listing.symbol] = tick

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

    def available(self, asset: str, *, is_spot: bool) -> Decimal:
        """What can be spent, or be used as margin; in a unified account one and the same."""
        is_pooled = asset == "USDC" and self._faults.setting(self.exchange_id, "unified_account") is not None
        if is_pooled:
            return max(ZERO, self.perpetual.left(asset) + self.spot.of(asset).free)
        free = self.spot.of(asset).free if is_spot else self.perpetual.available(asset)
        return min(free, self.perpetual.available(asset)) if self.venue.shares_wallet else free

    def _price_of(self, asset: str, quote: str) -> Decimal:
        """The best bid for an asset, in any dollar; 0 where it is not traded."""
        names = (f"{asset}{each}" for each in (quote, "USDT"))
        return next((bid for name in names if name in self.listings and (bid := self.top(name)[0])), ZERO)

    # --- orders

    def check(self, ask: Ask) -> None:
        """Raises Rejected where ``place`` would, and places nothing."""
        self._checks.checked(self.listings[ask.symbol], self.books[ask.symbol], ask)

    def place(self, ask: Ask, now: int) -> Order:
        """Accept an order and match it; raises Rejected, and then nothing has changed."""
        listing = self.listings[ask.symbol]
        book = self.books[ask.symbol]
        lots, ticks = self._checks.checked(listing, book, ask)
        order = self._accept(listing, ask, lots * listing.lot, now)
        if listing.kind == "spot" and ask.price is not None and ask.time_in_force in ("GTC", "POST"):
            self._hold(order, order.quantity)  # before anything of the order is published: pushed balances show it
        self._report("new", order, now)
        self._match(order, book, lots, ticks, now)
        self._expire_surplus(listing, now)
        return order

    def _accept(self, listing: Listing, ask: Ask, quantity: Decimal, now: int) -> Order:
        order_id = self._ids.advance()
        client_id = ask.client_order_id or f"auto{order_id}"
        order = Order(order_id, listing, ask, client_id, quantity, now, now)
        order.fee_share = self.fee_share(listing, ask.side, in_base=ask.fee_in_base)
        self.orders[order_id] = self.open_orders[order_id] = order
        self._by_client.setdefault(client_id, []).append(order)
        self.on_accept(order)
        return order

    def fee_share(self, listing: Listing, side: Side, *, in_base: bool = False) -> Decimal:
        """The share that an order needs for its fee beside what it pays: where one asset pays both."""
        pays_both = self.venue.fees_in_quote and (side == "buy") != in_base
        return max(ZERO, self.fees.rates(listing).taker) if pays_both else ZERO

    def _match(self, order: Order, book: Book, lots: int, ticks: int | None, now: int) -> None:
        ask = order.ask
        is_partial = self._faults.take(self.exchange_id, "partial_fill", ask.symbol) is not None
        wanted = max(1, lots // 2) if is_partial else lots
        if ask.only_reduces:
            wanted = min(wanted, int(abs(self.perpetual.position(order.listing, ask.leg).quantity) / order.listing.lot))
        if ask.time_in_force == "POST" and ticks is not None and book.crosses(ask.side, ticks):
            self._hold(order, ZERO)
            self._finish(order, "expired", now)
            return
        if ask.time_in_force == "FOK" and (is_partial or book.available(ask.side, ticks) < lots):
            self._finish(order, "expired", now)
            return
        if self.venue.prevents_self_trades or ask.self_trade == "cancel_oldest":
            self._make_way(book, ask.side, wanted, ticks, now)
        free, own = self._before_own(book, ask, wanted, ticks)
        for match in book.take(ask.side, free, ticks, order.order_id):
            self._settle(order, match, now, is_maker=False)
            self._settle_maker(match, now)
        if own and ask.self_trade == "cancel_both":
            self._make_way(book, ask.side, 1, ticks, now)
        if order.left and (own or ticks is None or ask.time_in_force in ("IOC", "FOK")):
            self._finish(order, "expired", now)
        elif order.left and ticks is not None:
            self._rest(order, book, ticks, is_partial=is_partial)

    def _make_way(self, book: Book, side: Side, lots: int, ticks: int | None, now: int) -> None:
        """Cancel the account's own orders that so many lots would meet."""
        other = book.other(side)
        for price in other.prices(len(other)):
            if lots <= 0 or (ticks is not None and not other.reaches(price, ticks)):
                break
            for resting in list(other.queue(price)):
                if resting.owner and lots > 0:
                    self._leave_book(self.orders[resting.owner])
                    self._finish(self.orders[resting.owner], "expired", now)
                else:
                    lots -= resting.left

    def _before_own(self, book: Book, ask: Ask, wanted: int, ticks: int | None) -> tuple[int, int]:
        """How many of these lots trade before the first one would meet the account's own order, and that order's id."""
        other, free = book.other(ask.side), 0
        for price in other.prices(len(other)) if ask.self_trade in ("cancel_newest", "cancel_both") else ():
            if free >= wanted or (ticks is not None and not other.reaches(price, ticks)):
                break
            for resting in other.queue(price):
                if resting.owner and free < wanted:
                    return free, resting.owner
                free += resting.left
        return wanted, 0

    def _rest(self, order: Order, book: Book, ticks: int, *, is_partial: bool) -> None:
        if is_partial:
            self.on_partial(order)
        self._hold(order, order.left)
        book.rest(order.ask.side, ticks, order.listing.lots(order.left), order.order_id)

    def _hold(self, order: Order, quantity: Decimal) -> None:
        """Lock assets, or reserve margin, for this open quantity; replaces what was held before."""
        listing, price = order.listing, order.ask.price or ZERO
        if listing.kind == "perpetual":
            opening = self.perpetual.increase(listing, order.ask.side, quantity, order.ask.leg)
            held = opening * price / self.perpetual.leverage_of(listing)
            self.perpetual.reserve(listing.quote, held - order.reserved)
        else:
            held = order.locks(quantity)
            paid = listing.quote if order.ask.side == "buy" else listing.base_asset
            self.spot.lock(paid, held - order.reserved)
        order.reserved = held

    def settle(self, matches: Iterable[Match], now: int) -> None:
        """Settle what others traded with users' resting orders."""
        makers = [match for match in matches if match.maker]
        for match in makers:
            self._settle_maker(match, now)
        for listing in {self.orders[match.maker].listing for match in makers}:
            self._expire_surplus(listing, now)

    def _expire_surplus(self, listing: Listing, now: int) -> None:
        """End the resting orders that may only reduce and, with those before them, are for more than is left."""
        reducing: dict[tuple[Leg, Side], Decimal] = {}
        for order in [each for each in self.open_orders.values() if each.listing.symbol == listing.symbol]:
            if not order.ask.only_reduces:
                continue
            place = (order.ask.leg, order.ask.side)
            held = self.perpetual.position(listing, order.ask.leg).quantity
            wanted = reducing.get(place, ZERO) + order.left
            if wanted <= abs(held) and (held > 0) != (order.ask.side == "buy"):
                reducing[place] = wanted
            else:
                self._leave_book(order)
                self._finish(order, "expired", now)

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
        if is_maker or order.reserved:
            self._hold_after(order, quantity)
        self._report("trade", order, now, fill)

    def _hold_after(self, order: Order, quantity: Decimal) -> None:
        """Lower what is held: spot's lock was already used up by the trade itself."""
        if order.listing.kind == "spot":
            order.reserved -= order.locks(quantity)
        else:
            self._hold(order, order.left)

    def _fill(
        self, order: Order, trade_id: int, price: Decimal, quantity: Decimal, now: int, *, is_maker: bool
    ) -> Fill:
        listing, side, leg = order.listing, order.ask.side, order.ask.leg
        start, profit, value = ZERO, ZERO, price * quantity
        paying = self.fees.rates(listing).asset
        charged = ZERO if order.forced == "adl" else value
        if listing.kind == "perpetual":
            position = self.perpetual.position(listing, leg)
            start = position.quantity
            owned = self.perpetual.wallet.get(paying, ZERO)
            fee, fee_asset = self.fees.fee(listing, charged, listing.quote, charged, owned, is_maker=is_maker)
            profit = self.perpetual.trade(listing, side, quantity, price, leg)
            self.perpetual.charge(fee_asset, fee)
            position.updated = now
        else:
            locked = order.locks(quantity) if order.reserved else ZERO
            got = self.spot.trade(listing, side, quantity, value, locked)
            got_asset = listing.base_asset if side == "buy" else listing.quote
            if self.venue.fees_in_quote:
                got, got_asset = (quantity, listing.base_asset) if order.ask.fee_in_base else (value, listing.quote)
            elif is_maker and self.venue.rebates_in_paid and self.fees.rates(listing).maker < 0:
                got, got_asset = (value, listing.quote) if side == "buy" else (quantity, listing.base_asset)
            owned = self.spot.of(paying).free if paying else ZERO
            fee, fee_asset = self.fees.fee(listing, got, got_asset, value, owned, is_maker=is_maker)
            self.spot.charge(fee_asset, fee)
        return Fill(
            trade_id, order.order_id, listing, side, price, quantity, fee, fee_asset, is_maker, profit, start, now
        )

    def force(self, ask: Ask, forced: Forced, matches: Callable[[Order], list[Match]], now: int) -> None:
        """Make an order of the exchange's own, and settle what it met."""
        order = self._accept(self.listings[ask.symbol], ask, ask.quantity, now)
        order.forced = forced
        self._report("new", order, now)
        for match in matches(order):
            self._settle(order, match, now, is_maker=False)
            self._settle_maker(match, now)
        if order.left:
            self._finish(order, "expired", now)

    def is_waiting(self, client_order_id: str) -> bool:
        """Whether an open order has this client id."""
        return any(order.is_open for order in self._by_client.get(client_order_id, ()))

    def cancel(self, order: Order, now: int, cancel_id: str = "") -> None:
        """Remove an open order from the book; raises Rejected(UNKNOWN_ORDER) when it is no longer open."""
        if not order.is_open or order.ask.price is None:
            raise Rejected(Reason.UNKNOWN_ORDER)
        self._leave_book(order)
        self._finish(order, "canceled", now, cancel_id)

    def amend(self, order: Order, quantity: Decimal, price: Decimal, now: int) -> None:
        """Change an open limit order, which loses its place in the queue; ``quantity`` counts what is filled already.

        Raises Rejected, and then only the place is lost.
        """
        if not order.is_open or order.ask.price is None:
            raise Rejected(Reason.UNKNOWN_ORDER)
        listing, book, before = order.listing, self.books[order.listing.symbol], order.ask
        self._leave_book(order)
        wanted = msgspec.structs.replace(before, price=price, quantity=quantity - order.filled, client_order_id="")
        try:
            lots, ticks = self._checks.checked(listing, book, wanted)
        except Rejected:
            self._rest(order, book, listing.ticks(before.price or ZERO), is_partial=False)
            raise
        order.ask = msgspec.structs.replace(before, price=price, quantity=quantity)
        order.quantity, order.updated = quantity, now
        self._hold(order, order.left)
        self._report("new", order, now)
        self._match(order, book, lots, ticks, now)

    def _leave_book(self, order: Order) -> None:
        listing = order.listing
        ticks = listing.ticks(order.ask.price or ZERO)
        self.books[listing.symbol].withdraw(order.ask.side, ticks, order.order_id)
        self._hold(order, ZERO)

    def _finish(self, order: Order, state: EventKind, now: int, cancel_id: str = "") -> None:
        if state in ("canceled", "expired"):
            order.state = state
        order.updated = now
        self.open_orders.pop(order.order_id, None)
        self._report(state, order, now, cancel_id=cancel_id)

    def _report(self, kind: EventKind, order: Order, now: int, fill: Fill | None = None, cancel_id: str = "") -> None:
        self.announce(OrderEvent(kind, msgspec.structs.replace(order), fill, cancel_id, now))

    # --- time

    def fund(self, symbol: str, rate: Decimal, now: int) -> None:
        """Settle one symbol's funding at this rate, where there is a position."""
        for listing, position in self.perpetual.held():
            if listing.symbol == symbol:
                amount = self.perpetual.fund(listing, position, rate)
                self._move(FundingEvent(listing, rate, position.quantity, amount, now))

    def transfer(self, asset: str, amount: Decimal, now: int, *, is_spot: bool) -> None:
        """Receive (negative: send) an amount of an asset."""
        if is_spot:
            self.spot.of(asset).free += amount
        else:
            self.perpetual.charge(asset, -amount)
        self._move(TransferEvent(asset, amount, is_spot, now))

    def _move(self, event: FundingEvent | TransferEvent) -> None:
        self.moved.append(event)
        self.announce(event)

    def announce(self, event: AccountEvent) -> None:
        """Call every listener."""
        for listener in self.listeners:
            listener(event)
