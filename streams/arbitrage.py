"""market.quotes, market.books → arbitrage.signals."""

from __future__ import annotations

from neuroflux.domain import BookSnapshot
from neuroflux.engine.markets.arbitrage import Arbitrage, thresholds_of
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.soundness import flaw
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry
from neuroflux.records.sink import Sink
from neuroflux.records.topics import BOOKS, QUOTES, SIGNALS

TOPICS = (QUOTES, BOOKS)


class ArbitrageStream:
    """Publishes arbitrage signals, and dead letters of books; those of quotes are published by ``PriceStream``."""

    def __init__(self, reference: Reference, sink: Sink) -> None:
        self._arbitrage, self._sink = Arbitrage(reference, thresholds_of(ARBITRAGE_THRESHOLDS)), sink

    async def take(self, batch: list[Entry]) -> None:
        for entry in batch:
            record = entry.record
            if record is None:
                continue
            is_book = isinstance(record, BookSnapshot)
            if is_book and not record.has_both_sides:
                self._arbitrage.withdraw(record)
                continue
            if wrong := flaw(record, entry.timestamp):
                if entry.topic is BOOKS:
                    dead_letter(self._sink, entry, wrong)
                continue
            look = self._arbitrage.book if is_book else self._arbitrage.quote
            for signal in look(record, entry.cause):
                self._sink.publish(SIGNALS, signal)
