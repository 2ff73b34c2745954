"""What the façade knows: the newest of each compacted topic, book, price and status, and the signals that are open.

A pure fold over entries. ``lock`` makes a reading that takes several looks one picture, also from another thread.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from threading import RLock
from typing import Final

from msgspec import Struct

from neuroflux.domain import (
    AggregatedPrice,
    ArbitrageSignal,
    Balance,
    BookSnapshot,
    Cause,
    ControlCommand,
    ControlKind,
    ExchangeHealth,
    ExchangeStatus,
    Failover,
    Funding,
    Instrument,
    InstrumentKind,
    Microseconds,
    Position,
    Side,
    StatusKind,
)
from neuroflux.engine.markets.conversion import Conversions, Name, Rate, is_conversion_market, mids, top_of
from neuroflux.engine.markets.soundness import as_received, flaw, flaw_of_instrument, flaw_of_price
from neuroflux.engine.risk.command_bounds import control_fault
from neuroflux.engine.risk.leverage import free_for, reducible
from neuroflux.engine.risk.limits import EVERYWHERE, Seen, bounds_of, halt_of, spent_asset
from neuroflux.engine.risk.pool import Pools, positions_in
from neuroflux.engine.routing.candidates import PRICE_LIFE, Prospect, usd_rate
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.records.entries import Entry
from neuroflux.records.topics import (
    BALANCES,
    BOOKS,
    CONTROL,
    FAILOVER,
    FUNDING,
    HEALTH,
    INSTRUMENTS,
    POSITIONS,
    PRICES,
    SIGNALS,
    STATUS,
)

log = logging.getLogger(__name__)

KEPT = (INSTRUMENTS, BALANCES, POSITIONS, HEALTH, CONTROL, FAILOVER)
"""Compacted: read from the beginning."""
RECENT_SPAN: Microseconds = 120_000_000
"""Accounts are compared with REST each minute: a difference older than two comparisons says nothing any more."""
MARK_LIFE: Microseconds = 10_000_000
"""How old a mark price, or the book in its place, may be to value a position with."""
SINCE: Final = {
    STATUS: RECENT_SPAN,
    PRICES: PRICE_LIFE,
    BOOKS: 2_000_000,
    SIGNALS: 5_000_000,
    FUNDING: MARK_LIFE,
}
"""Read from so long ago: older records were published again or do not hold. A quiet book is published each second."""


class Told(Struct, frozen=True):
    """A balance, and when it was written to the log."""

    balance: Balance
    at: Microseconds


class View:
    """``take`` is fed with every entry; the rest answers from memory."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.prices: dict[str, AggregatedPrice] = {}
        self.health: dict[str, ExchangeHealth] = {}
        self.balances: dict[Name, Told] = {}
        self.positions: dict[Name, Position] = {}
        self.modes: dict[str, ExchangeStatus] = {}
        """The newest status of an account's mode, by exchange."""
        self.differences: dict[str, ExchangeStatus] = {}
        """The newest status of an account on which stream and REST differed, by exchange."""
        self.exclusions: dict[Name, ExchangeStatus] = {}
        """Why an instrument was last left out of its market's price."""
        self.probes: dict[str, ExchangeStatus] = {}
        """The newest answer to a probe, by exchange."""
        self.failovers: dict[str, Failover] = {}
        self._limits: dict[str, dict[str, float]] = {}
        self._halts: dict[str, str] = {}
        self._signals: dict[str, ArbitrageSignal] = {}
        self._instruments: dict[Name, Instrument] = {}
        self._named: dict[str, dict[Name, Instrument]] = {}
        self._books: dict[Name, tuple[BookSnapshot[float], Cause]] = {}
        self._conversions = Conversions()
        self._marks: dict[Name, tuple[float, Microseconds]] = {}
        self._positions_at: dict[Name, Microseconds] = {}
        self._pools = Pools()

    def take(self, entry: Entry) -> None:
        with self.lock:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        match entry.record:
            case BookSnapshot() as book:
                self._book(book, entry)
            case AggregatedPrice() as price:
                if not self._is_flawed(flaw_of_price(price, entry.timestamp), entry):
                    self.prices[price.market] = price
            case ArbitrageSignal() as signal:
                self._signal(signal)
            case Balance() as balance:
                self.balances[(balance.exchange, balance.asset)] = Told(balance, entry.timestamp)
                self._pools.take(balance, entry.timestamp)
            case Position() as position:
                self.positions[(position.exchange, position.symbol)] = position
                self._positions_at[(position.exchange, position.symbol)] = entry.timestamp
            case Funding() as funding:
                if isfinite(funding.mark_price) and funding.mark_price > 0:
                    self._marks[(funding.exchange, funding.symbol)] = (funding.mark_price, entry.timestamp)
            case ExchangeHealth() as health:
                self.health[health.exchange] = health
            case ExchangeStatus() as status:
                self._status(status)
            case Instrument() as instrument:
                if not self._is_flawed(flaw_of_instrument(instrument), entry):
                    self._instrument(instrument)
            case ControlCommand() as control:
                self._control(control)
            case Failover() as failover:
                self.failovers[failover.primary] = failover
            case _ if entry.topic is CONTROL:
                pass  # the execution keeps it as a dead letter: who reads it here can do nothing about it
            case _:
                log.warning("%s-%s@%s: %s", entry.topic.name, entry.partition, entry.offset, entry.error)

    @staticmethod
    def _is_flawed(flaw: str, entry: Entry) -> bool:
        if flaw:
            log.warning("%s-%s@%s: %s", entry.topic.name, entry.partition, entry.offset, flaw)
        return bool(flaw)

    def _book(self, book: BookSnapshot[float], entry: Entry) -> None:
        """A book that lost a side replaces what it was; an unsound one does not."""
        if book.has_both_sides and self._is_flawed(flaw(book, entry.timestamp), entry):
            return
        book = as_received(book, entry.timestamp)
        self._books[(book.exchange, book.symbol)] = (book, entry.cause)
        if book.has_both_sides and is_conversion_market(book.market):
            self._conversions.update(top_of(book))

    def _signal(self, signal: ArbitrageSignal) -> None:
        """A signal comes after all that have expired by its time, which go."""
        gone = [key for key, one in self._signals.items() if one.expires_at <= signal.event_time]
        for key in gone:
            del self._signals[key]
        self._signals[signal.signal_id] = signal

    def _compared(self, status: ExchangeStatus) -> None:
        """A difference of 0 ends the one before."""
        if status.value:
            self.differences[status.exchange] = status
        else:
            self.differences.pop(status.exchange, None)

    def _status(self, status: ExchangeStatus) -> None:
        if status.kind is StatusKind.DIFFERENCE:
            self._compared(status)
        elif status.kind is StatusKind.EXCLUDED:
            self.exclusions[(status.exchange, status.symbol)] = status
        elif status.kind is StatusKind.INCLUDED:
            self.exclusions.pop((status.exchange, status.symbol), None)
        elif status.kind is StatusKind.MODE:
            self.modes[status.exchange] = status
        elif status.kind is StatusKind.PROBED:
            self.probes[status.exchange] = status

    def _instrument(self, instrument: Instrument) -> None:
        name = (instrument.exchange, instrument.symbol)
        self._instruments[name] = instrument
        for called in (instrument.symbol, instrument.market):
            self._named.setdefault(called, {})[name] = instrument

    def _control(self, control: ControlCommand) -> None:
        if control_fault(control, EXCHANGE_IDS):
            return  # the execution does not obey it either, and names it
        if control.kind is ControlKind.HALT:
            self._halts[control.account] = control.why
        elif control.kind is ControlKind.LIMITS:
            self._limits[control.account] = control.limits
        elif control.kind is ControlKind.PROBE:
            pass  # its answer is a status
        elif control.account == EVERYWHERE:
            self._halts.clear()
        else:
            self._halts.pop(control.account, None)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def instruments(self) -> Collection[Instrument]:
        return self._instruments.values()

    def instrument(self, exchange: str, symbol: str) -> Instrument | None:
        return self._instruments.get((exchange, symbol))

    def called(self, name: str) -> Sequence[Instrument]:
        """The instruments of a market (``BTC/USD``), or of a symbol (``BTC/USDT``) on every exchange that lists it."""
        return list(self._named.get(name, {}).values())

    def book(self, instrument: Instrument) -> BookSnapshot[float] | None:
        found = self._books.get((instrument.exchange, instrument.symbol))
        return found[0] if found else None

    def newest_book(self, exchange: str) -> Microseconds:
        """When a book of this exchange last came; 0: never."""
        return max((one.received_time for (where, _), (one, _) in self._books.items() if where == exchange), default=0)

    def open_signals(self, now: Microseconds) -> Sequence[ArbitrageSignal]:
        return [one for one in self._signals.values() if one.expires_at > now]

    def limits(self, exchange: str) -> Mapping[str, float]:
        """What bounds this exchange, as it was published last on ``control.commands``, for it or for all."""
        return bounds_of(self._limits, exchange)

    def own_limits(self, exchange: str) -> Mapping[str, float]:
        """What was published last for this exchange alone."""
        return self._limits.get(exchange, {})

    def halt_of(self, exchange: str) -> str:
        """Why nothing new may go to an exchange, else ""."""
        return halt_of(self._halts, exchange)

    def rate(self, asset: str, now: Microseconds) -> Rate | None:
        """USD for one unit of an asset: a stablecoin's live rate, any other's aggregated price; None: no fresh one."""
        return usd_rate(asset, self._conversions, self.prices, now)

    def balances_told(self, exchange: str) -> Microseconds:
        """When a balance of this exchange was last written to the log; 0: never."""
        return max((one.at for (where, _), one in self.balances.items() if where == exchange), default=0)

    def oldest_part(self, exchange: str) -> Microseconds:
        """When the oldest balance or position that this account still has was last reported; 0: none ever was."""
        held = [one.at for (where, _), one in self.balances.items() if where == exchange and one.balance.total]
        held += [at for name, at in self._positions_at.items() if name[0] == exchange and self.positions[name].quantity]
        return min(held, default=self.balances_told(exchange))

    def mark(self, instrument: Instrument, now: Microseconds) -> float | None:
        """The price that positions are valued with, in the wire's units: the exchange's mark, or the mid of its book.

        None where neither is fresh.
        """
        price, at = self._marks.get((instrument.exchange, instrument.symbol), (0.0, 0))
        if abs(now - at) <= MARK_LIFE:
            return price
        book = self.book(instrument)
        if book is None or not book.has_both_sides or abs(now - book.received_time) > MARK_LIFE:
            return None
        return (book.bids[0].price + book.asks[0].price) / 2

    def free(self, instrument: Instrument, side: Side, now: Microseconds) -> Decimal | None:
        """What the account can spend on an order, in units of ``spent_asset``; None where nobody told its balances.

        Nor where its assets are margin together and a price for that is missing.

        For a perpetual it is scaled so that the notional it carries at the account's leverage is counted at ``MARGIN``,
        as the engine counts it.
        """
        if not self.balances_told(instrument.exchange):
            return None
        if instrument.kind is InstrumentKind.PERPETUAL and instrument.exchange in self._pools:
            return self._free_of_pool(instrument, side, now)
        told = self.balances.get((instrument.exchange, spent_asset(instrument, side)))
        settled = self._settled(instrument.exchange)
        positions = {one.symbol: one for one, settle in settled if settle == instrument.settle}
        limits = self.limits(instrument.exchange)
        return free_for(instrument, side, limits, told.balance if told else None, positions)

    def _free_of_pool(self, instrument: Instrument, side: Side, now: Microseconds) -> Decimal | None:
        """The same of an account whose assets are margin together."""
        price = mids(lambda asset: self.rate(asset, now))
        balance = self._pools.balance(instrument.exchange, instrument.settle, price)
        positions = positions_in(instrument.settle, self._settled(instrument.exchange), price)
        if balance is None or positions is None:
            return None
        return free_for(instrument, side, self.limits(instrument.exchange), balance, positions)

    def _settled(self, exchange: str) -> Iterator[tuple[Position, str]]:
        """The positions of an exchange, each with what it settles in."""
        for (where, symbol), one in self.positions.items():
            if where == exchange and (known := self._instruments.get((exchange, symbol))):
                yield one, known.settle

    def prospect(self, instrument: Instrument, side: Side, now: Microseconds, blocked: str = "") -> Prospect:
        """All that is known of an instrument for an order of this side."""
        name = (instrument.exchange, instrument.symbol)
        book, cause = self._books.get(name, (None, None))
        return Prospect(
            instrument,
            book,
            cause,
            self.rate(instrument.quote, now),
            self.health.get(instrument.exchange),
            self.free(instrument, side, now),
            blocked or self.halt_of(instrument.exchange),
            reducible(
                instrument, side, self.positions.get((instrument.exchange, instrument.symbol)), (), Seen(now, now)
            ),
        )
