"""The one-sided exposure of a pair: its size, its duration, and the limits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import OrderReport, OrderState, OrderType, Side
from neuroflux.engine.orders.exposure import DUST_USD, exposure
from neuroflux.engine.orders.inputs import FillSeen, Reported
from neuroflux.engine.orders.machine import step
from neuroflux.engine.orders.state import Order
from neuroflux.engine.orders.table import SECOND
from neuroflux.engine.risk.limits import Limits
from neuroflux.engine.risk.naked import naked_fault
from neuroflux.engine.routing.pair import decide_pair
from tests.neuroflux.engine.orders.test_machine import fill
from tests.neuroflux.engine.orders.test_machine import sent as placed
from tests.neuroflux.engine.routing.test_pair import CHEAP, DEAR, LIMITS, NOW, PAIR, answer, decided, sent

BOUND = replace(LIMITS, max_naked_usd=2_000.0, max_naked_seconds=30.0)
LATER = NOW + 31 * SECOND


def one_legged(quantity: str = "1") -> Order:
    return answer(sent(decided().order), 0, quantity).order


def test_open_exposure_counts_until_now_and_hedged_exposure_does_not_grow() -> None:
    order = one_legged()
    assert exposure(order, NOW + 7).usd == exposure(order, NOW + 7).largest == 1_000
    assert (exposure(order, NOW + 7).span, exposure(order, NOW + 9).span) == (7, 9)
    even = answer(order, 1, "1", NOW + 30, price=1010).order
    assert (exposure(even, LATER).usd, exposure(even, LATER).span, exposure(even, LATER).largest) == (0, 30, 1_000)


@pytest.mark.parametrize(
    ("order", "now", "limits", "reads"),
    [
        (one_legged(), NOW + 30 * SECOND, BOUND, ""),
        (one_legged(), LATER, BOUND, "naked: 1,000.00 USD of BTC/USD for 31 s; 2,000 USD and 30 s are allowed"),
        (one_legged(), NOW, replace(BOUND, max_naked_usd=999.0), "naked: 1,000.00 USD of BTC/USD for 0 s; 999 USD"),
        (one_legged(str(Decimal(str(DUST_USD)) / 1_000)), LATER, BOUND, ""),
        (decided().order, LATER, BOUND, ""),
        (step(placed(), FillSeen("o/0/0", fill(1)), NOW).order, LATER, replace(BOUND, max_naked_usd=1.0), ""),
    ],
    ids=["in time", "too long", "too much", "dust", "nothing filled", "no pair"],
)
def test_beyond_the_bound_no_new_pair_begins(order: Order, now: int, limits: Limits, reads: str) -> None:
    fault = naked_fault([order], limits, now)
    assert fault.startswith(reads)
    assert bool(fault) is bool(reads)


def test_a_pair_is_not_larger_than_the_one_sided_limit() -> None:
    small = decide_pair(PAIR, (CHEAP, DEAR), (1005.0, 1005.0), replace(LIMITS, max_naked_usd=300.0), NOW)
    assert {leg.quantity for leg in small.legs} <= {Decimal("0.29"), Decimal("0.3")}
    assert all(leg.quantity * leg.price <= 310 for leg in small.legs)
    assert small.legs


def test_the_clock_of_one_exchange_makes_no_exposure() -> None:
    """Both fills are received 30 µs apart; the second exchange's clock is 8 s ahead."""
    even = answer(one_legged(), 1, "1", NOW + 30, price=1010).order
    first, second = even.attempts
    late = tuple(replace(one, event_time=one.event_time + 8 * SECOND) for one in second.fills)
    skewed = replace(even, attempts=(first, replace(second, fills=late)))
    assert exposure(skewed, LATER).span == exposure(even, LATER).span == 30


def test_a_reported_quantity_without_fills_is_exposure_too() -> None:
    order = sent(decided().order)
    one = order.legs[0]
    what = ("binance", "BTC/USDC", "c0", "1", Side.BUY, OrderType.LIMIT, one.price, one.quantity)
    reported = OrderReport(*what, one.quantity, Decimal(1_000), OrderState.FILLED, "", NOW)
    naked = step(order, Reported("c0", reported), NOW).order
    assert naked.attempts[0].fills == ()
    assert exposure(naked, NOW + 7).usd == pytest.approx(float(one.quantity * one.price))
    assert (exposure(naked, NOW + 7).since, exposure(naked, NOW + 7).span) == (NOW, 7)
    assert naked_fault([naked], BOUND, LATER).startswith("naked: ")
