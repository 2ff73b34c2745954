"""Tickers: a row by instrument, which spot sends whole and perpetuals as changes.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from __future__ import annotations

from neuroflux.sim.bybit.venue import BYBIT, name_of
from neuroflux.sim.bybit.wire import Json, plain
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.books import BookTexts


class Tickers:
    """Writes the rows; ``top`` has the best prices, which the tickers of spot over sockets are without."""

    def __init__(self, simulation: Simulation, texts: BookTexts) -> None:
        self._world, self._texts = simulation.world, texts

    def top(self, listing: Listing) -> Json:
        """Nothing is written for an empty side."""
        bid, bids, ask, asks = self._texts.top(listing.symbol)
        empty = self._texts.numbers[listing.symbol].quantity(0)
        return {
            "bid1Price": bid if bids != empty else "",
            "bid1Size": bids if bids != empty else "",
            "ask1Price": ask if asks != empty else "",
            "ask1Size": asks if asks != empty else "",
        }

    def row(self, listing: Listing, now: int) -> Json:
        tape, numbers = self._world.tapes[BYBIT, listing.symbol], self._texts.numbers[listing.symbol]
        row: Json = {
            "symbol": name_of(listing),
            "lastPrice": numbers.price(tape.last),
            "highPrice24h": numbers.price(tape.high),
            "lowPrice24h": numbers.price(tape.low),
            "prevPrice24h": numbers.price(tape.open),
            "volume24h": numbers.quantity(tape.volume),
            "turnover24h": plain(tape.value * listing.unit),
            "price24hPcnt": f"{tape.last / tape.open - 1:.4f}" if tape.open else "",
        }
        if listing.kind == "spot":
            return {**row, "usdIndexPrice": f"{self._world.index(listing):.6f}" if listing.quote == "USDT" else ""}
        return {**row, **self._of_perpetual(listing, now)}

    def _of_perpetual(self, listing: Listing, now: int) -> Json:
        world, numbers, tape = (
            self._world,
            self._texts.numbers[listing.symbol],
            self._world.tapes[BYBIT, listing.symbol],
        )
        open_interest = tape.volume // 3
        return {
            "tickDirection": "PlusTick" if tape.last > tape.open else "MinusTick",
            "prevPrice1h": numbers.price(tape.open),
            "markPrice": numbers.price_text(world.mark(listing)),
            "indexPrice": f"{world.index(listing):.{numbers.price_digits}f}",
            "openInterest": numbers.quantity(open_interest),
            "openInterestValue": plain(open_interest * listing.lot * world.mark(listing), 2),
            "nextFundingTime": str(world.next_funding(BYBIT, now, listing.symbol) // 1000),
            "fundingRate": plain(world.funding_rate(listing)),
            "fundingIntervalHour": str(world.funding_hours(BYBIT, listing.symbol)),
            "fundingCap": "0.005",
        }
