"""The façade's view of the log: the read model of the engine, and with it statuses, open signals and mark prices.

``lock`` makes several reads one consistent snapshot, also from another thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from threading import RLock
from typing import Final

from neuroflux.domain import (
    ArbitrageSignal,
    BookSnapshot,
    ExchangeStatus,
    Funding,
    Instrument,
    Microseconds,
    Side,
    StatusKind,
)
from neuroflux.engine.markets.conversion import Name
from neuroflux.engine.orders.state import Order
from neuroflux.engine.routing.candidates import PRICE_LIFE, Prospect
from neuroflux.engine.routing.known import Known
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.records.entries import Entry
from neuroflux.records.topics import (
    BOOKS,
    CONTROL,
    FUNDING,
    PRICES,
    SIGNALS,
    STATUS,
)
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

RECENT_SPAN: Microseconds = 120_000_000
"""Accounts are compared with REST each minute: a difference older than two comparisons is no longer evidence."""
MARK_LIFE: Microseconds = 10_000_000
"""How old a mark price, or the book in its place, may be to value a position with."""
SINCE: Final = {
    STATUS: RECENT_SPAN,
    PRICES: PRICE_LIFE,
    BOOKS: 2_000_000,
    SIGNALS: 5_000_000,
    FUNDING: MARK_LIFE,
}
"""How far back each is read: older records were published again or have expired. A quiet book is published each second.
"""


class View(Known):
    """``take`` is called with every entry; the other methods answer from memory."""

    def __init__(self, now: Callable[[], Microseconds] = wall) -> None:
        super().__init__(EXCHANGE_IDS)
        self.lock = RLock()
        self.differences: dict[str, ExchangeStatus] = {}
        """The newest status of an account for which stream and REST differed, by exchange."""
        self.exclusions: dict[Name, ExchangeStatus] = {}
        """Why an instrument was last excluded from its market's price."""
        self.probes: dict[str, ExchangeStatus] = {}
        """The newest answer to a probe, by exchange."""
        self._now = now
        self._signals: dict[str, ArbitrageSignal] = {}
        self._marks: dict[Name, tuple[float, Microseconds]] = {}

    def take(self, entry: Entry) -> None:
        with self.lock:
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        fault = self.update(entry.record, entry.cause, entry.timestamp, self._now())
        if fault is None or entry.topic is STATUS:
            fault = self._take_own(entry)
        if fault and entry.topic is not CONTROL:  # of those the execution writes dead letters
            log.warning("%s-%s@%s: %s", entry.topic.name, entry.partition, entry.offset, fault)

    def _take_own(self, entry: Entry) -> str:
        match entry.record:
            case ArbitrageSignal() as signal:
                self._update_signals(signal)
            case Funding() as funding:
                if isfinite(funding.mark_price) and funding.mark_price > 0:
                    self._marks[(funding.exchange, funding.symbol)] = (funding.mark_price, entry.timestamp)
            case ExchangeStatus() as status:
                self._update_status(status)
            case _:
                return entry.error
        return ""

    def _update_signals(self, signal: ArbitrageSignal) -> None:
        """Add a signal, and delete those that had expired by its time."""
        expired = [key for key, one in self._signals.items() if one.expires_at <= signal.event_time]
        for key in expired:
            del self._signals[key]
        self._signals[signal.signal_id] = signal

    def _update_status(self, status: ExchangeStatus) -> None:
        if status.kind is StatusKind.DIFFERENCE:
            self._update_difference(status)
        elif status.kind is StatusKind.EXCLUDED:
            self.exclusions[(status.exchange, status.symbol)] = status
        elif status.kind is StatusKind.INCLUDED:
            self.exclusions.pop((status.exchange, status.symbol), None)
        elif status.kind is StatusKind.PROBED:
            self.probes[status.exchange] = status

    def _update_difference(self, status: ExchangeStatus) -> None:
        """A difference of 0 ends the previous one."""
        if status.value:
            self.differences[status.exchange] = status
        else:
            self.differences.pop(status.exchange, None)

    # ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────

    def book(self, instrument: Instrument) -> BookSnapshot[float] | None:
        found = self.books.get((instrument.exchange, instrument.symbol))
        return found[0] if found else None

    def newest_book(self, exchange: str) -> Microseconds:
        """When a book of this exchange was last received; 0: never."""
        return max((one.received_time for (where, _), (one, _) in self.books.items() if where == exchange), default=0)

    def open_signals(self, now: Microseconds) -> Sequence[ArbitrageSignal]:
        return [one for one in self._signals.values() if one.expires_at > now]

    def own_limits(self, exchange: str) -> Mapping[str, float]:
        """The limits that were last published for this exchange alone."""
        return self._limits.get(exchange, {})

    def oldest_part(self, exchange: str) -> Microseconds:
        """When the oldest balance or position that this account still has was last reported; 0: none ever was."""
        held = [one.written for (where, _), one in self.balances.items() if where == exchange and one.balance.total]
        held += [
            seen.written
            for name, seen in self._positions_seen.items()
            if name[0] == exchange and self.positions[name].quantity
        ]
        return min(held, default=self.balances_written.get(exchange, 0))

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

    def prospect(
        self,
        instrument: Instrument,
        side: Side,
        now: Microseconds,
        orders: Sequence[Order] = (),
        blocked: str = "",
    ) -> Prospect:
        """What the execution would know of it for a new order: blocked also while its exchange is halted."""
        return super().prospect(instrument, side, now, orders, blocked or self.halt_of(instrument.exchange))
