"""market.quotes, market.trades, books without a side → prices.aggregated; exclusions → exchange.status."""

from __future__ import annotations

from collections.abc import Sequence

from neuroflux.domain import AggregatedPrice, BookSnapshot, Cause, Microseconds, Quote, Trade
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.prices import Prices, Published
from neuroflux.engine.markets.soundness import as_received, flaw
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry
from neuroflux.records.sink import Sink
from neuroflux.records.topics import BOOKS, PRICES, QUOTES, STATUS, TRADES

TOPICS = (QUOTES, TRADES, BOOKS)


class PriceStream:
    """Publishes prices, and dead letters of quotes and trades; those of books are published by ``ArbitrageStream``."""

    def __init__(self, reference: Reference, sink: Sink) -> None:
        self._prices, self._sink = Prices(reference), sink

    async def take(self, batch: list[Entry]) -> None:
        for entry in batch:
            record = entry.record
            if record is None:
                continue
            if entry.topic is BOOKS:
                self._withdraw(record, entry.timestamp)
            elif wrong := flaw(record, entry.timestamp):
                dead_letter(self._sink, entry, wrong)
            else:
                self._take(record, entry.cause)

    def recall(self, tape: Sequence[Entry]) -> None:
        """Restore the trades before the next records."""
        sound = [one for one in tape if isinstance(one.record, Trade) and not flaw(one.record, one.timestamp)]
        self._prices.recall([(one.record, one.cause) for one in sound])

    def _take(self, record: Quote[float] | Trade[float], cause: Cause) -> None:
        found = self._prices.quote(record, cause) if isinstance(record, Quote) else self._prices.trade(record, cause)
        self._publish(found)

    def _withdraw(self, book: BookSnapshot[float], written: Microseconds) -> None:
        if not book.has_both_sides:
            self._publish(self._prices.withdraw(as_received(book, written)))

    def _publish(self, found: Sequence[Published]) -> None:
        for one in found:
            self._sink.publish(PRICES if isinstance(one, AggregatedPrice) else STATUS, one)
