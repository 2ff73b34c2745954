"""Bybit's feeds against frames and answers that the exchange really sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import Balance, Fill, OrderReport, Position, Quote, Trade
from neuroflux.exchanges.bybit.exchange import Bybit
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.signing import hmac_hex

WIRE = Path(__file__).parents[5] / "shared" / "wire"
NOW = 1_790_000_000_000_000
KEYS = Keys("the-key", "the-secret")
REFUSED = "3400045"
"""The one refusal among the captured answers."""


def lines(name: str) -> list[dict[str, Any]]:
    if not (WIRE / "bybit" / name).exists():
        pytest.skip(f"{WIRE}/bybit/{name} is not here: captured frames are not part of the project")
    return [json.loads(line) for line in (WIRE / "bybit" / name).read_text().splitlines()]


def events_of(line: dict[str, Any]) -> tuple[list[FeedEvent], list[FeedEvent]]:
    exchange = Bybit()
    feeds = exchange.market_feed([]), exchange.account_feed(KEYS, [])
    if line["dir"] == "ws":
        public, private = (list(feed.frame(line["raw"], NOW, line["channel"])) for feed in feeds)
    else:
        answer = Answer(Request("GET", "", tag=line["channel"]), 200, line["raw"].encode())
        public, private = (list(feed.answer(answer, NOW)) for feed in feeds)
    return public, private


@pytest.mark.parametrize("name", ["messages.jsonl", "tardis_pairs.jsonl", "seq_XRPUSDT_ob500.jsonl"])
def test_every_captured_message_is_understood(name: str) -> None:
    for line in lines(name):
        if REFUSED in line["raw"] or line["raw"].startswith("["):  # a part of a message
            continue
        for events in events_of(line):
            assert events
            assert not [one for one in events if isinstance(one, Undecodable)], (line["channel"], line["raw"][:300])


PRIVATE = {
    "order": OrderReport,
    "execution": Fill,
    "position": Position,
    "wallet": Balance,
    "rest:get_orders_realtime": OrderReport,
    "rest:get_orders_history": OrderReport,
    "rest:GET /v5/execution/list": Fill,
    "rest:get_executions": Fill,
    "rest:get_positions": Position,
    "rest:get_wallet_balance": Balance,
    "rest:GET /v5/account/wallet-balance": Balance,
}


def test_captured_records_of_an_account_are_records() -> None:
    of_kind = {line["channel"]: line for line in lines("messages.jsonl")}
    for channel, kind in PRIVATE.items():
        _, events = events_of(of_kind[channel])
        assert all(isinstance(one, kind) for one in events), (channel, events)


def test_a_captured_book_ends_as_it_should_checkpoint_by_checkpoint() -> None:
    frames = lines("seq_XRPUSDT_ob500.jsonl")
    expected = json.loads((WIRE / "bybit" / "seq_XRPUSDT_ob500.expected.json").read_text())
    feed, checkpoints = Bybit().market_feed([]), list[Any]()
    for line in frames:
        for event in feed.frame(line["raw"], NOW, "linear"):
            assert isinstance(event, BookChanged), event
            top = [[one.price, one.quantity] for one in (*event.book.bids(1), *event.book.asks(1))]
            checkpoints.append([event.sequence, [top]])
            last = event.book
    assert [[number, [tops]] for _, number, tops in expected["checkpoints"]] == checkpoints
    final = expected["final"]
    assert [[one.price, one.quantity] for one in last.bids(20)] == final["bids"]
    assert [[one.price, one.quantity] for one in last.asks(20)] == final["asks"]
    assert (len(last.bids(10_000)), len(last.asks(10_000))) == (final["n_bids"], final["n_asks"])


def test_another_reader_finds_the_same_trades_and_tops() -> None:
    for line in lines("tardis_pairs.jsonl"):
        public, _ = events_of(line)
        if line["channel"].startswith("publicTrade"):
            trades = [one for one in public if isinstance(one, Trade)]
            assert len(trades) == len(line["expected"])
            for trade, other in zip(trades, line["expected"], strict=True):
                assert (trade.trade_id, trade.side.value, trade.symbol.removeprefix("linear:")) == (
                    other["id"],
                    other["side"],
                    other["symbol"],
                )
                assert (float(trade.price), float(trade.quantity)) == (other["price"], other["amount"])
        if line["channel"].startswith("orderbook.1.") and '"snapshot"' in line["raw"]:
            (quote,), (other,) = public, line["expected"]
            assert isinstance(quote, Quote)
            assert (float(quote.bid_price), float(quote.ask_size)) == (other["bidPrice"], other["askAmount"])


def test_the_signing_vectors() -> None:
    if not WIRE.exists():
        pytest.skip(f"{WIRE} is not here: no vectors of the exchange")
    vectors = [one for one in json.loads((WIRE / "signing.dev.json").read_text()) if one["venue"] == "bybit"]
    assert vectors
    for vector in vectors:
        assert hmac_hex(vector["secret"], vector["payload"]) == vector["signature"]
