"""Sums over fills, in units of the base, and the cost of closing the positions."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isnan

import pytest
from msgspec.structs import replace

from neuroflux.domain import Fill, Liquidity, OrderCommand, Side
from neuroflux.manager.answers import ArbitrageAnswer
from neuroflux.manager.arbitrage import arbitrage_answer, pair_of
from neuroflux.manager.fill_sums import close_cost, legs
from neuroflux.manager.order_tracker import OrderTracker
from neuroflux.manager.view import View
from neuroflux.records import topics
from neuroflux.records.entries import Entry
from tests.neuroflux.manager.reports import NOW, SECOND, book, healthy_view, instrument, publish


def fill(exchange: str, symbol: str, side: Side, quantity: str = "2", price: str = "100", fee: str = "0.1") -> Fill:
    figures = (Decimal(price), Decimal(quantity), Decimal(fee), "USDC", Liquidity.TAKER, NOW)
    return Fill("o", exchange, symbol, "c", "x", f"{exchange}{side}{price}{quantity}", side, *figures)


LONG = fill("binanceusdm", "BTC/USDC:USDC", Side.BUY)
SHORT = fill("hyperliquid", "BTC/USDC:USDC", Side.SELL, price="103")


def with_fees() -> View:
    view = healthy_view()
    for exchange in ("binanceusdm", "hyperliquid"):
        publish(view, topics.INSTRUMENTS, instrument(exchange, "BTC/USDC:USDC", taker_fee=Decimal("0.001")))
    return view


def sum_fills(view: View, fills: Sequence[Fill]) -> ArbitrageAnswer:
    command: OrderCommand = pair_of(
        {
            "symbol": "BTC/USD",
            "buy_exchange": "binanceusdm",
            "buy_symbol": "BTC/USDC:USDC",
            "sell_exchange": "hyperliquid",
            "sell_symbol": "BTC/USDC:USDC",
            "quantity": 2,
        }
    )
    tracker = OrderTracker()
    with tracker.track(command.order_id) as tracked:
        for one in fills:
            tracker.add(Entry(topics.FILLS, 0, 0, command.order_id, one, b"", "", NOW))
        return arbitrage_answer(view, command, tracked, NOW - SECOND, NOW)


def test_the_profit_of_a_pair_of_perpetuals_excludes_the_closing_cost() -> None:
    """96.12 USD were called realised, of which 64.39 were left when both positions were closed."""
    reports = sum_fills(with_fees(), [LONG, SHORT])
    assert reports["entry_edge"] == pytest.approx(2 * 3 - 0.2)
    assert reports["exit_cost"] == pytest.approx(2 * (0.1 + 0.1) + 2 * (99.9 + 100.1) * 0.001)
    assert reports["profit_realized"] == pytest.approx(reports["entry_edge"] - reports["exit_cost"])
    assert reports["fees_paid"] == pytest.approx(0.2)
    assert reports["execution_time"] == 1.0


def test_hedged_quantities_and_spot_have_no_closing_cost() -> None:
    view = with_fees()
    closed = fill("binanceusdm", "BTC/USDC:USDC", Side.SELL, price="101")
    assert close_cost(view, [LONG, closed], NOW) == 0
    assert close_cost(view, [fill("binance", "BTC/USDC", Side.BUY)], NOW) == 0
    assert close_cost(view, [], NOW) == 0
    assert sum_fills(view, [])["profit_realized"] == 0


def test_a_basis_trade_closes_both_legs() -> None:
    view = with_fees()
    legs_of = [fill("binance", "BTC/USDC", Side.BUY), SHORT]
    assert close_cost(view, legs_of, NOW) == pytest.approx(2 * 0.1 + 2 * 0.1 + 2 * 100.1 * 0.001)


def test_without_a_book_the_closing_cost_is_unknown() -> None:
    view = View()
    publish(view, topics.INSTRUMENTS, instrument("binanceusdm", "BTC/USDC:USDC"))
    assert isnan(close_cost(view, [LONG], NOW))
    assert isnan(sum_fills(view, [LONG, SHORT])["profit_realized"])


def test_legs_are_in_units_of_the_base() -> None:
    view = healthy_view()
    thousand = instrument("hyperliquid", "PEPE/USDC:USDC", multiplier=1000)
    publish(view, topics.INSTRUMENTS, thousand)
    publish(view, topics.BOOKS, book("hyperliquid", "PEPE/USDC:USDC", 10.0), NOW + SECOND)
    parts = [fill("hyperliquid", "PEPE/USDC:USDC", Side.BUY, "50", price) for price in ("9", "11")]
    (leg,) = legs(view, parts)
    assert (leg["quantity"], leg["average_price"], leg["currency"]) == (100_000.0, 0.01, "USDC")


def test_an_unpriced_fee_makes_the_sum_unknown_and_is_listed() -> None:
    reports = sum_fills(with_fees(), [LONG, replace(SHORT, fee_asset="BNB")])
    assert isnan(reports["fees_paid"])
    assert isnan(reports["profit_realized"])
    assert reports["execution_details"]["unpriced"] == ["BNB"]
    free = replace(SHORT, fee_asset="BNB", fee=Decimal(0))
    assert sum_fills(with_fees(), [LONG, free])["fees_paid"] == pytest.approx(0.1)
