"""The market's channels of Kraken's socket: tickers, trades, candles, instruments; numbers keep their digits.

Source: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/ticker, trade, ohlc, instrument
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.candles import Candle
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.streams import Channel
from neuroflux.sim.kraken.books import DEPTHS, Books
from neuroflux.sim.kraken.market import INTERVALS, Market, candle_average
from neuroflux.sim.kraken.names import symbol_of
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import Json, lexeme, timestamp

FIRST_TRADES, FIRST_CANDLES = 50, 100
TRIGGERS = ("trades", "bbo")
MILLISECOND = 1000


def frame(channel: str, kind: str, data: object, **more: object) -> str:
    return json_text({"channel": channel, "type": kind, "data": data, **more})


class Frames:
    """Writes what the channels send; ``channels`` by the name that ``sockets`` gives a stream, without its symbol."""

    def __init__(self, market: Market) -> None:
        self._market, self._texts, self.pairs = market, market.texts, market.pairs
        self.channels: dict[str, Channel] = {
            "trade": Channel(first=self._first_trades, trades=self._new_trades),
            "ticker trades": Channel(first=self._first_ticker, trades=self._ticker),
            "ticker bbo": Channel(first=self._first_ticker, top=self._ticker_now),
            "instrument": Channel(first=self._instruments),
        }
        for depth in DEPTHS:
            self.channels[f"book {depth}"] = Books(market.simulation, market.texts, depth).channel
        for minutes in INTERVALS:
            first, later = partial(self._first_candles, minutes), partial(self._candle, minutes)
            self.channels[f"ohlc {minutes}"] = Channel(first=first, trades=later)

    def _now(self) -> int:
        return self._market.simulation.now(KRAKEN)

    # --- tickers

    def _first_ticker(self, symbol: str) -> str:
        return frame("ticker", "snapshot", [self._row(symbol, self._now())])

    def _ticker(self, change: Change, now: int) -> Iterable[str]:
        yield self._ticker_now(change.listing.symbol, now)

    def _ticker_now(self, symbol: str, now: int) -> str:
        return frame("ticker", "update", [self._row(symbol, now)])

    def _row(self, symbol: str, now: int) -> Json:
        tape, numbers = self._market.tape(symbol), self._texts.numbers[symbol]
        bid, bid_quantity, ask, ask_quantity = self._texts.top(symbol)
        change = tape.last - tape.open
        written = {
            "bid": bid,
            "bid_qty": bid_quantity,
            "ask": ask,
            "ask_qty": ask_quantity,
            "last": numbers.price(tape.last),
            "volume": numbers.quantity(tape.volume),
            "vwap": self._market.average(symbol),
            "low": numbers.price(tape.low),
            "high": numbers.price(tape.high),
            "change": ("-" if change < 0 else "") + numbers.price(abs(change)),
            "change_pct": f"{change * 100 / tape.open:.2f}",
        }
        row = {name: lexeme(number) for name, number in written.items()}
        return {"symbol": symbol_of(numbers.listing), **row, "timestamp": timestamp(now)}

    # --- trades

    def _first_trades(self, symbol: str) -> str:
        known = self._market.trades_of(symbol)[-FIRST_TRADES:]
        return self._trades("snapshot", symbol, known)

    def _new_trades(self, change: Change, now: int) -> Iterable[str]:
        """Those of a change together."""
        yield self._trades("update", change.listing.symbol, [(match, now) for match in change.matches])

    def _trades(self, kind: str, symbol: str, trades: Sequence[tuple[Match, int]]) -> str:
        numbers = self._texts.numbers[symbol]
        return frame("trade", kind, [_trade(match, time, numbers) for match, time in trades])

    # --- candles

    def _first_candles(self, minutes: int, symbol: str) -> str:
        return self._candles("snapshot", minutes, symbol, FIRST_CANDLES)

    def _candle(self, minutes: int, change: Change, _: int) -> Iterable[str]:
        yield self._candles("update", minutes, change.listing.symbol, 1)

    def _candles(self, kind: str, minutes: int, symbol: str, most: int) -> str:
        numbers, now = self._texts.numbers[symbol], timestamp(self._now())
        candles = self._market.minutes.candles(symbol, minutes)[-most:]
        return frame("ohlc", kind, [_row(one, numbers, minutes) for one in candles], timestamp=now)

    # --- instruments

    def _instruments(self, _: str) -> str:
        return frame("instrument", "snapshot", self._market.pairs.reference())

    def instrument(self, symbol: str) -> str:
        """One pair, which changed."""
        row = self._market.pairs.instrument(self._market.exchange.listings[symbol])
        return frame("instrument", "update", {"assets": [], "pairs": [row]})


def _trade(match: Match, time: int, numbers: Numbers) -> Json:
    return {
        "symbol": symbol_of(numbers.listing),
        "side": match.side,
        "price": lexeme(numbers.price(match.price)),
        "qty": lexeme(numbers.quantity(match.quantity)),
        "ord_type": "limit" if match.taker else "market",
        "trade_id": match.trade_id,
        "timestamp": timestamp(time),
    }


def _row(candle: Candle, numbers: Numbers, minutes: int) -> Json:
    prices = {name: lexeme(numbers.price(getattr(candle, name))) for name in ("open", "high", "low", "close")}
    begin = candle.start * MILLISECOND
    return {
        "symbol": symbol_of(numbers.listing),
        **prices,
        "vwap": lexeme(candle_average(candle, numbers)),
        "trades": candle.count,
        "volume": lexeme(numbers.quantity(candle.volume)),
        "interval_begin": timestamp(begin),
        "interval": minutes,
        "timestamp": timestamp(begin + minutes * 60_000 * MILLISECOND),
    }
