"""Binance's candles: its intervals, and the rows and frames of them.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints ("Kline data")
"""

from __future__ import annotations

from collections.abc import Sequence

from neuroflux.sim.binance.wire import ApiError, Params, integer_of, required
from neuroflux.sim.kit.candles import DAY, MINUTE, WEEK, Candle, Minutes
from neuroflux.sim.kit.numbers import Numbers

_MINUTES = {
    **{f"{number}m": number for number in (1, 3, 5, 15, 30)},
    **{f"{number}h": 60 * number for number in (1, 2, 4, 6, 8, 12)},
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": WEEK,
}


def interval_of(text: str) -> int:
    """The minutes of an interval such as ``15m``; raises ApiError -1120."""
    if text not in _MINUTES:
        raise ApiError(-1120, "Invalid interval.")
    return _MINUTES[text]


class Candles(Minutes):
    """Writes the candles of one exchange."""

    def __init__(self, numbers: dict[str, Numbers]) -> None:
        super().__init__()
        self._numbers = numbers

    def klines(self, params: Params, now: int) -> object:
        """The requested rows, oldest first. Intervals without a trade have none."""
        symbol = required(params, "symbol")
        if symbol not in self._numbers:
            raise ApiError(-1121, "Invalid symbol.")
        minutes = interval_of(required(params, "interval"))
        first, last = integer_of(params, "startTime", 0), integer_of(params, "endTime", now // 1000)
        candles = [candle for candle in self.candles(symbol, minutes) if first <= candle.start <= last]
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
            candle.start + minutes * MINUTE - 1,
            f"{candle.value * unit:.8f}",
            candle.count,
            numbers.quantity(candle.bought),
            f"{candle.bought_value * unit:.8f}",
            "0",
        ]

    def frame(self, symbol: str, interval: str, now: int) -> dict[str, object] | None:
        """The payload of ``<symbol>@kline_<interval>``; ``now`` in µs.

        None before the first trade, and for an unknown interval.
        """
        minutes = _MINUTES.get(interval, 0)
        candles = self.candles(symbol, minutes) if minutes else []
        if not candles:
            return None
        newest, numbers = candles[-1], self._numbers[symbol]
        unit, end = numbers.listing.unit, newest.start + minutes * MINUTE - 1
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
