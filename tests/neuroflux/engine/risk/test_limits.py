"""The rules of a whole order, each refusal with its name, and the funds that open orders reserve."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    Cause,
    CommandKind,
    CommandLeg,
    Instrument,
    InstrumentKind,
    OrderCommand,
    OrderDecision,
    OrderReport,
    OrderState,
    OrderType,
    Requirements,
    Side,
    TimeInForce,
)
from neuroflux.engine.orders.inputs import Decided, Reported, Sending
from neuroflux.engine.orders.machine import received, step
from neuroflux.engine.orders.state import Leg, Order
from neuroflux.engine.risk.limits import (
    MARGIN,
    RESERVED_FOR,
    Limits,
    Seen,
    age_fault,
    at_margin,
    collar_fault,
    command_fault,
    halt_fault,
    limits_of,
    notional_fault,
    reserved,
    shown,
)
from neuroflux.exchanges.config import ORDER_LIMITS

LIMITS = Limits(100_000.0, 0.02, 5_000_000)
GOOD = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal("0.1"))
BUY = CommandLeg("binance", "BTC/USDT", Side.BUY, Decimal("0.1"))
SELL = CommandLeg("hyperliquid", "BTC/USDC:USDC", Side.SELL, Decimal("0.1"))
PAIR = replace(GOOD, kind=CommandKind.PAIR, legs=(BUY, SELL))
REBALANCE = replace(GOOD, kind=CommandKind.REBALANCE, legs=(BUY, SELL))
OF_ONE: list[dict[str, Any]] = [
    {"price": Decimal(1)},
    {"type": OrderType.LIMIT},
    {"time_in_force": TimeInForce.IOC},
    {"strategy": "cheapest"},
    {"exchange": "binance"},
]
NAN, INFINITE = float("nan"), float("inf")
LIMIT = replace(GOOD, type=OrderType.LIMIT, price=Decimal(60_000))
SPOT = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
)
PERPETUAL = replace(SPOT, symbol="BTC/USDT:USDT", kind=InstrumentKind.PERPETUAL, settle="USDT")
NOW = 1_000_000_000


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (GOOD, ""),
        (LIMIT, ""),
        (replace(GOOD, kind=CommandKind.PAIR), "legs: a pair has two"),
        (replace(GOOD, kind=CommandKind.PAIR, legs=(BUY, SELL)), ""),
        (replace(GOOD, kind=CommandKind.PAIR, legs=(BUY, BUY)), "legs: a pair has two, one bought and one sold"),
        (replace(GOOD, kind=CommandKind.PAIR, legs=(BUY, replace(BUY, side=Side.SELL))), "legs: both are of the same"),
        (replace(GOOD, kind=CommandKind.PAIR, legs=(BUY, SELL), quantity=Decimal(1)), "legs: their quantities differ"),
        (replace(GOOD, kind=CommandKind.REBALANCE), "legs: there are none"),
        (replace(GOOD, kind=CommandKind.REBALANCE, legs=(BUY,)), ""),
        (replace(GOOD, kind=CommandKind.REBALANCE, legs=(replace(BUY, quantity=Decimal(0)),)), "quantity: 0 is not"),
        (replace(GOOD, expires_at=NOW), "expires_at: a command of kind place has none"),
        (replace(GOOD, min_profit=1.0), "min_profit: a command of kind place has none"),
        (replace(GOOD, min_profit=NAN), "min_profit: a command of kind place has none"),
        (replace(PAIR, expires_at=NOW, min_profit=1.0), ""),
        (replace(PAIR, legs=(BUY, replace(SELL, price=Decimal(1_020)))), "price: the legs of a pair have none"),
        (replace(PAIR, legs=(replace(BUY, price=Decimal(-5)), SELL)), "price: the legs of a pair have none"),
        *((replace(PAIR, **one), f"{next(iter(one))}: a command of kind pair has none") for one in OF_ONE),
        *((replace(REBALANCE, **one), f"{next(iter(one))}: a command of kind rebalance") for one in OF_ONE),
        (replace(REBALANCE, expires_at=NOW), "expires_at: a command of kind rebalance has none"),
        (replace(REBALANCE, min_profit=1.0), "min_profit: a command of kind rebalance has none"),
        (replace(REBALANCE, legs=(replace(BUY, price=Decimal(1_000)),)), ""),
        (replace(GOOD, strategy="luckiest"), "strategy: 'luckiest' is not one of"),
        (replace(GOOD, quantity=Decimal(0)), "quantity: 0 is not above 0"),
        (replace(GOOD, quantity=Decimal("0E-18")), "quantity: 0 is not above 0"),
        (replace(GOOD, quantity=Decimal(-1)), "quantity: -1 is not above 0"),
        (replace(GOOD, quantity=Decimal("NaN")), "quantity: NaN is not a number"),
        (replace(GOOD, quantity=Decimal("1e-19")), "quantity: 0.0000000000000000001 has more than 18 decimal places"),
        (replace(GOOD, quantity=Decimal("1e20")), "quantity: 100000000000000000000 is too large"),
        (replace(GOOD, quantity=Decimal("0.5000000000000000000000")), ""),
        (replace(LIMIT, price=Decimal(0)), "price: 0 is not above 0"),
        (replace(GOOD, price=Decimal(1)), "price: a market order has none"),
        (replace(GOOD, time_in_force=TimeInForce.POST_ONLY), "price: a market order can't wait"),
        (replace(GOOD, requirements=Requirements(max_fee=-0.1)), "requirements: a bound is below 0"),
        (replace(GOOD, requirements=Requirements(max_slippage=NAN)), "requirements: a bound is not a number"),
        (replace(GOOD, requirements=Requirements(min_liquidity=INFINITE)), "requirements: a bound is not a number"),
        (replace(GOOD, legs=(BUY,)), "legs: an order of kind place has none"),
        (replace(GOOD, legs=(BUY, BUY)), "legs: an order of kind place has none"),
        (replace(PAIR, min_profit=NAN), "min_profit: nan is not a number"),
        (replace(PAIR, min_profit=-INFINITE), "min_profit: -inf is not a number"),
        (replace(PAIR, requirements=Requirements(max_slippage=NAN)), "requirements: a bound is not a number"),
        (replace(GOOD, kind=CommandKind.REBALANCE, legs=(BUY, SELL, BUY)), "legs: BTC/USDT on binance appears twice"),
        (replace(GOOD, kind=CommandKind.REBALANCE, legs=(replace(BUY, price=Decimal("NaN")),)), "price: NaN is no"),
        (replace(GOOD, kind=CommandKind.REBALANCE, legs=(replace(BUY, price=Decimal(-1)),)), "price: -1 is not above"),
    ],
)
def test_invalid_commands_are_refused_by_name(command: OrderCommand, fault: str) -> None:
    result = command_fault(command)
    assert result.startswith(fault)
    assert bool(result) == bool(fault)


def test_the_limits_are_those_of_the_configuration() -> None:
    assert limits_of(ORDER_LIMITS).max_notional_usd == ORDER_LIMITS["max_notional_usd"]
    assert limits_of(ORDER_LIMITS).max_book_age == 5_000_000
    assert limits_of(ORDER_LIMITS).max_command_age_seconds == ORDER_LIMITS["max_command_age_seconds"]


def test_a_command_that_is_too_old_is_refused() -> None:
    limits = replace(LIMITS, max_command_age_seconds=60.0)
    assert age_fault(0, 60_000_000, limits) == ""
    assert age_fault(0, 60_100_000, limits) == "late: it was sent 60.1 s ago; a command older than 60 s is not executed"
    assert age_fault(3_600_000_000, 0, limits) == "", "a sender's clock may be ahead"


def test_notional() -> None:
    assert notional_fault(100_000.0, LIMITS) == ""
    assert notional_fault(100_001.0, LIMITS).startswith("notional: 100,001.00 USD is above")


@pytest.mark.parametrize(
    ("side", "price", "allowed"),
    [
        (Side.BUY, 102.0, True),
        (Side.BUY, 102.1, False),
        (Side.BUY, 1.0, True),
        (Side.SELL, 98.0, True),
        (Side.SELL, 97.9, False),
        (Side.SELL, 1_000.0, True),
    ],
)
def test_the_collar_holds_on_the_side_that_costs(side: Side, price: float, allowed: bool) -> None:
    assert (collar_fault(side, price, 100.0, LIMITS) == "") is allowed


def test_a_halt_of_all_accounts_halts_each() -> None:
    assert halt_fault({}) == ""
    assert halt_fault({"binance": "maintenance"}) == ""
    assert halt_fault({"*": "too hot"}) == "halted: too hot"


# ── funds ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def routed(instrument: Instrument, side: Side = Side.BUY) -> Order:
    first = received(replace(GOOD, side=side), Cause("orders.commands", 0, 0), NOW)
    leg = Leg(instrument, side, Decimal(2), Decimal(100), TimeInForce.GTC, 1.0, NOW)
    return step(first.order, Decided(OrderDecision("o", "optimal", (), "", (), (), NOW), (leg,)), NOW).order


def reported(order: Order, state: OrderState, filled: int, at: int = NOW, time: int = NOW) -> Order:
    report = OrderReport(
        "binance",
        "BTC/USDT",
        "c",
        "1",
        Side.BUY,
        OrderType.LIMIT,
        Decimal(100),
        Decimal(2),
        Decimal(filled),
        Decimal(100),
        state,
        "",
        time,
    )
    sent = step(order, Sending(0, "c"), NOW).order if not order.attempts[0].client_order_id else order
    return step(sent, Reported("c", report), at).order


def seen(written: int, event_time: int | None = None) -> Seen:
    return Seen(written, written if event_time is None else event_time)


@pytest.mark.parametrize(
    ("instrument", "side", "asset", "held"),
    [
        (SPOT, Side.BUY, "USDT", Decimal(200)),
        (SPOT, Side.SELL, "BTC", Decimal(2)),
        (PERPETUAL, Side.BUY, "USDT", Decimal(200) * MARGIN),
        (PERPETUAL, Side.SELL, "USDT", Decimal(200) * MARGIN),
    ],
)
def test_an_open_order_reserves_what_it_may_spend(
    instrument: Instrument, side: Side, asset: str, held: Decimal
) -> None:
    order = routed(instrument, side)
    assert reserved([order], "binance", asset, seen(NOW), NOW, {}) == held
    assert reserved([order], "hyperliquid", asset, seen(NOW), NOW, {}) == 0
    assert reserved([order], "binance", "ETH", seen(NOW), NOW, {}) == 0


def test_what_the_balance_already_shows_is_not_reserved_again() -> None:
    working = reported(routed(SPOT), OrderState.WORKING, 0)
    assert reserved([working], "binance", "USDT", seen(NOW - 1), NOW, {}) == 200
    assert reserved([working], "binance", "USDT", seen(NOW), NOW, {}) == 0
    assert reserved([working], "binance", "USDT", seen(NOW - 1), NOW + RESERVED_FOR, {}) == 0


@pytest.mark.parametrize("leverage", [0, 1, 3, 20])
@pytest.mark.parametrize(("bought", "held"), [(PERPETUAL, 200 * MARGIN), (SPOT, Decimal(200))])
def test_the_margin_of_an_order_is_planned_with_once_at_whatever_leverage(
    leverage: float, bought: Instrument, held: Decimal
) -> None:
    """A perpetual reserves its share of the planned funds; a spot purchase reserves money."""
    limits = {"leverage": leverage} if leverage else {}
    taken = reserved([routed(bought)], "binance", "USDT", seen(NOW), NOW, limits)
    free = Decimal(1_000)
    left = at_margin(free, PERPETUAL, limits) - at_margin(free - taken, PERPETUAL, limits)
    planned = held if bought is PERPETUAL else at_margin(held, PERPETUAL, limits)
    assert float(left) == pytest.approx(float(planned))
    assert float(taken) == pytest.approx(200 / leverage if leverage and bought is PERPETUAL else float(held))


def test_funds_that_balances_show_are_not_reserved() -> None:
    filled, under_way = reported(routed(SPOT), OrderState.FILLED, 2), routed(SPOT)
    asked: list[tuple[str, str]] = []

    def before(exchange: str, asset: str) -> Seen:
        asked.append((exchange, asset))
        return seen(NOW - 1)

    assert not shown(filled, before, NOW)
    assert asked == [("binance", "USDT")]
    assert shown(filled, before, NOW + RESERVED_FOR)
    assert shown(filled, lambda exchange, asset: seen(NOW), NOW)
    assert not shown(under_way, lambda exchange, asset: seen(NOW), NOW)


def test_a_fill_stays_reserved_until_the_balance_shows_it_and_a_rejected_order_reserves_nothing() -> None:
    assert reserved([reported(routed(SPOT), OrderState.FILLED, 2)], "binance", "USDT", seen(NOW - 1), NOW, {}) == 200
    assert reserved([reported(routed(SPOT), OrderState.REJECTED, 0)], "binance", "USDT", seen(NOW - 1), NOW, {}) == 0


# ── what a balance shows ─────────────────────────────────────────────────────────────────────────────────────────────

MS = 1_000


def held(order: Order, balance: Seen, now: int = NOW + 10_000 * MS) -> Decimal:
    return reserved([order], "binance", "USDT", balance, now, {})


def test_a_push_before_the_answer_shows_the_fill() -> None:
    """The order is sent at 0 ms, filled at 2, the balance is written at 5 and the answer received at 9."""
    order = reported(routed(SPOT), OrderState.FILLED, 2, at=NOW + 9 * MS, time=NOW + 2 * MS)
    assert held(order, Seen(NOW + 5 * MS, NOW + 2 * MS)) == 0
    assert held(order, Seen(NOW + 5 * MS, NOW + 1 * MS)) == 200, "one from before the fill does not"
    assert held(order, Seen(NOW - 5 * MS, NOW + 900 * MS)) == 200, "nor one from before the order, with a clock ahead"
    assert held(order, Seen(NOW + 10 * MS, NOW - 900 * MS)) == 0, "the next one does, whatever its event time"


def test_a_resting_order_that_is_queried_repeatedly_is_reserved_once() -> None:
    order = reported(routed(SPOT), OrderState.WORKING, 0)
    balance = seen(NOW + MS)
    assert held(order, balance) == 0
    for poll in range(1, 5):
        order = reported(order, OrderState.WORKING, 0, at=NOW + poll * 30_000 * MS)
        assert held(order, balance, NOW + poll * 30_000 * MS) == 0


def test_a_fill_of_reserved_funds_reserves_nothing_more() -> None:
    order = reported(routed(SPOT), OrderState.WORKING, 0)
    order = reported(order, OrderState.WORKING, 1, at=NOW + 60_000 * MS, time=NOW + 60_000 * MS)
    assert held(order, seen(NOW + MS), NOW + 60_001 * MS) == 0


def test_an_ended_order_reserves_only_its_fills() -> None:
    assert held(reported(routed(SPOT), OrderState.CANCELLED, 1), seen(NOW - 1), NOW) == 100


def test_a_reducing_order_reserves_nothing() -> None:
    order = routed(PERPETUAL, Side.SELL)
    closing = replace(order, legs=(replace(order.legs[0], reducing=Decimal(2)),))
    flipping = replace(order, legs=(replace(order.legs[0], reducing=Decimal("0.5")),))
    assert held(order, seen(NOW)) == 20
    assert held(closing, seen(NOW)) == 0
    assert held(flipping, seen(NOW)) == 15


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(-3_000, 3_000),
    st.lists(st.integers(0, 200)),
)
def test_funds_are_neither_reserved_twice_past_the_next_balance_nor_released_early(
    to_exchange: int, back: int, push: int, skew: int, others: list[int]
) -> None:
    """One order of 200 USDT is filled at once; every balance is the true free amount when the exchange wrote it.

    In milliseconds: the way to the exchange and back, the way of a push, the exchange's clock less ours, and when the
    exchange writes further balances.
    """
    filled_at = to_exchange
    order = reported(routed(SPOT), OrderState.FILLED, 2, NOW + (filled_at + back) * MS, NOW + (filled_at + skew) * MS)
    for written in sorted([filled_at, *others]):
        balance = Seen(NOW + (written + push) * MS, NOW + (written + skew) * MS)
        taken = 200 if written >= filled_at else 0
        under_way = held(order, balance)
        assert taken + under_way >= 200 or written + push >= filled_at + back, "free funds that do not exist"
        if written >= filled_at:
            assert under_way == 0, "what the balance shows is not reserved again"
