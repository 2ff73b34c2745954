"""``scan_arbitrage_opportunities``: open, profitable, best first."""

from decimal import Decimal
from math import isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import ControlCommand, ControlKind
from neuroflux.errors import UsageError
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS
from neuroflux.manager.answers import micros
from neuroflux.manager.arbitrage import pair_of
from neuroflux.manager.opportunities import opportunities
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import (
    NOW,
    SECOND,
    balance,
    book,
    healthy_view,
    instrument,
    position,
    publish,
    signal,
)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 5)), max_size=8))
def test_open_profitable_signals_are_listed_best_first(reports: list[tuple[float, float]]) -> None:
    view = View()
    for number, (profit, expires_in) in enumerate(reports):
        publish(view, topics.SIGNALS, signal(str(number), profit, expires_in))
    found = opportunities(view, NOW)
    profits = [one["expected_profit"] for one in found]
    least = ARBITRAGE_THRESHOLDS["min_profit_usd"]
    assert profits == sorted(profits, reverse=True)
    assert all(profit >= least for profit in profits)
    assert all(micros(one["expires_at"]) > NOW for one in found)
    assert len(found) == sum(profit >= least and int(left * SECOND) > 0 for profit, left in reports)


def test_an_opportunity_has_all_that_the_execution_needs() -> None:
    view = View()
    publish(view, topics.SIGNALS, signal())
    (found,) = opportunities(view, NOW)
    assert found["symbol"] == found["market"] == "BTC/USD"
    assert (found["buy_exchange"], found["sell_exchange"]) == ("binance", "hyperliquid")
    assert (found["gross_profit"], found["fees"], found["conversion_cost"]) == (12.0, 1.0, 1.0)
    assert found["causes"] == [{"topic": "market.books", "partition": 0, "offset": 1}]


def test_a_low_profit_fraction_is_excluded() -> None:
    view = View()
    publish(view, topics.SIGNALS, signal(profit=0.9, quantity=100.0))
    assert opportunities(view, NOW, {"min_profit_usd": 0.5, "min_profit_fraction": 0.0001}) == []
    assert opportunities(view, NOW, {"min_profit_usd": 0.5, "min_profit_fraction": 0.00005})


def test_a_halted_exchange_has_no_opportunities() -> None:
    view = View()
    publish(view, topics.SIGNALS, signal())
    publish(view, topics.CONTROL, ControlCommand(account="hyperliquid", kind=ControlKind.HALT))
    assert opportunities(view, NOW) == []


def test_a_newer_signal_replaces_an_older_one() -> None:
    view = View()
    publish(view, topics.SIGNALS, signal("old", expires_in=1))
    publish(view, topics.SIGNALS, signal("new", expires_in=9, event_time=NOW + 2 * SECOND))
    assert [one["signal_id"] for one in opportunities(view, NOW)] == ["new"], "memory holds no more than is open"


# ── what the accounts can do ─────────────────────────────────────────────────────────────────────────────────────


def crossed(free: str = "490", held: str = "1000") -> View:
    """Binance sells 10 at 100 and Hyperliquid buys 10 at 101, both spot; the accounts have USDC and BTC."""
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("hyperliquid", "BTC/USDC"))
    publish(view, topics.BOOKS, book("binance", "BTC/USDC", 99.9, half=0.1))
    publish(view, topics.BOOKS, book("hyperliquid", "BTC/USDC", 101.1, half=0.1))
    publish(view, topics.BALANCES, balance("binance", "USDC", free))
    publish(view, topics.BALANCES, balance("hyperliquid", "BTC", held))
    return view


