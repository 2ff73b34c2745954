"""All simulated exchanges, stepped together: a tenth of a second a step, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random

from msgspec import Struct

from neuroflux.sim.core.accounts import PerpetualLedger, SharedWallet, SpotLedger
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.liquidity import Liquidity, SeededLiquidity
from neuroflux.sim.core.matching import Book, Match, Sequence, Side
from neuroflux.sim.core.order_checks import OrderFaults
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.prices import STEP
from neuroflux.sim.core.ticker import Tape
from neuroflux.sim.core.venue import Venue

STEPS_A_SECOND = round(1 / STEP)
HOUR = 3_600_000_000


class Change(Struct, frozen=True):
    """The changes of one book since it was last drained: updates ``first`` to ``last`` changed these levels."""

    listing: Listing
    book: Book
    matches: list[Match]
    levels: list[tuple[Side, int]]
    first: int
    last: int


class World:
    """The state of the exchanges ``venues``. Reads no clock: ``now`` is in µs.

    Without a ``liquidity`` the books are filled by one that derives its prices from the seed.
    """

    def __init__(
        self,
        venues: Mapping[str, Venue],
        seed: int,
        faults: OrderFaults,
        now: int,
        liquidity: Liquidity | None = None,
    ) -> None:
        self.venues = venues
        self.exchanges: dict[str, SimExchange] = {}
        self.truth: list[Order] = []
        self.tapes: dict[tuple[str, str], Tape] = {}
        self._liquidity: Liquidity = liquidity or SeededLiquidity(venues, seed)
        self._random = Random(f"world {seed}")
        self._hour = now // HOUR
        self._steps = 0
        self._marks: dict[tuple[str, str], Decimal] = {}
        self._faults = faults
        self._hours = {
            (venue.id, symbol): hours
            for venue in venues.values()
            for symbol, hours in venue.changed_funding_hours.items()
        }
        for venue in venues.values():
            self._open(venue, faults, now)
        self._mark_all()

    def _open(self, venue: Venue, faults: OrderFaults, now: int) -> None:
        shared = Sequence(self._random.randrange(10**9, 10**10))
        listed = [(listing, self._book(listing, shared, now)) for listing in self._liquidity.listings[venue.id]]
        spot = SpotLedger(venue.spot_balances)
        collateral = SharedWallet(spot) if venue.shares_wallet else venue.collateral
        exchange = SimExchange(
            venue,
            listed,
            spot,
            PerpetualLedger(collateral, lambda symbol: self._marks[venue.id, symbol]),
            faults,
            Sequence(self._random.randrange(10**8, 10**9)),
        )
        exchange.on_accept = self.truth.append
        exchange.on_partial = self._liquidity.withdraw
        self.exchanges[venue.id] = exchange

    def _book(self, listing: Listing, shared: Sequence, now: int) -> Book:
        """A book of a listing, with the liquidity's orders; ``shared`` numbers the updates of books together."""
        own = Sequence(self._random.randrange(10**7, 10**9))
        is_shared = self.venues[listing.exchange].books_share_numbers
        book = Book(shared if is_shared else own, self._random.randrange(10**6, 10**8))
        self.tapes[listing.exchange, listing.symbol] = self._liquidity.open(listing, book, now)
        book.changed.clear()
        return book

    def add(self, listing: Listing, now: int) -> None:
        """List an instrument while everything runs."""
        exchange = self.exchanges[listing.exchange]
        shared = next(iter(exchange.books.values())).updates
        exchange.add(listing, self._book(listing, shared, now))
        self._mark(listing)

    def halt(self, listing: Listing, *, is_halted: bool) -> None:
        """Halt an instrument, or resume it: while it is halted, orders are refused and its book does not change."""
        halted = self.exchanges[listing.exchange].halted
        if is_halted:
            halted.add(listing.symbol)
        else:
            halted.discard(listing.symbol)
        self._liquidity.pause(listing, is_paused=is_halted)

    # --- prices

    def mark(self, listing: Listing) -> Decimal:
        """The mark price, a whole number of ticks."""
        return self._marks[listing.exchange, listing.symbol]

    def index(self, listing: Listing) -> float:
        return self._liquidity.index(listing)

    def funding_rate(self, listing: Listing) -> Decimal:
        """The rate of the present interval."""
        rate = self._liquidity.funding(listing) * self.funding_hours(listing.exchange, listing.symbol) / 8
        return Decimal(str(round(rate, 8)))

    def funding_hours(self, exchange_id: str, symbol: str = "") -> int:
        """The interval of a symbol; of the exchange, where none is named."""
        return self._hours.get((exchange_id, symbol), self.venues[exchange_id].funding_hours)

    def set_funding_hours(self, exchange_id: str, symbol: str, hours: int) -> None:
        self._hours[exchange_id, symbol] = hours

    def adjusted(self, exchange_id: str) -> dict[str, int]:
        """The intervals that were ever changed, by symbol."""
        return {symbol: hours for (where, symbol), hours in self._hours.items() if where == exchange_id}

    def next_funding(self, exchange_id: str, now: int, symbol: str = "") -> int:
        """µs."""
        interval = self.funding_hours(exchange_id, symbol) * HOUR
        return (now // interval + 1) * interval

    def _with_funding(self) -> list[Venue]:
        return [venue for venue in self.venues.values() if venue.funding_hours]

    def _mark_all(self) -> None:
        for venue in self._with_funding():
            for listing in self.exchanges[venue.id].listings.values():
                self._mark(listing)

    def _mark(self, listing: Listing) -> None:
        step = listing.tick * listing.stride
        self._marks[listing.exchange, listing.symbol] = round(self._liquidity.mark(listing) / float(step)) * step

    # --- time

    def step(self, now: int) -> None:
        """Move every exchange on by a tenth of a second."""
        for listing, matches in self._liquidity.step(now):
            self.exchanges[listing.exchange].settle(matches, now)
        for exchange in self.exchanges.values():
            self._empty_side(exchange)
        self._steps += 1
        if self._steps % STEPS_A_SECOND == 0:
            self._mark_all()
            self._fund(now)

    def _empty_side(self, exchange: SimExchange) -> None:
        """Remove the liquidity of a side while the fault lasts; of both sides where it names none."""
        fault = self._faults.setting(exchange.exchange_id, "empty_side")
        book = exchange.books.get(fault.symbol) if fault is not None else None
        if fault is None or book is None:
            return
        for half in (book.bids, book.asks):
            if fault.value in ("", half.side):
                for price in half.prices(len(half)):
                    book.set_liquidity(half.side, price, 0)

    def _fund(self, now: int) -> None:
        hour = now // HOUR
        if hour == self._hour:
            return
        self._hour = hour
        for venue in self._with_funding():
            exchange = self.exchanges[venue.id]
            for symbol in {listing.symbol: None for listing, _ in exchange.perpetual.held()}:
                if hour % self.funding_hours(venue.id, symbol) == 0:
                    exchange.fund(symbol, self.funding_rate(exchange.listings[symbol]), now)

    def drain(self, exchange_id: str) -> Iterator[Change]:
        """The changes of an exchange since the last call. Only its dialect's publisher calls this."""
        exchange = self.exchanges[exchange_id]
        for symbol, book in exchange.books.items():
            if not book.changed and not book.matches:
                continue
            matches, levels, first = book.matches, list(book.changed), book.first_change
            book.matches, book.changed = [], {}
            tape = self.tapes[exchange_id, symbol]
            for match in matches:
                tape.add(match)
            yield Change(exchange.listings[symbol], book, matches, levels, first, book.sequence)
