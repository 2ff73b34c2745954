"""An account's stage against a server that refuses, loses keys, and answers in pages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

import producers.account
import producers.account_round
import producers.due
from neuroflux.domain import StatusKind
from neuroflux.exchanges.kit.events import Listing
from neuroflux.records.topics import BALANCES, INSTRUMENTS, POSITIONS, STATUS, TRANSFERS
from neuroflux.runtime.clock import wall
from producers.vital_signs import EVERY_SECONDS
from tests.producers.exchange import BTC, Exchange, Feed, Kept, Venue, balance, followed, instrument

NEW = instrument("NEW/USDT:USDT", "NEWUSDT")


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.account, "SHORT_LIVED_SECONDS", 0.0)


def positions(kept: Kept) -> dict[str, int]:
    return {one.symbol: int(one.quantity) for one in kept.of(POSITIONS)}


# ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_that_is_refused_is_reported_and_retried_and_figures_continue(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    venue.key_status, venue.figures = 403, [{"balance": ["USDT", "5"]}]
    async with followed(exchange, venue, kept):
        found = await kept.until(lambda: [one.detail for one in kept.statuses(StatusKind.DISCONNECTED)][1:])
        assert "can't be opened: HTTP 403" in found[0]
        await kept.until(lambda: kept.of(BALANCES))
        assert venue.sockets == [], "no socket with an empty key"
        await kept.until(lambda: venue.requests["POST"] >= 2)
        venue.key_status = 200
        await kept.until(lambda: kept.statuses(StatusKind.CONNECTED))
    assert all(key.startswith("key") for key in venue.keys)


async def test_retries_that_are_refused_are_further_and_further_apart(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        is_between = seconds <= producers.account.LONGEST_WAIT_SECONDS and seconds != EVERY_SECONDS
        if is_between:
            waits.append(seconds)
        await sleep(0 if is_between else seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    venue.key_status = 401
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["POST"] >= 9)
    doubled = [wait for wait in waits if wait >= 1]
    assert doubled[:7] == [1, 3, 7, 15, 31, 60, 60]


async def test_a_key_that_has_expired_when_it_is_kept_alive_is_replaced_at_once(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers.account, "KEEP_ALIVE_SECONDS", 0.3)
    venue.keep_status = 400
    async with followed(exchange, venue, kept):
        await kept.until(lambda: len(venue.keys) == 2)
    assert venue.keys == ["key1", "key2"]
    assert "the key has expired" in [one.detail for one in kept.statuses(StatusKind.DISCONNECTED)]


async def test_an_event_that_ends_the_stream_reopens_it_before_it_is_closed(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.sockets)
        await venue.push(status=["disconnected", 0.0, "listenKeyExpired"])
        await kept.until(lambda: len(venue.keys) == 2)
    assert venue.keys == ["key1", "key2"]


async def test_a_ban_reported_by_the_stream_holds_requests_and_the_stream(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.sockets)
        began = wall()
        await venue.push(hold=[1.0, "IP banned"])
        await venue.push(status=["disconnected", 0.0, "IP banned"])
        await kept.until(lambda: len(venue.keys) == 2)
        assert wall() - began >= 1_000_000
    (limited,) = kept.statuses(StatusKind.LIMITED)
    assert limited.detail == "IP banned: nothing is sent for 1 s"


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_balance_of_the_log_becomes_zero_though_another_list_can_not_be_read(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    """Such as the fills of a delisted symbol, refused for ever. The figures were read to their end."""
    venue.orders_status = 400
    async with followed(exchange, venue, kept, balance("SOL", 10)):
        (found,) = await kept.until(lambda: kept.of(BALANCES))
    assert (found.asset, found.total) == ("SOL", 0)


async def test_a_list_in_pages_is_read_to_its_end(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    venue.figures = [{"balance": ["A", "1"]}, {"page": "2"}]
    venue.pages = {"2": [{"balance": ["B", "2"]}, {"page": "3"}], "3": [{"balance": ["C", "3"]}]}
    async with followed(exchange, venue, kept, balance("C", 9), balance("D", 9)):
        await kept.until(lambda: len(kept.of(BALANCES)) >= 4)
    assert {one.asset: int(one.total) for one in kept.of(BALANCES)} == {"A": 1, "B": 2, "C": 3, "D": 0}


async def test_a_list_without_an_end_is_not_read_for_ever_and_removes_nothing(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers.account_round, "PAGES", 5)
    venue.figures = venue.pages["1"] = [{"balance": ["A", "1"]}, {"page": "1"}]
    async with followed(exchange, venue, kept, balance("D", 9)):
        found = await kept.until(lambda: kept.statuses(StatusKind.MALFORMED))
        await kept.until(lambda: kept.of(BALANCES))
        assert venue.requests["figures"] % 6 == 0
    assert "not read beyond 5 pages" in found[0].detail
    assert {one.asset for one in kept.of(BALANCES)} == {"A"}


async def test_after_a_partial_push_only_the_figures_are_requested(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    exchange.pushes_whole = False
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["orders"] == 2)  # at the start, and when the socket was open
        before = venue.requests["figures"]
        venue.figures = [{"balance": ["USDT", "4"]}]
        for _ in range(5):
            await venue.push(balance=["USDT", "4"])
        await kept.until(lambda: venue.requests["figures"] > before)
        assert venue.requests["orders"] == 2


@pytest.mark.parametrize("pushed", [{"report": ["BTCUSDT"]}, {"fill": ["BTCUSDT", "0.1", "USDT"]}])
async def test_after_a_report_without_a_balance_only_the_figures_are_requested(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, pushed: dict[str, Any]
) -> None:
    """USDⓈ-M pushes no balance for a new resting order: what it holds was shown as free for up to a minute."""
    monkeypatch.setattr(producers.due, "FIGURES_SECONDS", 1000.0)
    exchange.pushes_whole = False
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["orders"] == 2)  # at the start, and when the socket was open
        before = venue.requests["figures"]
        await venue.push(**pushed)
        await kept.until(lambda: venue.requests["figures"] > before)
        assert venue.requests["orders"] == 2


@pytest.mark.parametrize("pushes", [True, False])
async def test_a_figure_that_changed_without_a_push_is_a_difference_only_where_figures_are_pushed(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, pushes: bool
) -> None:
    monkeypatch.setattr(Feed, "pushes_figures", pushes)
    monkeypatch.setattr(producers.due, "FIGURES_SECONDS", 0.1)
    venue.figures = [{"balance": ["USDT", "4"]}]
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["orders"] == 2)
        venue.figures = [{"balance": ["USDT", "5"]}]
        await kept.until(lambda: [one for one in kept.of(BALANCES) if one.total == 5])
    differences = [one for one in kept.of(STATUS) if one.kind is StatusKind.DIFFERENCE]
    assert bool(differences) is pushes


async def test_where_pushes_are_whole_nothing_is_requested(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    async with followed(exchange, venue, kept) as account:
        await kept.until(lambda: venue.requests["orders"] == 2)
        await venue.push(balance=["USDT", "4"])
        await kept.until(lambda: kept.of(BALANCES))
        assert account._due.wait(0.0) > producers.due.AGAIN


async def test_figures_are_requested_again_also_while_nothing_is_pushed(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers.due, "FIGURES_SECONDS", 1.0)
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["figures"] >= 4)
        assert venue.requests["orders"] == 2


async def test_a_request_is_signed_when_the_rate_limit_allows_it(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[tuple[int, int]] = []
    async with followed(exchange, venue, kept) as account:
        await kept.until(lambda: venue.requests["orders"] == 2)
        turn, read = account._client.turn, account._client.read

        async def late(weight: int, *of: Any) -> None:
            await turn(weight)
            await asyncio.sleep(1.2)  # the waiting itself is what is tested

        async def noted(request: Any) -> Any:
            answer = await read(request)
            signed.append((int(request.path.rpartition("=")[2]), answer.sent_at))
            return answer

        monkeypatch.setattr(account._client, "turn", late)
        monkeypatch.setattr(account._client, "read", noted)
        await account.opened()
        await kept.until(lambda: venue.requests["orders"] == 3)
        assert max(sent - at for at, sent in signed) < 500_000


# ── instruments and modes ────────────────────────────────────────────────────────────────────────────────────────


async def test_an_unknown_symbol_has_the_list_read_again_and_published(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["orders"] == 2)
        exchange.listing_now = Listing((BTC, NEW))
        venue.figures = [{"position": ["NEWUSDT", "4"]}]
        await venue.push(position=["NEWUSDT", "4"])
        await kept.until(lambda: positions(kept).get(NEW.symbol))
        await kept.until(lambda: positions(kept) == {"NEWUSDT": 0, NEW.symbol: 4})
    assert kept.of(INSTRUMENTS) == [NEW]


async def test_instruments_that_another_stage_read_are_learned(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    venue.figures = [{"position": ["NEWUSDT", "4"]}]
    async with followed(exchange, venue, kept) as account:
        await kept.until(lambda: positions(kept) == {"NEWUSDT": 4} and venue.requests["list"] == 2)
        account.learn((NEW, BTC))
        await kept.until(lambda: positions(kept) == {"NEWUSDT": 0, NEW.symbol: 4})
    assert kept.of(INSTRUMENTS) == [], "it was read from the topic"


async def test_a_symbol_that_stays_unknown_is_looked_up_once(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.sockets)
        for quantity in range(20):
            await venue.push(position=["ODD", str(quantity)])
        await kept.until(lambda: positions(kept).get("ODD") == 19)
        await kept.until(lambda: venue.requests["list"] == 2)
        await venue.push(position=["ODD", "99"])
        await kept.until(lambda: positions(kept).get("ODD") == 99)
        assert venue.requests["list"] == 2


async def test_a_fault_of_the_list_is_reported_once(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    exchange.listing_now = Listing((BTC,), ("row ODDUSDT: no baseAsset",))
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.sockets)
        await venue.push(position=["ELSE", "1"])
        await kept.until(lambda: venue.requests["list"] == 2 and venue.requests["orders"] >= 2)
    assert ["ODDUSDT" in one.detail for one in kept.of(STATUS) if one.kind is StatusKind.UNKNOWN] == [True]


async def test_a_mode_is_published_when_it_changes(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    barred, free = {"status": ["mode", 1.0, "switch to one-way mode"]}, {"status": ["mode", 0.0, ""]}
    venue.figures = [barred]
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["orders"] == 2)
        await venue.push(**barred)
        await venue.push(**free)
        await kept.until(lambda: len(kept.statuses(StatusKind.MODE)) == 2)
    assert [one.value for one in kept.statuses(StatusKind.MODE)] == [1.0, 0.0]


async def test_what_a_push_omits_is_requested(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    """Such as the fills of an order that the stream did not push as fills."""
    venue.pages = {"7": [{"balance": ["A", "7"]}, {"page": "8"}], "8": [{"balance": ["B", "8"]}]}
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["orders"] == 2)
        await venue.push(page="7")
        await kept.until(lambda: {one.asset for one in kept.of(BALANCES)} == {"A", "B"})


async def test_figures_that_a_push_omitted_do_not_undo_a_push(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    """The answer may be older than what was pushed just before: then it is requested again."""
    venue.pages = {"7": [{"balance": ["A", "1"]}]}
    async with followed(exchange, venue, kept, balance("B", 3)):
        await kept.until(lambda: venue.requests["orders"] == 2)
        venue.figures, before = [{"balance": ["A", "9"]}], venue.requests["figures"]
        await venue.push(balance=["A", "9"])
        await venue.push(page="7")
        await kept.until(lambda: venue.requests["figures"] == before + 2)
    assert [int(one.total) for one in kept.of(BALANCES) if one.asset == "A"] == [9]


async def test_a_row_that_a_status_names_is_not_removed(kept: Kept, venue: Venue, exchange: Exchange) -> None:
    venue.figures = [{"balance": ["A", "1"]}, {"status": ["malformed", 0.0, 'balances 1: {"asset": "D"}']}]
    async with followed(exchange, venue, kept, balance("D", 9), balance("E", 9)):
        await kept.until(lambda: len(kept.of(BALANCES)) == 2)
    assert {one.asset: int(one.total) for one in kept.of(BALANCES)} == {"A": 1, "E": 0}


async def test_a_keep_alive_without_an_answer_is_repeated_soon(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers.account, "KEEP_ALIVE_SECONDS", 0.1)
    monkeypatch.setattr(producers.account, "KEEP_ALIVE_AGAIN_SECONDS", 0.2)
    venue.keep_status = 503
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["PUT"] == 3)
        assert venue.keys == ["key1"]


async def test_transfers_are_published_also_of_the_time_before_the_start(
    kept: Kept, venue: Venue, exchange: Exchange
) -> None:
    """From a minute before the last figure in the log on; later from the last reading on."""
    venue.transfers = [{"transfer": ["USDT", "500"]}]
    old = replace(balance("USDT", 1), event_time=wall() - 3 * 86_400_000_000)
    async with followed(exchange, venue, kept, old):
        await kept.until(lambda: venue.requests["transfers"] == 2)  # at the start, and when the socket was open
        (found, *_) = await kept.until(lambda: kept.of(TRANSFERS))
    assert (found.asset, found.quantity) == ("USDT", 500)
    assert venue.since[0] == old.event_time - producers.account.OVERLAP
    assert venue.since[1] > wall() - 2 * producers.account.OVERLAP


async def test_an_account_without_permission_for_transfers_has_all_else(
    kept: Kept, venue: Venue, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported, and requested again from the same time on; the figures are read as regularly as ever."""
    monkeypatch.setattr(producers.due, "FIGURES_SECONDS", 0)
    monkeypatch.setattr(producers.due, "APART", 0)
    venue.transfers_status = 403
    async with followed(exchange, venue, kept):
        await kept.until(lambda: venue.requests["transfers"] == 2)
        before = venue.requests["figures"]
        await kept.until(lambda: venue.requests["figures"] > before + 3)
        assert venue.requests["transfers"] == 2
    assert venue.since[0] == venue.since[1]
    assert kept.statuses(StatusKind.MALFORMED)
