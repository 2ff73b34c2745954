"""What an exchange checks before it accepts an order: the steps, the minimum, what must be free, and what it may do."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.matching import Book, Side
from neuroflux.sim.core.orders import Ask, Reason, Rejected

if TYPE_CHECKING:
    from neuroflux.sim.core.exchange import SimExchange


class OrderFaults(Protocol):
    """What may be made to go wrong with an order."""

    def take(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        """Whether this fault strikes now; uses one of its counts up."""

    def setting(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        """The fault as it is set now; uses nothing up."""


class OrderChecks:
    """Checks the orders of one exchange."""

    def __init__(self, exchange: SimExchange, faults: OrderFaults) -> None:
        self._exchange = exchange
        self._faults = faults

    def checked(self, listing: Listing, book: Book, ask: Ask) -> tuple[int, int | None]:
        """The order's lots and ticks (None at market); raises Rejected."""
        if ask.symbol in self._exchange.halted:
            raise Rejected(Reason.HALTED)
        lots = self._lots(listing, book, ask)
        ticks = self._ticks(listing, ask.price)
        if ask.price is not None and ask.price % self._exchange.tick_of(listing):
            raise Rejected(Reason.PRICE_STEP)
        self._check(listing, book, ask, lots, ticks)
        return lots, ticks

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
        if not 0 < lots <= self._exchange.venue.most_lots:
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
        if self._faults.take(self._exchange.exchange_id, "reject", listing.symbol):
            raise Rejected(Reason.FAULT)
        if self._faults.take(self._exchange.exchange_id, "unknown_code", listing.symbol):
            raise Rejected(Reason.UNKNOWN_CODE)
        best = book.other(ask.side).best or book.half(ask.side).best or 0
        if (ticks or best) * lots * listing.unit < listing.min_notional and not ask.only_reduces:
            raise Rejected(Reason.NOTIONAL)
        if ask.client_order_id and self._exchange.is_waiting(ask.client_order_id):
            raise Rejected(Reason.DUPLICATE)
        if ask.time_in_force == "POST" and ticks is not None and book.crosses(ask.side, ticks):
            self._check_post_only()
        if ask.only_reduces:
            self._check_reduces(listing, ask, lots)
        if self._need(listing, book, ask, lots, ticks) > self._have(listing, ask.side):
            raise Rejected(Reason.BALANCE if listing.kind == "spot" else Reason.MARGIN)

    def _check_post_only(self) -> None:
        if not self._exchange.venue.keeps_post_only:
            raise Rejected(Reason.WOULD_MATCH)

    def _check_reduces(self, listing: Listing, ask: Ask, lots: int) -> None:
        """Of a leg no more can be sold than it holds; in one-way mode what is too much just does not trade."""
        held = self._exchange.perpetual.position(listing, ask.leg).quantity
        if held == 0 or (held > 0) == (ask.side == "buy") or (ask.leg and lots * listing.lot > abs(held)):
            raise Rejected(Reason.REDUCE_ONLY)

    def _have(self, listing: Listing, side: Side) -> Decimal:
        asset = listing.quote if listing.kind == "perpetual" or side == "buy" else listing.base_asset
        return self._exchange.available(asset, is_spot=listing.kind == "spot")

    def _need(self, listing: Listing, book: Book, ask: Ask, lots: int, ticks: int | None) -> Decimal:
        """What must be free for this order: assets, or margin and the fee."""
        share = self._exchange.fee_share(listing, ask.side, in_base=ask.fee_in_base)
        if listing.kind == "spot" and ask.side == "sell":
            return lots * listing.lot * (1 + share)
        worst = ticks if ticks is not None else self.average_ticks(book, ask.side, lots)
        if listing.kind == "spot":
            return worst * lots * listing.unit * (1 + share)
        if ask.only_reduces:
            return ZERO
        opening = self._exchange.perpetual.increase(listing, ask.side, lots * listing.lot, ask.leg)
        return (
            opening
            * worst
            * listing.tick
            * (1 / Decimal(self._exchange.perpetual.leverage_of(listing)) + listing.taker_fee)
        )

    @staticmethod
    def average_ticks(book: Book, side: Side, lots: int) -> Decimal:
        """The average price of taking so many lots now, in ticks."""
        half, cost, left = book.other(side), 0, lots
        for price, quantity in half.levels(len(half)):
            here = min(left, quantity)
            cost += here * price
            left -= here
            if not left:
                break
        return Decimal(cost) / max(1, lots - left)
