"""What the executor knows of the world: the newest of each compacted topic, book and price, read without a group.

Books come at most ten times a second and instrument, and their tops are the quotes: ``market.quotes``, which has no
such bound, is not read, so that a burst of quotes can't delay an order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    Balance,
    BookSnapshot,
    Cause,
    ControlCommand,
    ControlKind,
    ExchangeHealth,
    ExchangeStatus,
    Failover,
    Fill,
    Instrument,
    InstrumentKind,
    Microseconds,
    OrderReport,
    Position,
    Side,
    StatusKind,
)
from neuroflux.engine.markets.conversion import Conversions, Rate, is_conversion_market, mids, top_of
from neuroflux.engine.markets.soundness import as_received, flaw, flaw_of_health, flaw_of_instrument, flaw_of_price
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.command_bounds import MAX_WHY, control_fault, failover_fault
from neuroflux.engine.risk.daily_loss import DailyProfit
from neuroflux.engine.risk.leverage import free_for, held, reducible
from neuroflux.engine.risk.limits import (
    BALANCES_LIFE,
    EVERYWHERE,
    NEVER,
    Seen,
    bounds_of,
    halt_fault,
    halt_of,
    reserved,
    shown,
    spent_asset,
)
from neuroflux.engine.risk.pool import Pools, Price, amount_in, positions_in
from neuroflux.engine.routing.candidates import PRICE_LIFE, Prospect, usd_rate
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.kafka.reader import Reader
from neuroflux.records.entries import Entry
from neuroflux.records.topics import (
    ACCOUNT_FILLS,
    ACCOUNT_ORDERS,
    BALANCES,
    BOOKS,
    CONTROL,
    FAILOVER,
    FILLS,
    HEALTH,
    INSTRUMENTS,
    POSITIONS,
    PRICES,
)
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

KEPT = (INSTRUMENTS, BALANCES, POSITIONS, HEALTH, CONTROL, FAILOVER)
"""Compacted: read from the beginning, to the end before the first order."""
MARKET = (BOOKS, PRICES)
ACCOUNT = (ACCOUNT_ORDERS, ACCOUNT_FILLS)
MID_LIFE: Microseconds = 60_000_000
"""How old a book may be to mark by it what was traded today."""
FEW = 50
"""Records handed over at once: decoding them must not keep an order waiting."""


class Views:
    """The newest of everything. ``take`` is fed with every entry; the rest answers from memory.

    ``on_halt`` is told an account (``*`` for all) and the reason, ``on_account`` what the private feeds bring, and
    ``on_malformed`` every entry of ``control.commands`` that can't be read or obeyed and every failover that can't be
    followed, with the reason, ``on_bounds`` an account (``*`` for all) whose limits have changed,
    and ``on_probe`` a request to try an account.
    """

    def __init__(self) -> None:
        self.on_halt: Callable[[str, str], None] = lambda account, why: None
        self.on_account: Callable[[OrderReport | Fill], None] = lambda told: None
        self.on_malformed: Callable[[Entry, str], None] = lambda entry, reason: None
        self.on_bounds: Callable[[str], None] = lambda account: None
        self.on_probe: Callable[[ControlCommand], None] = lambda control: None
        self.moved = asyncio.Event()
        """Set with every batch that was taken in."""
        self.resumed_at: Microseconds = 0
        """When everything was resumed last."""
        self.fills_read = asyncio.Event()
        """Set once all fills of this day have been taken in that were there at the start."""
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._called: dict[str, dict[tuple[str, str], Instrument]] = defaultdict(dict)
        self._listed: dict[str, Sequence[Instrument]] = {}
        self._books: dict[tuple[str, str], tuple[BookSnapshot[float], Cause]] = {}
        self._prices: dict[str, AggregatedPrice] = {}
        self._health: dict[str, ExchangeHealth] = {}
        self._balances: dict[tuple[str, str], tuple[Balance, Microseconds]] = {}
        self._positions: dict[tuple[str, str], Position] = {}
        self._seen: dict[tuple[str, str], Seen] = {}
        self._modes: dict[str, ExchangeStatus] = {}
        self._funded: dict[str, Microseconds] = {}
        self._pools = Pools()
        self._halts: dict[str, str] = {}
        self._bounds: dict[str, dict[str, float]] = {}
        self._failovers: dict[str, Failover] = {}
        self._conversions = Conversions()
        self._today = DailyProfit()

    def take(self, entry: Entry) -> None:
        """Take in one record; one from which nothing can be made is passed over, whatever is wrong with it."""
        try:
            self._take(entry)
        except Exception as error:
            log.exception("%s %s@%s was not taken", entry.topic.name, entry.partition, entry.offset)
            self._malformed(entry, f"fault: {error!r}")

    def _malformed(self, entry: Entry, reason: str) -> None:
        log.error("%s %s@%s: %s", entry.topic.name, entry.partition, entry.offset, reason)
        if entry.topic is CONTROL or (entry.topic is FAILOVER and not entry.error):
            self.on_malformed(entry, reason)

    def _take(self, entry: Entry) -> None:
        match entry.record:
            case BookSnapshot() as book:
                self._book(book, entry)
            case AggregatedPrice() as price:
                if self._is_sound(flaw_of_price(price, _written(entry)), entry):
                    self._prices[price.market] = price
            case Balance() as balance:
                self._balances[(balance.exchange, balance.asset)] = (balance, entry.timestamp)
                self._funded[balance.exchange] = max(entry.timestamp, self._funded.get(balance.exchange, 0))
                self._pools.take(balance, entry.timestamp)
            case Position() as position:
                self._positions[(position.exchange, position.symbol)] = position
                self._seen[(position.exchange, position.symbol)] = Seen(entry.timestamp, position.event_time)
            case ExchangeHealth() as health:
                if self._is_sound(flaw_of_health(health, _written(entry)), entry):
                    self._health[health.exchange] = health
            case ExchangeStatus() as status:
                if status.kind is StatusKind.MODE:
                    self._modes[status.exchange] = status
            case Instrument() as instrument:
                if self._is_sound(flaw_of_instrument(instrument), entry):
                    self._list(instrument)
            case ControlCommand() as control:
                self._obey(control, entry)
            case Failover() as failover:
                self._follow(failover, entry)
            case Fill() as fill if entry.topic is FILLS:
                if fill.order_id:  # what the account did elsewhere is no loss of ours
                    self._today.take(fill, _written(entry))
            case OrderReport() | Fill() as told:
                self.on_account(told)
            case _:
                self._malformed(entry, entry.error)

    def _book(self, book: BookSnapshot[float], entry: Entry) -> None:
        """A book that lost a side replaces what it was; an unsound one does not."""
        written = _written(entry)
        if book.has_both_sides and not self._is_sound(flaw(book, written), entry):
            return
        book = as_received(book, written)
        self._books[(book.exchange, book.symbol)] = (book, entry.cause)
        if book.has_both_sides and is_conversion_market(book.market):
            self._conversions.update(top_of(book))

    def _is_sound(self, wrong: str, entry: Entry) -> bool:
        if wrong:
            log.warning("%s-%s@%s: %s", entry.topic.name, entry.partition, entry.offset, wrong)
        return not wrong

    def _list(self, instrument: Instrument) -> None:
        name = instrument.exchange, instrument.symbol
        before = self._instruments.get(name)
        if before == instrument:
            return
        if before is not None:
            self._called[before.market].pop(name, None)
        for called in (instrument.symbol, instrument.market):
            self._called[called][name] = instrument
        self._instruments[name] = instrument
        self._listed.pop(instrument.exchange, None)

    def _obey(self, control: ControlCommand, entry: Entry) -> None:
        if fault := control_fault(control, EXCHANGE_IDS):
            self._malformed(entry, fault)
            return
        if control.kind is ControlKind.RESUME and control.account == EVERYWHERE:
            self.resumed_at = max(self.resumed_at, _written(entry))
        self._control(replace(control, why=control.why[:MAX_WHY]))

    def _follow(self, failover: Failover, entry: Entry) -> None:
        if fault := failover_fault(failover, EXCHANGE_IDS):
            self._malformed(entry, fault)
        else:
            self._failovers[failover.primary] = failover

    def _control(self, control: ControlCommand) -> None:
        if control.kind is ControlKind.HALT:
            self._halts[control.account] = control.why
            self.on_halt(control.account, control.why)
        elif control.kind is ControlKind.RESUME:
            if control.account == EVERYWHERE:
                self._halts.clear()
            self._halts.pop(control.account, None)
        elif control.kind is ControlKind.PROBE:
            self.on_probe(control)
        else:
            self._bounds[control.account] = control.limits
            self.on_bounds(control.account)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def knows_instruments(self) -> bool:
        return bool(self._instruments)

    def instrument(self, exchange: str, symbol: str) -> Instrument | None:
        return self._instruments.get((exchange, symbol))

    def called(self, name: str) -> Collection[Instrument]:
        """The instruments with this symbol, or of this market."""
        return self._called.get(name, {}).values()

    def listed(self, exchange: str) -> Sequence[Instrument]:
        """The instruments of one exchange; the same object until one changes."""
        if exchange not in self._listed:
            self._listed[exchange] = tuple(one for one in self._instruments.values() if one.exchange == exchange)
        return self._listed[exchange]

    def price(self, market: str) -> AggregatedPrice | None:
        return self._prices.get(market)

    def health(self, exchange: str) -> ExchangeHealth | None:
        return self._health.get(exchange)

    def failover(self, exchange: str) -> Failover | None:
        """Where orders for an exchange go while it can't take them."""
        return self._failovers.get(exchange)

    def bounds(self, exchange: str) -> dict[str, float]:
        """The limits that hold for an exchange, by name."""
        return bounds_of(self._bounds, exchange)

    def halted(self) -> str:
        """The rule and the reason when everything is halted, else ""."""
        return halt_fault(self._halts)

    def halt_of(self, exchange: str) -> str:
        """Why nothing new may go to an exchange, else ""."""
        return halt_of(self._halts, exchange)

    def mode_of(self, exchange: str) -> str:
        """Why the account can't be traded in as it is set up on the exchange, with what to change; else ""."""
        mode = self._modes.get(exchange)
        return f"mode: {mode.detail}" if mode is not None and mode.value else ""

    def profit_today(self, now: Microseconds) -> float | None:
        """What our fills of this day have come to, in USD; None where a price or a rate that it needs is not known.

        It is not known either while the fills of this day are still being read.
        """
        if not self.fills_read.is_set():
            return None

        def mid(exchange: str, symbol: str) -> float | None:
            return self._mid(exchange, symbol, now)

        return self._today.usd(self._price_at(now), mid, now, self.instrument, self._position)

    def _position(self, exchange: str, symbol: str) -> Decimal | None:
        position = self._positions.get((exchange, symbol))
        return position.quantity if position is not None else None

    def _mid(self, exchange: str, symbol: str, now: Microseconds) -> float | None:
        """The middle of a fresh book, in its quote, or else the market's price; None where neither is."""
        book, _ = self._books.get((exchange, symbol), (None, None))
        if book and book.has_both_sides and now - book.received_time <= MID_LIFE:
            return (book.bids[0].price + book.asks[0].price) / 2
        instrument = self.instrument(exchange, symbol)
        price = self._prices.get(instrument.market) if instrument is not None else None
        rate = self.rate(instrument.quote, now) if instrument is not None else None
        if instrument is None or price is None or rate is None or now - price.event_time > PRICE_LIFE:
            return None
        return price.price * instrument.multiplier / rate.mid

    def held(self) -> dict[tuple[str, str], Decimal]:
        """What each exchange holds of an asset: its balance, or of what is traded there as a perpetual the position."""
        found = {name: balance.total for name, (balance, _) in self._balances.items()}
        for (exchange, symbol), one in self._positions.items():
            instrument = self.instrument(exchange, symbol)
            if instrument is not None:
                name = (exchange, instrument.base)
                found[name] = found.get(name, Decimal(0)) + one.quantity * instrument.multiplier
        return found

    def rate(self, asset: str, now: Microseconds) -> Rate | None:
        """USD for one unit of a quote: a stablecoin's live rate, any other asset's aggregated price."""
        return usd_rate(asset, self._conversions, self._prices, now)

    def reducible(self, instrument: Instrument, side: Side, orders: Sequence[Order]) -> Decimal:
        """How much of an order, in wire units, only makes a position smaller, beside what other orders take of it."""
        position = self._positions.get((instrument.exchange, instrument.symbol))
        return reducible(instrument, side, position, orders, self.seen(instrument))

    def seen(self, instrument: Instrument) -> Seen:
        """When what is held of an instrument was told: of a perpetual its position, else the balance of its base."""
        if instrument.kind is InstrumentKind.PERPETUAL:
            return self._seen.get((instrument.exchange, instrument.symbol), NEVER)
        balance, written = self._balances.get((instrument.exchange, instrument.base), (None, 0))
        return NEVER if balance is None else Seen(written, balance.event_time)

    def prospect(
        self, instrument: Instrument, side: Side, orders: Sequence[Order], blocked: str, now: Microseconds
    ) -> Prospect:
        """All that is known of an instrument for an order of this side; ``orders`` hold funds reserved.

        ``blocked`` says why it can't be used, whatever its book is like.
        """
        book, cause = self._books.get((instrument.exchange, instrument.symbol), (None, None))
        closes, free = self.reducible(instrument, side, orders), self._free(instrument, side, orders, now)
        return Prospect(
            instrument,
            book,
            cause,
            self.rate(instrument.quote, now),
            self._health.get(instrument.exchange),
            Decimal(0) if free is None and closes else free,
            blocked,
            closes,
        )

    def quoted(self, market: str, now: Microseconds) -> Iterator[Prospect]:
        """The instruments of a market with their books and rates alone: what says where the market is."""
        for one in self.called(market):
            book, cause = self._books.get((one.exchange, one.symbol), (None, None))
            yield Prospect(one, book, cause, self.rate(one.quote, now))

    def _free(self, instrument: Instrument, side: Side, orders: Sequence[Order], now: Microseconds) -> Decimal | None:
        """What may be spent; None where nobody told it lately: what makes a position smaller needs none of it."""
        exchange, asset = instrument.exchange, spent_asset(instrument, side)
        if instrument.kind is InstrumentKind.PERPETUAL and exchange in self._pools:
            return self._free_of_pool(instrument, side, orders, now)
        balance, written = self._balances.get((exchange, asset), (None, self._funded.get(exchange)))
        if written is None or now - written > BALANCES_LIFE:
            return None
        under_way = self._reserved(exchange, asset, orders, now)
        positions = self._on_margin(instrument)
        return free_for(instrument, side, self.bounds(exchange), balance, positions, under_way)

    def _free_of_pool(
        self, instrument: Instrument, side: Side, orders: Sequence[Order], now: Microseconds
    ) -> Decimal | None:
        """The same of an account whose assets are margin together."""
        exchange, asset, price = instrument.exchange, instrument.settle, self._price_at(now)
        spent = {spent_asset(leg.instrument, leg.side) for one in orders for leg in one.legs}
        under_way = amount_in(asset, {name: self._reserved(exchange, name, orders, now) for name in spent}, price)
        balance = self._pools.balance(exchange, asset, price)
        positions = positions_in(asset, self._settled(exchange), price)
        if under_way is None or balance is None or positions is None:
            return None
        if now - self._pools.written(exchange) > BALANCES_LIFE:
            return None
        return free_for(instrument, side, self.bounds(exchange), balance, positions, under_way)

    def _reserved(self, exchange: str, asset: str, orders: Sequence[Order], now: Microseconds) -> Decimal:
        """What orders hold of an asset and its balance can't show yet."""
        return reserved(orders, exchange, asset, self._seen_of(exchange, asset, now), now, self.bounds(exchange))

    def _price_at(self, now: Microseconds) -> Price:
        return mids(lambda asset: self.rate(asset, now))

    def shows(self, order: Order, now: Microseconds) -> bool:
        """Whether balances and positions show all that an order took and brought."""
        return shown(order, lambda exchange, asset: self._seen_of(exchange, asset, now), now) and held(order, self.seen)

    def _seen_of(self, exchange: str, asset: str, now: Microseconds) -> Seen:
        """When the balance of an asset is from; where there is none, nothing is missing from it.

        What settles in an asset that a pooled account does not have changes another of its balances.
        """
        balance, written = self._balances.get((exchange, asset), (None, now))
        if (balance is None or not balance.total) and exchange in self._pools:
            return self._pools.seen(exchange)
        return Seen(written, balance.event_time if balance is not None else now)

    def _on_margin(self, instrument: Instrument) -> dict[str, Position]:
        """The positions that share an instrument's margin, by symbol."""
        settled = self._settled(instrument.exchange)
        return {one.symbol: one for one, settle in settled if settle == instrument.settle}

    def _settled(self, exchange: str) -> Iterator[tuple[Position, str]]:
        """The positions of an exchange, each with what it settles in."""
        for (where, symbol), one in self._positions.items():
            if where == exchange and (known := self.instrument(exchange, symbol)):
                yield one, known.settle


async def follow(reader: Reader, views: Views, loaded: asyncio.Event | None = None) -> None:
    """Feed the views for ever; ``loaded`` is set when everything that was there at the start has been taken in."""
    async with aclosing(reader.batches(max_records=FEW)) as batches:
        async for batch in batches:
            for entry in batch:
                views.take(entry)
            views.moved.set()
            if loaded is not None and not loaded.is_set() and await reader.caught_up():
                loaded.set()


def _written(entry: Entry) -> Microseconds:
    """When a record was written to the log, as far as its writer's clock is not ahead of ours."""
    return min(entry.timestamp, wall())


def complete(prospects: Iterable[Prospect]) -> bool:
    """Whether everything is known that a choice among these needs; soon after the start some may still be coming."""
    return all(one.blocked or (one.book and one.rate and one.free is not None) for one in prospects)
