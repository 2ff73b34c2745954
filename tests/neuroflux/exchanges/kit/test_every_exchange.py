"""What holds for every exchange of ``exchanges.py``: a new one adds a module of examples, and no test."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from neuroflux.domain import (
    Ack,
    Balance,
    ExchangeStatus,
    Fill,
    Funding,
    InDoubt,
    Instrument,
    InstrumentKind,
    NotThere,
    OrderReport,
    OrderType,
    Placement,
    Position,
    Quote,
    Reject,
    Side,
    StatusKind,
    StreamKind,
    TimeInForce,
    Trade,
)
from neuroflux.errors import NeuroFluxError, UnknownSymbol
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed, Feed, MarketFeed, OrderClient
from neuroflux.exchanges.kit.numerals import plain
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.fuzz.frames import Message
from tests.fuzz.mutate import mutated, torn
from tests.neuroflux.exchanges.kit.examples import EXAMPLES
from tests.neuroflux.exchanges.kit.examples.example import encoded
from tests.neuroflux.exchanges.kit.exchanges import EXCHANGES

NOW = 1_760_000_000_000_000
RUNS = 1_500
EVERY = pytest.mark.parametrize("exchange_id", EXCHANGES)
STATUSES = (0, 200, 200, 200, 204, 400, 401, 403, 404, 408, 418, 429, 451, 500, 502, 503, 504)
NO_MESSAGES = ("[" * 100_000, '{"a":' * 100_000, "null", "7", '"x"', "[1]", "[[[]]]", "", "{", "\x00", "\ud800")


def instruments(exchange_id: str) -> Sequence[Instrument]:
    asked = EXCHANGES[exchange_id].instruments_requests()
    bodies = EXAMPLES[exchange_id].lists
    answers = [Answer(one, 200, encoded(body)) for one, body in zip(asked, bodies, strict=True)]
    return EXCHANGES[exchange_id].listing(answers).instruments


def market_feed(exchange_id: str) -> MarketFeed:
    return EXCHANGES[exchange_id].market_feed(instruments(exchange_id))


def account_feed(exchange_id: str) -> AccountFeed:
    return EXCHANGES[exchange_id].account_feed(EXAMPLES[exchange_id].keys, instruments(exchange_id))


def order_client(exchange_id: str) -> OrderClient:
    return EXCHANGES[exchange_id].order_client(EXAMPLES[exchange_id].keys, instruments(exchange_id))


def instrument(exchange_id: str) -> Instrument:
    return next(one for one in instruments(exchange_id) if one.symbol == EXAMPLES[exchange_id].symbol)


def placement(exchange_id: str, client: OrderClient) -> Placement:
    one, client_id = instrument(exchange_id), client.client_order_id("an-order", 0, 0)
    number = Decimal("10")
    return Placement(one, client_id, Side.BUY, OrderType.LIMIT, number, number, TimeInForce.GTC)


def order_requests(exchange_id: str) -> dict[str, Request]:
    client = order_client(exchange_id)
    placed = placement(exchange_id, client)
    named = placed.instrument, placed.client_order_id, NOW
    return {
        "place": client.place(placed, NOW),
        "cancel": client.cancel(*named),
        "query": client.query(*named),
        "open orders": client.open_orders(NOW),
        "fills": client.fills_since(placed.instrument, NOW - 1, NOW),
        "probe": client.probe(NOW),
    }


def account_requests(exchange_id: str) -> Sequence[Request]:
    feed = account_feed(exchange_id)
    symbols = [one.symbol for one in instruments(exchange_id)]
    return (
        *feed.opening(NOW),
        *feed.resync(NOW - 1, NOW),
        *feed.transfers(NOW - 1, NOW),
        *feed.fees(symbols, NOW),
        *feed.keep_alive(NOW),
    )


def test_every_exchange_has_examples() -> None:
    assert tuple(EXAMPLES) == tuple(EXCHANGES)


# ── any bytes ────────────────────────────────────────────────────────────────────────────────────────────────────


def check(event: Any) -> None:
    """Every number of a record has room in the topics, and those of market data have no sign."""
    if isinstance(event, Quote):
        assert plain(event.bid_price, event.bid_size, event.ask_price, event.ask_size)
    if isinstance(event, Trade):
        assert plain(event.price, event.quantity)
    if isinstance(event, Balance):
        assert event.total == event.free + event.in_orders + event.in_positions
    if not isinstance(event, Balance | Position | OrderReport | Fill | Quote | Trade | Funding):
        return
    for value in astuple(event):
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert abs(value) < Decimal(10) ** 20
        if isinstance(value, int):
            assert -(2**63) <= value < 2**63


def changed(messages: Sequence[Message], direction: str, seed: int) -> Iterator[tuple[Message, bytes]]:
    """The examples with something changed, removed, repeated or torn, by one seed."""
    chance = random.Random(seed)
    known = [one for one in messages if one.dir == direction]
    for _ in range(RUNS):
        message = chance.choice(known)
        text = msgspec.json.encode(mutated(chance, message.body, messages)).decode()
        yield message, (torn(chance, text) if chance.random() < 0.05 else text).encode()


def feeds(exchange_id: str) -> tuple[Feed, Feed]:
    return market_feed(exchange_id), account_feed(exchange_id)


@EVERY
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_bytes_give_events(exchange_id: str, raw: bytes | str) -> None:
    body = raw if isinstance(raw, bytes) else raw.encode(errors="surrogatepass")
    for feed in feeds(exchange_id):
        assert feed.frame(raw, NOW)
        assert feed.answer(Answer(Request("GET", "/x"), 200, body), NOW)


@EVERY
@pytest.mark.parametrize("text", NO_MESSAGES)
def test_what_is_no_message_gives_events_and_no_order(exchange_id: str, text: str) -> None:
    body = text.encode(errors="surrogatepass")
    for feed in feeds(exchange_id):
        assert feed.frame(text, NOW)
        for request in account_requests(exchange_id):
            assert feed.answer(Answer(request, 200, body), NOW)
    client = order_client(exchange_id)
    for action, request in order_requests(exchange_id).items():
        assert not isinstance(client.outcome(Answer(request, 200, body)), Ack | Reject | NotThere), action


@EVERY
def test_frames_with_any_change_give_events(exchange_id: str) -> None:
    for number, (_, raw) in enumerate(changed(EXAMPLES[exchange_id].messages, "ws", 1)):
        if number % 200 == 0:
            both = feeds(exchange_id)
        for feed in both:
            events = feed.frame(raw, NOW, "x@depth5")
            assert events, raw
            for event in events:
                check(event)


@EVERY
def test_answers_with_any_change_and_status_give_events_and_outcomes(exchange_id: str) -> None:
    chance, client, one = random.Random(2), order_client(exchange_id), EXCHANGES[exchange_id]
    orders = order_requests(exchange_id)
    others = [orders.pop(name) for name in ("open orders", "fills", "probe")]
    asked = [*account_requests(exchange_id), *orders.values(), *others]
    for number, (message, body) in enumerate(changed(EXAMPLES[exchange_id].messages, "rest", 3)):
        if number % 200 == 0:
            both = feeds(exchange_id)
        own = Request("GET", message.more.get("url", ""), tag=message.more.get("tag", ""))
        headers = {"retry-after": chance.choice(("1", "nan", "²", ""))}
        answer = Answer(chance.choice([own, *asked]), chance.choice(STATUSES), body, headers)
        for feed in both:
            events = feed.answer(answer, NOW)
            assert events, body
            for event in events:
                check(event)
        outcome = client.outcome(answer) if answer.request not in others else None
        if isinstance(outcome, Ack):
            assert answer.status == 200
            check(outcome.report)
        one.usage(answer)
        _raises_only_ours(lambda: client.reports(answer))  # noqa: B023 called at once
        _raises_only_ours(lambda: one.listing([answer]))  # noqa: B023 called at once
        assert isinstance(client.refusal(answer), str)


def _raises_only_ours(ask: Callable[[], Any]) -> None:
    with suppress(NeuroFluxError):
        ask()


@EVERY
@pytest.mark.parametrize("status", [one for one in STATUSES if one != 200])
def test_an_answer_that_was_refused_gives_no_record(exchange_id: str, status: int) -> None:
    """Whatever is in its body, and even if it looks like data."""
    for message in EXAMPLES[exchange_id].messages:
        if message.dir == "rest":
            request = Request("GET", message.more.get("url", ""), tag=message.more.get("tag", ""))
            for feed in feeds(exchange_id):
                for event in feed.answer(Answer(request, status, encoded(message.body)), NOW):
                    assert isinstance(event, Undecodable | ExchangeStatus)


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_an_order_is_refused_only_where_the_exchange_says_so(exchange_id: str) -> None:
    client, requests = order_client(exchange_id), order_requests(exchange_id)
    verdicts = EXAMPLES[exchange_id].verdicts
    for one in verdicts:
        outcome = client.outcome(Answer(requests[one.action], one.status, encoded(one.body)))
        assert type(outcome) is one.outcome, one
    assert {one.outcome.__name__ for one in verdicts} >= {"Reject", "InDoubt", "Throttled", "NotThere"}


@EVERY
@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_what_may_have_been_executed_is_never_refused(exchange_id: str, status: int) -> None:
    client, requests = order_client(exchange_id), order_requests(exchange_id)
    for one in EXAMPLES[exchange_id].verdicts:
        if one.outcome is Reject:
            outcome = client.outcome(Answer(requests[one.action], status, encoded(one.body)))
            assert isinstance(outcome, InDoubt), one


@EVERY
def test_client_order_ids_are_derived_and_fit(exchange_id: str) -> None:
    client = order_client(exchange_id)
    made = {client.client_order_id("an-order", leg, attempt) for leg in range(3) for attempt in range(3)}
    assert len(made) == 9
    assert all(len(one) <= 36 and one.isascii() and one.isalnum() for one in made)
    assert client.client_order_id("an-order", 0, 0) == order_client(exchange_id).client_order_id("an-order", 0, 0)
    assert client.client_order_id("another", 0, 0) not in made


@EVERY
def test_a_secret_is_in_no_request(exchange_id: str) -> None:
    secret = EXAMPLES[exchange_id].keys.secret.removeprefix("0x")
    for request in (*order_requests(exchange_id).values(), *account_requests(exchange_id)):
        assert secret not in f"{request.path} {request.body!r} {request.headers}"
    for subscription in account_feed(exchange_id).subscriptions(NOW):
        assert secret not in f"{subscription.path} {subscription.frames}"


# ── the listing and the feed ─────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_the_feed_knows_what_the_listing_has(exchange_id: str) -> None:
    listed, example = instruments(exchange_id), EXAMPLES[exchange_id]
    assert {one.kind for one in listed} == example.kinds
    assert {one.exchange for one in listed} == {exchange_id}
    symbols = [one.symbol for one in listed]
    brings = {stream for one in market_feed(exchange_id).subscriptions(symbols) for stream in one.streams}
    for one in listed:
        kinds = {StreamKind.QUOTE, StreamKind.TRADE, StreamKind.BOOK}
        kinds |= {StreamKind.FUNDING} if one.kind is InstrumentKind.PERPETUAL else set()
        assert {kind for kind, symbol in brings if symbol == one.symbol} == kinds
    with pytest.raises(UnknownSymbol):
        market_feed(exchange_id).subscriptions(["NO/NO"])


def quote_of(feed: MarketFeed, frame: Any) -> Quote[str]:
    """The only one of the frame, which may be the change of a book that it is the best level of."""
    (quote,) = (one for one in feed.frame(encoded(frame), NOW) if isinstance(one, Quote))
    return quote


@EVERY
def test_frames_have_the_symbols_of_the_listing(exchange_id: str) -> None:
    example = EXAMPLES[exchange_id]
    markets = {one.symbol: one.market for one in instruments(exchange_id)}
    assert set(example.quotes) == set(markets)
    for symbol, frame in example.quotes.items():
        quote = quote_of(market_feed(exchange_id), frame)
        assert (quote.exchange, quote.symbol, quote.market) == (exchange_id, symbol, markets[symbol])
        assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == ("10", "1", "20", "2")


@EVERY
def test_what_is_learned_later_has_its_symbol(exchange_id: str) -> None:
    feed, example = EXCHANGES[exchange_id].market_feed([]), EXAMPLES[exchange_id]
    frame, listed = example.quotes[example.symbol], instrument(exchange_id)
    assert quote_of(feed, frame).symbol in (listed.name, listed.symbol), "a frame may have the symbol itself"
    feed.learn(instruments(exchange_id))
    (subscription, *_) = feed.subscriptions([example.symbol])
    assert subscription.streams


# ── books ────────────────────────────────────────────────────────────────────────────────────────────────────────

FATES = st.sampled_from(["arrives", "arrives", "arrives", "lost", "twice", "late", "snapshot", "cut", "disconnected"])
STEPS = st.tuples(st.sampled_from("ba"), st.integers(0, 4), st.integers(0, 3), FATES)


@EVERY
@given(st.lists(STEPS, max_size=40))
def test_a_book_that_is_shown_is_the_exchanges(exchange_id: str, history: list[tuple[str, int, int, str]]) -> None:
    """Over frames that are lost, repeated, late or torn, snapshots at any time, and lost sockets."""
    example, feed = EXAMPLES[exchange_id], market_feed(exchange_id)
    source, subscriptions = example.source(), feed.subscriptions([example.symbol])
    truth, late = {source.last: source.top()}, list[bytes]()
    may_show, was_shown = True, False

    def check_books(events: Sequence[FeedEvent]) -> None:
        nonlocal may_show, was_shown
        for event in events:
            if isinstance(event, ExchangeStatus):
                may_show = event.kind is not StatusKind.GAP
            if isinstance(event, BookChanged):
                snapshot = event.snapshot(50)
                shown = tuple([(one.price, one.quantity) for one in side] for side in (snapshot.bids, snapshot.asks))
                assert shown == truth[event.sequence]
                assert may_show or shown == ([], [])
                assert not event.book.crossed
                was_shown = True

    for side, offset, quantity, fate in history:
        raw = source.change(side, (10 if side == "b" else 20) + offset, quantity)
        truth[source.last] = source.top()
        if fate in ("arrives", "twice", "snapshot"):
            check_books(feed.frame(raw, NOW))
        if fate == "twice":
            check_books(feed.frame(raw, NOW))
        if fate == "cut":
            check_books(feed.frame(raw[: len(raw) // 2], NOW))
        if fate == "snapshot":
            whole = source.snapshot()
            check_books(feed.answer(whole, NOW) if isinstance(whole, Answer) else feed.frame(whole, NOW))
        if fate == "disconnected":
            for subscription in subscriptions:
                feed.disconnected(subscription)
            may_show = may_show and not was_shown
        if fate == "late":
            late.append(raw)
        elif late:
            check_books(feed.frame(late.pop(), NOW))
