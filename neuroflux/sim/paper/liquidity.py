"""The liquidity of the paper exchanges: each book is a copy of the live exchange's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from neuroflux.domain import BookSnapshot, Funding, Instrument, InstrumentKind, Microseconds
from neuroflux.sim.catalogue import SIMULATED, venues
from neuroflux.sim.core.coins import PRICES, Listing
from neuroflux.sim.core.matching import Book, Match
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.ticker import Tape, blank
from neuroflux.sim.paper.book import PaperBook

Where = tuple[str, str]
"""An exchange and a symbol, as in the topics."""

_FUNDING_HOURS = 8
_LEVERAGE = 20
"""The greatest leverage of a perpetual that the simulator does not know; no instrument list has it."""


def markets() -> tuple[str, ...]:
    """The markets that the simulator lists. All its quotes are dollars of some kind."""
    every = [listing for venue in venues().values() for listing in venue.listings]
    return tuple(sorted({f"{one.base_asset if one.kind == 'spot' else one.base}/USD" for one in every}))


def listings_of(instruments: Iterable[Instrument]) -> dict[Where, Listing]:
    """The instruments of the simulator's markets, which can be traded on paper, with the exchanges' own rules."""
    wanted = frozenset(markets())
    listings: dict[Where, Listing] = {}
    for one in instruments:
        tick = one.tick_size or Decimal(1).scaleb(-one.price_decimals)
        if one.active and one.market in wanted and one.exchange in SIMULATED and min(tick, one.quantity_step) > 0:
            listings[one.exchange, one.symbol] = _listing(one, tick)
    return listings


def _listing(one: Instrument, tick: Decimal) -> Listing:
    is_spot = one.kind is InstrumentKind.SPOT
    known = next((listing for listing in venues()[one.exchange].listings if listing.symbol == one.name), None)
    whole_coin = one.name.removesuffix(one.quote) if one.multiplier > 1 else one.base
    return Listing(
        exchange=one.exchange,
        symbol=one.name,
        kind="spot" if is_spot else "perpetual",
        base=one.base,
        base_asset=whole_coin,
        quote=one.quote,
        tick=_short(tick),
        lot=_short(one.quantity_step),
        start=PRICES.get(one.base, 1.0) * one.multiplier,
        taker_fee=one.taker_fee,
        maker_fee=one.maker_fee,
        min_notional=_short(one.min_notional),
        multiplier=one.multiplier,
        max_leverage=known.max_leverage if known else 1 if is_spot else _LEVERAGE,
        number=max(0, one.asset_id),
    )


def _short(number: Decimal) -> Decimal:
    """A number read from the log has eighteen decimals; an exchange writes no more of them than it needs."""
    return Decimal(f"{number.normalize():f}")


class PaperLiquidity:
    """Mirrors live books. Implements ``Liquidity``; ``take`` receives the records of the topics.

    Marks and indices are the mid of the live book; the last one is kept when the book is withdrawn. Funding is settled
    at the simulator's own hours, with the live rate scaled to them.
    """

    def __init__(self, listings: Mapping[Where, Listing]) -> None:
        self.listings: Mapping[str, Sequence[Listing]] = {
            exchange_id: tuple(one for one in listings.values() if one.exchange == exchange_id)
            for exchange_id in SIMULATED
        }
        self._names = {where: (listing.exchange, listing.symbol) for where, listing in listings.items()}
        self._mirrors: dict[tuple[str, str], PaperBook] = {}
        self._pending: dict[tuple[str, str], BookSnapshot[float]] = {}
        self._funding: dict[tuple[str, str], float] = {}

    def take(self, record: BookSnapshot[float] | Funding[float]) -> None:
        """Keep the newest record of each instrument; a snapshot is in its book from the next step on."""
        name = self._names.get((record.exchange, record.symbol))
        if name is None:
            return
        if isinstance(record, BookSnapshot):
            self._pending[name] = record
        elif record.interval_hours:
            self._funding[name] = record.rate * _FUNDING_HOURS / record.interval_hours

    def open(self, listing: Listing, book: Book, now: Microseconds) -> Tape:
        self._mirrors[listing.exchange, listing.symbol] = PaperBook(listing, book)
        return blank(now, book.last_trade)

    def step(self, now: Microseconds) -> Iterator[tuple[Listing, list[Match]]]:
        pending, self._pending = self._pending, {}
        for name, snapshot in pending.items():
            paper_book = self._mirrors[name]
            yield paper_book.listing, paper_book.show(snapshot, now)
        for paper_book in self._mirrors.values():
            paper_book.expire(now)

    def pause(self, listing: Listing, *, is_paused: bool) -> None:
        """The live exchange is not halted: orders are refused, and its snapshots are shown as before."""

    def withdraw(self, order: Order) -> None:
        """Nothing is removed: a live exchange does not make room for an order, the next snapshot fills it."""

    def mark(self, listing: Listing) -> float:
        return self._mirrors[listing.exchange, listing.symbol].mid

    def index(self, listing: Listing) -> float:
        return self.mark(listing)

    def funding(self, listing: Listing) -> float:
        return self._funding.get((listing.exchange, listing.symbol), 0.0)
