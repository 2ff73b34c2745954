"""A position can be reduced whatever the account lacks; an unsound book is never traded on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    Balance,
    BookSnapshot,
    ControlCommand,
    ControlKind,
    ExchangeHealth,
    ExchangeStatus,
    Failover,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    OrderCommand,
    OrderState,
    OrderType,
    Position,
    Reject,
    Side,
    StatusKind,
)
from neuroflux.engine.risk.limits import BALANCES_LIFE
from neuroflux.records.topics import BALANCES, BOOKS, CONTROL, FAILOVER, HEALTH, INSTRUMENTS, POSITIONS, PRICES, STATUS
from tests.consumers.execution.order_client_model import SPOT, Bench, Gate, bench, filled, now, place, working

PERPETUAL = replace(
    SPOT,
    symbol="NFX/USDC:USDC",
    market="NFX-PERP/USD",
    name="NFXPERP",
    kind=InstrumentKind.PERPETUAL,
    settle="USDC",
)
DAY = 86_400_000_000


def futures(stage: Bench, held: str, free: str = "0") -> None:
    """A perpetual at 99.9 / 100.0, a position in it, and this margin free."""
    stage.show(INSTRUMENTS, PERPETUAL)
    margin(stage, free)
    hold(stage, held)
    at, sides = now(), ((Level(99.9, 500.0),), (Level(100.0, 500.0),))
    stage.show(BOOKS, BookSnapshot("binance", PERPETUAL.symbol, PERPETUAL.market, *sides, at, at, at))


def margin(stage: Bench, free: str, at: int = 0) -> None:
    zero, amount = Decimal(0), Decimal(free)
    stage.show(BALANCES, Balance("binance", "USDC", amount, zero, zero, amount, at or now()), at or None)


def hold(stage: Bench, quantity: str) -> None:
    zero = Decimal(0)
    stage.show(POSITIONS, Position("binance", PERPETUAL.symbol, Decimal(quantity), Decimal(100), zero, now()))


def order(side: Side, quantity: str, **how: Any) -> OrderCommand:
    return place("o", market=PERPETUAL.symbol, side=side, quantity=Decimal(quantity), **how)


@pytest.mark.parametrize(("held", "side"), [("1", Side.SELL), ("-1", Side.BUY)])
async def test_closing_needs_no_funds_and_is_sent_reduce_only(held: str, side: Side) -> None:
    async with bench() as stage:
        futures(stage, held)
        await stage.take(order(side, "1"))
        (sent,) = stage.gate.placed
        assert (sent.quantity, sent.reduce_only) == (Decimal(1), True)


async def test_what_exceeds_the_position_needs_funds_for_the_rest_alone() -> None:
    async with bench() as stage:
        futures(stage, "1", free="10.1")
        await stage.take(order(Side.SELL, "2"))
        (sent,) = stage.gate.placed
        assert (sent.quantity, sent.reduce_only) == (Decimal(2), False)
    async with bench() as stage:
        futures(stage, "1", free="9")
        await stage.take(order(Side.SELL, "2"))
        assert (await stage.ends("o")).reason.startswith("funds")
        assert not stage.gate.placed


@pytest.mark.parametrize("leverage", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("bound", ["leverage", "max_leverage"])
async def test_an_open_order_leaves_free_what_it_does_not_hold_at_any_leverage(leverage: float, bound: str) -> None:
    """Of 100 at this leverage all is ordered but for 10 USD."""
    async with bench() as stage:
        futures(stage, "0", free="100")
        limits = {"leverage": leverage, bound: leverage}
        stage.show(CONTROL, ControlCommand(kind=ControlKind.LIMITS, account="binance", limits=limits))
        stage.leverages._set[("binance", PERPETUAL.symbol)] = int(leverage)
        stage.gate.answers["POST"] = stage.gate.answers["GET"] = working
        resting = {"type": OrderType.LIMIT, "price": Decimal(100)}
        await stage.take(order(Side.BUY, str(leverage - 0.1), **resting))
        await stage.take(replace(order(Side.BUY, "0.11", **resting), order_id="beyond"))
        assert (await stage.ends("beyond")).reason.startswith("funds")
        await stage.take(replace(order(Side.BUY, "0.1", **resting), order_id="within"))
        assert [one.quantity for one in stage.gate.placed] == [Decimal(str(leverage - 0.1)), Decimal("0.1")]


@pytest.mark.parametrize(("held", "side"), [("0", Side.SELL), ("1", Side.BUY), ("-1", Side.SELL)])
async def test_an_order_that_increases_a_position_needs_funds(held: str, side: Side) -> None:
    async with bench() as stage:
        futures(stage, held)
        await stage.take(order(side, "1"))
        assert (await stage.ends("o")).reason.startswith("funds")


async def test_two_orders_do_not_reduce_the_same_position_twice() -> None:
    async with bench() as stage:
        futures(stage, "1")
        stage.gate.answers["POST"] = stage.gate.answers["GET"] = working
        await stage.take(order(Side.SELL, "0.7", type=OrderType.LIMIT, price=Decimal(110)))
        await stage.take(replace(order(Side.SELL, "0.7"), order_id="second"))
        assert (await stage.ends("second")).reason.startswith("funds")
        await stage.take(replace(order(Side.SELL, "0.3"), order_id="third"))
        assert [(one.quantity, one.reduce_only) for one in stage.gate.placed] == [
            (Decimal("0.7"), True),
            (Decimal("0.3"), True),
        ]


async def test_dust_can_be_closed_and_not_opened() -> None:
    """The least value of an order is 5, and this is worth 2."""
    async with bench() as stage:
        futures(stage, "0.02", free="1000")
        await stage.take(order(Side.BUY, "0.02"))
        assert (await stage.ends("o")).reason.startswith("minimum")
        await stage.take(replace(order(Side.SELL, "0.02"), order_id="close"))
        assert [(one.quantity, one.reduce_only) for one in stage.gate.placed] == [(Decimal("0.02"), True)]


@pytest.mark.parametrize(
    "limit", ["max_notional_usd", "max_daily_loss_usd", "max_open_orders", "max_position_usd", "max_orders_per_second"]
)
async def test_no_limit_keeps_a_position_from_being_closed(limit: str) -> None:
    async with bench() as stage:
        futures(stage, "3", free="1000")
        decider = stage.decider
        decider._limits = replace(decider._limits, **{limit: -1.0})
        await stage.take(replace(order(Side.BUY, "1"), order_id="more"))
        assert (await stage.ends("more")).state is OrderState.REFUSED
        await stage.take(order(Side.SELL, "3"))
        (sent,) = stage.gate.placed
        assert sent.reduce_only


@pytest.mark.parametrize("kind", ["spot", "perpetual"])
@pytest.mark.parametrize("known", [True, False])
async def test_what_was_bought_counts_to_the_position_before_it_is_reported(kind: str, known: bool) -> None:
    """Each order is worth some 100 USD, and the position may be worth 150."""

    def show_quantity(quantity: str) -> None:
        spot, zero = Decimal(quantity if kind == "spot" else 0), Decimal(0)
        stage.show(BALANCES, Balance("binance", "NFX", spot, zero, zero, spot, now()))
        hold(stage, quantity if kind == "perpetual" else "0")

    async with bench() as stage:
        futures(stage, "0", free="10000")
        show_quantity("0")
        if not known:
            stage.views.balances.pop(("binance", "NFX"))
            stage.views.positions.clear()
            stage.views._positions_seen.clear()
        decider = stage.decider
        decider._limits = replace(decider._limits, max_position_usd=150.0)
        market = PERPETUAL.symbol if kind == "perpetual" else SPOT.symbol
        await stage.take(place("first", market=market))
        assert (await stage.ends("first")).state is OrderState.FILLED
        margin(stage, "9900", now() + 1_000_000)
        await stage.take(place("second", market=market))
        assert (await stage.ends("second")).reason.startswith("position: it would reach 2")
        show_quantity("0")
        await stage.take(place("third", market=market))
        assert (await stage.ends("third")).state is OrderState.FILLED


async def test_balances_without_a_recent_report_stop_only_new_orders() -> None:
    async with bench() as stage:
        futures(stage, "1", free="1000")
        old = now() - BALANCES_LIFE - 1_000_000
        stage.views.balances_written.clear()
        margin(stage, "1000", old)
        await stage.take(replace(order(Side.BUY, "1"), order_id="more"))
        assert (await stage.ends("more")).reason.endswith("funds: the balances of binance are not known")
        await stage.take(order(Side.SELL, "1"))
        assert len(stage.gate.placed) == 1


async def test_an_account_whose_mode_can_not_be_traded_in() -> None:
    def mode(value: float) -> ExchangeStatus:
        return ExchangeStatus("binance", "account", StatusKind.MODE, value, "switch hedge mode off", now())

    async with bench() as stage:
        stage.show(STATUS, mode(1.0))
        await stage.take(place("one"))
        assert (await stage.ends("one")).reason == "binance NFX/USDC: mode: switch hedge mode off"
        stage.show(STATUS, mode(0.0))
        await stage.take(place("two"))
        assert (await stage.ends("two")).state is OrderState.FILLED


async def test_an_exchange_that_takes_no_new_risk_takes_what_reduces() -> None:
    async with bench() as stage:
        futures(stage, "1", free="1000")
        stage.gate.risk_hold_seconds = 30.0
        await stage.take(replace(order(Side.BUY, "1"), order_id="more"))
        assert "takes no new risk for 30.0 s" in (await stage.ends("more")).reason
        await stage.take(order(Side.SELL, "1"))
        assert len(stage.gate.placed) == 1


# ── soundness ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("bid", "ask", "ahead"),
    [
        (100.0, 100.0, 0),
        (101.0, 100.0, 0),
        (float("nan"), 100.0, 0),
        (99.0, float("inf"), 0),
        (0.0, 100.0, 0),
        (-5.0, 100.0, 0),
        (99.9, 100.0, DAY),
    ],
)
async def test_an_unsound_book_is_not_traded_on(bid: float, ask: float, ahead: int) -> None:
    async with bench() as stage:
        before = stage.views.books[("binance", "NFX/USDC")]
        at, sides = now(), ((Level(bid, 1.0),), (Level(ask, 1.0),))
        stage.show(BOOKS, BookSnapshot("binance", "NFX/USDC", "NFX/USD", *sides, at, at + ahead, at + ahead))
        assert stage.views.books[("binance", "NFX/USDC")] == before


async def test_a_book_that_is_dated_ahead_and_written_ahead_becomes_stale_all_the_same() -> None:
    async with bench() as stage:
        at, sides = now(), ((Level(99.9, 1.0),), (Level(100.0, 1.0),))
        ahead = at + 40_000_000
        stage.show(BOOKS, BookSnapshot("binance", "NFX/USDC", "NFX/USD", *sides, at, ahead, ahead), at=at + DAY)
        book, _ = stage.views.books[("binance", "NFX/USDC")]
        assert at <= book.received_time <= now()


async def test_an_invalid_price_or_health_is_not_applied() -> None:
    async with bench() as stage:
        views, nan = stage.views, float("nan")
        for price, at in ((nan, now()), (0.0, now()), (100.0, now() + DAY)):
            stage.show(PRICES, AggregatedPrice("NFX/USD", price, 99.0, 101.0, 1.0, 1.0, (), (), at))
            assert views.prices.get("NFX/USD") is None
        for latency, at in ((nan, now()), (1.0, now() + DAY)):
            stage.show(HEALTH, ExchangeHealth("binance", HealthStatus.ONLINE, latency, 100.0, 0.0, at, "", at))
            assert views.health.get("binance") is None


async def test_a_withdrawn_book_replaces_what_it_was() -> None:
    async with bench() as stage:
        at = now()
        stage.show(BOOKS, BookSnapshot("binance", "NFX/USDC", "NFX/USD", (), (), at, at, at))
        await stage.take(place("one"))
        assert (await stage.ends("one")).reason.endswith("stale: no book")
        stage.book()
        stage.gate.answers["POST"] = filled
        await stage.take(place("two"))
        assert (await stage.ends("two")).state is OrderState.FILLED


# ── in a fall, without a rate, and with a stale health report ────────────────────────────────────────────────────

OTHER = replace(PERPETUAL, exchange="hyperliquid")
TETHERED = replace(PERPETUAL, symbol="NFX/USDT:USDT", quote="USDT", settle="USDT")


class TwoExchanges(Gate):
    exchanges = ("binance", "hyperliquid")


def fall(stage: Bench, *instruments: Instrument) -> None:
    """All of these are quoted at 97 now, and were traded at 100 on average in the last minute."""
    at, sides = now(), ((Level(96.9, 500.0),), (Level(97.0, 500.0),))
    for one in instruments:
        stage.show(INSTRUMENTS, one)
        stage.show(BOOKS, BookSnapshot(one.exchange, one.symbol, one.market, *sides, at, at, at))
    stage.show(PRICES, AggregatedPrice(PERPETUAL.market, 100.0, 97.0, 100.0, 1e6, 1.0, (), (), at))


@pytest.mark.parametrize(
    "how", [{}, {"exchange": "binance"}, {"type": OrderType.LIMIT, "price": Decimal(96)}, {"market": PERPETUAL.market}]
)
async def test_in_a_fall_a_position_is_closed_where_its_book_is(how: dict[str, Any]) -> None:
    async with bench() as stage:
        futures(stage, "1", free="1000")
        fall(stage, PERPETUAL)
        await stage.take(replace(order(Side.SELL, "1"), order_id="new", quantity=Decimal(2)))
        assert "within the bounds" in (await stage.ends("new")).reason, "an order that opens is held to the market"
        await stage.take(replace(order(Side.SELL, "1"), **how))
        assert [one.reduce_only for one in stage.gate.placed] == [True]


async def test_a_limit_far_below_the_own_book_does_not_close_either() -> None:
    async with bench() as stage:
        futures(stage, "1")
        await stage.take(order(Side.SELL, "1", type=OrderType.LIMIT, price=Decimal(50)))
        assert (await stage.ends("o")).reason.startswith("collar")
        assert not stage.gate.placed


async def test_an_order_that_names_an_exchange_is_held_to_the_market_of_all() -> None:
    async with bench(gate=TwoExchanges()) as stage:
        futures(stage, "0", free="1000")
        fall(stage, PERPETUAL)
        await stage.take(order(Side.SELL, "1", exchange="binance"))
        assert not stage.gate.placed, "one book alone may be wrong"
        fall(stage, PERPETUAL, OTHER)
        await stage.take(replace(order(Side.SELL, "1", exchange="binance"), order_id="second"))
        assert len(stage.gate.placed) == 1


async def test_closing_in_one_quote_needs_no_rate() -> None:
    async with bench() as stage:
        fall(stage, TETHERED)
        zero = Decimal(0)
        stage.show(POSITIONS, Position("binance", TETHERED.symbol, Decimal(1), Decimal(100), zero, now()))
        in_usd = order(Side.SELL, "1", type=OrderType.LIMIT, price=Decimal(97))
        await stage.take(replace(in_usd, market=TETHERED.market, order_id="usd"))
        assert "conversion" in (await stage.ends("usd")).reason, "a bound in USD can't be kept"
        await stage.take(replace(order(Side.SELL, "2"), market=TETHERED.symbol, order_id="more"))
        assert "conversion" in (await stage.ends("more")).reason
        await stage.take(replace(order(Side.SELL, "1"), market=TETHERED.symbol))
        assert [one.reduce_only for one in stage.gate.placed] == [True]


async def test_a_health_report_does_not_keep_a_position_from_being_closed() -> None:
    async with bench() as stage:
        futures(stage, "1", free="1000")
        at = now() - 3_600_000_000
        offline = ExchangeHealth("binance", HealthStatus.OFFLINE, 1.0, 0.0, 0.0, at, "probe failed", at)
        stage.show(HEALTH, offline, at=at)
        await stage.take(replace(order(Side.BUY, "1"), order_id="more"))
        assert "is offline" in (await stage.ends("more")).reason
        await stage.take(order(Side.SELL, "1"))
        assert [one.reduce_only for one in stage.gate.placed] == [True]


async def test_an_order_that_only_closes_takes_no_more_than_the_position_of_each_exchange() -> None:
    """The better price is where less is held."""
    async with bench(gate=TwoExchanges()) as stage:
        futures(stage, "1")
        stage.show(INSTRUMENTS, OTHER)
        at, sides, zero = now(), ((Level(99.8, 500.0),), (Level(99.9, 500.0),)), Decimal(0)
        stage.show(BOOKS, BookSnapshot(OTHER.exchange, OTHER.symbol, OTHER.market, *sides, at, at, at))
        stage.show(POSITIONS, Position(OTHER.exchange, OTHER.symbol, Decimal(1), Decimal(100), zero, at))
        margin(stage, "1000")
        decider = stage.decider
        decider._limits = replace(decider._limits, max_daily_loss_usd=-1.0)
        await stage.take(order(Side.SELL, "2"))
        sent = [(one.instrument.exchange, one.quantity, one.reduce_only) for one in stage.gate.placed]
        assert sent == [("binance", Decimal(1), True), ("hyperliquid", Decimal(1), True)]


# ── where it is held ─────────────────────────────────────────────────────────────────────────────────────────────


def failing_over(stage: Bench, latency: float = 2_500.0) -> None:
    """Orders for binance are sent to hyperliquid, where the same perpetual has the same price."""
    at, sides, free = now(), ((Level(99.9, 500.0),), (Level(100.0, 500.0),)), Decimal(1000)
    stage.show(INSTRUMENTS, OTHER)
    stage.show(BOOKS, BookSnapshot(OTHER.exchange, OTHER.symbol, OTHER.market, *sides, at, at, at))
    stage.show(BALANCES, Balance(OTHER.exchange, "USDC", free, Decimal(0), Decimal(0), free, at))
    for exchange, one in (("binance", latency), ("hyperliquid", 10.0)):
        stage.show(HEALTH, ExchangeHealth(exchange, HealthStatus.ONLINE, one, 100.0, 0.0, at, "", at))
    conditions = {"latency_ms": 2_000.0}
    backups = ("hyperliquid",)
    stage.show(FAILOVER, Failover(primary="binance", backups=backups, config_id="f", conditions=conditions))


async def test_a_failover_moves_what_opens_and_not_what_closes() -> None:
    async with bench(gate=TwoExchanges()) as stage:
        futures(stage, "1", free="1000")
        failing_over(stage)
        await stage.take(order(Side.SELL, "1", exchange="binance"))
        await stage.take(replace(order(Side.BUY, "1", exchange="binance"), order_id="open"))
        sent = [(one.instrument.exchange, one.reduce_only) for one in stage.gate.placed]
        assert sent == [("binance", True), ("hyperliquid", False)]


async def test_a_waiting_or_resting_close_stays_where_the_position_is() -> None:
    async with bench(gate=TwoExchanges()) as stage:
        futures(stage, "1", free="1000")
        stage.gate.answers["POST"] = stage.gate.answers["GET"] = working
        how: dict[str, Any] = {"type": OrderType.LIMIT, "exchange": "binance"}
        await stage.take(order(Side.SELL, "1", price=Decimal(110), **how))
        await stage.take(replace(order(Side.BUY, "1", price=Decimal(90), **how), order_id="open"))
        failing_over(stage)
        stage.gate.failing = lambda exchange: "no answer" if exchange == "binance" else ""  # type: ignore[method-assign]
        decider = stage.decider
        closes, opens = (stage.executor.orders.runners[name].order for name in ("o", "open"))
        assert (decider.abandons(closes), decider.abandons(opens)) == ("", "binance")
        assert (decider.given_up(closes, 0, []), decider.given_up(opens, 0, [])) == ("", "no answer")


async def test_a_close_that_was_refused_is_not_opened_elsewhere_by_a_failover() -> None:
    async with bench(gate=TwoExchanges()) as stage:
        futures(stage, "1", free="1000")
        failing_over(stage)
        stage.gate.answers["POST"] = lambda _: Reject("-2022", "ReduceOnly Order is rejected.")
        await stage.take(order(Side.SELL, "1", exchange="binance"))
        ended = await stage.ends("o")
        assert [one.instrument.exchange for one in stage.gate.placed] == ["binance"]
        assert "only binance may take it" in ended.reason
