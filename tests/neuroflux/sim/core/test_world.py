"""The same seed gives the same world, and true arbitrage opens in it from time to time."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from msgspec.structs import replace

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.liquidity import SeededLiquidity
from neuroflux.sim.core.prices import Prices
from neuroflux.sim.core.world import World

NOW = 1_700_000_000_000_000
HOURS = 3_600_000_000


class Nothing:
    """No fault ever strikes."""

    def take(self, exchange: str, fault: str, symbol: str = "") -> None:
        return None

    def setting(self, exchange: str, fault: str, symbol: str = "") -> None:
        return None


def _run(seed: int, steps: int) -> list[object]:
    world = World(venues(), seed, Nothing(), NOW)
    changes: list[object] = []
    for step in range(steps):
        world.step(NOW + step * 100_000)
        for exchange_id in venues():
            changes += [
                (change.listing.symbol, tuple(change.matches), tuple(change.levels), change.last)
                for change in world.drain(exchange_id)
            ]
    return changes


def test_the_same_seed_gives_the_same_world() -> None:
    assert _run(1, 40) == _run(1, 40)


def test_another_seed_gives_another_world() -> None:
    assert _run(1, 5) != _run(2, 5)


def _is_open(world: World, tether: float) -> bool:
    """Whether one of bitcoin's perpetuals can be bought and another sold at a profit, both taker fees paid."""
    offers = []
    for exchange_id in venues():
        exchange = world.exchanges[exchange_id]
        for symbol, listing in exchange.listings.items():
            if listing.base in ("BTC", "ETH", "SOL") and listing.kind == "perpetual":
                bid, ask = (float(price) for price in exchange.top(symbol))
                dollar = tether if listing.quote == "USDT" else 1.0
                fee = float(listing.taker_fee)
                offers.append((listing.base, bid * dollar * (1 - fee), ask * dollar * (1 + fee)))
    return any(sell > buy for base, sell, _ in offers for other, _, buy in offers if base == other)


def test_arbitrage_opens_and_closes_again() -> None:
    liquidity = SeededLiquidity(venues(), 1)
    world = World(venues(), 1, Nothing(), NOW, liquidity)
    states = []
    for _ in range(400):
        world.step(NOW)
        states.append(_is_open(world, liquidity.prices.tether))
    openings = sum(after and not before for before, after in pairwise(states))
    assert openings >= 2
    assert sum(states) < 200


def test_books_stay_whole() -> None:
    world = World(venues(), 5, Nothing(), NOW)
    for _ in range(300):
        world.step(NOW)
        for exchange_id in venues():
            list(world.drain(exchange_id))
    for exchange in world.exchanges.values():
        for symbol, book in exchange.books.items():
            assert min(len(book.bids), len(book.asks)) >= 50, symbol
            assert (book.bids.best or 0) < (book.asks.best or 0), symbol


def test_funding_is_paid_at_the_hour() -> None:
    world = World(venues(), 1, Nothing(), NOW // HOURS * HOURS)
    exchange = world.exchanges["hyperliquid"]
    position = exchange.perpetual.position(exchange.listings["BTC"])
    position.trade(Decimal(1), exchange.perpetual.mark("BTC"))
    before = exchange.perpetual.wallet["USDC"]
    for _ in range(10):
        world.step(NOW // HOURS * HOURS + HOURS)
    paid = before - exchange.perpetual.wallet["USDC"]
    rate = world.funding_rate(exchange.listings["BTC"])
    assert paid == round(exchange.perpetual.mark("BTC") * rate, 8)


@pytest.mark.parametrize("base", ["BTC", "LTC"])
def test_an_exchange_alone_can_be_simulated(base: str) -> None:
    """No base is traded on a second exchange, so that its price differs from no other."""
    venue = venues()["binance"]
    listings = tuple(one for one in venue.listings if one.base == base)
    prices = Prices([replace(venue, listings=listings)], 1)
    for _ in range(1_000):
        prices.step()
    assert prices.step_number == 1_000


def test_prices_in_every_quote_and_of_cash_agree() -> None:
    """Where an exchange lists a coin and the rate between two quotes, both ways to buy cost the same within 2 bp."""
    pairs = (("BTC", "USD"), ("BTC", "EUR"), ("BTC", "USDT"), ("USDT", "USD"), ("USDC", "USDT"), ("EUR", "USD"))
    venue = venues()["binance"]
    one = venue.listings[0]
    listings = tuple(replace(one, base=base, quote=quote, symbol=base + quote) for base, quote in pairs)
    prices = Prices([replace(venue, listings=listings)], 1)
    for _ in range(3_000):
        prices.step()
        of = {(base, quote): prices.price(("binance", "spot", base), quote) for base, quote in pairs}
        assert of["BTC", "USDT"] * of["USDT", "USD"] == pytest.approx(of["BTC", "USD"], rel=2e-4)
        assert of["BTC", "EUR"] * of["EUR", "USD"] == pytest.approx(of["BTC", "USD"], rel=2e-4)
        assert of["USDC", "USDT"] == pytest.approx(1.0004, abs=3e-3)
        assert of["EUR", "USD"] == pytest.approx(1.09, abs=0.01)
