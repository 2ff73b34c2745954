"""What fills came to, in units of the base, and what closing them costs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isnan

import pytest
from msgspec.structs import replace

from neuroflux.domain import Fill, Liquidity, OrderCommand, Side
from neuroflux.manager.answers import ArbitrageAnswer
from neuroflux.manager.arbitrage import answer, pair_of
from neuroflux.manager.fill_sums import closing, legs
from neuroflux.manager.order_tracker import Followers
from neuroflux.manager.view import View
from neuroflux.records import topics
from neuroflux.records.entries import Entry
from tests.neuroflux.manager.told import NOW, SECOND, all_well, book, instrument, tell


def fill(exchange: str, symbol: str, side: Side, quantity: str = "2", price: str = "100", fee: str = "0.1") -> Fill:
    figures = (Decimal(price), Decimal(quantity), Decimal(fee), "USDC", Liquidity.TAKER, NOW)
    return Fill("o", exchange, symbol, "c", "x", f"{exchange}{side}{price}{quantity}", side, *figures)


LONG = fill("binanceusdm", "BTC/USDC:USDC", Side.BUY)
SHORT = fill("hyperliquid", "BTC/USDC:USDC", Side.SELL, price="103")


def with_fees() -> View:
    view = all_well()
    for exchange in ("binanceusdm", "hyperliquid"):
        tell(view, topics.INSTRUMENTS, instrument(exchange, "BTC/USDC:USDC", taker_fee=Decimal("0.001")))
    return view


def settled(view: View, fills: Sequence[Fill]) -> ArbitrageAnswer:
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
    followers = Followers()
    with followers.follow(command.order_id) as followed:
        for one in fills:
            followers.take(Entry(topics.FILLS, 0, 0, command.order_id, one, b"", "", NOW))
        return answer(view, command, followed, NOW - SECOND, NOW)


def test_a_pair_of_perpetuals_has_not_earned_what_its_way_back_costs() -> None:
    """96.12 USD were called realised, of which 64.39 were left when both positions were closed."""
    told = settled(with_fees(), [LONG, SHORT])
    assert told["entry_edge"] == pytest.approx(2 * 3 - 0.2)
    assert told["exit_cost"] == pytest.approx(2 * (0.1 + 0.1) + 2 * (99.9 + 100.1) * 0.001)
    assert told["profit_realized"] == pytest.approx(told["entry_edge"] - told["exit_cost"])
    assert told["fees_paid"] == pytest.approx(0.2)
    assert told["execution_time"] == 1.0


def test_what_was_evened_out_costs_no_more_and_spot_nothing() -> None:
    view = with_fees()
    closed = fill("binanceusdm", "BTC/USDC:USDC", Side.SELL, price="101")
    assert closing(view, [LONG, closed], NOW) == 0
    assert closing(view, [fill("binance", "BTC/USDC", Side.BUY)], NOW) == 0
    assert closing(view, [], NOW) == 0
    assert settled(view, [])["profit_realized"] == 0


def test_a_basis_trade_has_both_of_its_legs_to_close() -> None:
    view = with_fees()
    legs_of = [fill("binance", "BTC/USDC", Side.BUY), SHORT]
    assert closing(view, legs_of, NOW) == pytest.approx(2 * 0.1 + 2 * 0.1 + 2 * 100.1 * 0.001)


def test_without_a_book_the_way_back_is_unknown() -> None:
    view = View()
    tell(view, topics.INSTRUMENTS, instrument("binanceusdm", "BTC/USDC:USDC"))
    assert isnan(closing(view, [LONG], NOW))
    assert isnan(settled(view, [LONG, SHORT])["profit_realized"])


def test_legs_are_in_units_of_the_base() -> None:
    view = all_well()
    thousand = instrument("hyperliquid", "PEPE/USDC:USDC", multiplier=1000)
    tell(view, topics.INSTRUMENTS, thousand)
    tell(view, topics.BOOKS, book("hyperliquid", "PEPE/USDC:USDC", 10.0), NOW + SECOND)
    parts = [fill("hyperliquid", "PEPE/USDC:USDC", Side.BUY, "50", price) for price in ("9", "11")]
    (leg,) = legs(view, parts)
    assert (leg["quantity"], leg["average_price"], leg["currency"]) == (100_000.0, 0.01, "USDC")


def test_a_fee_without_a_price_makes_the_sum_unknown_and_is_named() -> None:
    told = settled(with_fees(), [LONG, replace(SHORT, fee_asset="BNB")])
    assert isnan(told["fees_paid"])
    assert isnan(told["profit_realized"])
    assert told["execution_details"]["unpriced"] == ["BNB"]
    free = replace(SHORT, fee_asset="BNB", fee=Decimal(0))
    assert settled(with_fees(), [LONG, free])["fees_paid"] == pytest.approx(0.1)
