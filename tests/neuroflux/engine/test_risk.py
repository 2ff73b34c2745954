"""What all orders together may come to: each limit refuses by its name, just beyond its figure, and nothing before."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import Fill, Side
from neuroflux.engine.daily import DAY, DailyProfit
from neuroflux.engine.limits import Limits
from neuroflux.engine.order_state import Leg
from neuroflux.engine.risk import Standing, position_fault, standing_fault
from tests.neuroflux.engine.test_orders import LEG, NOW, fill, sent

LIMITS = Limits(1e9, 1.0, 5_000_000, 1_000.0, 3.0, 10.0, 500.0)
HERE = ("binance", "BTC")


@pytest.mark.parametrize(
    ("within", "beyond", "reads"),
    [
        (Standing(open_orders=2), Standing(open_orders=3), "open orders: 3 are open, 3 may be"),
        (Standing(recent_orders=9), Standing(recent_orders=10), "order rate: 10 in the last second, 10 may be"),
        (Standing(profit_today_usd=-500), Standing(profit_today_usd=-500.01), "daily loss: 500.01 USD were lost today"),
    ],
)
def test_a_limit_refuses_beyond_its_figure_and_says_which(within: Standing, beyond: Standing, reads: str) -> None:
    assert standing_fault(within, LIMITS) == ""
    assert standing_fault(beyond, LIMITS).startswith(reads)


def leg(quantity: str, side: Side = Side.BUY) -> Leg:
    """At 100 USD a unit."""
    return replace(LEG, quantity=Decimal(quantity), side=side)


@pytest.mark.parametrize(
    ("held", "wanted", "fine"),
    [
        ("0", leg("10"), True),
        ("0", leg("10.1"), False),
        ("9", leg("2"), False),
        ("-9", leg("2", Side.SELL), False),
        ("-9", leg("15"), True),
        ("50", leg("40", Side.SELL), True),
    ],
)
def test_a_position_is_bounded_and_may_always_be_made_smaller(held: str, wanted: Leg, fine: bool) -> None:
    fault = position_fault([wanted], Standing(held={HERE: Decimal(held)}), (), LIMITS)
    assert (fault == "") is fine
    assert fine or fault.startswith("position: it would come to")


def test_what_is_under_way_counts_to_a_position_and_what_is_elsewhere_does_not() -> None:
    order = sent(leg("8"))
    assert position_fault([leg("3")], Standing(), [order], LIMITS)
    assert not position_fault([leg("3", Side.SELL)], Standing(), [order], LIMITS)
    elsewhere = replace(leg("8"), instrument=replace(LEG.instrument, exchange="hyperliquid"))
    assert not position_fault([leg("3")], Standing(), [sent(elsewhere)], LIMITS)


# ── a day ────────────────────────────────────────────────────────────────────────────────────────────────────────

MIDNIGHT = NOW - NOW % DAY + DAY


def traded(side: Side, price: str, quantity: str, at: int = MIDNIGHT, fee: str = "1") -> Fill:
    figures = {"price": Decimal(price), "quantity": Decimal(quantity), "fee": Decimal(fee)}
    return replace(fill(0), side=side, event_time=at, **figures)


def usd(day: DailyProfit, mid: float | None = None, now: int = MIDNIGHT) -> float:
    return day.usd({"USDT": 1.0}.get, lambda exchange, symbol: mid, now)


def test_a_round_trip_is_what_it_brought_less_the_fees() -> None:
    day = DailyProfit()
    day.take(traded(Side.BUY, "100", "2"))
    day.take(traded(Side.SELL, "90", "2"))
    assert usd(day) == -22


def test_what_is_still_held_is_marked_to_the_market_or_to_its_last_fill() -> None:
    day = DailyProfit()
    day.take(traded(Side.BUY, "100", "2"))
    assert usd(day, 130.0) == 59
    assert usd(day) == -1


def test_a_new_day_begins_at_nothing_and_late_news_of_the_old_one_does_not_count() -> None:
    day = DailyProfit()
    day.take(traded(Side.BUY, "100", "2"))
    assert usd(day, 0.5, MIDNIGHT + DAY) == 0
    day.take(traded(Side.SELL, "100", "1", MIDNIGHT + DAY))
    day.take(traded(Side.BUY, "100", "2", MIDNIGHT + DAY - 1))
    assert usd(day, 100.0, MIDNIGHT + DAY) == -1
