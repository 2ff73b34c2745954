"""``route_order``: the costs and the backups it answers are those of the decision that the engine made."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import OrderCommand, Side
from neuroflux.engine.routing.strategies import Routed
from neuroflux.manager.answers import RouteOrderAnswer
from neuroflux.manager.order_answer import route_order_answer
from neuroflux.manager.order_tracker import OrderTracker
from neuroflux.manager.view import View
from neuroflux.records import topics
from neuroflux.records.entries import Entry
from tests.neuroflux.engine.routing.test_strategies import choose, instrument, order, prospect, reasons
from tests.neuroflux.manager.reports import NOW, publish

STEEP = [(100.0, 1.0), (110.0, 9.0)]


def answered(command: OrderCommand, routed: Routed) -> RouteOrderAnswer:
    """What the façade makes of the engine's decision."""
    view, tracker = View(), OrderTracker()
    for candidate in routed.decision.candidates:
        publish(view, topics.INSTRUMENTS, instrument(candidate.exchange))
    with tracker.track(command.order_id) as tracked:
        tracker.add(Entry(topics.DECISIONS, 0, 0, command.order_id, routed.decision, b"", "", NOW))
        return route_order_answer(view, command, tracked)


def named(reported: RouteOrderAnswer) -> float:
    """The all-in cost in USD that the reason names."""
    found = re.search(r"all-in cost (-?[\d,.]+) USD", reported["routing_reason"])
    assert found, reported["routing_reason"]
    return float(found[1].replace(",", ""))


def test_a_split_is_answered_with_what_its_slices_cost() -> None:
    """The figures of the whole quantity, taken by share, made 29.74 USD of an order that cost 18.32."""
    command = order("2")
    routed = choose(command, prospect(instrument("a", fee="0.002"), STEEP), prospect(instrument("b"), STEEP))
    reported = answered(command, routed)
    assert {one["exchange"]: one["quantity"] for one in reported["chosen"]} == {"a": 1.0, "b": 1.0}
    fee, spread = 100 * 0.002 + 100 * 0.001, 2 * 0.05
    expected = {"fee": fee, "spread": spread, "slippage": 0.0, "conversion": 0.0, "total": fee + spread}
    assert reported["estimated_costs"] == pytest.approx(expected)
    assert named(reported) == pytest.approx(reported["estimated_costs"]["total"], abs=1e-4)


@given(st.sampled_from(Side), st.floats(0.1, 9), st.floats(0.99, 1.01))
def test_the_answered_total_is_the_reasons_and_the_sum_of_its_parts(side: Side, quantity: float, rate: float) -> None:
    asks, bids = [(100.0, 1.0), (100.5, 4.0), (103.0, 5.0)], [(99.9, 1.0), (99.4, 4.0), (97.0, 5.0)]
    command = order(str(round(quantity, 3)), side=side)
    other = prospect(instrument("b", fee="0.0015"), asks, bids, rate=rate)
    reported = answered(command, choose(command, prospect(instrument("a"), asks, bids), other))
    costs = reported["estimated_costs"]
    assert costs["total"] == pytest.approx(named(reported), abs=1e-4)
    assert costs["total"] == pytest.approx(sum(cost for name, cost in costs.items() if name != "total"))


def test_an_exchange_without_the_funds_is_no_backup() -> None:
    """Hyperliquid was named as a backup while the account there held none of what was sold."""
    command = order("1", side=Side.SELL)
    rich, spare = prospect(instrument("rich")), prospect(instrument("spare", fee="0.002"))
    broke = prospect(instrument("broke"), bids=[(99.8, 5.0)], free="0")
    routed = choose(command, rich, spare, broke)
    assert reasons(routed) == {"rich": "", "spare": "", "broke": "funds"}
    assert answered(command, routed)["backup_exchanges"] == ["spare"]
