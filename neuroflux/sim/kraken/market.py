"""Kraken's market data over REST: tickers, books, trades, candles, spreads.

Source: https://docs.kraken.com/api-reference/market-data/get-ticker-information
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.ticker import Tape
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.books import BookTexts, Levels
from neuroflux.sim.kit.candles import Candle, Minutes
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.recent_trades import RecentTrades
from neuroflux.sim.kraken.pairs import Pairs
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import SECOND, Json, Params, invalid, required, seconds, text, whole, whole_seconds

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
"""Minutes of a candle."""
KEPT_TRADES, KEPT_SPREADS, MOST_CANDLES, MOST_LEVELS = 1000, 200, 720, 500
_PRICE_DIGITS = 5
"""Prices over REST have at least so many decimals."""


class Market:
    """What was traded and what is offered, by pair."""

    def __init__(self, simulation: Simulation, pairs: Pairs) -> None:
        self.simulation, self.exchange, self.pairs = simulation, simulation.exchange(KRAKEN), pairs
        self.texts = BookTexts(self.exchange, Numbers)
        self.minutes, self._trades = Minutes(), RecentTrades(KEPT_TRADES)
        self._spreads: defaultdict[str, deque[tuple[int, str, str]]] = defaultdict(lambda: deque(maxlen=KEPT_SPREADS))

    def remember(self, changes: Sequence[Change], now: int) -> None:
        self._trades.remember(changes, now)
        self.minutes.remember(changes, now)
        for change in changes:
            symbol = change.listing.symbol
            bid, _, ask, _ = self.texts.top(symbol)
            spreads = self._spreads[symbol]
            if not spreads or spreads[-1][1:] != (bid, ask):
                spreads.append((now, bid, ask))

    def tape(self, symbol: str) -> Tape:
        return self.simulation.world.tapes[KRAKEN, symbol]

    def trades_of(self, symbol: str) -> list[tuple[Match, int]]:
        """Oldest first; where nothing was traded yet, the last trade before the start."""
        tape, known = self.tape(symbol), self._trades.of(symbol)
        return known or [(Match(tape.last_trade, "buy", tape.last, max(1, tape.last_quantity), 0, 0), tape.started)]

    def average(self, symbol: str) -> str:
        """The price of a day's trades, weighted by volume."""
        tape, numbers = self.tape(symbol), self.texts.numbers[symbol]
        return numbers.price_text(tape.value * numbers.listing.tick / max(1, tape.volume))

    # --- endpoints

    def time(self, _: Params, now: int) -> Json:
        moment = datetime.fromtimestamp(now // SECOND, UTC)
        return {"unixtime": now // SECOND, "rfc1123": moment.strftime("%a, %d %b %y %H:%M:%S +0000")}

    def status(self, _: Params, now: int) -> Json:
        return {"status": "online", "timestamp": whole_seconds(now)}

    def tickers(self, params: Params, _: int) -> Json:
        return {key: self._ticker(listing.symbol) for key, listing in self.pairs.chosen(params).items()}

    def _ticker(self, symbol: str) -> Json:
        tape, numbers = self.tape(symbol), self.texts.numbers[symbol]
        bid, bid_quantity, ask, ask_quantity = self.texts.top(symbol)
        volume, average = numbers.quantity(tape.volume), _padded(self.average(symbol))
        low, high = (_padded(numbers.price(price)) for price in (tape.low, tape.high))
        return {
            "a": [_padded(ask), str(int(Decimal(ask_quantity))), f"{Decimal(ask_quantity):.3f}"],
            "b": [_padded(bid), str(int(Decimal(bid_quantity))), f"{Decimal(bid_quantity):.3f}"],
            "c": [_padded(numbers.price(tape.last)), numbers.quantity(tape.last_quantity)],
            "v": [volume, volume],
            "p": [average, average],
            "t": [tape.count, tape.count],
            "l": [low, low],
            "h": [high, high],
            "o": _padded(numbers.price(tape.open)),
        }

    def _one(self, params: Params) -> Listing:
        return self.pairs.find(required(params, "pair"))

    def depth(self, params: Params, now: int) -> Json:
        listing = self._one(params)
        bids, asks = self.texts.levels(listing.symbol, min(whole(params, "count", 100) or 1, MOST_LEVELS))
        return {listing.symbol: {"asks": _levels(asks, now), "bids": _levels(bids, now)}}

    def trades(self, params: Params, _: int) -> Json:
        """Oldest first; ``since`` and ``last`` in ns."""
        listing, since = self._one(params), _since(params)
        found = [(match, time) for match, time in self.trades_of(listing.symbol) if time > since]
        most = min(whole(params, "count", KEPT_TRADES), KEPT_TRADES)
        kept = found[:most] if since else found[-most:]
        numbers = self.texts.numbers[listing.symbol]
        last = kept[-1][1] if kept else since
        return {listing.symbol: [_trade(*one, numbers) for one in kept], "last": str(last * 1000)}

    def candles(self, params: Params, _: int) -> Json:
        """Oldest first; ``since`` and ``last`` in seconds, the last one is not complete."""
        listing, interval = self._one(params), whole(params, "interval", 1)
        if interval not in INTERVALS:
            raise invalid("interval")
        numbers, since = self.texts.numbers[listing.symbol], whole(params, "since")
        found = [one for one in self.minutes.candles(listing.symbol, interval) if one.start // 1000 > since]
        last = found[-2].start // 1000 if len(found) > 1 else since
        return {listing.symbol: [_candle(one, numbers) for one in found[-MOST_CANDLES:]], "last": last}

    def spreads(self, params: Params, now: int) -> Json:
        listing, since = self._one(params), whole(params, "since")
        found = [one for one in self._spreads[listing.symbol] if one[0] >= since * SECOND]
        rows = [[time // SECOND, _padded(bid), _padded(ask)] for time, bid, ask in found]
        return {listing.symbol: rows, "last": now // SECOND}


def _since(params: Params) -> int:
    """The parameter ``since`` in µs: it is given in seconds, or as an id in ns; raises ApiError."""
    given = text(params, "since", "0")
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        raise invalid("since")
    return int(given) // 1000 if len(given) > len("1700000000000") else int(given) * SECOND


def _padded(price: str) -> str:
    whole_part, _, part = price.partition(".")
    return f"{whole_part}.{part:0<{_PRICE_DIGITS}}"


def _levels(levels: Levels, now: int) -> list[list[object]]:
    return [[_padded(price), quantity, now // SECOND] for price, quantity in levels]


def _trade(match: Match, time: int, numbers: Numbers) -> list[object]:
    price, quantity = _padded(numbers.price(match.price)), numbers.quantity(match.quantity)
    return [price, quantity, seconds(time), match.side[0], "l" if match.taker else "m", "", match.trade_id]


def candle_average(candle: Candle, numbers: Numbers) -> str:
    """The price of a candle's trades, weighted by volume."""
    return numbers.price_text(candle.value * numbers.listing.tick / max(1, candle.volume))


def _candle(candle: Candle, numbers: Numbers) -> list[object]:
    prices = [numbers.price(getattr(candle, name)) for name in ("open", "high", "low", "close")]
    volume = numbers.quantity(candle.volume)
    return [candle.start // 1000, *prices, candle_average(candle, numbers), volume, candle.count]
