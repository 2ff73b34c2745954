"""Bybit's public sockets, one for each category: subscriptions, and the frames of trades and tickers.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect and …/v5/websocket/public/trade
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from aiohttp import web

from neuroflux.sim.bybit.books import DEPTHS, Books, stream_name
from neuroflux.sim.bybit.names import Names, id_text
from neuroflux.sim.bybit.sockets import Sockets, named, texts
from neuroflux.sim.bybit.tickers import Tickers
from neuroflux.sim.bybit.venue import BYBIT, name_of
from neuroflux.sim.bybit.wire import Json
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.streams import Channel, Hub

MOST_ARGS = 10
"""Topics of one request on spot."""
MOST_LETTERS = 21_000
"""Of the topics of a connection."""
TICKER_EVERY = 200_000
_TOPIC = re.compile(r"(orderbook\.[0-9]+|publicTrade|tickers)\.(.+)")


class Public:
    """The sockets ``spot`` and ``linear``."""

    def __init__(
        self, simulation: Simulation, hub: Hub, names: Names, texts: BookTexts, tickers: Tickers, books: Books
    ) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(BYBIT)
        self._hub, self._names, self._texts, self._tickers = hub, names, texts, tickers
        self._rows: dict[str, Json] = {}
        ticker = Channel(first=self._first_ticker, timed=self._next_ticker)
        self._channels = {f"orderbook.{depth}": (books.channel(depth), every) for depth, every in DEPTHS.items()}
        self._channels |= {"publicTrade": (Channel(trades=self._trades), 0), "tickers": (ticker, TICKER_EVERY)}

    async def serve(self, sockets: Sockets, category: str, request: web.Request) -> web.StreamResponse:
        receive = partial(self._receive, sockets, category)
        return await sockets.serve(receive, lambda connection: None, request)

    def _receive(self, sockets: Sockets, category: str, connection: Connection, asked: Json) -> Json:
        match asked.get("op"):
            case "ping":
                fault, said, op = "", "pong", "ping"
            case "subscribe":
                fault, said, op = self._subscribe(category, connection, texts(asked.get("args"))), "subscribe", ""
            case "unsubscribe":
                fault, said, op = self._unsubscribe(category, connection, texts(asked.get("args"))), "", ""
            case _:
                fault, said, op = "error:invalid op", "", ""
        said = said if category == "spot" or op == "ping" else ""
        answer = {"success": not fault, "ret_msg": fault or said, "conn_id": sockets.id_of(connection)}
        return {**answer, **named(asked), "op": op or str(asked.get("op", ""))}

    def _subscribe(self, category: str, connection: Connection, topics: list[str]) -> str:
        """What is wrong, or "". On spot one bad topic refuses them all, elsewhere only itself."""
        letters = sum(len(one.partition(":")[2]) for one in connection.streams) + sum(map(len, topics))
        if not topics or (category == "spot" and len(topics) > MOST_ARGS):
            return f"args size >{MOST_ARGS}" if topics else "error:args is empty"
        if letters > MOST_LETTERS:
            return f"error:args length >{MOST_LETTERS}"
        faults = {topic: self._fault(category, connection, topic) for topic in topics}
        wrong = [fault for fault in faults.values() if fault]
        for topic in [topic for topic, fault in faults.items() if not fault and not (wrong and category == "spot")]:
            kind, _, symbol = topic.rpartition(".")
            listing = self._names.find(category, symbol)
            if listing is not None:
                channel, every = self._channels[kind]
                self._hub.follow(connection, stream_name(listing, kind), listing.symbol, channel, every)
        return wrong[0] if wrong else ""

    def _fault(self, category: str, connection: Connection, topic: str) -> str:
        parts = _TOPIC.fullmatch(topic)
        if parts is None or parts[1] not in self._channels:
            return f"error:handler not found,topic:{topic}"
        if self._names.find(category, parts[2]) is None:
            return f"Invalid symbol :[{parts[2]}]"
        return f"error:already subscribed,topic:{topic}" if f"{category}:{topic}" in connection.streams else ""

    def _unsubscribe(self, category: str, connection: Connection, topics: list[str]) -> str:
        for topic in topics:
            self._hub.unfollow(connection, f"{category}:{topic}")
        return ""

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _trades(self, change: Change, now: int) -> Iterator[str]:
        """All trades of a step in one frame. A sequence is shared by the trades of one order."""
        listing, symbol = change.listing, name_of(change.listing)
        numbers, is_linear = self._texts.numbers[listing.symbol], change.listing.kind == "perpetual"
        rows: list[Json] = [
            {
                "T": now // 1000,
                "s": symbol,
                "S": match.side.capitalize(),
                "v": numbers.quantity(match.quantity),
                "p": numbers.price(match.price),
                **({"L": "PlusTick"} if is_linear else {}),
                "i": id_text(listing, match.trade_id, "trade"),
                "BT": False,
                "RPI": False,
                "seq": change.last,
            }
            for match in change.matches
        ]
        heads: list[Json] = [{"type": "snapshot"}, {"ts": now // 1000}]
        first, second = heads if is_linear else heads[::-1]
        yield json_text({"topic": f"publicTrade.{symbol}", **first, **second, "data": rows})

    def _ticker(self, symbol: str, now: int) -> Json:
        listing = self._exchange.listings[symbol]
        row = self._tickers.row(listing, now)
        return row if listing.kind == "spot" else row | self._tickers.top(listing)

    def _first_ticker(self, symbol: str) -> str:
        """What the others who follow it know; where there are none, what it is now."""
        listing, now = self._exchange.listings[symbol], self._simulation.now(BYBIT)
        if self._hub.followers(stream_name(listing, "tickers")) == 1 or symbol not in self._rows:
            self._rows[symbol] = self._ticker(symbol, now)
        return self._of_ticker(symbol, "snapshot", self._rows[symbol], now)

    def _next_ticker(self, symbol: str, now: int) -> str:
        """Spot's is sent whole, that of a perpetual as what changed; nothing where nothing did."""
        last, row = self._rows[symbol], self._ticker(symbol, now)
        self._rows[symbol] = row
        changed = {name: value for name, value in row.items() if last.get(name) != value}
        if not changed:
            return ""
        if self._exchange.listings[symbol].kind == "spot":
            return self._of_ticker(symbol, "snapshot", row, now)
        return self._of_ticker(symbol, "delta", {"symbol": row["symbol"], **changed}, now)

    def _of_ticker(self, symbol: str, kind: str, row: Json, now: int) -> str:
        listing, sequence = self._exchange.listings[symbol], {"cs": self._exchange.books[symbol].sequence}
        topic, time = {"topic": f"tickers.{name_of(listing)}"}, {"ts": now // 1000}
        if listing.kind == "spot":
            return json_text({**topic, **time, "type": kind, **sequence, "data": row})
        return json_text({**topic, "type": kind, "data": row, **sequence, **time})
