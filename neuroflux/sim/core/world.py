"""All exchanges that run here, moved on together: a tenth of a second a step, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from msgspec import Struct

from neuroflux.sim.core.accounts import PerpetualLedger, SpotLedger
from neuroflux.sim.core.coins import BINANCE, BINANCE_USDM, EXCHANGES, HYPERLIQUID, Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.liquidity import Liquidity, SeededLiquidity
from neuroflux.sim.core.matching import Book, Match, Sequence, Side
from neuroflux.sim.core.order_checks import OrderFaults
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.prices import STEP
from neuroflux.sim.core.ticker import Tape

STEPS_A_SECOND = round(1 / STEP)
HOUR = 3_600_000_000
FUNDING_HOURS = {BINANCE_USDM: 8, HYPERLIQUID: 1}
FOUR_HOURS = ("APTUSDT", "ARBUSDT", "OPUSDT", "SUIUSDT")
"""Symbols of USDⓈ-M whose interval was changed before we began: only such are named by ``fundingInfo``."""

_SPOT_START = {
    BINANCE: {"USDT": "25000", "USDC": "15000", "BTC": "0.4", "ETH": "4", "SOL": "60"},
    BINANCE_USDM: {},
    HYPERLIQUID: {"USDC": "8000", "HYPE": "100"},
}
_PERPETUAL_START = {
    BINANCE: {},
    BINANCE_USDM: {"USDT": "45000", "USDC": "10000"},
    HYPERLIQUID: {"USDC": "45000"},
}


class Change(Struct, frozen=True):
    """What happened to one book since it was last drained: updates ``first`` to ``last`` changed these levels."""

    listing: Listing
    book: Book
    matches: list[Match]
    levels: list[tuple[Side, int]]
    first: int
    last: int


class World:
    """The state of everything. Reads no clock: ``now`` is in µs. The house is by default made of the seed."""

    def __init__(self, seed: int, faults: OrderFaults, now: int, liquidity: Liquidity | None = None) -> None:
        self.exchanges: dict[str, SimExchange] = {}
        self.truth: list[Order] = []
        self.tapes: dict[tuple[str, str], Tape] = {}
        self._liquidity: Liquidity = liquidity or SeededLiquidity(seed)
        self._random = Random(f"world {seed}")
        self._hour = now // HOUR
        self._steps = 0
        self._marks: dict[tuple[str, str], Decimal] = {}
        self._faults = faults
        self._hours = {(BINANCE_USDM, symbol): 4 for symbol in FOUR_HOURS}
        for exchange_id in EXCHANGES:
            self._open(exchange_id, faults, now)
        self._mark_all()

    def _open(self, exchange_id: str, faults: OrderFaults, now: int) -> None:
        shared = Sequence(self._random.randrange(10**9, 10**10))
        listed = [(listing, self._book(listing, shared, now)) for listing in self._liquidity.listings[exchange_id]]
        exchange = SimExchange(
            exchange_id,
            listed,
            SpotLedger({asset: Decimal(amount) for asset, amount in _SPOT_START[exchange_id].items()}),
            PerpetualLedger(
                {asset: Decimal(amount) for asset, amount in _PERPETUAL_START[exchange_id].items()},
                lambda symbol: self._marks[exchange_id, symbol],
            ),
            faults,
            Sequence(self._random.randrange(10**8, 10**9)),
        )
        exchange.on_accept = self.truth.append
        exchange.on_partial = self._liquidity.withdraw
        self.exchanges[exchange_id] = exchange

    def _book(self, listing: Listing, shared: Sequence, now: int) -> Book:
        """A book of a listing, with what the house puts into it; USDⓈ-M numbers all its updates together."""
        own = Sequence(self._random.randrange(10**7, 10**9))
        book = Book(shared if listing.exchange == BINANCE_USDM else own, self._random.randrange(10**6, 10**8))
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
        """Stop an instrument, or let it go on: nobody may trade it, and its book stands still."""
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
        """The rate of the present interval, 8 h on Binance and 1 h on Hyperliquid."""
        rate = self._liquidity.funding(listing) * self.funding_hours(listing.exchange, listing.symbol) / 8
        return Decimal(str(round(rate, 8)))

    def funding_hours(self, exchange_id: str, symbol: str = "") -> int:
        """The interval of a symbol; of the exchange, where none is named."""
        return self._hours.get((exchange_id, symbol), FUNDING_HOURS[exchange_id])

    def set_funding_hours(self, exchange_id: str, symbol: str, hours: int) -> None:
        self._hours[exchange_id, symbol] = hours

    def adjusted(self, exchange_id: str) -> dict[str, int]:
        """The intervals that were ever changed, by symbol."""
        return {symbol: hours for (where, symbol), hours in self._hours.items() if where == exchange_id}

    def next_funding(self, exchange_id: str, now: int, symbol: str = "") -> int:
        """µs."""
        interval = self.funding_hours(exchange_id, symbol) * HOUR
        return (now // interval + 1) * interval

    def _mark_all(self) -> None:
        for exchange_id in (BINANCE_USDM, HYPERLIQUID):
            for listing in self.exchanges[exchange_id].listings.values():
                self._mark(listing)

    def _mark(self, listing: Listing) -> None:
        step = listing.tick * listing.stride if listing.exchange == HYPERLIQUID else listing.tick
        self._marks[listing.exchange, listing.symbol] = round(self._liquidity.mark(listing) / float(step)) * step

    # --- time

    def step(self, now: int) -> None:
        """Let a tenth of a second pass on every exchange."""
        for listing, matches in self._liquidity.step(now):
            self.exchanges[listing.exchange].settle(matches, now)
        for exchange in self.exchanges.values():
            self._empty_side(exchange)
        self._steps += 1
        if self._steps % STEPS_A_SECOND == 0:
            self._mark_all()
            self._fund(now)

    def _empty_side(self, exchange: SimExchange) -> None:
        """Take away what the house has on a side, while the fault lasts; both sides where none is named."""
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
        for exchange_id in FUNDING_HOURS:
            exchange = self.exchanges[exchange_id]
            for symbol in {listing.symbol: None for listing, _ in exchange.perpetual.held()}:
                if hour % self.funding_hours(exchange_id, symbol) == 0:
                    exchange.fund(symbol, self.funding_rate(exchange.listings[symbol]), now)

    def drain(self, exchange_id: str) -> Iterator[Change]:
        """What changed on an exchange since the last call; whoever publishes it calls this, alone."""
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
