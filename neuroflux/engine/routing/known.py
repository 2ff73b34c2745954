"""The read model of the log that orders are decided from: a pure fold over records, used by execution and façade.

Each record is checked before it is applied (engine/markets/soundness.py, engine/risk/command_bounds.py), so both users
ignore the same records. Reading Kafka, locking and the clock are theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal

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
    Instrument,
    Microseconds,
    Position,
    Side,
    StatusKind,
)
from neuroflux.engine.markets.soundness import flaw_of_health
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.command_bounds import MAX_WHY, control_fault, failover_fault
from neuroflux.engine.risk.limits import EVERYWHERE, halt_of
from neuroflux.engine.routing.candidates import Prospect
from neuroflux.engine.routing.known_accounts import KnownAccounts


class Known(KnownAccounts):
    """``update`` is called with each record in the order of its topic; the other methods answer from memory.

    ``exchanges`` are the ids that control commands and failovers may name.
    """

    def __init__(self, exchanges: Collection[str]) -> None:
        super().__init__()
        self.health: dict[str, ExchangeHealth] = {}
        self.failovers: dict[str, Failover] = {}
        """By exchange: where its orders are sent while it can't take them."""
        self._exchanges = exchanges
        self._halts: dict[str, str] = {}
        self._modes: dict[str, ExchangeStatus] = {}

    def update(self, record: object, cause: Cause, timestamp: Microseconds, now: Microseconds) -> str | None:
        """Apply one record; returns why it is ignored, "", or None for a record of another kind.

        ``timestamp`` is its time in the log by its writer's clock. Where that is ahead of ``now``, books, prices and
        health count as written now; balances and positions keep it, because orders are compared with it.
        """
        written = timestamp if timestamp < now else now
        # On the hot path: ``isinstance`` takes several times as long where a msgspec class does not match.
        if type(record) is BookSnapshot:
            return self._update_book(record, cause, written)
        if type(record) is AggregatedPrice:
            return self._update_price(record, written)
        if type(record) is Balance:
            return self._update_balance(record, timestamp)
        if type(record) is Position:
            return self._update_position(record, timestamp)
        if type(record) is ExchangeHealth:
            return self._update_health(record, written)
        return self._update_rare(record)

    def _update_rare(self, record: object) -> str | None:
        match record:
            case ExchangeStatus():
                if record.kind is StatusKind.MODE:
                    self._modes[record.exchange] = record
                return ""
            case Instrument():
                return self._update_instrument(record)
            case ControlCommand():
                return self._update_control(record)
            case Failover():
                return self._update_failover(record)
        return None

    def _update_health(self, health: ExchangeHealth, written: Microseconds) -> str:
        fault = flaw_of_health(health, written)
        if not fault:
            self.health[health.exchange] = health
        return fault

    def _update_failover(self, failover: Failover) -> str:
        fault = failover_fault(failover, self._exchanges)
        if not fault:
            self.failovers[failover.primary] = failover
        return fault

    def _update_control(self, control: ControlCommand) -> str:
        if fault := control_fault(control, self._exchanges):
            return fault
        if control.kind is ControlKind.HALT:
            self._halts[control.account] = control.why[:MAX_WHY]
        elif control.kind is ControlKind.LIMITS:
            self._limits[control.account] = control.limits
        elif control.kind is ControlKind.RESUME and control.account == EVERYWHERE:
            self._halts.clear()
        elif control.kind is ControlKind.RESUME:
            self._halts.pop(control.account, None)
        return ""

    def halt_of(self, exchange: str) -> str:
        """Why no new order may be sent to an exchange, or ""."""
        return halt_of(self._halts, exchange)

    def mode_of(self, exchange: str) -> str:
        """Why orders can't be placed in the account's mode, with what to change on the exchange; or ""."""
        mode = self._modes.get(exchange)
        return f"mode: {mode.detail}" if mode is not None and mode.value else ""

    def prospect(
        self,
        instrument: Instrument,
        side: Side,
        now: Microseconds,
        orders: Sequence[Order] = (),
        blocked: str = "",
    ) -> Prospect:
        """All that is known of an instrument for an order of this side; ``orders`` hold funds reserved.

        ``blocked`` says why it can't be used, whatever its book is like.
        """
        book, cause = self.books.get((instrument.exchange, instrument.symbol), (None, None))
        closes, free = self.reducible(instrument, side, orders), self.free(instrument, side, now, orders)
        return Prospect(
            instrument,
            book,
            cause,
            self.rate(instrument.quote, now),
            self.health.get(instrument.exchange),
            Decimal(0) if free is None and closes else free,  # what closes a position needs no funds
            blocked,
            closes,
        )

    def quoted(self, market: str, now: Microseconds) -> Iterator[Prospect]:
        """The instruments of a market with their books and rates only, for the reference price."""
        for one in self.called(market):
            book, cause = self.books.get((one.exchange, one.symbol), (None, None))
            yield Prospect(one, book, cause, self.rate(one.quote, now))
