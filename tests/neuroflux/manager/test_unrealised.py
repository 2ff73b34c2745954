"""``get_unified_balance`` and ``track_portfolio_performance`` count the unrealised profit of positions alike."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import Position
from neuroflux.engine.portfolio.equity import history
from neuroflux.manager.balances import unified_balance
from neuroflux.manager.performance import holdings
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, balance, funding, healthy_view, publish

ALL = ("binance", "binanceusdm", "hyperliquid")
SYMBOL, MARK = "BTC/USDC:USDC", Decimal(100)
entries, quantities = st.decimals(50, 150, places=2), st.decimals(-9, 9, places=3)


def opened(view: View, exchange: str, quantity: Decimal, entry: Decimal) -> Decimal:
    """A position with its mark price; its unrealised profit."""
    publish(view, topics.POSITIONS, Position(exchange, SYMBOL, quantity, entry, Decimal(0), NOW))
    publish(view, topics.FUNDING, funding(exchange, SYMBOL, float(MARK)))
    return quantity * (MARK - entry)


def rows(view: View) -> Iterator[tuple[Any, ...]]:
    """The balances and positions of a view as the warehouse's ``equity`` has them, in the columns of ``HELD``."""
    for shown in (one.balance for one in view.balances.values()):
        price = 1.0 if shown.asset == "USDC" else view.prices[f"{shown.asset}/USD"].price
        profit = sum(
            one.quantity * (MARK - one.entry_price)
            for (exchange, symbol), one in view.positions.items()
            if exchange == shown.exchange and symbol.endswith(f":{shown.asset}")
        )
        wallet = float(shown.total - shown.unrealised_pnl)
        yield NOW, shown.exchange, shown.asset, wallet, price, NOW, float(profit)


@given(st.decimals(0, 10**6, places=2), quantities, quantities, entries, entries)
def test_the_total_is_the_equity_of_the_same_balances_and_positions(
    wallet: Decimal, here: Decimal, there: Decimal, entry: Decimal, other: Decimal
) -> None:
    """A balance of Hyperliquid holds the profit and one of USDⓈ-M does not: equity counted it on one of them alone."""
    view = healthy_view()
    usdm, hyperliquid = opened(view, "binanceusdm", here, entry), opened(view, "hyperliquid", there, other)
    publish(view, topics.BALANCES, balance("binance", "BTC", "0.5"))
    publish(view, topics.BALANCES, balance("binanceusdm", "USDC", str(wallet)))
    whole = replace(balance("hyperliquid", "USDC", str(900 + hyperliquid)), unrealised_pnl=hyperliquid)
    publish(view, topics.BALANCES, whole)
    (equity,) = history(holdings(rows(view), ALL))
    answer = unified_balance(view, ALL, None, NOW)
    assert answer["total_balance_usd"] == pytest.approx(equity.worth)
    assert answer["unrealised_pnl_usd"] == pytest.approx(float(usdm + hyperliquid))
