"""The execution's view of the log: the newest of each compacted topic, book and price, read without a consumer group.

Books arrive at most ten times a second per instrument and contain the quotes: ``market.quotes``, which has no such
bound, is not read, so that a burst of quotes can't delay an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
from decimal import Decimal

from neuroflux.domain import ControlCommand, ControlKind, Fill, Microseconds, OrderReport
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.command_bounds import MAX_WHY
from neuroflux.engine.risk.daily_loss import DailyProfit
from neuroflux.engine.risk.leverage import held
from neuroflux.engine.risk.limits import EVERYWHERE, halt_fault, shown
from neuroflux.engine.routing.candidates import PRICE_LIFE, Prospect
from neuroflux.engine.routing.known import Known
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.kafka.reader import Reader
from neuroflux.records.entries import Entry
from neuroflux.records.topics import (
    ACCOUNT_FILLS,
    ACCOUNT_ORDERS,
    BOOKS,
    CONTROL,
    FAILOVER,
    FILLS,
    PRICES,
)
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

MARKET = (BOOKS, PRICES)
ACCOUNT = (ACCOUNT_ORDERS, ACCOUNT_FILLS)
MID_LIFE: Microseconds = 60_000_000
"""How old a book may be for its mid to value what was traded today."""
FEW = 50
"""Records per batch: decoding them must not keep an order waiting."""


class Views(Known):
    """``take`` is called with every entry; the other methods answer from memory.

    ``on_halt`` receives an account (``*`` for all) and the reason, ``on_account`` the records of the private streams,
    ``on_malformed`` every entry of ``control.commands`` that can't be decoded or applied and every failover that is
    invalid, with the reason, ``on_limits`` an account (``*`` for all) whose limits have changed, and ``on_probe`` a
    request to test an account.
    """

    def __init__(self) -> None:
        super().__init__(EXCHANGE_IDS)
        self.on_halt: Callable[[str, str], None] = lambda account, why: None
        self.on_account: Callable[[OrderReport | Fill], None] = lambda report: None
        self.on_malformed: Callable[[Entry, str], None] = lambda entry, reason: None
        self.on_limits: Callable[[str], None] = lambda account: None
        self.on_probe: Callable[[ControlCommand], None] = lambda control: None
        self.moved = asyncio.Event()
        """Set after each batch."""
        self.resumed_at: Microseconds = 0
        """When everything was resumed last."""
        self.fills_read = asyncio.Event()
        """Set once all fills of this day that existed at the start have been read."""
        self._today = DailyProfit()

    def take(self, entry: Entry) -> None:
        """Apply one record; one that raises is logged and skipped."""
        try:
            self._take(entry)
        except Exception as error:
            log.exception("%s %s@%s was not applied", entry.topic.name, entry.partition, entry.offset)
            self._malformed(entry, f"fault: {error!r}")

    def _take(self, entry: Entry) -> None:
        fault = self.update(entry.record, entry.cause, entry.timestamp, wall())
        if fault is None:
            self._take_own(entry)
        elif fault:
            self._ignored(entry, fault)
        elif entry.topic is CONTROL:
            self._pass_on(entry.record, entry.timestamp)

    def _take_own(self, entry: Entry) -> None:
        match entry.record:
            case Fill() as fill if entry.topic is FILLS:
                if fill.order_id:  # trades of the account outside NeuroFlux are no loss of ours
                    self._today.take(fill, min(entry.timestamp, wall()))
            case OrderReport() | Fill() as report:
                self.on_account(report)
            case _:
                self._malformed(entry, entry.error)

    def _ignored(self, entry: Entry, fault: str) -> None:
        if entry.topic in (CONTROL, FAILOVER):
            self._malformed(entry, fault)
        else:
            log.warning("%s-%s@%s: %s", entry.topic.name, entry.partition, entry.offset, fault)

    def _malformed(self, entry: Entry, reason: str) -> None:
        log.error("%s %s@%s: %s", entry.topic.name, entry.partition, entry.offset, reason)
        if entry.topic is CONTROL or (entry.topic is FAILOVER and not entry.error):
            self.on_malformed(entry, reason)

    def _pass_on(self, control: ControlCommand, timestamp: Microseconds) -> None:
        """Notify the callbacks of a valid command that the state already contains."""
        if control.kind is ControlKind.HALT:
            self.on_halt(control.account, control.why[:MAX_WHY])
        elif control.kind is ControlKind.LIMITS:
            self.on_limits(control.account)
        elif control.kind is ControlKind.PROBE:
            self.on_probe(control)
        elif control.account == EVERYWHERE:
            self.resumed_at = max(self.resumed_at, min(timestamp, wall()))

    # ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def knows_instruments(self) -> bool:
        return bool(self.instruments)

    def halted(self) -> str:
        """The rule and the reason when everything is halted, else ""."""
        return halt_fault(self._halts)

    def profit_today(self, now: Microseconds) -> float | None:
        """What our fills of this day have earned, in USD; None where a price or a rate that it needs is unknown.

        It is also unknown while the fills of this day are still being read.
        """
        if not self.fills_read.is_set():
            return None

        def mid(exchange: str, symbol: str) -> float | None:
            return self._mid(exchange, symbol, now)

        return self._today.usd(self._price_at(now), mid, now, self.instrument, self._position)

    def _position(self, exchange: str, symbol: str) -> Decimal | None:
        position = self.positions.get((exchange, symbol))
        return position.quantity if position is not None else None

    def _mid(self, exchange: str, symbol: str, now: Microseconds) -> float | None:
        """The middle of a fresh book, in its quote, or else the market's price; None where neither is fresh."""
        book, _ = self.books.get((exchange, symbol), (None, None))
        if book and book.has_both_sides and now - book.received_time <= MID_LIFE:
            return (book.bids[0].price + book.asks[0].price) / 2
        instrument = self.instrument(exchange, symbol)
        price = self.prices.get(instrument.market) if instrument is not None else None
        rate = self.rate(instrument.quote, now) if instrument is not None else None
        if instrument is None or price is None or rate is None or now - price.event_time > PRICE_LIFE:
            return None
        return price.price * instrument.multiplier / rate.mid

    def held(self) -> dict[tuple[str, str], Decimal]:
        """The holdings by exchange and asset: the balance, or the position in what is traded as a perpetual there."""
        found = {name: reported.balance.total for name, reported in self.balances.items()}
        for (exchange, symbol), one in self.positions.items():
            instrument = self.instrument(exchange, symbol)
            if instrument is not None:
                name = (exchange, instrument.base)
                found[name] = found.get(name, Decimal(0)) + one.quantity * instrument.multiplier
        return found

    def shows(self, order: Order, now: Microseconds) -> bool:
        """Whether balances and positions include everything that an order spent and received."""
        in_balances = shown(order, lambda exchange, asset: self.balance_seen(exchange, asset, now), now)
        return in_balances and held(order, self.seen)


async def follow(reader: Reader, views: Views, loaded: asyncio.Event | None = None) -> None:
    """Feed the views until cancelled; ``loaded`` is set when everything that existed at the start has been applied."""
    async with aclosing(reader.batches(max_records=FEW)) as batches:
        async for batch in batches:
            for entry in batch:
                views.take(entry)
            views.moved.set()
            if loaded is not None and not loaded.is_set() and await reader.caught_up():
                loaded.set()


def complete(prospects: Iterable[Prospect]) -> bool:
    """Whether everything that a choice among these needs is known; soon after the start some may not be read yet."""
    return all(one.blocked or (one.book and one.rate and one.free is not None) for one in prospects)
