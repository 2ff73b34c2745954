"""OKX's feeds against frames that the exchange really sent, and an independent reading of them.

Some lines are no message but a part of one, from the tests of another client: those are errors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import Balance, Fill, OrderReport, Position, Quote, Trade
from neuroflux.exchanges.decode import decode_lines
from neuroflux.exchanges.kit.events import BookChanged, Undecodable
from neuroflux.exchanges.okx.exchange import Okx
from tests.neuroflux.exchanges.okx.listed import KEYS

WIRE = Path(__file__).parents[5] / "shared" / "wire" / "okx"
NOW = 1_790_000_000_000_000
BOOK = "seq_UNI-USD-SWAP_2022"
PARTS = {
    *("rest:balance_detail_new_fields", "rest:balance_detail_old_fields", "rest:common_optional_string_to_u64"),
    *("rest:place_order_response", "rest:transaction_detail", "rest:transaction_detail_empty_fee", "opt_summary"),
}
REFUSALS = {"rest:place_algo_order_rejected"}


def text(name: str) -> str:
    if not (WIRE / name).exists():
        pytest.skip(f"{WIRE / name} is not here: captured frames are other people's data, and not part of the project")
    return (WIRE / name).read_text()


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(name).splitlines()]


def decoded(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The channel of each line, and an event of it."""
    channels = [line["channel"] for line in lines(name)]
    events = [json.loads(one) for one in decode_lines("okx", text(name).splitlines())]
    assert {one["line"] for one in events} == set(range(1, len(channels) + 1))
    return [(channels[one["line"] - 1], one) for one in events]


@pytest.mark.parametrize("name", ["messages.jsonl", "instruments.jsonl", "tardis_pairs.jsonl", f"{BOOK}.jsonl"])
def test_every_message_is_understood(name: str) -> None:
    wrong = {channel for channel, event in decoded(name) if event["type"] == "error"}
    assert wrong == (PARTS | REFUSALS if name == "messages.jsonl" else set())


def test_what_the_messages_say() -> None:
    said: dict[str, set[str]] = {}
    for channel, event in decoded("messages.jsonl"):
        said.setdefault(channel, set()).add(event["type"])
    assert said["orders"] == {"order", "fill"} | said["orders"] & {"ignored"}
    assert said["account"] == said["rest:GET /api/v5/account/balance"] == {"balance"}
    assert said["rest:GET /api/v5/trade/fills"] == {"fill"}
    assert said["rest:GET /api/v5/trade/order"] == said["rest:GET /api/v5/trade/orders-pending"] == {"order"}
    assert (said["bbo-tbt"], said["trades"]) == ({"quote"}, {"trade"})
    assert said["rest:GET /api/v5/asset/bills"] == {"ignored"}, "of another wallet"
    assert said["positions"] == {"ignored"}, "of a dated future"


def test_a_book_ends_as_an_independent_reading_says() -> None:
    """Its messages have checksums and no numbers. Checkpoint by checkpoint, from the first snapshot on."""
    expected = json.loads(text(f"{BOOK}.expected.json"))
    feed, tops, last = Okx().market_feed([]), list[Any](), None
    for line in lines(f"{BOOK}.jsonl"):
        for event in feed.frame(line["raw"], NOW):
            assert not isinstance(event, Undecodable)
            if isinstance(event, BookChanged):
                shown = event.snapshot(400)
                sides = (shown.bids[0], shown.asks[0])
                tops.append([str(event.event_time // 1000), [[one.price, one.quantity] for one in sides]])
                last = shown
    assert tops == expected["checkpoints"]
    assert len(tops) == expected["checksum_ok"] == 93
    assert last is not None
    for side, name in ((last.bids, "bids"), (last.asks, "asks")):
        assert [[one.price, one.quantity] for one in side[:20]] == expected["final"][name]
        assert len(side) == expected["final"][f"n_{name}"]


@pytest.mark.parametrize("at", [5, 50])
def test_a_book_of_which_an_update_is_lost_is_withdrawn(at: int) -> None:
    """There are no numbers to show it: the checksum does."""
    feed, updates, shown = Okx().market_feed([]), 0, 0
    for line in lines(f"{BOOK}.jsonl"):
        updates += line["channel"] == "books:update"
        if updates == at and line["channel"] == "books:update":
            continue
        shown += sum(isinstance(event, BookChanged) for event in feed.frame(line["raw"], NOW))
    assert 0 < shown <= at


def test_trades_are_those_of_an_independent_reading() -> None:
    checked, feed = 0, Okx().market_feed([])
    for line in lines("tardis_pairs.jsonl"):
        wanted = [one for one in line["expected"] if one["type"] == "trade"]
        if line["channel"] == "trades" and wanted:
            trades = [one for one in feed.frame(line["raw"], NOW) if isinstance(one, Trade)]
            for ours, theirs in zip(trades, wanted, strict=True):
                assert (ours.trade_id, ours.side.value) == (theirs["id"], theirs["side"])
                assert (float(ours.price), float(ours.quantity)) == (theirs["price"], theirs["amount"])
                checked += 1
    assert checked


def test_no_private_message_is_read_by_the_public_feed_and_the_reverse() -> None:
    market, account = Okx().market_feed([]), Okx().account_feed(KEYS, [])
    for line in lines("messages.jsonl"):
        if line["dir"] == "ws":
            public, private = market.frame(line["raw"], NOW), account.frame(line["raw"], NOW)
            assert not any(isinstance(one, Balance | Position | OrderReport | Fill) for one in public)
            assert not any(isinstance(one, Quote | Trade | BookChanged) for one in private)
