"""The frames of Coinbase's sockets: one envelope, a number for each frame of a connection, and events.

Source: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

from neuroflux.sim.coinbase.market import Market
from neuroflux.sim.coinbase.venue import COINBASE
from neuroflux.sim.coinbase.wire import Json, timestamp
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.books import Levels
from neuroflux.sim.kit.streams import Channel, Unsent

NUMBER = '"sequence_num":'
_PLACE = f"{NUMBER}null"
SECOND = 1_000_000
BATCH_EVERY, CANDLES_EVERY = 5 * SECOND, 5 * SECOND
FIRST_TRADES = 50
WHOLE_BOOK = 100_000


def frame(channel: str, now: int, *events: Json) -> str:
    """A frame without its number, which each connection counts for itself."""
    return json_text({"channel": channel, "timestamp": timestamp(now), "sequence_num": None, "events": events})


def numbered(text: str, numbers: Iterator[int]) -> str:
    """The frame with the connection's next number; an error has none, and uses none up."""
    head, place, tail = text.partition(_PLACE)
    return f"{head}{NUMBER}{next(numbers)}{tail}" if place else text


class Frames:
    """Writes what the market's channels send."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._beats = count(1)
        self.channels: dict[str, tuple[Channel, int]] = {
            "heartbeats": (Channel(timed=self._heartbeat), SECOND),
            "level2": (Channel(first=self._snapshot, levels=self._update, is_depth=True), 0),
            "market_trades": (Channel(first=self._first_trades, trades=self._new_trades), 0),
            "ticker": (Channel(first=self._first_ticker, trades=self._ticker), 0),
            "ticker_batch": (Channel(first=self._first_batch, timed=self._batch), BATCH_EVERY),
            "candles": (Channel(first=self._first_candles, timed=self._candles), CANDLES_EVERY),
            "status": (Channel(first=self._status), 0),
        }

    def _now(self) -> int:
        return self._market.simulation.now(COINBASE)

    def _heartbeat(self, _: str, now: int) -> str:
        clock = datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        text = f"{clock}000 +0000 UTC m=+{now % 10**12 / SECOND:.9f}"
        return frame("heartbeats", now, {"current_time": text, "heartbeat_counter": next(self._beats)})

    # --- books

    def _snapshot(self, symbol: str) -> str:
        return self._levels("snapshot", symbol, self._market.texts.levels(symbol, WHOLE_BOOK), self._now())

    def _update(self, symbol: str, unsent: Unsent, now: int) -> str:
        return self._levels("update", symbol, self._market.texts.changed(symbol, unsent.levels), now)

    def _levels(self, kind: str, symbol: str, sides: tuple[Levels, Levels], now: int) -> str:
        time, bids, offers = timestamp(now), *sides
        rows = [("bid", *level) for level in bids] + [("offer", *level) for level in offers]
        updates = [
            {"side": side, "event_time": time, "price_level": price, "new_quantity": quantity}
            for side, price, quantity in rows
        ]
        return frame("l2_data", now, {"type": kind, "product_id": symbol, "updates": updates})

    # --- trades

    def _first_trades(self, symbol: str) -> str:
        event = {"type": "snapshot", "trades": self._market.trades(symbol, FIRST_TRADES)}
        return frame("market_trades", self._now(), event)

    def _new_trades(self, change: Change, now: int) -> Iterable[str]:
        """Those of a change together, newest first."""
        rows = [self._market.trade(change.listing, match, now) for match in reversed(change.matches)]
        yield frame("market_trades", now, {"type": "update", "trades": rows})

    # --- tickers

    def _first_ticker(self, symbol: str) -> str:
        return self._tickers("ticker", "snapshot", symbol, self._now())

    def _ticker(self, change: Change, now: int) -> Iterable[str]:
        yield self._tickers("ticker", "update", change.listing.symbol, now)

    def _first_batch(self, symbol: str) -> str:
        return self._tickers("ticker_batch", "snapshot", symbol, self._now())

    def _batch(self, symbol: str, now: int) -> str:
        return self._tickers("ticker_batch", "update", symbol, now)

    def _tickers(self, channel: str, kind: str, symbol: str, now: int) -> str:
        """``ticker_batch`` has no best prices."""
        row = {"type": "ticker", "product_id": symbol, **self._market.day(symbol)}
        names = ("best_bid", "best_bid_quantity", "best_ask", "best_ask_quantity")
        tops = dict(zip(names, self._market.texts.top(symbol), strict=True)) if channel == "ticker" else {}
        return frame(channel, now, {"type": kind, "tickers": [{**row, **tops}]})

    # --- the rest

    def _first_candles(self, symbol: str) -> str:
        return self._candle_frame("snapshot", symbol, self._now(), 100)

    def _candles(self, symbol: str, now: int) -> str:
        return self._candle_frame("update", symbol, now, 1)

    def _candle_frame(self, kind: str, symbol: str, now: int, most: int) -> str:
        """Of five minutes, newest first."""
        rows = [{**row, "product_id": symbol} for _, row in self._market.candles_of(symbol, 5)[-most:]]
        return frame("candles", now, {"type": kind, "candles": rows[::-1]})

    def _status(self, symbol: str) -> str:
        row: Any = self._market.product({"product_id": [symbol]}, 0)
        product = {
            "product_type": "SPOT",
            "id": symbol,
            "base_currency": row["base_currency_id"],
            "quote_currency": row["quote_currency_id"],
            "base_increment": row["base_increment"],
            "quote_increment": row["quote_increment"],
            "display_name": symbol.replace("-", "/"),
            "status": "offline" if row["trading_disabled"] else "online",
            "status_message": "",
            "min_market_funds": row["quote_min_size"],
        }
        return frame("status", self._now(), {"type": "snapshot", "products": [product]})
