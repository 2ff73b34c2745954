"""The façade knows the newest of what was published, and what can be done with it."""

import logging
from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import ControlCommand, ControlKind, Side
from neuroflux.manager.answers import iso, micros
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, SECOND, balance, book, healthy_view, instrument, price, publish, source


def test_a_prospect_is_all_that_is_known_of_an_instrument() -> None:
    view = healthy_view()
    (spot,) = view.called("BTC/USDC")
    prospect = view.prospect(spot, Side.BUY, NOW)
    assert prospect.book is view.book(spot)
    assert prospect.cause is not None
    assert (prospect.cause.topic, prospect.cause.offset) == ("market.books", 7)
    assert prospect.rate is not None
    assert prospect.health is view.health["binance"]
    assert prospect.free == 100
    assert view.prospect(spot, Side.SELL, NOW).free == 0, "it knows what the account holds, and no BTC"
    assert prospect.blocked == ""


def test_funds_that_nobody_told_are_unknown_and_not_none() -> None:
    view = View()
    publish(view, topics.INSTRUMENTS, instrument())
    assert view.free(view.called("BTC/USD")[0], Side.BUY, NOW) is None


def test_leverage_scales_what_a_perpetual_can_carry() -> None:
    view = healthy_view()
    perpetual = view.instrument("binanceusdm", "BTC/USDC:USDC")
    assert perpetual is not None
    assert view.free(perpetual, Side.BUY, NOW) == 100
    limits = ControlCommand(account="binanceusdm", kind=ControlKind.LIMITS, limits={"leverage": 5.0})
    publish(view, topics.CONTROL, limits)
    assert view.free(perpetual, Side.BUY, NOW) == Decimal(50), "of the tenth that is planned with, half"


def test_a_pooled_account_carries_a_perpetual_with_all_its_assets() -> None:
    view = healthy_view()
    perpetual = view.instrument("binanceusdm", "BTC/USDC:USDC")
    assert perpetual is not None
    for asset, free in (("USDC", "0"), ("BNFCR", "70"), ("BTC", "1")):
        publish(view, topics.BALANCES, replace(balance("binanceusdm", asset, free), pooled=True))
    assert view.free(perpetual, Side.BUY, NOW) == Decimal("170.75"), "BTC is at 100.75"
    publish(view, topics.BALANCES, replace(balance("binanceusdm", "XYZ", "-1"), pooled=True))
    assert view.free(perpetual, Side.BUY, NOW) is None


def test_limits_and_a_halt_of_one_account_stand_beside_each_other() -> None:
    view = healthy_view()
    publish(view, topics.CONTROL, ControlCommand(account="binance", kind=ControlKind.HALT, why="drill"))
    limits = ControlCommand(account="binance", kind=ControlKind.LIMITS, limits={"leverage": 5.0})
    publish(view, topics.CONTROL, limits)
    assert view.prospect(view.called("BTC/USDC")[0], Side.BUY, NOW).blocked == "halted: drill"
    publish(view, topics.CONTROL, ControlCommand(kind=ControlKind.RESUME))
    assert view.halt_of("binance") == ""
    assert view.limits("binance") == {"leverage": 5.0}


def test_what_is_set_for_all_bounds_each_and_what_can_not_be_obeyed_none() -> None:
    view = healthy_view()
    for account, limits in (("*", {"leverage": 2.0}), ("binance", {"leverage": 5.0}), ("binance", {"leverage": 0.0})):
        publish(view, topics.CONTROL, ControlCommand(account=account, kind=ControlKind.LIMITS, limits=limits))
    assert (view.limits("binance"), view.own_limits("binance")) == ({"leverage": 2.0}, {"leverage": 5.0})
    assert (view.limits("hyperliquid"), view.own_limits("hyperliquid")) == ({"leverage": 2.0}, {})


def test_an_instrument_with_rules_that_are_none_is_not_taken() -> None:
    view = healthy_view()
    known = view.called("BTC/USDC")
    publish(view, topics.INSTRUMENTS, instrument("binance", "BTC/USDC", multiplier=0))
    assert view.called("BTC/USDC") == known


def test_an_instrument_is_found_by_market_and_by_symbol_in_its_newest_form() -> None:
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("binance", "BTC/USDC", active=False))
    assert {one.exchange for one in view.called("BTC/USD")} == {"binance", "binanceusdm", "hyperliquid"}
    (spot,) = view.called("BTC/USDC")
    assert not spot.active
    assert view.called("NO/USD") == []
    assert len(view.instruments) == 3


def test_a_withdrawn_book_is_gone_and_an_unsound_one_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    view = healthy_view()
    (spot,) = view.called("BTC/USDC")
    with caplog.at_level(logging.WARNING):
        publish(view, topics.BOOKS, book(price=100.0, half=-1.0))
        publish(view, topics.BOOKS, book(price=100.0, time=NOW + 3600 * SECOND))
    assert len(caplog.records) == 2
    known = view.book(spot)
    assert known is not None
    assert known.bids[0].price == 99.9
    publish(view, topics.BOOKS, type(known)("binance", "BTC/USDC", "BTC/USD", (), (), 2, NOW, NOW))
    known = view.book(spot)
    assert known is not None
    assert known.bids == ()


def test_what_can_t_be_read_is_named(caplog: pytest.LogCaptureFixture) -> None:
    view = healthy_view()
    with caplog.at_level(logging.WARNING):
        publish(view, topics.BALANCES, None)
        publish(view, topics.CONTROL, None)
    assert "account.balances-0@7: unreadable" in caplog.text
    assert "control.commands" not in caplog.text
    publish(view, topics.BALANCES, balance("binance", "USDC", "5"), NOW + SECOND)
    assert view.balances_written["binance"] == NOW + SECOND


@pytest.mark.parametrize("time", [1, NOW, NOW + 1, NOW + 999_999])
def test_a_time_comes_back_from_its_text(time: int) -> None:
    assert micros(iso(time)) == time
    assert iso(time).endswith("Z")


def test_no_time_is_no_text() -> None:
    assert iso(0) == ""
    assert micros("") == 0


def test_nothing_is_taken_from_a_record_that_is_dated_ahead() -> None:
    view = healthy_view()
    (spot,) = view.called("BTC/USDC")
    publish(view, topics.BOOKS, book(time=NOW + 5 * SECOND), NOW)
    ahead = view.book(spot)
    assert ahead is not None
    assert ahead.received_time == NOW, "it is as old as its place in the log"
    before = view.prices["BTC/USD"]
    publish(view, topics.PRICES, price(sources=(source(price=50.0),), time=NOW + 86_400 * SECOND), NOW)
    assert view.prices["BTC/USD"] is before
