"""``optimize_execution_parameters``: the input of the engine, and the form of its advice."""

from typing import Any

import pytest

from neuroflux.domain import Side
from neuroflux.engine.risk.limits import limits_of
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.exchanges.config import ORDER_LIMITS
from neuroflux.manager.optimise import advise, read_order
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, balance, healthy_view, publish

LIMITS = limits_of(ORDER_LIMITS)


def test_the_sign_of_the_size_is_the_side() -> None:
    assert read_order("BTC/USD", 1.5, "normal").side is Side.BUY
    sale = read_order("BTC/USD", -1.5, "normal")
    assert (sale.side, float(sale.quantity)) == (Side.SELL, 1.5)


@pytest.mark.parametrize(
    ("size", "urgency", "named"),
    [
        (0, "normal", "order_size"),
        ("1", "normal", "order_size"),
        (True, "normal", "order_size"),
        (float("nan"), "normal", "order_size"),
        (1, "soon", "urgency"),
    ],
)
def test_wrong_use_names_the_argument(size: Any, urgency: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        read_order("BTC/USD", size, urgency)


def test_the_advice_uses_plain_numbers() -> None:
    view = healthy_view()
    publish(view, topics.BALANCES, balance("binance", "USDC", "10000"))
    answer = advise(view, read_order("BTC/USDC", 1.0, "critical"), LIMITS, "critical", (0.001,), NOW)
    assert answer["recommended_exchange"] == "binance"
    (part,) = answer["order_splitting"].values()
    assert part["quantity"] == 1.0
    assert isinstance(part["quantity"], float)
    assert answer["expected_slippage"] == pytest.approx(0.1, abs=1.5), "percent of the market's price"
    assert 0 <= answer["confidence_score"] <= 1


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(UnknownSymbol, match="NO/USD"):
        advise(healthy_view(), read_order("NO/USD", 1.0, "normal"), LIMITS, "normal", (), NOW)
