"""Binance's books by the exchange's own numbered steps, spot and USDⓈ-M, over frames that are lost or late."""

import json

import pytest

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.exchanges.binance.market import BinanceMarketFeed
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.keeper import PATIENCE
from neuroflux.exchanges.kit.requests import Subscription
from tests.neuroflux.exchanges.kit.examples.binance import BinanceSource as Source

EXCHANGES: dict[str, Binance | BinanceUsdm] = {"binance": Binance(), "binanceusdm": BinanceUsdm()}
FIRST = {"binance": ["Ignored"], "binanceusdm": ["BookChanged"]}
"""Of a snapshot that ends where the first event does: spot drops that event, USDⓈ-M takes it (step 4)."""


def feed_of(exchange: str) -> BinanceMarketFeed:
    return EXCHANGES[exchange].market_feed([])


def kinds(events: list[FeedEvent]) -> list[str]:
    return [event.kind if isinstance(event, ExchangeStatus) else type(event).__name__ for event in events]


def frame(feed: BinanceMarketFeed, raw: bytes | str) -> list[FeedEvent]:
    return list(feed.frame(raw, 1))


@pytest.fixture(params=EXCHANGES)
def source(request: pytest.FixtureRequest) -> Source:
    return Source(request.param, "X")


def test_the_first_change_requests_a_snapshot_once(source: Source) -> None:
    feed = feed_of(source.exchange)
    assert kinds(frame(feed, source.change("b", 11, 1))) == ["SnapshotNeeded"]
    assert kinds(frame(feed, source.change("b", 12, 1))) == ["Ignored"]


def test_no_book_is_published_before_an_event_continues_the_snapshot(source: Source) -> None:
    feed = feed_of(source.exchange)
    frame(feed, source.change("b", 11, 1))
    first = list(feed.answer(source.snapshot(), 1))
    assert kinds(first) == FIRST[source.exchange]
    (changed,) = frame(feed, source.change("b", 12, 1))
    assert isinstance(changed, BookChanged)
    assert changed.snapshot(1).bids[0].price == "12"


def test_buffered_changes_are_applied_after_the_snapshot_one_by_one(source: Source) -> None:
    feed = feed_of(source.exchange)
    frame(feed, source.change("b", 11, 1))
    snapshot = source.snapshot()
    frame(feed, source.change("b", 12, 1))
    frame(feed, source.change("b", 13, 1))
    changes = [event for event in feed.answer(snapshot, 1) if isinstance(event, BookChanged)]
    assert [change.snapshot(1).bids[0].price for change in changes][-2:] == ["12", "13"]


def test_a_snapshot_older_than_the_stream_is_requested_again(source: Source) -> None:
    feed, old = feed_of(source.exchange), source.snapshot()
    source.change("b", 11, 1)
    frame(feed, source.change("b", 12, 1))
    assert kinds(list(feed.answer(old, 1))) == ["SnapshotNeeded"]


def proved(source: Source) -> BinanceMarketFeed:
    feed = feed_of(source.exchange)
    frame(feed, source.change("b", 11, 1))
    feed.answer(source.snapshot(), 1)
    assert kinds(frame(feed, source.change("a", 19, 1))) == ["BookChanged"]
    return feed


def test_a_gap_withdraws_the_book_until_it_is_proved_again(source: Source) -> None:
    feed = proved(source)
    source.change("b", 12, 1)  # lost
    events = frame(feed, source.change("b", 13, 1))
    assert kinds(events) == [StatusKind.GAP, "SnapshotNeeded"]
    assert isinstance(events[1], SnapshotNeeded)
    assert kinds(frame(feed, source.change("b", 14, 1))) == ["Ignored"]
    again = list(feed.answer(source.snapshot(), 1)) + frame(feed, source.change("b", 15, 1))
    assert [kind for kind in kinds(again) if kind != "Ignored"][:2] == [StatusKind.RESYNCED, "BookChanged"]


