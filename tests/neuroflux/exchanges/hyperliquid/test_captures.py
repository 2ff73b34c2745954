"""Hyperliquid's feeds against frames that the exchange really sent, an independent reading of them, and noise."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroflux.domain import Ack, InDoubt, NotThere, Reject, Throttled, Trade
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.hyperliquid.exchange import Hyperliquid
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

WIRE = Path(__file__).parents[5] / "shared" / "wire" / "hyperliquid"
NOW = 1_790_000_000_000_000
KEYS = Keys("0x" + "ab" * 20, "0x" + "2b" * 32)


def lines(name: str) -> list[dict[str, Any]]:
    if not (WIRE / name).exists():
        pytest.skip(f"{WIRE / name} is not here: captured frames are other people's data, and not part of the project")
    return [json.loads(line) for line in (WIRE / name).read_text().splitlines()]


def both_feeds() -> tuple[Any, Any]:
    exchange = Hyperliquid()
    return exchange.market_feed([]), exchange.account_feed(KEYS, [])


def events_of(feed: Any, line: dict[str, Any]) -> list[FeedEvent]:
    if line["dir"] == "ws":
        return list(feed.frame(line["raw"], NOW, line["channel"]))
    return list(feed.answer(Answer(Request("POST", "/info"), 200, line["raw"].encode()), NOW))


def is_template(line: dict[str, Any]) -> bool:
    """Pages of documentation show shapes with ``"text"`` and ``1`` for every value: no message at all."""
    return str(line["origin"]).startswith("doc")


def test_every_captured_message_is_understood() -> None:
    for line in lines("messages.jsonl"):
        if is_template(line):
            continue
        for feed in both_feeds():
            wrong = [one for one in events_of(feed, line) if isinstance(one, Undecodable)]
            assert not wrong, (line["channel"], line["raw"][:300], wrong)


def test_every_message_gives_events_and_templates_at_most_one_error() -> None:
    for line in lines("messages.jsonl"):
        for feed in both_feeds():
            events = events_of(feed, line)
            assert events
            assert sum(isinstance(one, Undecodable) for one in events) <= 1


def test_agrees_with_an_independent_reading() -> None:
    checked = 0
    feed = both_feeds()[0]
    for line in lines("tardis_pairs.jsonl"):
        events = events_of(feed, line)
        for expected in line["expected"]:
            if expected["type"] == "trade":
                (trade,) = events
                assert isinstance(trade, Trade)
                assert (trade.trade_id, trade.side) == (expected["id"], expected["side"])
                assert (float(trade.price), float(trade.quantity)) == (expected["price"], expected["amount"])
                checked += 1
            elif expected["type"] == "book_change":
                (changed,) = events
                assert isinstance(changed, BookChanged)
                for ours, theirs in ((changed.book.bids(20), "bids"), (changed.book.asks(20), "asks")):
                    assert [(float(one.price), float(one.quantity)) for one in ours] == [
                        (one["price"], one["amount"]) for one in expected[theirs]
                    ]
                checked += 1
    assert checked >= 3


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["1.5", "-1", "nan", "A", "B", "BTC", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "coin",
                        "time",
                        "bbo",
                        "levels",
                        "px",
                        "sz",
                        "side",
                        "tid",
                        "ctx",
                        "funding",
                        "oraclePx",
                        "markPx",
                    ),
                    *("order", "status", "oid", "limitPx", "fills", "fee", "crossed", "balances", "total", "hold"),
                    *("assetPositions", "withdrawable", "position", "szi", "spotState", "clearinghouseState", "user"),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
CHANNELS = st.sampled_from(
    [
        *("bbo", "trades", "l2Book", "activeAssetCtx", "error", "pong", "userFills", "user", "orderUpdates"),
        *("clearinghouseState", "spotState", "unheard of"),
    ]
)
FRAMES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200),
    st.fixed_dictionaries({"channel": CHANNELS, "data": VALUES}).map(json.dumps),
    VALUES.map(json.dumps),
)


@settings(max_examples=400)
@given(st.lists(FRAMES, max_size=5))
def test_noise_never_raises(frames: list[bytes | str]) -> None:
    for feed in both_feeds():
        for raw in frames:
            events = feed.frame(raw, NOW)
            assert events
            assert sum(isinstance(one, Undecodable) for one in events) <= 1 or b"orderUpdates" in _bytes(raw)
            assert feed.answer(Answer(Request("POST", "/info"), 200, _bytes(raw)), NOW)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=3), st.integers(0, 300))
def test_a_damaged_frame_never_raises(damage: list[tuple[int, int]], cut: int) -> None:
    whole = (
        b'{"channel":"l2Book","data":{"coin":"BTC","time":1760000000000,"levels":'
        b'[[{"px":"99.5","sz":"1.0","n":1}],[{"px":"100.5","sz":"2.0","n":2}]]}}'
    )
    damaged = bytearray(whole[: max(cut, 1)])
    for place, value in damage:
        damaged[place % len(damaged)] = value
    for feed in both_feeds():
        assert len(feed.frame(bytes(damaged), NOW)) == 1


def _bytes(raw: bytes | str) -> bytes:
    return raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")


TAGS = st.sampled_from(["order limit", "order market", "cancelByCloid", "orderStatus", "userFills", "meta", "", "noop"])
STATUSES = st.sampled_from([0, 200, 200, 200, 400, 429, 500])


@settings(max_examples=400)
@given(FRAMES | st.builds(lambda depth: b"[" * depth, st.integers(1, 100_000)), TAGS, STATUSES, st.text(max_size=20))
def test_no_answer_makes_the_order_client_raise(raw: bytes | str, tag: str, status: int, retry: str) -> None:
    """``reports`` and ``listing`` raise errors of ours alone, which their callers know; ``outcome`` raises nothing."""
    exchange = Hyperliquid()
    order_client = exchange.order_client(KEYS, [])
    for body in (b"", _bytes(raw)):
        answer = Answer(Request("POST", "/exchange", body, tag=tag), status, _bytes(raw), {"retry-after": retry})
        assert isinstance(order_client.outcome(answer), Ack | Reject | InDoubt | NotThere | Throttled)
        assert isinstance(order_client.refusal(answer), str)
        for read in (order_client.reports, lambda one: exchange.listing([one]), exchange.server_time):
            with suppress(NeuroFluxError):
                read(answer)
