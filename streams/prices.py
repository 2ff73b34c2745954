"""market.quotes, market.trades → prices.aggregated; what is left out of a price → exchange.status."""

from __future__ import annotations

from collections.abc import Sequence

from neuroflux.domain import AggregatedPrice, Cause, Quote, Trade
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.prices import Prices
from neuroflux.engine.markets.soundness import flaw
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry
from neuroflux.records.sink import Sink
from neuroflux.records.topics import PRICES, QUOTES, STATUS, TRADES

TOPICS = (QUOTES, TRADES)


class PriceStream:
    """Writes the dead letters of both its topics: the arbitrage, which reads quotes too, passes unsound ones over."""

    def __init__(self, reference: Reference, sink: Sink) -> None:
        self._prices, self._sink = Prices(reference), sink

    async def take(self, batch: list[Entry]) -> None:
        for entry in batch:
            record = entry.record
            if record is None:
                continue
            if wrong := flaw(record, entry.timestamp):
                dead_letter(self._sink, entry, wrong)
            else:
                self._take(record, entry.cause)

    def recall(self, tape: Sequence[Entry]) -> None:
        """Begin with what was traded before the records that come next."""
        sound = [one for one in tape if isinstance(one.record, Trade) and not flaw(one.record, one.timestamp)]
        self._prices.recall([(one.record, one.cause) for one in sound])

    def _take(self, record: Quote[float] | Trade[float], cause: Cause) -> None:
        told = self._prices.quote(record, cause) if isinstance(record, Quote) else self._prices.trade(record, cause)
        for one in told:
            self._sink.publish(PRICES if isinstance(one, AggregatedPrice) else STATUS, one)
