"""The fees of an account are published with the instruments, in place of the lowest tier's."""

from __future__ import annotations

from decimal import Decimal
from math import inf

import pytest
from msgspec.structs import replace

import producers.account_fees
from neuroflux.records.topics import INSTRUMENTS
from producers.account_fees import AGAIN_SECONDS, AT_ONCE, SECONDS, FeesDue
from tests.producers.exchange import BTC, Exchange, Kept, Venue, followed

OWN = replace(BTC, taker_fee=Decimal("0.0003"), maker_fee=Decimal("-0.0001"))
OWN_FEES = {"fees": ["BTCUSDT", "0.0003", "-0.0001"]}


async def test_instruments_are_published_with_what_this_account_pays(kept: Kept, venue: Venue) -> None:
    venue.fees = [OWN_FEES]
    async with followed(Exchange(), venue, kept):
        assert await kept.until(lambda: kept.of(INSTRUMENTS)) == [OWN]


async def test_fees_that_are_the_lists_own_are_not_published_again(kept: Kept, venue: Venue) -> None:
    venue.fees = [{"fees": ["BTCUSDT", "0", "0"]}]
    async with followed(Exchange(), venue, kept) as account:
        await kept.until(lambda: venue.requests["fees"])
        await account.drained()
        account.learn([BTC])
    assert kept.of(INSTRUMENTS) == []


async def test_a_newer_list_of_another_stage_gets_this_accounts_fees(kept: Kept, venue: Venue) -> None:
    venue.fees = [OWN_FEES]
    async with followed(Exchange(), venue, kept) as account:
        await kept.until(lambda: kept.of(INSTRUMENTS))
        account.learn([replace(BTC, tick_size=Decimal("0.1"))])
        account.learn([replace(OWN, tick_size=Decimal("0.1"))])
    assert kept.of(INSTRUMENTS) == [OWN, replace(OWN, tick_size=Decimal("0.1"))]


@pytest.mark.parametrize(("fee", "asset"), [("0.06", "USDT"), ("0.0006", "BTC")])
async def test_a_fill_that_was_charged_another_rate_has_the_rates_requested_again(
    kept: Kept, venue: Venue, monkeypatch: pytest.MonkeyPatch, fee: str, asset: str
) -> None:
    monkeypatch.setattr(producers.account_fees, "AGAIN_SECONDS", 0.0)
    venue.fees = [OWN_FEES]
    async with followed(Exchange(), venue, kept):
        await kept.until(lambda: kept.of(INSTRUMENTS) and venue.sockets)
        venue.fees = [{"fees": ["BTCUSDT", "0.0006", "0"]}]
        await venue.push(fill=["BTCUSDT", fee, asset])
        raised = replace(OWN, taker_fee=Decimal("0.0006"), maker_fee=Decimal(0))
        assert await kept.until(lambda: kept.of(INSTRUMENTS)[1:]) == [raised]


@pytest.mark.parametrize(("fee", "asset"), [("0.03", "USDT"), ("0.0300001", "USDT"), ("0.5", "BNB")])
async def test_a_fill_as_expected_or_paid_in_a_third_asset_requests_nothing(
    kept: Kept, venue: Venue, monkeypatch: pytest.MonkeyPatch, fee: str, asset: str
) -> None:
    monkeypatch.setattr(producers.account_fees, "AGAIN_SECONDS", 0.0)
    venue.fees = [OWN_FEES]
    async with followed(Exchange(), venue, kept):
        await kept.until(lambda: kept.of(INSTRUMENTS) and venue.sockets)
        await venue.push(fill=["BTCUSDT", fee, asset])
        await venue.push(fill=["BTCUSDT", "0.06", "USDT"])  # this one does, and is pushed after it
        await kept.until(lambda: venue.requests["fees"] > 1)
    assert venue.requests["fees"] == 2


async def test_a_refused_request_is_repeated_and_changes_nothing(
    kept: Kept, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers.account_fees, "AGAIN_SECONDS", 0.05)
    venue.fees_status = 400
    async with followed(Exchange(), venue, kept):
        await kept.until(lambda: venue.requests["fees"] > 1)
        assert kept.of(INSTRUMENTS) == []
        venue.fees, venue.fees_status = [OWN_FEES], 200
        assert await kept.until(lambda: kept.of(INSTRUMENTS)) == [OWN]


def symbols(count: int) -> list[str]:
    return [f"{number:03}" for number in range(count)]


def test_many_symbols_are_requested_in_turns() -> None:
    due, every = FeesDue(), symbols(3 * AT_ONCE)
    assert due.wait(0.0) == -inf
    rounds, now = [], 0.0
    for _ in range(4):
        rounds.append(due.begin(every, now))
        now += due.wait(now)
    assert now == 2 * AGAIN_SECONDS + 2 * SECONDS, "soon, until each was requested once"
    assert [len(one) for one in rounds] == [AT_ONCE] * 4
    assert sorted(symbol for one in rounds[:3] for symbol in one) == every
    assert rounds[3] == rounds[0]


def test_a_symbol_whose_rate_changed_is_requested_first_and_soon() -> None:
    due, every = FeesDue(), symbols(2 * AT_ONCE)
    due.begin(every, 0.0)
    due.changed("000", 100.0)
    assert due.wait(100.0) <= 0.0
    assert due.begin(every, 100.0)[0] == "000"
    due.changed("000", 101.0)
    assert due.wait(101.0) == producers.account_fees.AGAIN_SECONDS - 1.0
