"""Candles of Binance's symbols, made of the trades since the simulation began: a row a minute, longer ones on demand.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints ("Kline data")
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

from neuroflux.sim.binance.wire import ApiError, Numbers, Params, integer_of, required
from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.world import Change

_MINUTE = 60_000
_DAY = 1440
_MINUTES = {
    **{f"{number}m": number for number in (1, 3, 5, 15, 30)},
    **{f"{number}h": 60 * number for number in (1, 2, 4, 6, 8, 12)},
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
}
_MONDAY = 4 * _DAY * _MINUTE
"""The epoch was a Thursday: weeks begin so much later."""
REMEMBERED = 1500


class Candle(Struct):
    """``start`` in ms; prices in ticks, volumes in lots, values in ticks × lots; ``bought`` is the aggressors' part."""

    start: int
    open: int
    high: int
    low: int
    close: int
    first: int
    last: int
    volume: int = 0
    value: int = 0
    count: int = 0
    bought: int = 0
    bought_value: int = 0

    def add(self, match: Match) -> None:
        self.high, self.low, self.close = max(self.high, match.price), min(self.low, match.price), match.price
        self.last = match.trade_id
        self.volume += match.quantity
        self.value += match.price * match.quantity
        self.count += 1
        if match.side == "buy":
            self.bought += match.quantity
            self.bought_value += match.price * match.quantity


def interval_of(text: str) -> int:
    """The minutes of an interval such as ``15m``; raises ApiError -1120."""
    if text not in _MINUTES:
        raise ApiError(-1120, "Invalid interval.")
    return _MINUTES[text]


def _start(time: int, minutes: int) -> int:
    """When the interval began that holds this time; both in ms."""
    length = minutes * _MINUTE
    shift = _MONDAY if minutes == _MINUTES["1w"] else 0
    return (time - shift) // length * length + shift


class Candles:
    """Remembers the minutes of every symbol of one exchange."""

    def __init__(self, numbers: dict[str, Numbers]) -> None:
        self._numbers = numbers
        self._minutes: defaultdict[str, deque[Candle]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def remember(self, changes: Iterable[Change], now: int) -> None:
        """Add the trades of these changes; ``now`` in µs."""
        start = _start(now // 1000, 1)
        for change in changes:
            minutes = self._minutes[change.listing.symbol]
            for match in change.matches:
                if not minutes or minutes[-1].start != start:
                    price, number = match.price, match.trade_id
                    minutes.append(Candle(start, price, price, price, price, number, number))
                minutes[-1].add(match)

    def _candles(self, symbol: str, minutes: int) -> list[Candle]:
        merged: list[Candle] = []
        for minute in self._minutes[symbol]:
            start = _start(minute.start, minutes)
            if merged and merged[-1].start == start:
                _merge(merged[-1], minute)
            else:
                opened = (minute.open, minute.high, minute.low, minute.close, minute.first, minute.last)
                sums = (minute.volume, minute.value, minute.count, minute.bought, minute.bought_value)
                merged.append(Candle(start, *opened, *sums))
        return merged

    def klines(self, params: Params, now: int) -> object:
        """The rows that were asked for, oldest first. Minutes without a trade have none."""
        symbol = required(params, "symbol")
        if symbol not in self._numbers:
            raise ApiError(-1121, "Invalid symbol.")
        minutes = interval_of(required(params, "interval"))
        first, last = integer_of(params, "startTime", 0), integer_of(params, "endTime", now // 1000)
        candles = [candle for candle in self._candles(symbol, minutes) if first <= candle.start <= last]
        limit = max(1, min(integer_of(params, "limit", 500), 1000))
        chosen = candles[:limit] if params.get("startTime") else candles[-limit:]
        return [self._row(symbol, candle, minutes) for candle in chosen]

    def _row(self, symbol: str, candle: Candle, minutes: int) -> Sequence[object]:
        numbers = self._numbers[symbol]
        unit = numbers.listing.unit
        return [
            candle.start,
            *(numbers.price(price) for price in (candle.open, candle.high, candle.low, candle.close)),
            numbers.quantity(candle.volume),
            candle.start + minutes * _MINUTE - 1,
            f"{candle.value * unit:.8f}",
            candle.count,
            numbers.quantity(candle.bought),
            f"{candle.bought_value * unit:.8f}",
            "0",
        ]

    def frame(self, symbol: str, interval: str, now: int) -> dict[str, object] | None:
        """The payload of ``<symbol>@kline_<interval>``; ``now`` in µs.

        None before the first trade, and for an interval that there isn't.
        """
        minutes = _MINUTES.get(interval, 0)
        candles = self._candles(symbol, minutes) if minutes else []
        if not candles:
            return None
        newest, numbers = candles[-1], self._numbers[symbol]
        unit, end = numbers.listing.unit, newest.start + minutes * _MINUTE - 1
        kline = {
            "t": newest.start,
            "T": end,
            "s": symbol,
            "i": interval,
            "f": newest.first,
            "L": newest.last,
            "o": numbers.price(newest.open),
            "c": numbers.price(newest.close),
            "h": numbers.price(newest.high),
            "l": numbers.price(newest.low),
            "v": numbers.quantity(newest.volume),
            "n": newest.count,
            "x": now // 1000 > end,
            "q": f"{newest.value * unit:.8f}",
            "V": numbers.quantity(newest.bought),
            "Q": f"{newest.bought_value * unit:.8f}",
            "B": "0",
        }
        return {"e": "kline", "E": now // 1000, "s": symbol, "k": kline}


def _merge(whole: Candle, part: Candle) -> None:
    whole.high, whole.low, whole.close = max(whole.high, part.high), min(whole.low, part.low), part.close
    whole.last = part.last
    whole.volume += part.volume
    whole.value += part.value
    whole.count += part.count
    whole.bought += part.bought
    whole.bought_value += part.bought_value
