"""A pair is sent only while it pays, always with bounds, and is never left one-sided if a hedge is possible."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    BookSnapshot,
    Cause,
    CommandKind,
    CommandLeg,
    Fill,
    Instrument,
    InstrumentKind,
    Level,
    Liquidity,
    OrderCommand,
    OrderReport,
    OrderState,
    OrderType,
    Reject,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.orders.effects import Effect, Publish, RequestHedge, RequestSend, Send
from neuroflux.engine.orders.inputs import (
    Answered,
    CancelRequested,
    Decided,
    FillSeen,
    Hedged,
    Operation,
    Reported,
    Sending,
)
from neuroflux.engine.orders.machine import Step, decode, encode, received, step, wake_at
from neuroflux.engine.orders.state import Order
from neuroflux.engine.orders.table import HEDGE_AGAIN, MAX_HEDGES, SECOND
from neuroflux.engine.risk.limits import MARGIN, Limits
from neuroflux.engine.routing.candidates import Prospect
from neuroflux.engine.routing.pair import HEDGE_BOUND, decide_hedge, decide_pair, needed
from neuroflux.engine.routing.rebalance_legs import decide_rebalance
from neuroflux.engine.routing.strategies import Routed

NOW = 1_000 * SECOND
LIMITS = Limits(100_000.0, 0.02, 5 * SECOND)
SPOT = Instrument(
    exchange="binance",
    symbol="BTC/USDC",
    market="BTC/USD",
    name="BTCUSDC",
    base="BTC",
    quote="USDC",
    kind=InstrumentKind.SPOT,
    tick_size=Decimal("0.01"),
    quantity_step=Decimal("0.001"),
    min_notional=Decimal(5),
    taker_fee=Decimal("0.001"),
)
PERPETUAL = replace(
    SPOT,
    exchange="hyperliquid",
    symbol="BTC/USDC:USDC",
    kind=InstrumentKind.PERPETUAL,
    settle="USDC",
    quantity_step=Decimal("0.01"),
)
BUY = CommandLeg("binance", "BTC/USDC", Side.BUY, Decimal(1))
SELL = CommandLeg("hyperliquid", "BTC/USDC:USDC", Side.SELL, Decimal(1))
PAIR = OrderCommand(
    order_id="p",
    kind=CommandKind.PAIR,
    market="BTC/USD",
    quantity=Decimal(1),
    legs=(BUY, SELL),
    expires_at=NOW + SECOND,
)


def book(instrument: Instrument, bid: float, ask: float, size: float = 10.0) -> BookSnapshot[float]:
    bids = tuple(Level(bid - step, size) for step in range(3))
    asks = tuple(Level(ask + step, size) for step in range(3))
    return BookSnapshot(instrument.exchange, instrument.symbol, instrument.market, bids, asks, 1, NOW, NOW)


def prospect(instrument: Instrument, bid: float, ask: float, size: float = 10.0, free: int = 100_000) -> Prospect:
    cause = Cause("market.books", 0, 1)
    return Prospect(instrument, book(instrument, bid, ask, size), cause, Rate(1.0, 1.0, NOW), None, Decimal(free))


CHEAP = prospect(SPOT, 999.0, 1000.0)
DEAR = prospect(PERPETUAL, 1010.0, 1011.0)


def decided(command: OrderCommand = PAIR, *prospects: Prospect) -> Step:
    first = received(command, Cause("orders.commands", 0, 0), NOW)
    routed = decide_pair(command, prospects or (CHEAP, DEAR), (1005.0, 1005.0), LIMITS, NOW)
    return step(first.order, Decided(routed.decision, routed.legs), NOW)


def sent(order: Order) -> Order:
    """Send every waiting leg, under the id of its number."""
    for attempt in order.attempts:
        if not attempt.client_order_id:
            order = step(order, Sending(attempt.leg, f"c{attempt.leg}"), NOW).order
    return order


def answer(order: Order, leg: int, filled: str, at: int = NOW, price: int = 1000) -> Step:
    """The exchange fills this quantity of the leg, and the rest expires."""
    one, quantity = order.legs[leg], Decimal(filled)
    effects: tuple[Effect, ...] = ()
    if quantity:
        fill = Fill(
            "", one.instrument.exchange, one.instrument.symbol, f"c{leg}", "7", f"t{leg}", one.side, Decimal(price),
            quantity, Decimal(0), "USDC", Liquidity.TAKER, at,
        )  # fmt: skip
        seen = step(order, FillSeen(f"c{leg}", fill), at)
        order, effects = seen.order, seen.effects
    state = OrderState.FILLED if quantity == one.quantity else OrderState.EXPIRED
    report = OrderReport(
        one.instrument.exchange, one.instrument.symbol, f"c{leg}", "7", one.side, OrderType.LIMIT, one.price,
        one.quantity, quantity, Decimal(price), state, "", at,
    )  # fmt: skip
    after = step(order, Reported(f"c{leg}", report), at)
    return Step(after.order, effects + after.effects)


def hedge(order: Order, *prospects: Prospect) -> Hedged:
    return decide_hedge(order, prospects or (CHEAP, DEAR), LIMITS, NOW)


# ── the decision ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_both_legs_are_sent_at_once_with_bounds_that_prevent_a_loss() -> None:
    taken = decided()
    buy, sell = taken.order.legs
    assert [effect.leg for effect in taken.effects if isinstance(effect, RequestSend)] == [0, 1]
    assert (buy.side, sell.side) == (Side.BUY, Side.SELL)
    assert buy.quantity == sell.quantity == 1
    assert buy.time_in_force is sell.time_in_force is TimeInForce.IOC
    assert buy.price >= 1000
    assert sell.price <= 1010
    assert sell.price * (1 - SPOT.taker_fee) > buy.price * (1 + SPOT.taker_fee)
    assert "pair: 7.99" in taken.order.reason


@pytest.mark.parametrize(
    ("command", "prospects", "why"),
    [
        (replace(PAIR, expires_at=NOW - 1), (CHEAP, DEAR), "expired"),
        (replace(PAIR, min_profit=8.5), (CHEAP, DEAR), "profit: 7.99"),
        (PAIR, (CHEAP, prospect(PERPETUAL, 1001.0, 1002.0)), "profit"),
        (PAIR, (CHEAP, prospect(PERPETUAL, 990.0, 991.0)), "profit"),
        (PAIR, (prospect(SPOT, 999.0, 1000.0, free=0), DEAR), "funds"),
        (PAIR, (replace(CHEAP, blocked="halted: too hot"), DEAR), "halted"),
        (PAIR, (replace(CHEAP, book=None), DEAR), "stale"),
        (PAIR, (CHEAP, replace(DEAR, free=None)), "funds"),
        (PAIR, (CHEAP, prospect(replace(PERPETUAL, base="ETH"), 1010.0, 1011.0)), "legs: BTC and ETH are different"),
        (PAIR, (prospect(SPOT, 899.0, 900.0), DEAR), "10% better than the market's: not the same thing"),
        (PAIR, (CHEAP, prospect(PERPETUAL, 1110.0, 1111.0)), "10% better than the market's: not the same thing"),
    ],
)
def test_a_pair_that_does_not_pay_or_can_not_be_sent_is_refused(
    command: OrderCommand, prospects: tuple[Prospect, ...], why: str
) -> None:
    order = decided(command, *prospects).order
    assert order.state is OrderState.REFUSED
    assert why in order.reason


def test_the_quantity_is_what_both_can_take_and_what_can_be_paid_for() -> None:
    thin = decided(PAIR, CHEAP, prospect(PERPETUAL, 1010.0, 1011.0, size=0.237)).order
    assert {leg.quantity for leg in thin.legs} == {Decimal("0.71")}  # three levels, cut to hyperliquid's step
    poor = decided(PAIR, prospect(SPOT, 999.0, 1000.0, free=500), DEAR).order
    assert {leg.quantity for leg in poor.legs} == {Decimal("0.49")}


HERE = replace(SPOT, exchange="hyperliquid", quantity_step=Decimal("0.01"))


@given(
    bought=st.integers(0, 3_000),
    sold=st.integers(0, 300),
    reduced=st.sampled_from(["0", "0.3", "1"]),
    unified=st.booleans(),
)
def test_legs_that_one_account_pays_for_share_it(bought: int, sold: int, reduced: str, unified: bool) -> None:
    """The purchase takes its whole price, the sale a tenth of what it opens; together no more than the balance."""
    both = [
        prospect(HERE if unified else SPOT, 999.0, 1000.0, free=bought),
        prospect(PERPETUAL, 1010.0, 1011.0, free=sold),
    ]
    both[1] = replace(both[1], reducible=Decimal(reduced))
    command = replace(PAIR, legs=(replace(BUY, exchange=both[0].instrument.exchange), SELL))
    legs = {leg.side: leg for leg in decided(command, *both).order.legs}
    if not legs:
        return
    used = {Side.BUY: legs[Side.BUY].quantity * legs[Side.BUY].price, Side.SELL: Decimal(0)}
    used[Side.SELL] = (legs[Side.SELL].quantity - legs[Side.SELL].reducing) * legs[Side.SELL].price * MARGIN
    shares = [used[side] / free if free else used[side] for side, free in ((Side.BUY, bought), (Side.SELL, sold))]
    assert sum(shares) <= 1 if unified else max(shares) <= 1


def test_a_pair_that_one_account_pays_for_is_as_large_as_it_can_be() -> None:
    command = replace(PAIR, legs=(replace(BUY, exchange="hyperliquid"), SELL))
    both = prospect(HERE, 999.0, 1000.0, free=1000), prospect(PERPETUAL, 1010.0, 1011.0, free=1000)
    assert {leg.quantity for leg in decided(command, *both).order.legs} == {Decimal("0.89")}  # 980 of 1101 each
    apart = prospect(SPOT, 999.0, 1000.0, free=1000), both[1]
    assert {leg.quantity for leg in decided(PAIR, *apart).order.legs} == {Decimal("0.98")}
    closing = both[0], replace(both[1], reducible=Decimal(1))
    assert {leg.quantity for leg in decided(command, *closing).order.legs} == {Decimal("0.98")}


def test_each_leg_is_bounded_by_the_market_of_its_own() -> None:
    """A quote of another class is another market."""
    buy = decide_pair(PAIR, (CHEAP, DEAR), (975.0, 1005.0), LIMITS, NOW)
    assert "within the bounds" in buy.decision.reason
    sell = decide_pair(PAIR, (CHEAP, DEAR), (1005.0, 1040.0), LIMITS, NOW)
    assert "within the bounds" in sell.decision.reason


def test_with_a_thin_book_the_harder_leg_is_sent_first_and_alone() -> None:
    order = decided(PAIR, CHEAP, prospect(PERPETUAL, 1010.0, 1011.0, size=0.5)).order
    assert [leg.side for leg in order.legs] == [Side.SELL]


# ── execution ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_filled_pair_ends_and_reports_how_long_it_was_one_sided() -> None:
    order = answer(sent(decided().order), 0, "1", NOW).order
    assert not order.state.final
    end = answer(order, 1, "1", NOW + 30_000, price=1010)
    assert end.order.state is OrderState.FILLED
    assert end.order.filled == 1
    event = [one.record for one in end.effects if isinstance(one, Publish)][-1]
    assert (event.naked_usd, event.naked_ms) == (1000.0, 30.0)  # type: ignore[union-attr]


def test_a_leg_that_fills_alone_is_hedged_where_it_costs_less() -> None:
    order = answer(sent(decided().order), 0, "1").order
    missed = answer(order, 1, "0")
    assert RequestHedge() in missed.effects
    assert needed(missed.order) is Side.SELL
    here = hedge(missed.order)
    assert [leg.instrument.exchange for leg in here.legs] == ["hyperliquid"]  # 1010 there, 999 back
    back = hedge(missed.order, CHEAP, replace(DEAR, blocked="health: offline"))
    assert [(leg.instrument.exchange, leg.side) for leg in back.legs] == [("binance", Side.SELL)]
    assert back.legs[0].price >= Decimal(str(999 * (1 - HEDGE_BOUND)))
    hedging = step(missed.order, here, NOW)
    assert RequestSend(2) in hedging.effects
    done = answer(sent(hedging.order), 2, "1", price=1009).order
    assert done.state is OrderState.FILLED
    assert done.net == 0


def test_after_a_hedge_was_rejected_the_next_goes_elsewhere_at_once() -> None:
    order = answer(sent(decided().order), 0, "1").order
    order = answer(order, 1, "0").order
    order = sent(step(order, hedge(order), NOW).order)
    rejected = step(order, Answered("c2", Operation.PLACE, Reject("-2019", "Margin is insufficient."), NOW), NOW)
    assert RequestHedge() in rejected.effects
    back = hedge(rejected.order)
    assert [leg.instrument.exchange for leg in back.legs] == ["binance"], "not where it was just rejected"


def test_after_a_hedge_was_throttled_until_too_late_the_next_goes_elsewhere() -> None:
    order = answer(sent(decided().order), 0, "1").order
    order = answer(order, 1, "0").order
    order = sent(step(order, hedge(order), NOW).order)
    order = step(order, Answered("c2", Operation.PLACE, Throttled(10.0, "-1008", risk_only=True), NOW), NOW).order
    late = step(order, Sending(2, "c2"), NOW + 10 * SECOND)
    assert RequestHedge() in late.effects
    assert [leg.instrument.exchange for leg in hedge(late.order).legs] == ["binance"]


def test_a_pair_that_is_filled_after_its_end_is_hedged_again() -> None:
    order = answer(sent(decided().order), 0, "0").order
    ended = answer(order, 1, "0").order
    assert ended.state.final
    late = Fill(
        "", "binance", "BTC/USDC", "c0", "7", "late", Side.BUY, Decimal(1000), Decimal("0.4"), Decimal(0), "USDC",
        Liquidity.TAKER, NOW,
    )  # fmt: skip
    woken = step(ended, FillSeen("c0", late), NOW)
    assert RequestHedge() in woken.effects
    evened = answer(sent(step(woken.order, hedge(woken.order), NOW).order), 2, "0.4").order
    assert evened.state.final
    assert evened.net == 0


def test_a_partial_fill_is_hedged_for_what_is_missing_and_an_unwound_pair_is_not_filled() -> None:
    order = answer(sent(decided().order), 0, "1").order
    part = answer(order, 1, "0.4").order
    assert part.net == Decimal("0.6")
    unwind = hedge(part, CHEAP, replace(DEAR, blocked="health: offline"))
    end = answer(sent(step(part, unwind, NOW).order), 2, "0.6").order
    assert end.net == 0
    assert end.filled == Decimal("0.4")
    assert end.state is OrderState.EXPIRED


def test_a_hedge_that_is_impossible_is_retried_and_finally_left_open_with_a_reason() -> None:
    order = answer(sent(decided().order), 0, "1").order
    order, at = answer(order, 1, "0").order, NOW
    for tries in range(MAX_HEDGES):
        assert wake_at(order) is not None, tries
        order = step(order, Hedged((), "stale: no book"), at).order
        at += HEDGE_AGAIN * (tries + 3)
    assert order.state.final
    assert order.reason.endswith("1 left open: stale: no book")


def test_a_rest_too_small_for_either_exchange_is_left_open_at_once() -> None:
    order = answer(sent(decided().order), 0, "1").order
    order = answer(order, 1, "0.999").order
    hedged = hedge(order)
    assert hedged.over
    assert step(order, hedged, NOW).order.state.final


def test_a_cancelled_pair_is_hedged_too() -> None:
    order = answer(sent(decided().order), 0, "1").order
    order = step(order, CancelRequested("halted"), NOW).order
    missed = answer(order, 1, "0")
    assert RequestHedge() in missed.effects
    hedging = step(missed.order, hedge(missed.order), NOW)
    assert RequestSend(2) in hedging.effects


def test_a_hedge_needs_no_fresh_rate() -> None:
    """There was a rate when the pair was decided; no bound of a hedge depends on it."""
    order = answer(sent(decided().order), 0, "1").order
    missed = answer(order, 1, "0").order
    unrated = [replace(one, rate=None) for one in (CHEAP, DEAR)]
    assert hedge(missed, *unrated) == hedge(missed)
    assert hedge(missed).legs


FILLS = st.sampled_from(["0", "0.3", "0.57", "1"])


@given(first=FILLS, second=FILLS, hedges=st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=12), flip=st.booleans())
def test_a_pair_always_ends_hedged_or_reports_what_is_open(
    first: str, second: str, hedges: list[float], flip: bool
) -> None:
    """Through the journal at every step: a crash changes nothing."""
    order = sent(decided().order)
    for leg, filled in sorted({0: first, 1: second}.items(), reverse=flip):
        order = decode(encode(answer(order, leg, filled).order))
    at = NOW
    for share in [*hedges, *[1.0] * MAX_HEDGES]:
        if order.state.final:
            break
        at += 100 * HEDGE_AGAIN
        order = sent(step(order, hedge(order), at).order)
        if order.state.final:
            break
        leg = len(order.legs) - 1
        wire = (order.legs[leg].quantity * Decimal(share)).quantize(Decimal("0.001"))
        order = decode(encode(answer(order, leg, str(wire), at).order))
    assert order.state.final
    assert order.net == 0 or "left open" in order.reason
    assert len(order.legs) <= 2 + MAX_HEDGES


# ── rebalances ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rebalance_sells_first_and_buys_when_that_has_ended() -> None:
    sale = CommandLeg("hyperliquid", "BTC/USDC:USDC", Side.SELL, Decimal("0.5"))
    command = replace(PAIR, kind=CommandKind.REBALANCE, legs=(BUY, sale))
    routed = decide_rebalance(command, (CHEAP, DEAR), LIMITS, NOW)
    first = received(command, Cause("orders.commands", 0, 0), NOW)
    taken = step(first.order, Decided(routed.decision, routed.legs), NOW)
    assert [effect.leg for effect in taken.effects if isinstance(effect, RequestSend)] == [1]
    later = answer(sent(taken.order), 1, "0.5")
    assert RequestSend(0) in later.effects
    assert not later.order.state.final
    end = answer(sent(later.order), 0, "1").order
    assert end.state is OrderState.FILLED
    assert end.filled == Decimal(1500)  # USD


def test_an_impossible_trade_is_left_out_and_named() -> None:
    command = replace(PAIR, kind=CommandKind.REBALANCE)
    routed = decide_rebalance(command, (CHEAP, replace(DEAR, book=None)), LIMITS, NOW)
    assert [leg.instrument.exchange for leg in routed.legs] == ["binance"]
    assert "1 of 2 trades; hyperliquid BTC/USDC:USDC: stale: no book" in routed.decision.reason
    none = decide_rebalance(command, (replace(CHEAP, book=None), replace(DEAR, book=None)), LIMITS, NOW)
    assert none.legs == ()


def trades(*specs: tuple[Prospect, Side, str], limits: Limits = LIMITS) -> Routed:
    legs = tuple(CommandLeg(p.instrument.exchange, p.instrument.symbol, side, Decimal(q)) for p, side, q in specs)
    command = replace(PAIR, kind=CommandKind.REBALANCE, legs=legs)
    return decide_rebalance(command, [one for one, _, _ in specs], limits, NOW)


def coin(base: str, free: int, kind: InstrumentKind = InstrumentKind.SPOT) -> Prospect:
    """A prospect at 99.9 and 100.0 on binance, with these free funds."""
    here = SPOT if kind is InstrumentKind.SPOT else replace(PERPETUAL, exchange="binance")
    symbol = f"{base}/USDC" if kind is InstrumentKind.SPOT else f"{base}/USDC:USDC"
    return prospect(replace(here, symbol=symbol, market=f"{base}/USD", base=base), 99.9, 100.0, 1_000.0, free)


@pytest.mark.parametrize(
    ("legs_", "quantities", "reason"),
    [
        (
            [(coin("A", 1_100), Side.BUY, "10"), (coin("B", 1_100), Side.BUY, "10")],
            ["10", "0.790"],
            "B/USDC: funds: 80",
        ),
        ([(coin("A", 1_023), Side.BUY, "10"), (coin("B", 1_023), Side.BUY, "10")], ["10"], "B/USDC: funds: 3.6"),
        ([(coin("A", 0), Side.BUY, "9"), (coin("B", 10), Side.SELL, "10")], ["9", "10"], ""),
        ([(coin("A", 0), Side.BUY, "10"), (coin("B", 10), Side.SELL, "10")], ["9.790", "10"], "A/USDC: funds: 998.001"),
        ([(coin("B", 10), Side.SELL, "30")], ["10"], "B/USDC: funds: 10 B for 30"),
        ([(coin("A", 100, PERPETUAL.kind), Side.BUY, "90")], ["9.8"], "A/USDC:USDC: funds: 100 USDC for 90"),
        (
            [(coin("A", 50, PERPETUAL.kind), Side.BUY, "2.45"), (coin("B", 100), Side.BUY, "1")],
            ["2.45", "0.490"],
            "B/USDC",
        ),
    ],
    ids=["the rest", "nothing left", "proceeds", "proceeds alone", "what is held", "margin", "one purse of two kinds"],
)
def test_a_rebalance_spends_each_balance_once(
    legs_: list[tuple[Prospect, Side, str]], quantities: list[str], reason: str
) -> None:
    routed = trades(*legs_)
    assert [leg.quantity for leg in routed.legs] == [Decimal(one) for one in quantities]
    assert reason in routed.decision.reason
    assert ("funds" in routed.decision.reason) is bool(reason)


def test_what_sales_bring_on_one_exchange_pays_for_nothing_on_another() -> None:
    there = coin("A", 0)
    elsewhere = replace(there, instrument=replace(there.instrument, exchange="hyperliquid"))
    routed = trades((elsewhere, Side.BUY, "5"), (coin("B", 10), Side.SELL, "10"))
    assert [leg.instrument.base for leg in routed.legs] == ["B"]


def test_all_purchases_of_a_rebalance_are_worth_no_more_than_one_order_may_be() -> None:
    limits = replace(LIMITS, max_notional_usd=2_500.0)
    bought = [(coin(base, 100_000), Side.BUY, "10") for base in "ABC"]
    routed = trades(*bought, (coin("D", 20), Side.SELL, "20"), limits=limits)
    assert [leg.instrument.base for leg in routed.legs] == ["A", "B", "D"]
    assert "binance C/USDC: notional: 3,0" in routed.decision.reason


@given(
    st.lists(
        st.tuples(st.sampled_from("ABCD"), st.sampled_from(list(Side)), st.integers(1, 40)),
        max_size=8,
        unique_by=lambda one: one[:2],
    ),
    st.integers(0, 3_000),
)
def test_no_account_spends_more_than_its_funds_and_proceeds(specs: list[tuple[str, Side, int]], free: int) -> None:
    held = dict.fromkeys("ABCD", 20)
    routed = trades(
        *((coin(base, held[base] if side is Side.SELL else free), side, str(much)) for base, side, much in specs)
    )
    sold = [leg for leg in routed.legs if leg.side is Side.SELL]
    bought = [leg for leg in routed.legs if leg.side is Side.BUY]
    assert all(leg.quantity <= held[leg.instrument.base] for leg in sold)
    assert sum(leg.quantity * leg.price for leg in bought) <= free + sum(leg.quantity * Decimal("99.9") for leg in sold)


def test_nothing_is_sent_without_a_price() -> None:
    effects = step(decided().order, Sending(0, "c0"), NOW).effects
    assert all(one.placement.price > 0 for one in effects if isinstance(one, Send))
    assert any(isinstance(one, Send) for one in effects)
