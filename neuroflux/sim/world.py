"""All exchanges that run here, moved on together: a tenth of a second a step, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import tanh
from random import Random

from msgspec import Struct

from neuroflux.sim.accounts import PerpetualLedger, SpotLedger
from neuroflux.sim.exchange import OrderFaults, SimExchange
from neuroflux.sim.instruments import BINANCE, BINANCE_USDM, EXCHANGES, HYPERLIQUID, LISTINGS, Listing
from neuroflux.sim.maker import Maker
from neuroflux.sim.matching import Book, Match, Sequence, Side
from neuroflux.sim.orders import Order
from neuroflux.sim.prices import STEP, Prices

STEPS_A_SECOND = round(1 / STEP)
HOUR = 3_600_000_000
FUNDING_HOURS = {BINANCE_USDM: 8, HYPERLIQUID: 1}
SHY_STEPS = 30
"""How long a market maker keeps away after a partial fill that was asked for."""

_MAJOR_EVERY = 2
_MINOR_EVERY = 10

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


class Tape(Struct):
    """What a symbol's ticker says of the trades so far; prices in ticks, volumes in lots, ``value`` in ticks × lots."""

    open: int
    high: int
    low: int
    last: int
    last_quantity: int
    volume: int
    value: int
    count: int
    started: int
    last_trade: int

    def add(self, match: Match) -> None:
        self.last, self.last_quantity = match.price, match.quantity
        self.high, self.low = max(self.high, match.price), min(self.low, match.price)
        self.volume += match.quantity
        self.value += match.price * match.quantity
        self.count += 1
        self.last_trade = match.trade_id


class Change(Struct, frozen=True):
    """What happened to one book since it was last drained: updates ``first`` to ``last`` changed these levels."""

    listing: Listing
    book: Book
    matches: list[Match]
    levels: list[tuple[Side, int]]
    first: int
    last: int


