"""``scan_arbitrage_opportunities``: open, worth it, best first."""

from hypothesis import given
from hypothesis import strategies as st

from neuroflux import topics
from neuroflux.domain import ControlCommand, ControlKind
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS
from neuroflux.manager.answers import micros
from neuroflux.manager.mirror import Mirror
from neuroflux.manager.opportunities import opportunities
from tests.neuroflux.manager.told import NOW, SECOND, signal, tell


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 5)), max_size=8))
def test_they_are_open_and_worth_it_and_best_first(told: list[tuple[float, float]]) -> None:
    mirror = Mirror()
    for number, (profit, expires_in) in enumerate(told):
        tell(mirror, topics.SIGNALS, signal(str(number), profit, expires_in))
    found = opportunities(mirror, NOW)
    profits = [one["expected_profit"] for one in found]
    least = ARBITRAGE_THRESHOLDS["min_profit_usd"]
    assert profits == sorted(profits, reverse=True)
    assert all(profit >= least for profit in profits)
    assert all(micros(one["expires_at"]) > NOW for one in found)
    assert len(found) == sum(profit >= least and int(left * SECOND) > 0 for profit, left in told)


def test_everything_the_execution_needs_is_there() -> None:
    mirror = Mirror()
    tell(mirror, topics.SIGNALS, signal())
    (found,) = opportunities(mirror, NOW)
    assert found["symbol"] == found["market"] == "BTC/USD"
    assert (found["buy_exchange"], found["sell_exchange"]) == ("binance", "hyperliquid")
    assert (found["gross_profit"], found["fees"], found["conversion_cost"]) == (12.0, 1.0, 1.0)
    assert found["causes"] == [{"topic": "market.books", "partition": 0, "offset": 1}]


def test_a_thin_margin_on_much_money_is_left_out() -> None:
    mirror = Mirror()
    tell(mirror, topics.SIGNALS, signal(profit=0.9, quantity=100.0))
    assert opportunities(mirror, NOW, {"min_profit_usd": 0.5, "min_profit_fraction": 0.0001}) == []
    assert opportunities(mirror, NOW, {"min_profit_usd": 0.5, "min_profit_fraction": 0.00005})


def test_a_halted_exchange_offers_none() -> None:
    mirror = Mirror()
    tell(mirror, topics.SIGNALS, signal())
    tell(mirror, topics.CONTROL, ControlCommand(account="hyperliquid", kind=ControlKind.HALT))
    assert opportunities(mirror, NOW) == []


def test_a_signal_goes_when_a_later_one_comes() -> None:
    mirror = Mirror()
    tell(mirror, topics.SIGNALS, signal("old", expires_in=1))
    tell(mirror, topics.SIGNALS, signal("new", expires_in=9, event_time=NOW + 2 * SECOND))
    assert [one["signal_id"] for one in opportunities(mirror, NOW)] == ["new"], "memory holds no more than is open"
