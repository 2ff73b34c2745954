"""OKX's public channels: which there are, on which path, and their frames.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel and
#public-data-websocket-mark-price-channel
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.streams import Channel, Unsent
from neuroflux.sim.okx.instruments import KINDS
from neuroflux.sim.okx.market import DEPTH, MINUTES, Market
from neuroflux.sim.okx.venue import OKX, SWAP
from neuroflux.sim.okx.wire import Json

SECOND = 1_000_000
ALIVE_AFTER = 60 * SECOND
"""µs without a change of a book, after which it is said that nothing changed."""
FUNDING_EVERY, PRICE_EVERY = 30 * SECOND, SECOND
MARK_AFTER, INDEX_AFTER = 10 * SECOND, 60 * SECOND
"""µs after which a price is sent although it did not change."""
VIP_ALONE = ("books-l2-tbt", "books50-l2-tbt", "fills")
Followed = tuple[str, str, Channel, int]
"""The name of a stream, its key, its channel, and the least µs between its frames."""


class PublicChannels:
    """Finds the streams that a subscription names."""

    def __init__(self, simulation: Simulation, market: Market) -> None:
        self._exchange, self._market = simulation.exchange(OKX), market
        self._simulation = simulation
        self._last: dict[str, tuple[object, int]] = {}  # what was sent last, and when
        book = Channel(first=self._snapshot, levels=self._update, is_depth=True)
        self._of_instrument: dict[str, tuple[Channel, int]] = {
            "bbo-tbt": (Channel(first=self._first(self._top), top=self._top), 0),
            "books": (book, 0),
            "books5": (Channel(first=self._first(self._five), levels=self._new_five, is_depth=True), 0),
            "trades": (Channel(trades=self._trades), 0),
            "tickers": (Channel(first=self._first(self._ticker), levels=self._new_ticker), 0),
            "mark-price": (Channel(first=self._first(self._mark), timed=self._new_mark), PRICE_EVERY),
        }
        self._funding = Channel(first=self._first(self._rate), timed=self._rate)
        self._business = {"trades-all": (Channel(trades=self._every_trade), 0)}
        for bar in MINUTES:
            self._business[f"candle{bar}"] = (
                Channel(first=self._first(partial(self._candle, bar)), timed=partial(self._candle, bar)),
                SECOND,
            )

    def find(self, arg: Json, path: str) -> list[Followed]:
        """The streams of a subscription; none where the exchange has no such channel on this path."""
        name, instrument = str(arg.get("channel")), str(arg.get("instId", ""))
        if path == "public" and name == "instruments" and arg.get("instType") in KINDS:
            kind = str(arg["instType"])
            return [(f"{name}:{kind}", kind, Channel(timed=self._listed), SECOND)]
        if path == "public" and name == "index-tickers" and self._market.has_index(instrument):
            channel = Channel(first=self._first(self._index), timed=self._new_index)
            return [(f"{name}:{instrument}", instrument, channel, PRICE_EVERY)]
        if path == "public" and name == "status":
            return [(f"{name}:", "", Channel(), 0)]
        if instrument not in self._exchange.listings:
            return []
        return self._found(name, instrument, path)

    def _found(self, name: str, instrument: str, path: str) -> list[Followed]:
        channels = self._of_instrument if path == "public" else self._business
        if path == "public" and name == "funding-rate" and instrument.endswith(SWAP):
            channels = {name: (self._funding, FUNDING_EVERY)}
        if name not in channels:
            return []
        found: list[Followed] = [(f"{name}:{instrument}", instrument, *channels[name])]
        if name == "books":
            alive = Channel(timed=self._alive, is_depth=True)
            found.append((f"{name} alive:{instrument}", instrument, alive, SECOND))
        return found

    def _first(self, write: Callable[[str, int], str]) -> Callable[[str], str]:
        """A writer of the present state."""
        return lambda key: write(key, self._simulation.now(OKX))

    def _is_news(self, name: str, value: object, now: int, after: int) -> bool:
        """Whether a value differs from what was sent last, or that is long ago."""
        before, at = self._last.get(name, (None, 0))
        if value == before and now - at < after:
            return False
        self._last[name] = (value, now)
        return True

    # --- books

    def _snapshot(self, symbol: str) -> str:
        row = self._market.book(symbol, DEPTH, self._simulation.now(OKX))
        return _frame("books", symbol, [{**row, "checksum": 0, "prevSeqId": -1}], action="snapshot")

    def _update(self, symbol: str, unsent: Unsent, now: int) -> str:
        self._last[f"books {symbol}"] = (None, now)
        row = self._market.changed(symbol, unsent.levels, now)
        numbers = {"checksum": 0, "prevSeqId": unsent.previous, "seqId": unsent.last}
        return _frame("books", symbol, [{**row, **numbers}], action="update")

    def _alive(self, symbol: str, now: int) -> str:
        """After a minute without a change, a frame that has none."""
        _, at = self._last.setdefault(f"books {symbol}", (None, now))
        if now - at < ALIVE_AFTER:
            return ""
        self._last[f"books {symbol}"] = (None, now)
        number = self._exchange.books[symbol].sequence
        numbers = {"checksum": 0, "prevSeqId": number, "seqId": number}
        return _frame("books", symbol, [{**self._market.changed(symbol, (), now), **numbers}], action="update")

    def _top(self, symbol: str, now: int) -> str:
        return _frame("bbo-tbt", symbol, [self._market.book(symbol, 1, now)])

    def _five(self, symbol: str, now: int) -> str:
        return _frame("books5", symbol, [{**self._market.book(symbol, 5, now), "instId": symbol}])

    def _new_five(self, symbol: str, unsent: Unsent, now: int) -> str:
        book = self._exchange.books[symbol]
        top = (book.bids.levels(5), book.asks.levels(5))
        return self._five(symbol, now) if self._is_news(f"books5 {symbol}", top, now, ALIVE_AFTER) else ""

    # --- trades and tickers

    def _trades(self, change: Change, now: int) -> Iterator[str]:
        for row in self._market.trade_rows(change.listing, change.matches, now):
            yield _frame("trades", change.listing.symbol, [{**row, "seqId": change.last}])

    def _every_trade(self, change: Change, now: int) -> Iterator[str]:
        for row in self._market.every_trade(change.listing, change.matches, now):
            yield _frame("trades-all", change.listing.symbol, [row])

    def _ticker(self, symbol: str, now: int) -> str:
        return _frame("tickers", symbol, [self._market.ticker(self._exchange.listings[symbol], now)])

    def _new_ticker(self, symbol: str, unsent: Unsent, now: int) -> str:
        """Where the best prices changed, or something was traded."""
        book = self._exchange.books[symbol]
        state = (book.bids.levels(1), book.asks.levels(1), book.last_trade)
        return self._ticker(symbol, now) if self._is_news(f"tickers {symbol}", state, now, ALIVE_AFTER) else ""

    def _candle(self, bar: str, symbol: str, now: int) -> str:
        rows = self._market.last_candle(symbol, bar, now)
        return _frame(f"candle{bar}", symbol, rows) if rows else ""

    # --- swaps, indexes, instruments

    def _rate(self, symbol: str, now: int) -> str:
        return _frame("funding-rate", symbol, [self._market.funding(self._exchange.listings[symbol], now)])

    def _mark(self, symbol: str, now: int) -> str:
        return _frame("mark-price", symbol, [self._market.mark(self._exchange.listings[symbol], now)])

    def _new_mark(self, symbol: str, now: int) -> str:
        price = self._market.mark(self._exchange.listings[symbol], now)["markPx"]
        return self._mark(symbol, now) if self._is_news(f"mark {symbol}", price, now, MARK_AFTER) else ""

    def _index(self, name: str, now: int) -> str:
        return _frame("index-tickers", name, [self._market.index(name, now)])

    def _new_index(self, name: str, now: int) -> str:
        price = self._market.index(name, now)["idxPx"]
        return self._index(name, now) if self._is_news(f"index {name}", price, now, INDEX_AFTER) else ""

    def _listed(self, kind: str, now: int) -> str:
        """The instruments that changed since the channel was followed first."""
        rows = {row["instId"]: row for row in self._market.instruments.rows(kind)}
        before, _ = self._last.get(f"instruments {kind}", (rows, 0))
        self._last[f"instruments {kind}"] = (rows, now)
        known: Any = before
        changed = [row for name, row in rows.items() if known.get(name) != row]
        return json_text({"arg": {"channel": "instruments", "instType": kind}, "data": changed}) if changed else ""


def _frame(channel: str, instrument: str, rows: Sequence[object], **more: str) -> str:
    return json_text({"arg": {"channel": channel, "instId": instrument}, **more, "data": rows})
