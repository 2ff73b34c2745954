"""All exchanges that run here, moved on together: a tenth of a second a step, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from msgspec import Struct

from neuroflux.sim.accounts import PerpetualLedger, SpotLedger
from neuroflux.sim.exchange import OrderFaults, SimExchange
from neuroflux.sim.house import House, SeededHouse
from neuroflux.sim.instruments import BINANCE, BINANCE_USDM, EXCHANGES, HYPERLIQUID, Listing
from neuroflux.sim.matching import Book, Match, Sequence, Side
from neuroflux.sim.orders import Order
from neuroflux.sim.prices import STEP
from neuroflux.sim.tape import Tape

STEPS_A_SECOND = round(1 / STEP)
HOUR = 3_600_000_000
FUNDING_HOURS = {BINANCE_USDM: 8, HYPERLIQUID: 1}

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

    def __init__(self, seed: int, faults: OrderFaults, now: int, house: House | None = None) -> None:
        self.exchanges: dict[str, SimExchange] = {}
        self.truth: list[Order] = []
        self.tapes: dict[tuple[str, str], Tape] = {}
        self._house: House = house or SeededHouse(seed)
        self._random = Random(f"world {seed}")
        self._hour = now // HOUR
        self._steps = 0
        self._marks: dict[tuple[str, str], Decimal] = {}
        for exchange_id in EXCHANGES:
            self._open(exchange_id, faults, now)
        self._mark_all()

    def _open(self, exchange_id: str, faults: OrderFaults, now: int) -> None:
        shared = Sequence(self._random.randrange(10**9, 10**10))
        listed: list[tuple[Listing, Book]] = []
        for listing in self._house.listings[exchange_id]:
            own = Sequence(self._random.randrange(10**7, 10**9))
            book = Book(shared if exchange_id == BINANCE_USDM else own, self._random.randrange(10**6, 10**8))
            self.tapes[exchange_id, listing.symbol] = self._house.open(listing, book, now)
            book.changed.clear()
            listed.append((listing, book))
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
        exchange.on_partial = self._house.withdraw
        self.exchanges[exchange_id] = exchange

    # --- prices

    def mark(self, listing: Listing) -> Decimal:
        """The mark price, a whole number of ticks."""
        return self._marks[listing.exchange, listing.symbol]

    def index(self, listing: Listing) -> float:
        return self._house.index(listing)

    def funding_rate(self, listing: Listing) -> Decimal:
        """The rate of the present interval, 8 h on Binance and 1 h on Hyperliquid."""
        rate = self._house.funding(listing) * FUNDING_HOURS[listing.exchange] / 8
        return Decimal(str(round(rate, 8)))

    def next_funding(self, exchange_id: str, now: int) -> int:
        """µs."""
        interval = FUNDING_HOURS[exchange_id] * HOUR
        return (now // interval + 1) * interval

    def _mark_all(self) -> None:
        for exchange_id in (BINANCE_USDM, HYPERLIQUID):
            for listing in self._house.listings[exchange_id]:
                step = listing.tick * listing.stride if exchange_id == HYPERLIQUID else listing.tick
                self._marks[exchange_id, listing.symbol] = round(self._house.mark(listing) / float(step)) * step

    # --- time

    def step(self, now: int) -> None:
        """Let a tenth of a second pass on every exchange."""
        for listing, matches in self._house.step(now):
            self.exchanges[listing.exchange].settle(matches, now)
        self._steps += 1
        if self._steps % STEPS_A_SECOND == 0:
            self._mark_all()
            self._fund(now)

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
