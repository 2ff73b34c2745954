"""market.quotes, market.books → arbitrage.signals."""

from __future__ import annotations

from collections.abc import Callable

from neuroflux.domain import BookPicture, Cause, Quote
from neuroflux.engine.arbitrage import Arbitrage
from neuroflux.engine.comparable import Reference
from neuroflux.kafka import Entry, Publisher
from neuroflux.topics import BOOKS, QUOTES, SIGNALS

TOPICS = (QUOTES, BOOKS)


def step(reference: Reference) -> Callable[[list[Entry], Publisher], None]:
    arbitrage = Arbitrage(reference)

    def take(batch: list[Entry], publisher: Publisher) -> None:
        for entry in batch:
            cause = Cause(entry.topic.name, entry.partition, entry.offset)
            match entry.record:
                case Quote() as quote:
                    signals = arbitrage.quote(quote, cause)
                case BookPicture() as book:
                    signals = arbitrage.book(book, cause)
                case _:
                    continue
            for signal in signals:
                publisher.publish(SIGNALS, signal)

    return take
