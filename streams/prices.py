"""market.quotes, market.trades → prices.aggregated."""

from __future__ import annotations

from collections.abc import Callable

from neuroflux.domain import Cause, Quote, Trade
from neuroflux.engine.comparable import Reference
from neuroflux.engine.prices import Prices
from neuroflux.kafka import Entry, Publisher
from neuroflux.topics import PRICES, QUOTES, TRADES

TOPICS = (QUOTES, TRADES)


def step(reference: Reference) -> Callable[[list[Entry], Publisher], None]:
    prices = Prices(reference)

    def take(batch: list[Entry], publisher: Publisher) -> None:
        for entry in batch:
            match entry.record:
                case Trade() as trade:
                    prices.trade(trade)
                case Quote() as quote:
                    price = prices.quote(quote, Cause(entry.topic.name, entry.partition, entry.offset))
                    if price is not None:
                        publisher.publish(PRICES, price)

    return take
