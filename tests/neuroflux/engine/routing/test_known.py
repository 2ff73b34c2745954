"""The read model: the newest sound record counts, for the execution and the façade alike."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import permutations
from math import nan
from typing import Any

import pytest
from msgspec.structs import replace

from consumers.execution.view import Views
from neuroflux.domain import (
    AggregatedPrice,
    Balance,
    BookSnapshot,
    Cause,
    ControlCommand,
    ControlKind,
    ExchangeHealth,
    ExchangeStatus,
    Failover,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    Position,
    Side,
    StatusKind,
)
from neuroflux.engine.markets.soundness import AHEAD
from neuroflux.engine.risk.command_bounds import MAX_WHY
from neuroflux.engine.risk.limits import BALANCES_LIFE, Seen
from neuroflux.engine.routing.known import Known
from neuroflux.manager.view import View
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BOOKS

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
CAUSE = Cause("topic", 0, 7)
SPOT = Instrument(
    exchange="binance",
    symbol="BTC/USDC",
    market="BTC/USD",
    name="BTCUSDC",
    base="BTC",
    quote="USDC",
    kind=InstrumentKind.SPOT,
)
PERPETUAL = replace(
    SPOT, exchange="hyperliquid", symbol="BTC/USDC:USDC", kind=InstrumentKind.PERPETUAL, settle="USDC", multiplier=1
)
BOOK = BookSnapshot("binance", "BTC/USDC", "BTC/USD", (Level(99.0, 1.0),), (Level(101.0, 1.0),), 1, NOW, NOW)
PRICE = AggregatedPrice("BTC/USD", 100.0, 99.0, 101.0, 1.0, 1.0, (), (), NOW)
HEALTH = ExchangeHealth("binance", HealthStatus.ONLINE, 3.0, 100.0, 0.1, NOW, "", NOW)
POSITION = Position("hyperliquid", "BTC/USDC:USDC", Decimal(2), Decimal(100), Decimal(0), NOW)

FAILOVER = Failover(primary="binance", backups=("hyperliquid",), config_id="1")


def balance(free: str, exchange: str = "binance", asset: str = "USDC", *, pooled: bool = False) -> Balance:
    amount, zero = Decimal(free), Decimal(0)
    return Balance(exchange, asset, amount, zero, zero, amount, NOW, pooled=pooled)


def control(kind: ControlKind, account: str = "*", **fields: Any) -> ControlCommand:
    return ControlCommand(kind=kind, account=account, **fields)


def known(*records: object) -> Known:
    found = Known(("binance", "hyperliquid"))
    for record in records:
        assert found.update(record, CAUSE, NOW, NOW) == ""
    return found


def state(of: Known) -> tuple[Any, ...]:
    """What a decision is made from."""
    return (
        of.prospect(SPOT, Side.BUY, NOW),
        of.prospect(PERPETUAL, Side.SELL, NOW, blocked=of.halt_of("hyperliquid")),
        of.prices,
        of.failovers,
        of.limits("binance"),
        of.mode_of("binance"),
    )


def test_the_order_of_records_of_different_keys_does_not_matter() -> None:
    groups: list[list[object]] = [
        [SPOT, PERPETUAL],
        [replace(BOOK, sequence=0, bids=(Level(98.0, 1.0),)), BOOK],
        [PRICE, HEALTH, balance("5"), balance("100"), POSITION, balance("7", "hyperliquid")],
        [control(ControlKind.HALT, "hyperliquid", why="drill"), FAILOVER],
    ]
    states = [state(known(*(one for group in order for one in group))) for order in permutations(groups)]
    assert all(one == states[0] for one in states)
    spot, perpetual, *_ = states[0]
    assert (spot.book, spot.cause, spot.free, spot.health) == (BOOK, CAUSE, 100, HEALTH)
    assert (perpetual.free, perpetual.reducible, perpetual.blocked) == (7, 2, "halted: drill")


# ── soundness ────────────────────────────────────────────────────────────────────────────────────────────────────

CROSSED = replace(BOOK, bids=(Level(101.0, 1.0),))
UNSOUND = [CROSSED, replace(BOOK, asks=(Level(nan, 1.0),)), replace(BOOK, received_time=NOW + AHEAD + 1)]
User = Callable[[], Views | View]
USERS: list[User] = [Views, lambda: View(lambda: NOW)]


@pytest.fixture
def _at_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.execution.view.wall", lambda: NOW)


def fed(user: User, *books: BookSnapshot[float], at: int = NOW) -> Known:
    view = user()
    assert view.update(SPOT, CAUSE, NOW, NOW) == ""
    for one in books:
        view.take(Entry(BOOKS, 0, 7, "key", one, b"", "", at))
    return view


@pytest.mark.usefixtures("_at_now")
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("book", UNSOUND)
@pytest.mark.parametrize("at", [NOW, NOW + 86_400 * SECOND])
def test_an_unsound_book_replaces_none_for_either_user(user: User, book: BookSnapshot[float], at: int) -> None:
    assert fed(user, BOOK, book, at=at).prospect(SPOT, Side.BUY, NOW).book == BOOK
    assert fed(user, book, at=at).prospect(SPOT, Side.BUY, NOW).book is None


@pytest.mark.usefixtures("_at_now")
@pytest.mark.parametrize("user", USERS)
def test_a_book_is_never_newer_than_our_clock_for_either_user(user: User) -> None:
    ahead = fed(user, replace(BOOK, received_time=NOW + 40 * SECOND), at=NOW + 3_600 * SECOND)
    book = ahead.prospect(SPOT, Side.BUY, NOW).book
    assert book is not None
    assert book.received_time == NOW, "so that it becomes stale"
    assert ahead.prospect(SPOT, Side.BUY, NOW).cause == Cause("market.books", 0, 7)


def test_a_book_that_lost_a_side_withdraws_the_previous_one() -> None:
    empty = replace(BOOK, bids=())
    assert known(SPOT, BOOK, empty).prospect(SPOT, Side.BUY, NOW).book == empty


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (CROSSED, "crossed"),
        (replace(PRICE, price=nan), "a price is out of range"),
        (replace(PRICE, event_time=NOW + AHEAD + 1), "event_time"),
        (replace(HEALTH, latency_ms=nan), "a figure is not a finite number"),
        (replace(HEALTH, event_time=NOW + AHEAD + 1), "event_time"),
        (replace(SPOT, multiplier=0), "multiplier"),
        (control(ControlKind.HALT, "binanceusdm"), "account"),
        (control(ControlKind.LIMITS, limits={"leverage": nan}), "limits"),
        (replace(FAILOVER, backups=("nowhere",)), "exchange"),
    ],
)
def test_an_invalid_record_changes_nothing_and_is_named(record: object, fault: str) -> None:
    found = known(SPOT, PERPETUAL, BOOK, PRICE, HEALTH, FAILOVER)
    before = state(found)
    assert (found.update(record, CAUSE, NOW + 86_400 * SECOND, NOW) or "").startswith(fault)
    assert state(found) == before


def test_a_record_of_another_kind_is_left_to_the_user() -> None:
    assert Known(()).update(None, CAUSE, NOW, NOW) is None


# ── funds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_funds_are_unknown_without_a_recent_balance_of_the_exchange() -> None:
    assert known(SPOT).free(SPOT, Side.BUY, NOW) is None
    found = known(SPOT, balance("100"))
    assert found.free(SPOT, Side.BUY, NOW + BALANCES_LIFE) == 100
    assert found.free(SPOT, Side.BUY, NOW + BALANCES_LIFE + 1) is None
    assert found.free(SPOT, Side.SELL, NOW) == 0, "of an asset that the account does not have"
    assert found.free(PERPETUAL, Side.BUY, NOW) is None, "of another exchange"


def test_what_closes_a_position_needs_no_known_funds() -> None:
    found = known(PERPETUAL, POSITION)
    assert found.prospect(PERPETUAL, Side.SELL, NOW).only_closes
    assert found.prospect(PERPETUAL, Side.BUY, NOW).free is None


def test_the_newest_balance_counts_also_when_its_writers_clock_was_set_back() -> None:
    found = known(balance("1"), balance("2", asset="BTC"))
    found.update(balance("3"), CAUSE, NOW - 5 * SECOND, NOW)
    assert found.balances_written["binance"] == NOW
    found.update(balance("4", asset="BTC"), CAUSE, NOW - 9 * SECOND, NOW)
    assert found.balances_written["binance"] == NOW - 5 * SECOND
    assert found.balance_seen("binance", "BTC", NOW) == Seen(NOW - 9 * SECOND, NOW)


def test_an_account_is_pooled_while_one_of_its_assets_is() -> None:
    found = known(PERPETUAL, balance("70", "hyperliquid", "BNFCR", pooled=True))
    assert found.free(PERPETUAL, Side.BUY, NOW) == 70
    found.update(balance("0", "hyperliquid", "BNFCR", pooled=True), CAUSE, NOW, NOW)
    assert found.free(PERPETUAL, Side.BUY, NOW) == 0


# ── control ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_halts_end_with_their_resume_and_limits_stay() -> None:
    halts = control(ControlKind.HALT, why="x" * 2 * MAX_WHY), control(ControlKind.HALT, "binance", why="drill")
    found = known(*halts, control(ControlKind.LIMITS, "binance", limits={"leverage": 2.0}))
    assert found.halt_of("binance") == "halted: drill"
    assert found.halt_of("hyperliquid") == "halted: " + "x" * MAX_WHY
    found.update(control(ControlKind.RESUME, "binance"), CAUSE, NOW, NOW)
    assert found.halt_of("binance").startswith("halted: xxx")
    found.update(control(ControlKind.RESUME), CAUSE, NOW, NOW)
    assert (found.halt_of("binance"), found.limits("binance")) == ("", {"leverage": 2.0})


def test_the_mode_of_an_account_is_that_of_its_newest_status() -> None:
    mode = ExchangeStatus("binance", "account", StatusKind.MODE, 1.0, "switch hedge mode off", NOW)
    assert known(mode).mode_of("binance") == "mode: switch hedge mode off"
    assert known(mode, replace(mode, value=0.0)).mode_of("binance") == ""
    assert known(replace(mode, kind=StatusKind.DIFFERENCE)).mode_of("binance") == ""


def test_an_instrument_that_changed_its_market_is_found_by_the_new_one_alone() -> None:
    found = known(SPOT, replace(SPOT, market="BTCX/USD"))
    assert found.called("BTC/USD") == []
    assert found.called("BTCX/USD") == found.called("BTC/USDC") == [*found.instruments]
