"""``route_order``: invalid requests, and an answer that is one snapshot of the order, in units of the base."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import Allocation, Candidate, OrderDecision, OrderEvent, OrderState, Side
from neuroflux.errors import UsageError
from neuroflux.manager.answers import RouteOrderAnswer
from neuroflux.manager.order_answer import has_fills, is_settled, route_order_answer
from neuroflux.manager.order_tracker import OrderTracker
from neuroflux.manager.orders import command_of
from neuroflux.manager.view import View
from neuroflux.records import topics
from neuroflux.records.entries import Entry
from tests.neuroflux.manager.reports import NOW, healthy_view, instrument, publish

MARKET = {"symbol": "BTC/USD", "side": "buy", "quantity": 0.1}
LIMIT = MARKET | {"type": "limit", "price": 90}
S = OrderState


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"price": 1.0}, "price"),
        ({"price": 0}, "price"),
        ({"price": float("nan")}, "price"),
        ({"type": "limit"}, "price"),
        ({"type": "limit", "price": float("nan")}, "price"),
        ({"type": "limit", "price": "Infinity"}, "price"),
        ({"type": "limit", "price": -5}, "price"),
        ({"quantity": float("nan")}, "quantity"),
        ({"quantity": float("inf")}, "quantity"),
        ({"quantity": "1_000"}, "quantity"),
        ({"quantity": "１"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"requirements": {"max_slippage": float("nan")}}, "max_slippage"),
        ({"requirements": {"max_slippage": -0.1}}, "max_slippage"),
        ({"requirements": {"max_fee": float("inf")}}, "max_fee"),
        ({"requirements": {"min_liquidity": float("nan")}}, "min_liquidity"),
        ({"requirements": {"min_liquidity": "much"}}, "requirements"),
        ({"order_id": "x" * 101}, "order_id"),
        ({"order_id": "a'b"}, "order_id"),
    ],
)
def test_invalid_requests_are_refused(change: dict[str, Any], named: str) -> None:
    """A market order with a price of 1 was filled at 149.94; a bound of NaN had no effect."""
    with pytest.raises(UsageError, match=named):
        command_of(healthy_view(), MARKET | change, "optimal")


def test_a_valid_request_is_read_exactly() -> None:
    assert command_of(healthy_view(), MARKET | {"price": None}, "optimal").price == 0
    command = command_of(healthy_view(), LIMIT | {"quantity": "1e-3", "requirements": {"max_fee": 1}}, "optimal")
    assert (command.quantity, command.price) == (Decimal("0.001"), Decimal(90))


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def event(
    state: OrderState,
    leg: str = "",
    filled: str = "0",
    average: str | None = "0",
    exchange: str = "binance",
    symbol: str = "BTC/USDC",
    reason: str = "",
) -> OrderEvent:
    price = None if average is None else Decimal(average)
    figures = (Side.BUY, Decimal(1), Decimal(filled), price, (), reason, NOW)
    return OrderEvent("o", state, exchange, symbol, leg, "", *figures)


def decision(*chosen: tuple[str, str, str], reason: str = "optimal: there") -> OrderDecision:
    parts = tuple(
        Allocation(exchange, symbol, Decimal(quantity), Decimal(100)) for exchange, symbol, quantity in chosen
    )
    figures = (100.0, 1.0, 0.1, 0.2, 0.3, 0.0, 0.6, 5.0, 1000.0, "online", 3.0, "")
    candidates = tuple(Candidate(exchange, symbol, *figures) for exchange, symbol, _ in chosen)
    return OrderDecision("o", "optimal", parts, reason, candidates, (), NOW)


ONE = decision(("binance", "BTC/USDC", "1"))


def answered(
    *records: OrderEvent | OrderDecision, request: Mapping[str, Any] = MARKET, view: View | None = None
) -> tuple[RouteOrderAnswer, bool]:
    """The answer for these records, and whether the order is settled."""
    view = view or healthy_view()
    command = command_of(view, dict(request) | {"order_id": "o"}, "optimal")
    tracker = OrderTracker()
    with tracker.track("o") as tracked:
        for record in records:
            topic = topics.DECISIONS if isinstance(record, OrderDecision) else topics.EVENTS
            tracker.add(Entry(topic, 0, 0, "o", record, b"", "", NOW))
        return route_order_answer(view, command, tracked), is_settled(command, tracked)


def test_the_end_of_a_leg_is_not_the_end_of_the_order() -> None:
    """22 of 24 rejected orders were returned as ``routed``: a leg's rejection counted as the exchange's answer."""
    began = (event(S.RECEIVED), ONE, event(S.ROUTED), event(S.REJECTED, "leg", reason="no"))
    reports, done = answered(*began)
    assert (reports["status"], reports["state"], done) == ("pending", "routed", False)
    reports, done = answered(*began, event(S.REJECTED, reason="no"))
    assert (reports["status"], reports["state"], done) == ("failed", "rejected", True)
    assert reports["routing_reason"] == "no"


@pytest.mark.parametrize(
    ("records", "done"),
    [
        ((ONE, event(S.ACKNOWLEDGED, "leg")), False),
        ((replace(ONE, candidates=(replace(ONE.candidates[0], spread=0.0),)), event(S.ACKNOWLEDGED, "leg")), True),
        ((ONE, event(S.WORKING, "leg", "0.4", "100")), True),
        ((ONE, event(S.ROUTED), event(S.WORKING, "leg", "1", "100")), False),
        ((ONE, event(S.ROUTED), event(S.FILLED, "leg", "1", "100"), event(S.FILLED, filled="1", average="100")), True),
        ((ONE, event(S.ACKNOWLEDGED, "leg"), event(S.CANCELLED)), True),
    ],
)
def test_a_crossing_limit_order_has_no_fills_at_its_acknowledgement(
    records: tuple[OrderEvent | OrderDecision, ...], done: bool
) -> None:
    """It was returned as resting with nothing filled, 65 ms after the exchange had filled it."""
    tracker = OrderTracker()
    with tracker.track("o") as tracked:
        for record in records:
            topic = topics.DECISIONS if isinstance(record, OrderDecision) else topics.EVENTS
            tracker.add(Entry(topic, 0, 0, "o", record, b"", "", NOW))
        assert has_fills(tracked) is done


@pytest.mark.parametrize("state", [S.REFUSED, S.REJECTED, S.EXPIRED, S.CANCELLED])
def test_an_order_that_ended_without_a_fill_has_failed(state: OrderState) -> None:
    reports, done = answered(ONE, event(state, reason="why"))
    assert (reports["status"], reports["state"], reports["routing_reason"], done) == (
        "failed",
        state.value,
        "why",
        True,
    )
    assert isnan(reports["average_price"])


@pytest.mark.parametrize("state", [S.FILLED, S.EXPIRED, S.CANCELLED])
def test_the_figures_of_an_ended_order_are_its_own(state: OrderState) -> None:
    reports, done = answered(
        ONE, event(S.ROUTED), event(S.FILLED, "leg", "0.4", "101"), event(state, filled="0.4", average="100.5")
    )
    assert (reports["status"], reports["state"], done) == ("routed", state.value, True)
    assert (reports["filled_quantity"], reports["average_price"]) == (0.4, 100.5)
    assert reports["average_price_currency"] == "USDC"


def test_a_filled_leg_waits_for_the_end_of_the_order() -> None:
    reports, done = answered(ONE, event(S.ROUTED), event(S.FILLED, "leg", "1", "100"))
    assert (reports["status"], done) == ("pending", False)
    assert (reports["filled_quantity"], reports["average_price"]) == (1.0, 100.0)


@pytest.mark.parametrize("average", ["0", None])
def test_an_unknown_price_is_never_0(average: str | None) -> None:
    reports, _ = answered(ONE, event(S.FILLED, filled="1", average=average))
    assert reports["filled_quantity"] == 1.0
    assert isnan(reports["average_price"])
    reports, done = answered(ONE, event(S.ROUTED), event(S.WORKING, "leg", "1", average), request=LIMIT)
    assert isnan(reports["average_price"])
    assert reports["status"] == "routed"
    assert not done, "the price is waited for"


def test_a_resting_order_is_routed_once_its_exchange_confirmed_it() -> None:
    reports, done = answered(ONE, event(S.ROUTED), event(S.SENDING, "leg"), request=LIMIT)
    assert (reports["status"], done) == ("pending", False)
    reports, done = answered(ONE, event(S.ROUTED), event(S.ACKNOWLEDGED, "leg"), request=LIMIT)
    assert (reports["status"], reports["state"], done) == ("routed", "routed", True)
    assert reports["filled_quantity"] == 0
    reports, done = answered(ONE, event(S.ROUTED), event(S.ACKNOWLEDGED, "leg"))
    assert (reports["status"], done) == ("pending", False), "a market order does not rest"


def test_every_chosen_leg_must_be_confirmed() -> None:
    both = decision(("binance", "BTC/USDC", "1"), ("hyperliquid", "BTC/USDC:USDC", "1"))
    first = event(S.ACKNOWLEDGED, "a")
    reports, done = answered(both, event(S.ROUTED), first, request=LIMIT)
    assert (reports["status"], done) == ("pending", False)
    second = event(S.IN_DOUBT, "b", exchange="hyperliquid", symbol="BTC/USDC:USDC")
    reports, done = answered(both, event(S.ROUTED), first, second, request=LIMIT)
    assert (reports["status"], done) == ("pending", False)


def test_the_decision_is_awaited_unless_the_order_is_refused() -> None:
    """The decision is on a topic of its own, and its record may arrive after the events."""
    for records, request in (
        ([event(S.FILLED, filled="1", average="100")], MARKET),
        ([event(S.ACKNOWLEDGED, "a")], LIMIT),
    ):
        assert not answered(*records, request=request)[1]
        assert answered(*records, ONE, request=request)[1]
    assert answered(event(S.REFUSED))[1], "what is refused at once was not decided about"


def test_unknown_figures_are_nan_and_not_0() -> None:
    reports, done = answered()
    assert (reports["status"], reports["state"], done) == ("pending", "", False)
    refused, _ = answered(decision(reason="funds: none"), event(S.REFUSED, reason="funds: none"))
    for one in (reports, refused):
        assert isnan(one["average_price"])
        assert isnan(one["execution_time"])
        assert set(one["estimated_costs"]) == {"fee", "spread", "slippage", "conversion", "total"}
        assert all(isnan(cost) for cost in one["estimated_costs"].values())
    assert refused["status"] == "failed"


# ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from([1, 10, 1000]), st.integers(1, 10**6), st.integers(1, 10**6), st.booleans())
def test_figures_are_per_unit_of_the_base(multiplier: int, quantity: int, cents: int, ended: bool) -> None:
    """The same order was answered with 50,000 or 50,000,000, depending on which of its records had arrived."""
    view = View()
    listed = instrument("hyperliquid", "PEPE/USDC:USDC", multiplier=multiplier)
    publish(view, topics.INSTRUMENTS, listed)
    wire, price = Decimal(quantity) / multiplier, Decimal(cents) / 100
    chosen = decision(("hyperliquid", "PEPE/USDC:USDC", str(wire)))
    where = {"exchange": "hyperliquid", "symbol": "PEPE/USDC:USDC"}
    leg = event(S.FILLED, "leg", str(wire), str(price * multiplier), **where)
    whole = (event(S.FILLED, "", str(quantity), str(price), **where),) if ended else ()
    reports, _ = answered(chosen, leg, *whole, request=MARKET | {"symbol": "PEPE/USD"}, view=view)
    assert reports["filled_quantity"] == pytest.approx(quantity)
    assert reports["average_price"] == pytest.approx(float(price))
    assert reports["chosen"] == [{**where, "quantity": pytest.approx(quantity)}]
    assert reports["average_price_currency"] == "USDC"


def test_legs_of_several_quotes_are_averaged_in_usd() -> None:
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("binance", "BTC/USDT"))
    both = decision(("binance", "BTC/USDC", "1"), ("binance", "BTC/USDT", "1"))
    legs = (event(S.WORKING, "a", "1", "100"), event(S.WORKING, "b", "1", "102", symbol="BTC/USDT"))
    reports, _ = answered(both, *legs, request=LIMIT, view=view)
    assert reports["average_price_currency"] == "USD"
    assert isnan(reports["average_price"]), "USDT has no rate here"