def test_a_gap_before_the_first_proof_ends_with_it(source: Source) -> None:
    """Otherwise the exchange's health would show the gap until its alarm expires."""
    feed = feed_of(source.exchange)
    feed.answer(source.snapshot(), 1)
    source.change("b", 11, 1)  # lost
    assert kinds(frame(feed, source.change("b", 12, 1))) == [StatusKind.GAP, "SnapshotNeeded"]
    again = list(feed.answer(source.snapshot(), 1)) + frame(feed, source.change("b", 13, 1))
    assert [kind for kind in kinds(again) if kind != "Ignored"][:2] == [StatusKind.RESYNCED, "BookChanged"]


def test_a_repeated_event_changes_nothing(source: Source) -> None:
    feed = proved(source)
    again = source.change("b", 12, 1)
    assert kinds(frame(feed, again)) == ["BookChanged"]
    assert kinds(frame(feed, again)) == ["Ignored"]


def at_time(raw: bytes, time: int) -> str:
    return json.dumps({**json.loads(raw), "E": time})


def restarted(source: Source) -> None:
    """The exchange counts from below again."""
    source.last = 10


def test_ids_that_start_below_the_books_are_a_gap(source: Source) -> None:
    feed = proved(source)
    restarted(source)
    first = source.change("b", 12, 1)
    assert kinds(frame(feed, at_time(first, 900))) == ["Ignored"], "it may be a repetition, stamped by another server"
    events = frame(feed, at_time(source.change("b", 13, 1), 1_500))
    assert kinds(events) == [StatusKind.GAP, "SnapshotNeeded"]
    assert kinds(list(feed.answer(source.snapshot(), 1)) + frame(feed, source.change("b", 14, 1)))[-1] == "BookChanged"


@pytest.mark.parametrize("is_proved", [True, False])
def test_when_only_old_events_arrive_a_new_snapshot_is_requested(source: Source, is_proved: bool) -> None:
    feed = proved(source) if is_proved else feed_of(source.exchange)
    feed.answer(source.snapshot(), 1)
    restarted(source)
    old = source.change("b", 12, 1)
    reported = [kinds(frame(feed, old)) for _ in range(PATIENCE + 1)]
    assert reported == [*([["Ignored"]] * PATIENCE), [StatusKind.GAP, "SnapshotNeeded"]]


def test_repetitions_are_no_restart(source: Source) -> None:
    feed = proved(source)
    again = [at_time(source.change("b", 11, number), 1_000 * number) for number in range(1, 20)]
    assert {kind for raw in again for kind in kinds(frame(feed, raw))} == {"BookChanged"}
    assert {kind for raw in again for kind in kinds(frame(feed, raw))} == {"Ignored"}


def test_a_crossed_book_is_invalid(source: Source) -> None:
    feed = proved(source)
    assert kinds(frame(feed, source.change("b", 30, 1))) == [StatusKind.GAP, "SnapshotNeeded"]


def test_a_lost_socket_withdraws_its_books(source: Source) -> None:
    feed = proved(source)
    feed.disconnected(Subscription("/stream?streams=x@depth@100ms"))
    assert kinds(frame(feed, source.change("b", 12, 1))) == ["SnapshotNeeded"]


def test_usdm_takes_an_event_that_follows_one_ending_at_the_snapshot() -> None:
    source = Source("binanceusdm", "X")
    feed = feed_of("binanceusdm")
    frame(feed, source.change("b", 11, 1))
    feed.answer(source.snapshot(), 1)
    late = json.loads(source.change("b", 12, 1))
    assert late["U"] > late["pu"]
    assert kinds(frame(feed, json.dumps(late))) == ["BookChanged"]


def test_a_partial_depth_is_no_change() -> None:
    source = Source("binanceusdm", "X")
    whole = f'{{"stream":"x@depth20@100ms","data":{source.change("b", 11, 1).decode()}}}'
    assert kinds(frame(feed_of("binanceusdm"), whole)) == ["Ignored"]


@pytest.mark.parametrize("text", ["nan", "-1", "1e5", "1_0", "", "x", "Infinity"])
def test_an_invalid_level_is_no_change(source: Source, text: str) -> None:
    raw = json.loads(source.change("b", 11, 1))
    raw["b"] = [[text, "1"]]
    (event,) = frame(feed_of(source.exchange), json.dumps(raw))
    assert isinstance(event, Undecodable)
