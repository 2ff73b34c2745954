"""Deposits and withdrawals are distinguished from trades, fees, lags and new accounts, and are not profit."""

from __future__ import annotations

import itertools
from decimal import Decimal
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import Instrument, InstrumentKind, Side
from neuroflux.engine.portfolio.equity import Flow, Holding, Transfer, attribution, history, profit, returns
from neuroflux.engine.portfolio.flows import MINUTE, Exposure, Movement, fee, flows, movements, settled, transfers
from neuroflux.engine.portfolio.performance import performance

NOW = 1_700_000_040_000_000
SPOT = Instrument(
    exchange="binance",
    symbol="BTC/USDC",
    market="BTC/USD",
    name="BTCUSDC",
    base="BTC",
    quote="USDC",
    kind=InstrumentKind.SPOT,
)
PERPETUAL = Instrument(
    exchange="hyperliquid",
    symbol="BTC/USDC:USDC",
    market="BTC/USD",
    name="BTC",
    base="BTC",
    quote="USDC",
    settle="USDC",
    kind=InstrumentKind.PERPETUAL,
)


def held(
    asset: str, *quantities: float, price: float = 1.0, exchange: str = "binance", start: int = 0
) -> list[Holding]:
    """One holding per minute, each reported in the middle of it."""
    at = [NOW + (start + number) * MINUTE for number in range(len(quantities))]
    return [
        Holding(time, exchange, asset, quantity, price, time + MINUTE // 2)
        for time, quantity in zip(at, quantities, strict=True)
    ]


def bought(minute: float, quantity: float, price: float) -> list[Movement]:
    return movements(SPOT, Side.BUY, (NOW + int(minute * MINUTE), price, quantity))


def test_a_deposit_and_a_withdrawal_are_flows_and_no_profit() -> None:
    holdings = held("USDC", 1000, 1500, 1500, 1200)
    assert flows(holdings, (), ()) == (
        [Flow(NOW + MINUTE, "binance", "USDC", 500.0), Flow(NOW + 3 * MINUTE, "binance", "USDC", -300.0)],
        [],
    )
    reported = performance(holdings, {})
    assert reported["performance_metrics"]["profit_usd"] == pytest.approx(0)
    assert reported["performance_metrics"]["flows_usd"] == pytest.approx(200)
    assert reported["performance_metrics"]["total_return"] == pytest.approx(0)
    assert reported["attribution_analysis"]["total"] == pytest.approx(0)


def test_a_trade_and_its_fee_are_not_flows() -> None:
    fee = Movement(NOW + MINUTE, "binance", "BTC", -0.001)
    holdings = held("USDC", 1000, 800) + held("BTC", 1.0, 2.999, price=100)
    assert flows(holdings, [*bought(1, 2.0, 100.0), fee], ()) == ([], [])
    (unpaid,) = flows(holdings, bought(1, 2.0, 100.0), ())[0]
    assert unpaid.asset == "BTC"
    assert unpaid.quantity == pytest.approx(-0.001)


def test_a_deposit_beside_a_trade_is_distinguished_from_it() -> None:
    holdings = held("USDC", 1000, 950) + held("BTC", 1.0, 3.0, price=100)
    (only,) = flows(holdings, bought(1, 2.0, 100.0), ())[0]
    assert only.asset == "USDC"
    assert only.quantity == pytest.approx(150.0)


def test_a_balance_whose_fill_is_not_stored_yet_is_ignored() -> None:
    """Both balances of a purchase are stored, but not its fill: there was no flow."""
    holdings = held("USDC", 1000, 1000, 800) + held("BTC", 1.0, 1.0, 3.0, price=100)
    until = {"binance": NOW + 2 * MINUTE}
    assert len(flows(holdings, (), ())[0]) == 2
    assert flows(settled(holdings, until), (), ()) == ([], [])
    at_once = held("USDC", 1000, start=2) + held("BTC", 1.0, price=100, start=2)
    assert settled(at_once, until) == at_once, "there is no earlier state"
    new = held("USDC", 1000, 1000, 800) + held("BTC", 2.0, price=100, start=2)
    assert {one.asset for one in settled(new, until)} == {"USDC"}
    (*_, last) = settled(held("BTC", 1.0, price=100) + held("BTC", 3.0, price=7, start=2), until)
    assert (last.quantity, last.price, last.reported) == (1.0, 7, NOW + MINUTE // 2)


def test_a_balance_that_is_carried_forward_is_one_report() -> None:
    """The next report is late, and the minutes between have rows too."""
    reported = held("USDC", 1000, 1000, 800)
    between = [Holding(NOW + 90 * 1_000_000, "binance", "USDC", 1000, 1.0, reported[1].reported)]
    assert flows(reported + between + held("BTC", 1.0, 3.0, 3.0, price=100), bought(1, 2.0, 100.0), ()) == ([], [])


def test_a_late_balance_is_not_a_flow() -> None:
    holdings = held("USDC", 1000, 1000, 800) + held("BTC", 1.0, 3.0, 3.0, price=100)
    assert flows(holdings, bought(1, 2.0, 100.0), ()) == ([], [])


def test_a_new_asset_on_a_known_exchange_is_a_deposit() -> None:
    holdings = held("USDC", 1000, 1000) + held("ETH", 2.0, price=10, start=1)
    assert flows(holdings, (), ())[0] == [Flow(NOW + MINUTE, "binance", "ETH", 2.0)]
    reported = performance(holdings, {})["performance_metrics"]
    assert (reported["profit_usd"], reported["flows_usd"]) == (pytest.approx(0), pytest.approx(20))


OPEN = Exposure("hyperliquid", "USDC", NOW, NOW + 99 * MINUTE)
CLOSED = Movement(NOW + 2 * MINUTE, "hyperliquid", "USDC", 0.0, on_margin=True)


def test_a_deposit_while_a_position_is_open_is_not_its_profit() -> None:
    holdings = held("USDC", 1000, 1500, 1500, 1200, exchange="hyperliquid")
    found, uncertain = flows(holdings, (), [OPEN])
    assert [one.quantity for one in found] == [500.0, -300.0]
    assert not uncertain
    assert performance(holdings, {}, (), [OPEN])["performance_metrics"]["profit_usd"] == pytest.approx(0)


def test_a_wallet_change_when_a_position_is_traded_is_profit_with_a_note() -> None:
    holdings = held("USDC", 1000, 1000, 1100, 1600, exchange="hyperliquid")
    found, uncertain = flows(holdings, [CLOSED], [OPEN])
    assert found == [Flow(NOW + 3 * MINUTE, "hyperliquid", "USDC", 500.0)], "later it can"
    assert uncertain == [("hyperliquid", "USDC")]
    reported = performance(holdings, {}, [CLOSED], [OPEN])
    assert reported["performance_metrics"]["profit_usd"] == pytest.approx(100)
    assert any(note.startswith("USDC on hyperliquid: while positions") for note in reported["notes"])


# ── what the exchange names ──────────────────────────────────────────────────────────────────────────────────────────


def named(*flows_of: tuple[float, float], exchange: str = "hyperliquid", asset: str = "USDC") -> list[Flow]:
    """Named flows at these minutes, of these quantities."""
    return [Flow(NOW + int(minute * MINUTE), exchange, asset, quantity) for minute, quantity in flows_of]


def test_a_named_deposit_seconds_from_a_position_trade_is_not_its_profit() -> None:
    """The position is closed with a profit of 100 while 500 arrive."""
    holdings = held("USDC", 1000, 1000, 1600, 1600, exchange="hyperliquid")
    assert performance(holdings, {}, [CLOSED], [OPEN])["performance_metrics"]["profit_usd"] == pytest.approx(600)
    reported = performance(holdings, {}, [CLOSED], [OPEN], named((1.95, 500)))
    figures = reported["performance_metrics"]
    assert (figures["profit_usd"], figures["flows_usd"]) == (pytest.approx(100), pytest.approx(500))
    assert figures["total_return"] == pytest.approx(0.1)


def test_a_named_withdrawal_at_the_time_of_funding_is_a_flow() -> None:
    start = 3_600_000_000 - NOW % 3_600_000_000  # the first minute of an hour
    holdings = [
        replace(one, time=one.time + start, reported=one.reported + start) for one in held("USDC", 1000, 899, 899)
    ]
    flow = Flow(holdings[1].reported, "binance", "USDC", -100.0)
    exposed = [Exposure("binance", "USDC", 0, NOW + start + 99 * MINUTE)]
    assert not flows(holdings, (), exposed)[0]
    (only,) = flows(holdings, (), exposed, [flow])[0]
    assert (only.time, only.quantity) == (holdings[1].time, -100.0), "the other dollar is funding"


@pytest.mark.parametrize("minute", [1.4, 1.6])
def test_a_named_flow_is_matched_to_the_change_that_shows_it(minute: float) -> None:
    """Two clocks: the flow's time is seconds before, or after, the balance that includes it."""
    for holdings, at in (
        (held("USDC", 1000, 1500, 1510, exchange="hyperliquid"), 1),
        (held("USDC", 1000, 1000, 1510, exchange="hyperliquid"), 2),
    ):
        (only,) = flows(holdings, [CLOSED], [OPEN], named((minute, 500)))[0]
        assert (only.time, only.quantity) == (NOW + at * MINUTE, 500)


def test_a_named_flow_is_not_deduced_again_and_an_unnamed_one_is() -> None:
    holdings = held("USDC", 1000, 1700, 1700, 1600, exchange="hyperliquid")
    assert [one.quantity for one in flows(holdings, (), (), named((0.9, 500)))[0]] == [700, -100]


def test_a_named_deposit_withdrawn_at_once_is_not_taken_for_a_late_balance() -> None:
    holdings = held("USDC", 1000, 1500, 1000, exchange="hyperliquid")
    assert not flows(holdings, (), ())[0]
    found, _ = flows(holdings, (), (), named((0.9, 500), (1.9, -500)))
    assert [one.quantity for one in found] == [500, -500]


def test_a_flow_before_the_first_balance_or_after_the_last_is_not_counted() -> None:
    holdings = held("USDC", 1500, 1500, exchange="hyperliquid")
    assert not flows(holdings, (), (), named((0.2, 500), (1.8, 300)))[0]


def test_earnings_beside_trades_are_profit() -> None:
    holdings, rebate = held("USDC", 1000, 1003), Movement(NOW + MINUTE, "binance", "USDC", 3.0)
    assert performance(holdings, {}, [rebate])["performance_metrics"]["profit_usd"] == pytest.approx(3)


def test_an_exchange_that_names_its_flows_gets_no_note() -> None:
    holdings = held("USDC", 1000, 1000, 1100, 1600, exchange="hyperliquid")
    assert flows(holdings, [CLOSED], [OPEN], named((0.1, 1)))[1] == []
    assert flows(holdings, [CLOSED], [OPEN], named((0.1, 1), exchange="binance"))[1] == [("hyperliquid", "USDC")]
    assert flows(holdings, [CLOSED], [OPEN], named((2.9, 500)))[1] == [("hyperliquid", "USDC")], "not yet, then"


@pytest.mark.parametrize("seconds", [-9, 9])
def test_a_wallet_that_shows_a_fill_early_or_late_has_no_deposit(seconds: int) -> None:
    """The fill's own time is nine seconds outside of the two balances between which the wallet changed."""
    holdings = held("USDC", 1000, 1000, 1100, exchange="hyperliquid")
    moved = [replace(CLOSED, time=holdings[1 if seconds < 0 else 2].reported + seconds * 1_000_000)]
    assert flows(holdings, moved, [OPEN])[0] == []


def test_the_loss_of_a_position_closed_without_a_known_fill_is_not_a_withdrawal() -> None:
    holdings = held("USDC", 1000, 1000, 400, 400, exchange="hyperliquid")
    assert flows(holdings, (), [replace(OPEN, end=NOW + 3 * MINUTE)])[0] == []


def test_funding_is_not_a_deposit() -> None:
    """The hour begins 14 minutes before NOW, and 46 after it."""
    start = (3600 - NOW // 1_000_000 % 3600) // 60 - 1
    holdings = held("USDC", 1000, 1000, 999, 998, 1098, 1098, 1198, exchange="hyperliquid", start=start - 1)
    found, uncertain = flows(holdings, (), [replace(OPEN, begin=0)])
    assert [one.quantity for one in found] == [100.0]
    assert found[0].time == holdings[6].time
    assert uncertain == [("hyperliquid", "USDC")]


def test_a_position_between_two_balances_is_known_by_its_fills() -> None:
    fill = movements(PERPETUAL, Side.BUY, (NOW + MINUTE, 100.0, 1.0))
    assert flows(held("USDC", 1000, 1010, exchange="hyperliquid"), fill, ())[0] == []


def test_a_flow_of_a_minute_without_prices_counts_in_the_next_snapshot() -> None:
    holdings = held("USDC", 1000, 1000, 1000) + [
        Holding(one.time, "binance", "ETH", one.quantity, price, one.reported)
        for one, price in zip(held("ETH", 0.0, 2.0, 2.0), (None, None, 10.0), strict=True)
    ]
    snapshots = history(holdings, flows(holdings, (), ())[0])
    assert profit(snapshots) == pytest.approx(0)


steps = st.lists(st.tuples(st.floats(-50, 50), st.floats(-500, 500), st.floats(50, 150)), min_size=2, max_size=20)


@given(steps)
def test_profit_is_what_prices_made_whatever_was_traded_and_moved(moves: list[tuple[float, float, float]]) -> None:
    """Bitcoins bought at each minute's price, dollars deposited at random: the profit is from prices only."""
    btc, cash, price = 1000.0, 1_000_000.0, 100.0
    holdings, moved, made, put = [], list[Movement](), 0.0, 0.0
    for minute, (quantity, deposit, after) in enumerate([(0.0, 0.0, 100.0), *moves]):
        made += btc * (after - price)
        btc, cash, price = btc + quantity, cash - quantity * after + deposit, after
        deposit = deposit if abs(deposit) > 0.01 else 0.0
        put += deposit
        moved += bought(minute + 0.25, quantity, after)
        holdings += held("BTC", btc, price=after, start=minute) + held("USDC", cash, start=minute)
    found, uncertain = flows(holdings, moved, ())
    snapshots = history(holdings, found)
    lagging = any(abs(one[1] + two[1]) <= 0.01 for one, two in itertools.pairwise(moves))
    assert not uncertain
    if not lagging:
        assert isclose(sum(one.quantity for one in found if one.asset == "USDC"), put, abs_tol=0.1)
    total = sum(one.total for one in attribution(snapshots))
    assert isclose(total, profit(snapshots), abs_tol=1e-3)
    assert isclose(profit(snapshots), made, abs_tol=0.05 * len(moves) + (1000 * len(moves) if lagging else 0))
    assert len(returns(snapshots)) == len(moves)


# ── what each asset gained ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_purchase_is_neither_a_gain_of_the_bought_asset_nor_a_loss_of_the_spent_one() -> None:
    """Two bitcoins at 100 that are worth 110 at the end of the minute, with a fee of a tenth of a BNB of 50 USD."""
    holdings = held("USDC", 1000, 800) + held("BTC", 1.0, 3.0, price=110) + held("BNB", 1.0, 0.9, price=50)
    moved = [*bought(1, 2.0, 100.0), fee(SPOT, NOW + MINUTE, "binance", (0.1, "BNB"))]
    assert performance(holdings, {}, moved)["attribution_analysis"]["by_asset"] == {
        "BNB": pytest.approx(0),
        "BTC": pytest.approx(2 * 10 - 5),
        "USDC": pytest.approx(0),
    }


def test_a_charge_waits_for_the_balance_that_includes_it() -> None:
    moved = [*bought(1.75, 2.0, 100.0), *bought(-1, 5.0, 100.0), *bought(7, 9.0, 100.0)]
    assert transfers(held("USDC", 1000, 1000, 800), moved) == [
        Transfer(NOW + 2 * MINUTE, "binance", "USDC", "BTC", -200.0)
    ], "a movement before the first balance is in it, and one after the last is not included yet"
    paid = fee(PERPETUAL, NOW, "hyperliquid", (0.1, "USDC"))
    assert paid == Movement(NOW, "hyperliquid", "USDC", -0.1, to="USDC")
    assert fee(None, NOW, "binance", (0.1, "BNB")).to == "", "the traded asset is unknown"


def test_unrealised_profit_is_profit_and_worth_on_every_exchange() -> None:
    """A hedged pair: what one side gains the other loses."""
    long = [
        Holding(one.time, "binanceusdm", "USDT", 1000, 1.0, one.reported, unrealised)
        for one, unrealised in zip(held("USDT", 0, 0, 0), (0, 119, 0), strict=True)
    ]
    short = [
        Holding(one.time, "hyperliquid", "USDC", wallet, 1.0, one.reported, unrealised)
        for one, (wallet, unrealised) in zip(held("USDC", 0, 0, 0), ((1000, 0), (1000, -120), (880, 0)), strict=True)
    ]
    exposed = [Exposure("hyperliquid", "USDC", NOW, NOW + 9 * MINUTE)]
    assert [one.worth for one in history(long + short)] == [2000, 1999, 1880]
    reported = performance(long + short, {}, [CLOSED], exposed)
    assert reported["performance_metrics"]["profit_usd"] == pytest.approx(-120)
    assert reported["attribution_analysis"]["by_exchange"] == {"binanceusdm": 0, "hyperliquid": pytest.approx(-120)}


fills = st.lists(
    st.tuples(
        st.sampled_from(["BTC", "ETH"]),
        st.decimals("-5", "5", places=3),
        st.decimals("90", "110", places=2),
        st.decimals("0", "0.1", places=3),
        st.sampled_from(["BNB", "USDC", "BTC"]),
    ),
    min_size=1,
    max_size=20,
)


@given(fills, st.lists(st.decimals("50", "150", places=2), min_size=20, max_size=20))
def test_attribution_is_holding_and_trading_less_fees_whatever_is_bought(
    trades: list[tuple[str, Decimal, Decimal, Decimal, str]], drift: list[Decimal]
) -> None:
    """One trade per minute; each asset's gain is calculated independently, in decimals."""
    held_now = {"BTC": Decimal(100), "ETH": Decimal(100), "BNB": Decimal(100), "USDC": Decimal(10_000)}
    prices = {"BTC": Decimal(100), "ETH": Decimal(100), "BNB": Decimal(50), "USDC": Decimal(1)}
    gained = dict.fromkeys(held_now, Decimal(0))
    holdings, moved = list[Holding](), list[Movement]()
    for minute, trade in enumerate([None, *trades]):
        if trade is not None:
            asset, quantity, paid, fee_paid, fee_asset = trade
            later = prices | {asset: drift[minute - 1], "BNB": drift[-minute] / 2}
            for name, amount in held_now.items():
                gained[name] += amount * (later[name] - prices[name])
            gained[asset] += quantity * (later[asset] - paid) - fee_paid * later[fee_asset]
            prices = later
            held_now[asset] += quantity
            held_now["USDC"] -= quantity * paid
            held_now[fee_asset] -= fee_paid
            market = replace(SPOT, base=asset)
            at, side = NOW + minute * MINUTE, Side.BUY if quantity > 0 else Side.SELL
            moved += movements(market, side, (at, float(paid), float(abs(quantity))))
            moved.append(fee(market, at, "binance", (float(fee_paid), fee_asset)))
        for name, amount in held_now.items():
            holdings += held(name, float(amount), price=float(prices[name]), start=minute)
    reported = performance(holdings, {}, moved)
    assert reported["performance_metrics"]["flows_usd"] == pytest.approx(0, abs=0.01)
    shares = reported["attribution_analysis"]["by_asset"]
    assert shares == {name: pytest.approx(float(gain), abs=1e-6) for name, gain in gained.items()}
    assert reported["performance_metrics"]["profit_usd"] == pytest.approx(float(sum(gained.values())), abs=1e-6)
