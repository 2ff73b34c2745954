"""The books as text: the levels that changed are written as they are now."""

from __future__ import annotations

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.numbers import Numbers


def test_a_changed_level_has_its_quantity_or_0() -> None:
    exchange = Simulation(venues(), 1).exchange("binance")
    texts, book = BookTexts(exchange, Numbers), exchange.books["BTCUSDT"]
    best = book.bids.best or 0
    numbers = texts.numbers["BTCUSDT"]
    bids, asks = texts.changed("BTCUSDT", [("buy", best), ("sell", best)])
    assert bids == texts.levels("BTCUSDT", 1)[0]
    assert asks == [(numbers.price(best), numbers.quantity(0))]
