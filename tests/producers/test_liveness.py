"""A subscribed stream without data is detected by the data of other streams; with simulated time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from neuroflux.domain import ExchangeStatus, StatusKind, StreamKind
from producers.liveness import GRACE, LEAST, REOPENED, Liveness

SECOND = 1_000_000
START = 1_795_000_000 * SECOND
QUOTE, TRADE, BOOK, FUNDING = StreamKind.QUOTE, StreamKind.TRADE, StreamKind.BOOK, StreamKind.FUNDING
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class Exchange:
    """Runs second by second; ``events`` returns the data of each, by the seconds since the start."""

    def __init__(self, *sockets: tuple[tuple[StreamKind, str], ...]) -> None:
        self.liveness = Liveness("x")
        self.now = START
        self.published: list[ExchangeStatus] = []
        self.reopened: list[tuple[int, int]] = []
        self.sockets = sockets
        for number, streams in enumerate(sockets):
            self.liveness.opened(number, streams, self.now)

    def run(self, seconds: int, events: Callable[[int], list[tuple[StreamKind, str]]]) -> None:
        times = {
            QUOTE: self.liveness.quotes,
            TRADE: self.liveness.trades,
            BOOK: self.liveness.books,
            FUNDING: self.liveness.funding,
        }
        for _ in range(seconds):
            self.now += SECOND
            passed = (self.now - START) // SECOND
            for kind, symbol in events(passed):
                times[kind][symbol] = self.now
            statuses, reopen = self.liveness.check(self.now)
            self.published += statuses
            for number in reopen:
                self.reopened.append((number, passed))
                self.liveness.closed(number)
                self.liveness.opened(number, self.sockets[number], self.now)

    def kinds(self) -> list[tuple[StatusKind, str]]:
        """Each once, where it is repeated."""
        found = [(one.kind, one.channel) for one in self.published]
        return [one for number, one in enumerate(found) if not number or found[number - 1] != one]


def every(kinds: list[tuple[StreamKind, str]]) -> Callable[[int], list[tuple[StreamKind, str]]]:
    return lambda _: kinds


LATEST = (LEAST + GRACE) // SECOND + 2


def test_trades_subscribed_to_on_the_wrong_route_are_stale_though_the_socket_is_active() -> None:
    """Binance USDⓈ-M: /market takes ``@trade`` and never serves it; the mark prices on the same socket continue."""
    public, market = ((QUOTE, BTC), (BOOK, BTC)), ((TRADE, BTC), (FUNDING, BTC))
    exchange = Exchange(public, market)
    exchange.run(LATEST, every([(QUOTE, BTC), (BOOK, BTC), (FUNDING, BTC)]))
    (status, *_) = exchange.published
    assert (status.kind, status.channel, status.symbol) == (StatusKind.STALE, "trade", BTC)
    assert LEAST / SECOND <= status.value <= LATEST
    assert BTC in status.detail
    exchange.run(3, every([(QUOTE, BTC), (BOOK, BTC), (FUNDING, BTC), (TRADE, BTC)]))
    assert exchange.kinds() == [(StatusKind.STALE, "trade"), (StatusKind.RESYNCED, "trade")]


def test_its_socket_is_reopened_after_longer_and_longer_waits_and_others_are_not() -> None:
    exchange = Exchange(((QUOTE, BTC),), ((TRADE, BTC),))
    exchange.run(1_000, every([(QUOTE, BTC)]))
    assert {number for number, _ in exchange.reopened} == {1}
    times = [at for _, at in exchange.reopened]
    assert [after - before for before, after in pairwise(times)] == [60, 120, 240, 480]
    assert times[0] >= (LEAST + GRACE + REOPENED) // SECOND


@pytest.mark.parametrize(
    ("silent", "beside"), [(QUOTE, TRADE), (BOOK, QUOTE), (BOOK, TRADE), (FUNDING, QUOTE), (FUNDING, TRADE)]
)
def test_one_silent_symbol_among_active_ones_is_named(silent: StreamKind, beside: StreamKind) -> None:
    streams = tuple((kind, symbol) for symbol in (BTC, ETH) for kind in (QUOTE, TRADE, BOOK, FUNDING))
    exchange = Exchange(streams)
    alive = [(kind, BTC) for kind in (QUOTE, TRADE, BOOK, FUNDING)]
    exchange.run(LATEST, every([*alive, (beside, ETH)]))
    assert (StatusKind.STALE, silent.value, ETH) in [(one.kind, one.channel, one.symbol) for one in exchange.published]
    assert BTC not in {one.symbol for one in exchange.published}


def test_missing_funding_of_one_symbol_is_detected_by_that_of_others() -> None:
    exchange = Exchange(((FUNDING, BTC), (FUNDING, ETH)))
    exchange.run(LATEST, every([(FUNDING, BTC)]))
    assert [(one.channel, one.symbol) for one in exchange.published] == [("funding", ETH)]


def test_a_quiet_market_is_no_fault() -> None:
    """A symbol without data for an hour, another that is quoted and traded every 20 s."""
    streams = tuple((kind, symbol) for symbol in (BTC, ETH) for kind in (QUOTE, TRADE, BOOK, FUNDING))
    exchange = Exchange(streams)

    def events(second: int) -> list[tuple[StreamKind, str]]:
        clock = [(FUNDING, BTC), (FUNDING, ETH)]
        return clock + ([(QUOTE, BTC), (TRADE, BTC), (BOOK, BTC)] if second % 20 == 0 else [])

    exchange.run(3_600, events)
    assert exchange.published == []
    assert exchange.reopened == []


def test_a_quiet_symbol_on_a_busy_socket_may_go_without_trades() -> None:
    exchange = Exchange(((TRADE, BTC), (TRADE, ETH), (QUOTE, BTC), (QUOTE, ETH)))
    exchange.run(3_600, every([(QUOTE, BTC), (QUOTE, ETH), (TRADE, BTC)]))
    assert exchange.published == []


def test_the_usual_silence_of_a_rare_stream_is_learned() -> None:
    """A market that is quoted all the time and traded every 25 s, and then once not for 100 s."""
    exchange = Exchange(((QUOTE, BTC), (TRADE, BTC)))
    exchange.run(1_000, lambda second: [(QUOTE, BTC), *([(TRADE, BTC)] if second % 25 == 0 else [])])
    exchange.run(100, every([(QUOTE, BTC)]))
    assert exchange.published == []
    exchange.run(60, every([(QUOTE, BTC)]))
    assert exchange.kinds() == [(StatusKind.STALE, "trade")]


def test_a_trade_just_before_its_quote_is_no_fault() -> None:
    exchange = Exchange(((QUOTE, BTC), (TRADE, BTC)))

    def events(second: int) -> list[tuple[StreamKind, str]]:
        return [(TRADE, BTC)] if second % 100 == 50 else [(QUOTE, BTC)] if second % 100 == 52 else []

    exchange.run(1_000, events)
    assert exchange.published == []


def test_nothing_is_reported_while_its_socket_is_lost_or_its_symbol_is_halted() -> None:
    exchange = Exchange(((QUOTE, BTC), (TRADE, BTC)), ((QUOTE, ETH), (TRADE, ETH)))
    exchange.liveness.closed(0)
    exchange.liveness.pause(ETH)
    exchange.run(100, every([(QUOTE, BTC), (QUOTE, ETH)]))
    assert exchange.published == []
    exchange.liveness.opened(0, exchange.sockets[0], exchange.now)
    exchange.liveness.resume(ETH)
    exchange.run(LATEST, every([(QUOTE, BTC)]))
    assert exchange.kinds() == [(StatusKind.STALE, "trade")]
    assert (BTC in exchange.published[0].detail, ETH in exchange.published[0].detail) == (True, False)


def test_it_is_reported_again_while_it_lasts() -> None:
    exchange = Exchange(((QUOTE, BTC), (TRADE, BTC)))
    exchange.run(LATEST + 20, every([(QUOTE, BTC)]))
    assert len(exchange.published) in (4, 5)
    assert [one.value for one in exchange.published] == sorted(one.value for one in exchange.published)


def test_a_book_that_waits_for_its_snapshot_is_not_silent() -> None:
    exchange = Exchange(((QUOTE, BTC), (BOOK, BTC)))
    exchange.liveness.waiting.add(BTC)
    exchange.run(200, every([(QUOTE, BTC)]))
    assert exchange.published == []
    exchange.liveness.waiting.discard(BTC)
    exchange.run(LATEST, every([(QUOTE, BTC)]))
    assert exchange.kinds() == [(StatusKind.STALE, "book")]
