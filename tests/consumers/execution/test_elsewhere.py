"""What an exchange did not take is rerouted only within the limits of all orders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    AggregatedPrice,
    Balance,
    BookSnapshot,
    CommandKind,
    CommandLeg,
    ExchangeHealth,
    Fill,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    Liquidity,
    OrderCommand,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Position,
    Reject,
    Side,
    Throttled,
)
from neuroflux.engine.orders.inputs import Hedged
from neuroflux.engine.orders.state import Leg, Order
from neuroflux.engine.routing.strategies import Routed
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.budget import Urgency
from neuroflux.records.topics import BALANCES, BOOKS, HEALTH, INSTRUMENTS, POSITIONS, PRICES
from tests.consumers.execution.order_client_model import SPOT, Bench, Gate, bench, now, place, until

PERPETUAL = replace(SPOT, symbol="NFX/USDC:USDC", kind=InstrumentKind.PERPETUAL, settle="USDC", market="NFX-PERP/USD")
THERE = {one: replace(one, exchange="hyperliquid") for one in (SPOT, PERPETUAL)}
REFUSAL = Reject("-2022", "ReduceOnly Order is rejected.")


class TwoExchanges(Gate):
    """Each fills everything at its price, except for the exchanges in ``never``, which answer as given there."""

    exchanges = ("binance", "hyperliquid")

    def __init__(self, **never: Outcome) -> None:
        super().__init__()
        self.never, self.risk_held_at = never, dict.fromkeys(self.exchanges, 0.0)

    def place_request(self, placement: Placement) -> Request:
        super().place_request(placement)
        return Request("POST", placement.client_order_id, str(len(self.placed)).encode(), tag="place")

    def outcome(self, answer: Answer) -> Outcome:
        if answer.request.method != "POST":
            return super().outcome(answer)
        placement = self.placed[int(answer.request.body) - 1]
        return self.never.get(placement.instrument.exchange) or all_of(placement)

    def risk_held(self, exchange: str) -> float:
        return self.risk_held_at[exchange]

    def hold_risk(self, exchange: str, seconds: float, why: str) -> None:
        self.risk_held_at[exchange] = seconds

    @property
    def sent(self) -> list[tuple[str, str, bool]]:
        return [(one.instrument.exchange, one.side.value, one.reduce_only) for one in self.placed]


def all_of(one: Placement) -> Outcome:
    named, where = one.client_order_id, (one.instrument.exchange, one.instrument.symbol)
    ids, amounts = (named, f"x{named}"), (one.price, one.quantity)
    fill = Fill("", *where, *ids, f"t{named}", one.side, *amounts, Decimal(0), "USDC", Liquidity.TAKER, now())
    reported = OrderReport(
        *where, *ids, one.side, OrderType.LIMIT, *amounts, one.quantity, one.price, OrderState.FILLED, "", now()
    )
    return Ack(reported, (fill,))


def show(stage: Bench, one: Instrument, bid: float = 99.9, free: str = "10000") -> None:
    """An instrument with its book and with funds."""
    at, sides, zero, amount = now(), ((Level(bid, 500.0),), (Level(bid + 0.1, 500.0),)), Decimal(0), Decimal(free)
    stage.show(INSTRUMENTS, one)
    stage.show(BOOKS, BookSnapshot(one.exchange, one.symbol, one.market, *sides, at, at, at))
    for asset in ("USDC", "NFX"):
        stage.show(BALANCES, Balance(one.exchange, asset, amount, zero, zero, amount, at))


def hold(stage: Bench, one: Instrument, quantity: str) -> None:
    stage.show(POSITIONS, Position(one.exchange, one.symbol, Decimal(quantity), Decimal(100), Decimal(0), now()))


def limited(stage: Bench, **limits: float) -> None:
    stage.decider._limits = replace(stage.decider._limits, **limits)


@pytest.mark.parametrize("limit", ["max_daily_loss_usd", "max_open_orders"])
async def test_a_close_that_was_refused_opens_nothing_that_the_limits_refuse(limit: str) -> None:
    gate = TwoExchanges(binance=REFUSAL)
    async with bench(gate=gate) as stage:
        for one in (PERPETUAL, THERE[PERPETUAL]):
            show(stage, one)
        hold(stage, PERPETUAL, "1")
        limited(stage, **{limit: -1.0})
        await stage.take(place("o", market=PERPETUAL.market, side=Side.SELL))
        ended = await stage.ends("o")
        assert gate.sent == [("binance", "sell", True)]
        assert limit.split("_")[1] in ended.reason


async def test_a_close_that_was_refused_closes_what_is_held_elsewhere() -> None:
    gate = TwoExchanges(binance=REFUSAL)
    async with bench(gate=gate) as stage:
        for one in (PERPETUAL, THERE[PERPETUAL]):
            show(stage, one)
            hold(stage, one, "1")
        limited(stage, max_daily_loss_usd=-1.0)
        await stage.take(place("o", market=PERPETUAL.market, side=Side.SELL))
        await stage.ends("o")
        assert gate.sent == [("binance", "sell", True), ("hyperliquid", "sell", True)]


@pytest.mark.parametrize(("most", "sent"), [(500.0, ["binance"]), (5_000.0, ["binance", "hyperliquid"])])
async def test_what_is_rerouted_is_bounded_by_what_is_held_there(most: float, sent: list[str]) -> None:
    gate = TwoExchanges(binance=REFUSAL)
    async with bench(gate=gate) as stage:
        show(stage, THERE[SPOT], bid=100.1, free="0")
        balance = Balance("hyperliquid", "USDC", Decimal(5000), Decimal(0), Decimal(0), Decimal(5000), now())
        stage.show(BALANCES, balance)
        zero = Balance("binance", "NFX", Decimal(0), Decimal(0), Decimal(0), Decimal(0), now())
        stage.show(BALANCES, zero)
        stage.show(BALANCES, replace(zero, exchange="hyperliquid", total=Decimal(4)))
        limited(stage, max_position_usd=most)
        await stage.take(place("o"))
        await stage.ends("o")
        assert [exchange for exchange, _, _ in gate.sent] == sent


async def test_an_order_that_is_sent_elsewhere_is_not_another_order() -> None:
    gate = TwoExchanges(binance=REFUSAL)
    async with bench(gate=gate) as stage:
        show(stage, THERE[SPOT])
        limited(stage, max_open_orders=1.0, max_orders_per_second=1.0)
        await stage.take(place("o"))
        assert (await stage.ends("o")).state is OrderState.FILLED


async def test_an_order_that_is_decided_again_is_not_another_order() -> None:
    gate = TwoExchanges()
    async with bench(gate=gate) as stage:
        gate.try_order = lambda instrument, urgency: False  # type: ignore[method-assign]
        gate.order_turn = never  # type: ignore[attr-defined]
        limited(stage, max_open_orders=1.0)
        await stage.take(place("o"))
        decided = await stage.executor.decisions.redecide(stage.executor.orders.runners["o"].order)
        assert decided.legs, decided.decision.reason


async def never(exchange: str, urgency: Urgency) -> None:
    await asyncio.Event().wait()


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def pair(*legs: tuple[Instrument, Side], quantity: str = "10") -> OrderCommand:
    """All of what is bought is sold."""
    amount = Decimal(quantity)
    each = tuple(CommandLeg(one.exchange, one.symbol, side, amount) for one, side in legs)
    return OrderCommand(
        order_id="p", kind=CommandKind.PAIR, market=legs[0][0].market, quantity=amount, legs=each, issued_at=now()
    )


async def test_both_legs_of_a_pair_are_of_one_asset() -> None:
    async with bench(gate=TwoExchanges()) as stage:
        other = replace(THERE[SPOT], symbol="ETH/USDC", market="ETH/USD", base="ETH")
        show(stage, other, bid=103.0)
        await stage.take(pair((SPOT, Side.BUY), (other, Side.SELL)))
        assert (await stage.ends("p")).reason == "legs: ETH and NFX are different assets"


async def test_a_leg_is_held_to_the_market_of_its_own_quote() -> None:
    """NFX is sold for ETH for the equivalent of 103 USD, while that market has been at 100 for a minute."""
    async with bench(gate=TwoExchanges()) as stage:
        in_eth = replace(THERE[SPOT], symbol="NFX/ETH", market="NFX/ETH", quote="ETH")
        show(stage, in_eth, bid=0.103)
        at = now()
        for market, price in (("ETH/USD", 1000.0), ("NFX/ETH", 120.0), ("NFX/USD", 100.0)):
            stage.show(PRICES, AggregatedPrice(market, price, price, price, 1e6, 1.0, (), (), at))
        sides = (Level(0.103, 500.0),), (Level(0.1031, 500.0),)
        stage.show(BOOKS, BookSnapshot(in_eth.exchange, in_eth.symbol, in_eth.market, *sides, at, at, at))
        await stage.take(pair((SPOT, Side.BUY), (in_eth, Side.SELL)))
        assert (await stage.ends("p")).reason == "hyperliquid NFX/ETH: price: nothing to take within the bounds"


OVERLOADED = Throttled(10.0, "-1008: only what reduces", risk_only=True)


async def take_thrown_back(stage: Bench) -> None:
    """A pair that buys 10 on binance; its sale, on hyperliquid at 103, is throttled for 10 s."""
    for one, bid in ((PERPETUAL, 99.9), (THERE[PERPETUAL], 103.0)):
        show(stage, one, bid)
    await stage.take(pair((PERPETUAL, Side.BUY), (THERE[PERPETUAL], Side.SELL)))


async def test_a_pair_is_evened_out_at_once_where_no_order_must_wait() -> None:
    gate = TwoExchanges(hyperliquid=OVERLOADED)
    async with bench(gate=gate) as stage:
        await take_thrown_back(stage)
        ended = await stage.ends("p")
        assert gate.sent[-1] == ("binance", "sell", False)
        assert "left open" not in ended.reason


async def test_no_leg_of_a_pair_is_sent_if_the_other_must_wait() -> None:
    """hyperliquid takes no new risk from the decision on: the first leg is given up, and the second is not sent."""
    gate = TwoExchanges()
    async with bench(gate=gate) as stage:
        ensure = stage.leverages.ensure

        async def meanwhile(legs: Iterable[Leg]) -> None:
            gate.risk_held_at["hyperliquid"] = 10.0
            await ensure(legs)

        stage.leverages.ensure = meanwhile  # type: ignore[method-assign]
        await take_thrown_back(stage)
        await stage.ends("p")
        assert gate.sent == []


async def test_what_reduces_does_not_wait_where_no_new_risk_is_taken() -> None:
    gate = TwoExchanges()
    gate.risk_held_at["hyperliquid"] = 10.0
    async with bench(gate=gate) as stage:
        show(stage, THERE[PERPETUAL], bid=103.0)
        show(stage, PERPETUAL)
        legs = (PERPETUAL, Side.BUY), (THERE[PERPETUAL], Side.SELL)
        await stage.take(replace(pair(*legs), order_id="opens"))
        assert "takes no new risk" in (await stage.ends("opens")).reason
        hold(stage, THERE[PERPETUAL], "10")
        await stage.take(pair(*legs))
        assert (await stage.ends("p")).state is OrderState.FILLED


async def test_a_rebalance_keeps_the_trade_that_reduces_where_no_new_risk_is_taken() -> None:
    gate = TwoExchanges()
    gate.risk_held_at["hyperliquid"] = 10.0
    async with bench(gate=gate) as stage:
        show(stage, THERE[PERPETUAL])
        show(stage, SPOT)
        hold(stage, THERE[PERPETUAL], "10")
        legs = (SPOT, Side.BUY), (THERE[PERPETUAL], Side.SELL), (THERE[SPOT], Side.BUY)
        show(stage, THERE[SPOT])
        await stage.take(replace(pair(*legs), kind=CommandKind.REBALANCE, expires_at=0, min_profit=0.0))
        await stage.ends("p")
        assert sorted(gate.sent) == [("binance", "buy", False), ("hyperliquid", "sell", True)]


async def test_a_hedge_that_opens_waits_where_no_new_risk_is_taken() -> None:
    """No other exchange can take it: it is not sent in vain."""
    gate = TwoExchanges(hyperliquid=OVERLOADED)
    async with bench(gate=gate) as stage:
        hedge, one = stage.executor.decisions.hedge, PERPETUAL

        def without_the_other_book(order: Order) -> Hedged:
            stage.show(BOOKS, BookSnapshot(one.exchange, one.symbol, one.market, (), (), 1, now(), now()))
            return hedge(order)

        stage.executor.decisions.hedge = without_the_other_book  # type: ignore[method-assign]
        await take_thrown_back(stage)
        runner = stage.executor.orders.runners["p"]
        await until(lambda: runner.order.hedges == 1 and runner._turns)
        assert len(gate.sent) == 2


async def test_a_health_report_that_may_be_old_leaves_no_pair_open() -> None:
    gate = TwoExchanges(hyperliquid=REFUSAL)
    async with bench(gate=gate) as stage:
        decide = stage.decider.decide

        def then_offline(command: OrderCommand, ours: Sequence[Order]) -> Routed:
            routed, at = decide(command, ours), now()
            for exchange in gate.exchanges:
                stage.show(HEALTH, ExchangeHealth(exchange, HealthStatus.OFFLINE, 1.0, 0.0, 0.0, at, "", at))
            return routed

        stage.decider.decide = then_offline  # type: ignore[method-assign]
        for one, bid in ((PERPETUAL, 99.9), (THERE[PERPETUAL], 103.0)):
            show(stage, one, bid)
        await stage.take(pair((PERPETUAL, Side.BUY), (THERE[PERPETUAL], Side.SELL)))
        await stage.ends("p")
        assert gate.sent[-1] == ("binance", "sell", False)
