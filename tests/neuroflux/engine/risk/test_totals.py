"""The limits of all orders together: each refuses by name just beyond its value, and not before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.domain import Fill, Instrument, InstrumentKind, OrderReport, OrderState, OrderType, Side
from neuroflux.engine.orders.inputs import Reported
from neuroflux.engine.orders.machine import step
from neuroflux.engine.orders.state import Leg
from neuroflux.engine.risk.daily_loss import DAY, DailyProfit, Holding
from neuroflux.engine.risk.limits import Limits, Seen
from neuroflux.engine.risk.totals import Totals, position_fault, totals_fault
from tests.neuroflux.engine.orders.test_machine import LEG, NOW, begin, fill, name, sent

LIMITS = Limits(1e9, 1.0, 5_000_000, 1_000.0, 3.0, 10.0, 500.0)
HERE = ("binance", "BTC")


@pytest.mark.parametrize(
    ("within", "beyond", "reads"),
    [
        (Totals(open_orders=2), Totals(open_orders=3), "open orders: 3 are open, 3 are allowed"),
        (Totals(recent_orders=9), Totals(recent_orders=10), "order rate: 10 in the last second, 10 are allowed"),
        (Totals(profit_today_usd=-500), Totals(profit_today_usd=-500.01), "daily loss: 500.01 USD were lost today"),
    ],
)
def test_a_limit_refuses_beyond_its_value_and_names_itself(within: Totals, beyond: Totals, reads: str) -> None:
    assert totals_fault(within, LIMITS) == ""
    assert totals_fault(beyond, LIMITS).startswith(reads)


def leg(quantity: str, side: Side = Side.BUY) -> Leg:
    """At 100 USD a unit."""
    return replace(LEG, quantity=Decimal(quantity), side=side)


@pytest.mark.parametrize(
    ("held", "wanted", "fine"),
    [
        ("0", leg("10"), True),
        ("0", leg("10.1"), False),
        ("9", leg("2"), False),
        ("-9", leg("2", Side.SELL), False),
        ("-9", leg("15"), True),
        ("50", leg("40", Side.SELL), True),
    ],
)
def test_a_position_is_bounded_and_may_always_be_reduced(held: str, wanted: Leg, fine: bool) -> None:
    fault = position_fault([wanted], Totals(held={HERE: Decimal(held)}), (), LIMITS)
    assert (fault == "") is fine
    assert fine or fault.startswith("position: it would reach")


def test_open_orders_count_towards_a_position_on_the_same_exchange_only() -> None:
    order = sent(leg("8"))
    assert position_fault([leg("3")], Totals(), [order], LIMITS)
    assert not position_fault([leg("3", Side.SELL)], Totals(), [order], LIMITS)
    elsewhere = replace(leg("8"), instrument=replace(LEG.instrument, exchange="hyperliquid"))
    assert not position_fault([leg("3")], Totals(), [sent(elsewhere)], LIMITS)


@pytest.mark.parametrize(
    ("result", "state", "left"),
    [(NOW - 1, OrderState.FILLED, 2), (NOW, OrderState.FILLED, 10), (NOW - 1, OrderState.REJECTED, 10)],
    ids=["filled, not reported", "filled and reported", "rejected"],
)
def test_a_fill_counts_until_the_position_reports_it(result: int, state: OrderState, left: int) -> None:
    """8 units at 100 USD, of 10 that are allowed."""
    quantity = Decimal(8) if state is OrderState.FILLED else Decimal(0)
    what = ("binance", "BTC/USDT", name(), "1", Side.BUY, OrderType.LIMIT, Decimal(100), Decimal(8))
    report = OrderReport(*what, quantity, Decimal(100), state, "", NOW)
    order = step(sent(leg("8")), Reported(name(), report), NOW).order
    totals = Totals(seen=lambda instrument: Seen(result, result))
    assert not position_fault([leg(str(left))], totals, [order], LIMITS)
    assert position_fault([leg(f"{left}.1")], totals, [order], LIMITS)


def test_a_leg_that_has_not_begun_counts() -> None:
    order = begin(replace(leg("3", Side.SELL), stage=0), replace(leg("8"), stage=1))
    assert [one.leg for one in order.attempts] == [0]
    assert position_fault([leg("3")], Totals(), [order], LIMITS)
    assert not position_fault([leg("2")], Totals(), [order], LIMITS)


# ── a day ────────────────────────────────────────────────────────────────────────────────────────────────────────────

MIDNIGHT = NOW - NOW % DAY + DAY


def traded(side: Side, price: str, quantity: str, at: int = MIDNIGHT, fee: str = "1") -> Fill:
    figures = {"price": Decimal(price), "quantity": Decimal(quantity), "fee": Decimal(fee)}
    return replace(fill(0), side=side, event_time=at, **figures)


def taken(day: DailyProfit, *fills: Fill) -> None:
    """Each fill was written at its own time."""
    for one in fills:
        day.take(one, one.event_time)


def usd(day: DailyProfit, mid: float | None = None, now: int = MIDNIGHT) -> float | None:
    return day.usd({"USDT": 1.0}.get, lambda exchange, symbol: mid, now, find)


def find(exchange: str, symbol: str, base: str = "", quote: str = "", multiplier: int = 1) -> Instrument:
    """The instrument that a symbol implies by default."""
    pair, _, settle = symbol.partition(":")
    named = pair.split("/")
    kind = InstrumentKind.PERPETUAL if settle else InstrumentKind.SPOT
    assets: dict[str, Any] = {"base": base or named[0], "quote": quote or named[1], "settle": settle}
    names: dict[str, Any] = {"exchange": exchange, "symbol": symbol, "market": f"{named[0]}/USD", "name": symbol}
    return Instrument(**names, **assets, kind=kind, multiplier=multiplier)


def test_a_round_trip_earns_its_proceeds_less_the_fees() -> None:
    day = DailyProfit()
    taken(day, traded(Side.BUY, "100", "2"))
    taken(day, traded(Side.SELL, "90", "2"))
    assert usd(day) == -22


def test_what_is_still_held_is_marked_to_the_market_and_without_one_nothing_is_known() -> None:
    day = DailyProfit()
    taken(day, traded(Side.BUY, "100", "2"))
    assert usd(day, 130.0) == 59
    assert usd(day) is None


def test_without_a_rate_of_what_was_paid_nothing_is_known_and_the_limit_refuses() -> None:
    day = DailyProfit()
    taken(day, traded(Side.BUY, "70000", "2"))
    taken(day, traded(Side.SELL, "35000", "2"))
    assert usd(day) == -70_002
    assert day.usd(lambda asset: None, lambda exchange, symbol: 35_000.0, MIDNIGHT, find) is None
    fault = totals_fault(Totals(profit_today_usd=None), LIMITS)
    assert fault.startswith("daily loss: unknown")
    assert totals_fault(Totals(profit_today_usd=None), replace(LIMITS, max_daily_loss_usd=float("inf"))) == ""


@pytest.mark.parametrize("mid", [5_000.0, 10_000.0, 15_000.0, None])
def test_selling_a_holding_ends_its_price_risk(mid: float | None) -> None:
    day = DailyProfit()
    taken(day, traded(Side.SELL, "10000", "1"))
    assert usd(day, mid) == -1


def perpetual(side: Side, price: str, quantity: str) -> Fill:
    return replace(traded(side, price, quantity, fee="0"), symbol="BTC/USDT:USDT")


@pytest.mark.parametrize(
    ("held_now", "sold", "profit"),
    [("0", "1", 0), ("-1", "1", 10), ("-1", "2", 10), ("2", "1", 0), (None, "1", 10)],
)
def test_a_sale_closes_what_was_long_at_midnight_and_the_rest_is_short(
    held_now: str | None, sold: str, profit: int
) -> None:
    """Sold at 100, the market is at 90 now; an unknown position counts as 0 at midnight."""
    day = DailyProfit()
    taken(day, perpetual(Side.SELL, "100", sold))

    def held(exchange: str, symbol: str) -> Decimal | None:
        return None if held_now is None else Decimal(held_now)

    assert day.usd({"USDT": 1.0}.get, lambda exchange, symbol: 90.0, MIDNIGHT, find, held) == profit


def test_a_holding_is_valued_at_the_first_price_of_the_day() -> None:
    """Long at midnight: closed in two steps, 100 and 90; the second lost 10 against the first."""
    day = DailyProfit()
    taken(day, perpetual(Side.SELL, "100", "1"))
    taken(day, perpetual(Side.SELL, "90", "1"))
    flat: Holding = lambda exchange, symbol: Decimal(0)  # noqa: E731
    assert day.usd({"USDT": 1.0}.get, lambda exchange, symbol: 50.0, MIDNIGHT, find, flat) == -10


def test_a_fee_in_an_asset_without_a_rate_counts_for_the_most_it_can_be() -> None:
    day = DailyProfit()
    taken(day, replace(traded(Side.BUY, "100", "2", fee="0.01"), fee_asset="BNB"))
    assert usd(day, 100.0) == -2
    assert day.usd({"USDT": 1.0, "BNB": 600.0}.get, lambda exchange, symbol: 100.0, MIDNIGHT, find) == -6


def test_a_fee_in_what_was_bought_is_no_less_than_it_is_worth() -> None:
    day = DailyProfit()
    taken(day, replace(traded(Side.BUY, "100", "2", fee="0.5"), fee_asset="BTC"))
    assert usd(day, 100.0) == -50


def test_a_new_day_begins_at_zero_and_ignores_late_fills_of_the_old_one() -> None:
    day = DailyProfit()
    taken(day, traded(Side.BUY, "100", "2"))
    assert usd(day, 0.5, MIDNIGHT + DAY) == 0
    taken(day, traded(Side.SELL, "100", "1", MIDNIGHT + DAY))
    taken(day, traded(Side.BUY, "100", "2", MIDNIGHT + DAY - 1))
    assert usd(day, 100.0, MIDNIGHT + DAY) == -1


def on(exchange: str, symbol: str, side: Side, price: str, quantity: str) -> Fill:
    asset = symbol.partition("/")[2].partition(":")[0]
    return replace(traded(side, price, quantity, fee="0"), exchange=exchange, symbol=symbol, fee_asset=asset)


@pytest.mark.parametrize("mid", [30_000.0, 60_000.0, 90_000.0])
@pytest.mark.parametrize(
    ("sold", "held_now"),
    [
        (("b", "BTC/USDC"), "0"),
        (("a", "BTC/USDC"), "0"),
        (("b", "BTC/USDT:USDT"), "-10"),
        (("b", "BTC/USDT:USDT"), "0"),
    ],
    ids=["elsewhere", "another quote", "a new short", "a long that was held"],
)
@pytest.mark.parametrize("order", [1, -1])
def test_buying_here_and_selling_there_earns_the_difference_whatever_the_price_does(
    mid: float, sold: tuple[str, str], held_now: str, order: int
) -> None:
    day = DailyProfit()
    taken(day, *[on("a", "BTC/USDT", Side.BUY, "60000", "10"), on(*sold, Side.SELL, "60100", "10")][::order])

    def held(exchange: str, symbol: str) -> Decimal:
        return Decimal(held_now)

    assert day.usd({"USDT": 1.0, "USDC": 1.0}.get, lambda exchange, symbol: mid, MIDNIGHT, find, held) == 1_000


@pytest.mark.parametrize(("bought", "profit"), [("1", 0), ("0.5", 0), ("2", -10)])
def test_a_sale_of_what_was_held_is_none_as_far_as_a_contract_is_bought_for_it(bought: str, profit: int) -> None:
    """1,000 sold at 100, as many bought in a contract of 1,000 at 100; the market is at 90 now."""
    day = DailyProfit()
    taken(day, on("a", "X/USDT", Side.SELL, "0.1", "1000"))
    taken(day, on("b", "X/USDT:USDT", Side.BUY, "100", bought))

    def mid(exchange: str, symbol: str) -> float:
        return 0.09 if exchange == "a" else 90.0

    def held(exchange: str, symbol: str) -> Decimal:
        return Decimal(bought)

    def listed(exchange: str, symbol: str) -> Instrument:
        return find(exchange, symbol, multiplier=1_000 if exchange == "b" else 1)

    assert day.usd({"USDT": 1.0}.get, mid, MIDNIGHT, listed, held) == pytest.approx(profit)


def test_a_wrapped_coin_is_not_the_coin_whichever_was_bought_first() -> None:
    """UBTC trades as BTC/USDC on Hyperliquid; it lost half of its value, and BTC did not."""
    bought = [on("a", "BTC/USDT", Side.BUY, "60000", "0.001"), on("hl", "BTC/USDC", Side.BUY, "60000", "1")]

    def listed(exchange: str, symbol: str) -> Instrument:
        return find(exchange, symbol, base="UBTC" if exchange == "hl" else "")

    def mid(exchange: str, symbol: str) -> float:
        return 30_000.0 if exchange == "hl" else 60_000.0

    for fills in (bought, bought[::-1]):
        day = DailyProfit()
        taken(day, *fills)
        assert day.usd({"USDT": 1.0, "USDC": 1.0}.get, mid, MIDNIGHT, listed) == pytest.approx(-30_000)


def test_what_was_sold_for_a_bridged_dollar_is_worth_its_rate() -> None:
    """HYPE bought for USDC and sold for USDT0, whose symbol names USDT."""
    day = DailyProfit()
    taken(day, on("hl", "HYPE/USDC", Side.BUY, "40", "100"), on("hl", "HYPE/USDT", Side.SELL, "40", "100"))

    def listed(exchange: str, symbol: str) -> Instrument:
        return find(exchange, symbol, quote="USDT0" if symbol.endswith("USDT") else "")

    rates = {"USDT": 1.0, "USDC": 1.0, "USDT0": 0.5}
    assert day.usd(rates.get, lambda exchange, symbol: 40.0, MIDNIGHT, listed) == -2_000


def test_a_coin_and_its_contract_of_a_thousand_are_one_asset() -> None:
    """100,000,000 held are sold, and 100,000 contracts of 1,000 bought for them; then the price halves."""
    day = DailyProfit()
    taken(day, on("a", "PEPE/USDT", Side.SELL, "0.00001", "100000000"))
    taken(day, on("hl", "KPEPE/USDC:USDC", Side.BUY, "0.01", "100000"))

    def listed(exchange: str, symbol: str) -> Instrument:
        return find(exchange, symbol, base="PEPE", multiplier=1_000 if exchange == "hl" else 1)

    def mid(exchange: str, symbol: str) -> float:
        return 0.005 if exchange == "hl" else 0.000005

    rates = {"USDT": 1.0, "USDC": 1.0}
    held: Holding = lambda exchange, symbol: Decimal(100_000)  # noqa: E731
    assert day.usd(rates.get, mid, MIDNIGHT, listed, held) == pytest.approx(0)


def test_the_profit_of_an_unlisted_instrument_is_unknown() -> None:
    day = DailyProfit()
    taken(day, traded(Side.BUY, "100", "2"))
    assert day.usd({"USDT": 1.0}.get, lambda exchange, symbol: 100.0, MIDNIGHT, lambda exchange, symbol: None) is None


@pytest.mark.parametrize("ahead", [8_000_000, DAY])
def test_a_fill_written_for_another_day_does_not_change_this_one(ahead: int) -> None:
    day, now = DailyProfit(), MIDNIGHT + DAY - 5_000_000
    day.take(traded(Side.BUY, "100", "2"), now - 2)
    day.take(traded(Side.BUY, "100", "1"), now + ahead)
    day.take(traded(Side.SELL, "90", "2"), now - 1)
    assert usd(day, 100.0, now) == -22
    assert usd(day, 100.0, now + ahead) == -1


def test_a_fill_counts_for_the_day_it_was_received_on_whatever_the_exchanges_clock() -> None:
    day = DailyProfit()
    for ahead in (-8_000_000, 8_000_000, DAY, -DAY):
        day.take(traded(Side.BUY, "100", "1", MIDNIGHT + ahead), MIDNIGHT)
    assert usd(day, 100.0) == -4