def test_the_profit_is_of_the_fundable_quantity() -> None:
    """84 USD were promised on 333 SOL, but the account could fund only 58.8 SOL, for 18 USD."""
    view = crossed()
    publish(view, topics.SIGNALS, signal(profit=8.0))
    (found,) = opportunities(view, NOW)
    assert (found["quantity"], found["market_profit"]) == (10.0, 8.0)
    assert found["fundable_quantity"] == pytest.approx(490 * 0.98 / 100)
    assert found["expected_profit"] == pytest.approx(found["fundable_quantity"], rel=1e-6), "1 USD a unit by the books"
    assert pair_of(found).quantity == Decimal("4.802")


def test_the_seller_bounds_the_quantity_and_rich_accounts_take_all() -> None:
    view = crossed("1000000", "3")
    publish(view, topics.SIGNALS, signal(profit=8.0))
    assert opportunities(view, NOW)[0]["fundable_quantity"] == pytest.approx(3 * 0.98)
    rich = crossed("1000000")
    publish(rich, topics.SIGNALS, signal(profit=8.0))
    (found,) = opportunities(rich, NOW)
    assert (found["fundable_quantity"], found["expected_profit"]) == (10.0, 8.0)
    assert pair_of(found).quantity == 10


def test_an_unfunded_signal_is_excluded() -> None:
    view = crossed("0")
    publish(view, topics.SIGNALS, signal(profit=8.0))
    assert opportunities(view, NOW) == []


def test_unknown_funds_do_not_bound_the_quantity() -> None:
    view = View()
    publish(view, topics.SIGNALS, signal(profit=8.0, exit_cost=3.0, gross_profit=13.0))
    (found,) = opportunities(view, NOW)
    assert isnan(found["fundable_quantity"])
    assert (found["expected_profit"], found["exit_cost"], found["entry_edge"]) == (8.0, 3.0, 11.0)
    assert pair_of(found).quantity == 10


def test_prices_are_of_a_unit_of_the_base() -> None:
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("binance", "BTC/USDC", multiplier=1000))
    publish(view, topics.INSTRUMENTS, instrument("hyperliquid", "BTC/USDC"))
    publish(view, topics.SIGNALS, signal(buy_price=100_000.0))
    for free in ("binance", "hyperliquid"):
        publish(view, topics.BALANCES, balance(free, "USDC", "100000"))
    publish(view, topics.BALANCES, balance("hyperliquid", "BTC", "100"))
    (found,) = opportunities(view, NOW)
    assert (found["buy_price"], found["sell_price"]) == (100.0, 101.0)


def test_reducing_a_position_needs_no_funds() -> None:
    view = healthy_view()
    publish(view, topics.POSITIONS, replace(position("hyperliquid", "BTC/USDC:USDC", "0"), quantity=Decimal(4)))
    publish(view, topics.BALANCES, balance("hyperliquid", "USDC", "0"))
    publish(view, topics.BALANCES, balance("binance", "USDC", "100000"))
    publish(view, topics.SIGNALS, signal(profit=9.0, sell_symbol="BTC/USDC:USDC"))
    assert opportunities(view, NOW)[0]["fundable_quantity"] == 4.0


def test_the_command_requires_a_profit_above_the_closing_cost() -> None:
    whole: dict[str, Any] = {"symbol": "BTC/USD", "quantity": 10, "exit_cost": 3.0, "fundable_quantity": 5.0}
    whole |= {f"{side}_{what}": what for side in ("buy", "sell") for what in ("exchange", "symbol")}
    assert pair_of(whole).min_profit == 1.5
    del whole["exit_cost"]
    assert pair_of(whole).min_profit == 0
    for odd in (float("nan"), float("inf"), -1.0, "much", True):
        with pytest.raises(UsageError, match="exit_cost"):
            pair_of(whole | {"exit_cost": odd})


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1, 0, "much", None])
def test_an_invalid_quantity_is_refused(odd: Any) -> None:
    whole = {f"{side}_{what}": what for side in ("buy", "sell") for what in ("exchange", "symbol")}
    with pytest.raises(UsageError, match="quantity"):
        pair_of(whole | {"symbol": "BTC/USD", "quantity": odd})
