"""The payloads of Binance's market streams, spot's and USDⓈ-M's, from the state of the books."""

from __future__ import annotations

from collections.abc import Sequence

from neuroflux.sim.binance.candles import Candles
from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.binance.wire import numbers_of
from neuroflux.sim.core.matching import Match, Side
from neuroflux.sim.core.world import World
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.books import BookTexts


class Frames(BookTexts):
    """Makes the payloads of one exchange. Times are given in µs and written in ms."""

    def __init__(self, exchange_id: str, world: World) -> None:
        self.exchange_id = exchange_id
        super().__init__(world.exchanges[exchange_id], numbers_of)
        self._world = world
        self.candles = Candles(self.numbers)
        self.is_spot = exchange_id == BINANCE

    # --- books

    def depth(
        self, symbol: str, first: int, last: int, previous: int, changed: Sequence[tuple[Side, int]], now: int
    ) -> str:
        """A ``depthUpdate`` of the changed levels; USDⓈ-M names the update before it, too."""
        return self._depth_frame(symbol, (first, last, previous), *self.changed(symbol, changed), now)

    def _depth_frame(
        self,
        symbol: str,
        ids: tuple[int, int, int],
        bids: list[tuple[str, str]],
        asks: list[tuple[str, str]],
        now: int,
    ) -> str:
        first, last, previous = ids
        head: dict[str, object] = {"e": "depthUpdate", "E": now // 1000}
        if self.is_spot:
            head |= {"s": symbol, "U": first, "u": last}
        else:
            head |= {"T": now // 1000, "s": symbol, "U": first, "u": last, "pu": previous}
        return json_text({**head, "b": bids, "a": asks})

    def partial_depth(self, symbol: str, depth: int, first: int, last: int, previous: int, now: int) -> str:
        """The best levels, whole."""
        bids, asks = self.levels(symbol, depth)
        if self.is_spot:
            return json_text({"lastUpdateId": last, "bids": bids, "asks": asks})
        return self._depth_frame(symbol, (first, last, previous), bids, asks, now)

    def snapshot(self, symbol: str, depth: int, now: int) -> dict[str, object]:
        """What REST answers for a book."""
        bids, asks = self.levels(symbol, depth)
        book = self.books[symbol]
        if self.is_spot:
            return {"lastUpdateId": book.sequence, "bids": bids, "asks": asks}
        head = {"lastUpdateId": book.stamp(), "E": now // 1000, "T": now // 1000}
        return {**head, "bids": bids, "asks": asks}

    def book_ticker(self, symbol: str, now: int) -> str:
        """Spot's has neither a name nor a time."""
        bid, bid_quantity, ask, ask_quantity = self.top(symbol)
        body = {
            "u": self.books[symbol].sequence,
            "s": symbol,
            "b": bid,
            "B": bid_quantity,
            "a": ask,
            "A": ask_quantity,
        }
        if self.is_spot:
            return json_text(body)
        return json_text({"e": "bookTicker", **body, "T": now // 1000, "E": now // 1000})

    # --- trades

    def trade(self, symbol: str, match: Match, now: int) -> str:
        numbers, time = self.numbers[symbol], now // 1000
        body = {
            "e": "trade",
            "E": time,
            "T": time,
            "s": symbol,
            "t": match.trade_id,
            "p": numbers.price(match.price),
            "q": numbers.quantity(match.quantity),
        }
        tail = {"m": match.side == "sell", "M": True} if self.is_spot else {"X": "MARKET", "m": match.side == "sell"}
        return json_text({**body, **tail})

    def aggregate_trade(self, symbol: str, match: Match, now: int) -> str:
        numbers, time = self.numbers[symbol], now // 1000
        quantity = numbers.quantity(match.quantity)
        body = {
            "e": "aggTrade",
            "E": time,
            "s": symbol,
            "a": match.trade_id,
            "p": numbers.price(match.price),
            "q": quantity,
            "f": match.trade_id,
            "l": match.trade_id,
            "T": time,
            "m": match.side == "sell",
        }
        return json_text({**body, "M": True} if self.is_spot else {**body, "nq": quantity})

    # --- by the clock

    def timed(self, kind: str, symbol: str, now: int) -> str:
        """A frame that is due by time; "" for a kind that is not served."""
        if symbol and symbol not in self.numbers:
            return ""
        if kind.startswith("kline_"):
            candle = self.candles.frame(symbol, kind.removeprefix("kline_"), now)
            return json_text(candle) if candle else ""
        match kind:
            case "miniTicker":
                return json_text(self.mini_ticker(symbol, now))
            case "ticker":
                return json_text(self.ticker(symbol, now))
            case "markPrice" if not self.is_spot:
                return json_text(self.mark_price(symbol, now))
            case "!miniTicker@arr":
                return json_text([self.mini_ticker(each, now) for each in self.numbers])
            case "!ticker@arr":
                return json_text([self.ticker(each, now) for each in self.numbers])
            case "!markPrice@arr" if not self.is_spot:
                return json_text([self.mark_price(each, now) for each in self.numbers])
        return ""

    def mini_ticker(self, symbol: str, now: int) -> dict[str, object]:
        tape, numbers = self._world.tapes[self.exchange_id, symbol], self.numbers[symbol]
        return {
            "e": "24hrMiniTicker",
            "E": now // 1000,
            "s": symbol,
            "c": numbers.price(tape.last),
            "o": numbers.price(tape.open),
            "h": numbers.price(tape.high),
            "l": numbers.price(tape.low),
            "v": numbers.quantity(tape.volume),
            "q": f"{tape.value * numbers.listing.unit:.8f}",
        }

    def ticker(self, symbol: str, now: int) -> dict[str, object]:
        tape, numbers = self._world.tapes[self.exchange_id, symbol], self.numbers[symbol]
        bid, bid_quantity, ask, ask_quantity = self.top(symbol)
        book: dict[str, object] = {"b": bid, "B": bid_quantity, "a": ask, "A": ask_quantity}
        return {
            **self.mini_ticker(symbol, now),
            "e": "24hrTicker",
            "p": numbers.price_text((tape.last - tape.open) * numbers.listing.tick),
            "P": f"{100 * (tape.last - tape.open) / tape.open:.3f}",
            "w": numbers.price(tape.value // max(1, tape.volume)),
            "Q": numbers.quantity(tape.last_quantity),
            "O": now // 1000 - 86_400_000,
            "C": now // 1000,
            "F": max(0, tape.last_trade - tape.count),
            "L": tape.last_trade,
            "n": tape.count,
            **(book if self.is_spot else {}),
        }

    def mark_price(self, symbol: str, now: int) -> dict[str, object]:
        listing = self.numbers[symbol].listing
        mark = f"{self._world.mark(listing):.8f}"
        return {
            "e": "markPriceUpdate",
            "E": now // 1000,
            "s": symbol,
            "p": mark,
            "i": f"{self._world.index(listing):.8f}",
            "P": mark,
            "r": f"{self._world.funding_rate(listing):.8f}",
            "T": self._world.next_funding(self.exchange_id, now, symbol) // 1000,
        }