class World:
    """The state of everything. Reads no clock: ``now`` is in µs."""

    def __init__(self, seed: int, faults: OrderFaults, now: int) -> None:
        self.prices = Prices(seed)
        self.exchanges: dict[str, SimExchange] = {}
        self.truth: list[Order] = []
        self.tapes: dict[tuple[str, str], Tape] = {}
        self._random = Random(f"world {seed}")
        self._makers: dict[str, dict[str, Maker]] = {}
        self._shy: dict[tuple[str, str], int] = {}
        self._mood = {base: self._random.gauss(0.6e-4, 0.8e-4) for base in self.prices.latent}
        self._hour = now // HOUR
        self._marks: dict[tuple[str, str], Decimal] = {}
        for exchange_id in EXCHANGES:
            self._open(exchange_id, faults, seed, now)
        self._mark_all()

    def _open(self, exchange_id: str, faults: OrderFaults, seed: int, now: int) -> None:
        shared = Sequence(self._random.randrange(10**9, 10**10))
        books: dict[str, Book] = {}
        self._makers[exchange_id] = {}
        for listing in LISTINGS[exchange_id]:
            own = Sequence(self._random.randrange(10**7, 10**9))
            book = Book(shared if exchange_id == BINANCE_USDM else own, self._random.randrange(10**6, 10**8))
            maker = Maker(listing, book, seed)
            maker.open(self.price(listing))
            books[listing.symbol] = book
            self._makers[exchange_id][listing.symbol] = maker
            self.tapes[exchange_id, listing.symbol] = self._tape(listing, book, now)
            book.changed.clear()
        exchange = SimExchange(
            exchange_id,
            books,
            SpotLedger({asset: Decimal(amount) for asset, amount in _SPOT_START[exchange_id].items()}),
            PerpetualLedger(
                {asset: Decimal(amount) for asset, amount in _PERPETUAL_START[exchange_id].items()},
                lambda symbol: self._marks[exchange_id, symbol],
            ),
            faults,
            Sequence(self._random.randrange(10**8, 10**9)),
        )
        exchange.on_accept = self.truth.append
        exchange.on_partial = self._make_shy
        self.exchanges[exchange_id] = exchange

    def _tape(self, listing: Listing, book: Book, now: int) -> Tape:
        """A plausible day before the start."""
        last = book.bids.best or 1
        opened = max(1, round(last * (1 + self._random.gauss(0, 0.01))))
        high, low = round(max(last, opened) * 1.005), max(1, round(min(last, opened) * 0.995))
        day_usd = (4e8 if listing.is_major else 3e7) * self._random.uniform(0.5, 1.5)
        volume = max(1, round(day_usd / listing.start / float(listing.lot)))
        return Tape(opened, high, low, last, 1, volume, volume * last, volume // 50 + 1, now, book.last_trade)

    # --- prices

    def price(self, listing: Listing) -> float:
        """What this instrument's exchange holds a unit of it to be worth, in the quote asset."""
        return self.prices.price((listing.exchange, listing.kind, listing.base), listing.quote) * listing.multiplier

    def mark(self, listing: Listing) -> Decimal:
        """The mark price, a whole number of ticks."""
        return self._marks[listing.exchange, listing.symbol]

    def index(self, listing: Listing) -> float:
        return self.prices.index(listing.base, listing.quote) * listing.multiplier

    def funding_rate(self, listing: Listing) -> Decimal:
        """The rate of the present interval, 8 h on Binance and 1 h on Hyperliquid."""
        view = self.prices.views[listing.exchange, listing.kind, listing.base]
        rate = tanh(self._mood[listing.base] + view.basis / 2) * FUNDING_HOURS[listing.exchange] / 8
        return Decimal(str(round(rate, 8)))

    def next_funding(self, exchange_id: str, now: int) -> int:
        """µs."""
        interval = FUNDING_HOURS[exchange_id] * HOUR
        return (now // interval + 1) * interval

    def _mark_all(self) -> None:
        for exchange_id in (BINANCE_USDM, HYPERLIQUID):
            for listing in LISTINGS[exchange_id]:
                view = self.prices.views[exchange_id, listing.kind, listing.base]
                mark = self.index(listing) * (1 + view.basis)
                step = listing.tick * listing.stride if exchange_id == HYPERLIQUID else listing.tick
                self._marks[exchange_id, listing.symbol] = round(mark / float(step)) * step

    # --- time

    def step(self, now: int) -> None:
        """Let a tenth of a second pass on every exchange."""
        self.prices.step()
        number = self.prices.step_number
        for exchange_id, makers in self._makers.items():
            for place, (symbol, maker) in enumerate(makers.items()):
                every = _MAJOR_EVERY if maker.listing.is_major else _MINOR_EVERY
                if (number + place) % every == 0:
                    self._step_book(self.exchanges[exchange_id], symbol, maker, now)
        if number % STEPS_A_SECOND == 0:
            self._mark_all()
            self._fund(now)

    def _step_book(self, exchange: SimExchange, symbol: str, maker: Maker, now: int) -> None:
        if self._shy and self._shy.get((exchange.exchange_id, symbol), 0) > self.prices.step_number:
            return
        before = len(maker.book.matches)
        maker.step(self.price(maker.listing))
        exchange.settle(maker.book.matches[before:], now)

    def _make_shy(self, order: Order) -> None:
        """The market maker lets a partly filled order stand for a while, and takes away what crosses it."""
        listing, price = order.listing, order.ask.price
        if price is not None:
            self._makers[listing.exchange][listing.symbol].withdraw(order.ask.side, listing.ticks(price))
        self._shy[listing.exchange, listing.symbol] = self.prices.step_number + SHY_STEPS

    def _fund(self, now: int) -> None:
        hour = now // HOUR
        if hour == self._hour:
            return
        self._hour = hour
        for exchange_id, hours in FUNDING_HOURS.items():
            if hour % hours == 0:
                exchange = self.exchanges[exchange_id]
                for symbol in list(exchange.perpetual.positions):
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
