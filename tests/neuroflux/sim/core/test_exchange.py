"""Orders against a moving world: money is neither made nor lost, and locks end with the orders that hold them."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault, FaultName
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import AccountEvent, Ask, Order, OrderEvent, Reason, Rejected
from neuroflux.sim.core.world import World

NOW = 1_700_000_000_000_000


class Script:
    """Faults that strike by name, once each."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)

    def setting(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        return None

    def take(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        if fault not in self._names:
            return None
        self._names.remove(fault)
        return Fault(exchange, cast(FaultName, fault))


def _world(*faults: str) -> World:
    return World(venues(), 3, Script(*faults), NOW)


def _place(
    exchange: SimExchange,
    symbol: str,
    side: Side,
    quantity: str,
    price: Decimal | None = None,
    tif: TimeInForce = "GTC",
    client_id: str = "",
) -> Order:
    return exchange.place(Ask(symbol, side, Decimal(quantity), price, tif, client_id), NOW)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 40),
        st.sampled_from([None, -0.01, -0.0002, 0.0002, 0.01]),
        st.sampled_from(["GTC", "IOC", "FOK", "POST"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def _play(
    world: World, exchange: SimExchange, symbol: str, actions: list[tuple[Side, int, float | None, TimeInForce, bool]]
) -> None:
    for side, size, offset, tif, is_cancelled in actions:
        listing = exchange.listings[symbol]
        bid, _ = exchange.top(symbol)
        price = None if offset is None else round(bid * Decimal(1 + offset) / listing.tick) * listing.tick
        try:
            order = _place(exchange, symbol, side, str(Decimal(size) / 100), price, tif)
        except Rejected:
            continue
        for _ in range(4):
            world.step(NOW)
        if is_cancelled and order.is_open:
            exchange.cancel(order, NOW)


@settings(max_examples=8)
@given(ACTIONS)
def test_spot_balances_are_the_start_and_the_fills(
    actions: list[tuple[Side, int, float | None, TimeInForce, bool]],
) -> None:
    world = _world()
    exchange = world.exchanges[BINANCE]
    expected = {asset: balance.total for asset, balance in exchange.spot.balances.items()}
    _play(world, exchange, "BTCUSDT", actions)
    for fill in exchange.fills():
        sign = 1 if fill.side == "buy" else -1
        expected["BTC"] += sign * fill.quantity
        expected["USDT"] -= sign * fill.quantity * fill.price
        expected[fill.fee_asset] -= fill.fee
    assert {asset: exchange.spot.of(asset).total for asset in expected} == expected
    locked = sum(
        (order.left * (order.ask.price or ZERO) for order in exchange.open_orders.values() if order.ask.side == "buy"),
        ZERO,
    )
    assert exchange.spot.of("USDT").locked == locked
    assert all(balance.free >= 0 for balance in exchange.spot.balances.values())


@settings(max_examples=8)
@given(ACTIONS)
def test_perpetual_wallets_are_the_start_the_profits_and_the_fees(
    actions: list[tuple[Side, int, float | None, TimeInForce, bool]],
) -> None:
    world = _world()
    exchange = world.exchanges[BINANCE_USDM]
    start = exchange.perpetual.wallet["USDT"]
    _play(world, exchange, "BTCUSDT", actions)
    fills = exchange.fills()
    assert exchange.perpetual.wallet["USDT"] == start + sum((fill.profit - fill.fee for fill in fills), ZERO)
    held = sum((fill.quantity if fill.side == "buy" else -fill.quantity for fill in fills), ZERO)
    assert exchange.perpetual.position(exchange.listings["BTCUSDT"]).quantity == held
    for order in list(exchange.open_orders.values()):
        exchange.cancel(order, NOW)
    assert exchange.perpetual.in_orders.get("USDT", ZERO) == 0


def test_a_closed_position_realised_the_difference() -> None:
    world = _world()
    exchange = world.exchanges[BINANCE_USDM]
    bought = _place(exchange, "ETHUSDT", "buy", "1")
    sold = _place(exchange, "ETHUSDT", "sell", "1")
    assert sum(fill.profit for fill in sold.fills) == sold.average_price - bought.average_price < 0


@pytest.mark.parametrize(
    ("quantity", "price", "tif", "reason"),
    [
        ("0.000001", "65000", "GTC", Reason.QUANTITY_STEP),
        ("0.01", "65000.001", "GTC", Reason.PRICE_STEP),
        ("0.00001", "65000", "GTC", Reason.NOTIONAL),
        ("10", "65000", "GTC", Reason.BALANCE),
        ("0.001", "70000", "POST", Reason.WOULD_MATCH),
        ("0", "65000", "GTC", Reason.QUANTITY_LIMIT),
    ],
)
def test_what_is_refused_changes_nothing(quantity: str, price: str, tif: TimeInForce, reason: Reason) -> None:
    world = _world()
    exchange = world.exchanges[BINANCE]
    with pytest.raises(Rejected) as refused:
        _place(exchange, "BTCUSDT", "buy", quantity, Decimal(price), tif)
    assert refused.value.reason is reason
    assert not exchange.orders
    assert exchange.spot.of("USDT").locked == 0


def test_a_client_id_is_free_again_when_its_order_is_over() -> None:
    exchange = _world().exchanges[BINANCE]
    order = _place(exchange, "BTCUSDT", "buy", "0.001", Decimal(60000), client_id="mine")
    with pytest.raises(Rejected, match="duplicate"):
        _place(exchange, "BTCUSDT", "buy", "0.001", Decimal(60000), client_id="mine")
    exchange.cancel(order, NOW)
    assert _place(exchange, "BTCUSDT", "buy", "0.001", Decimal(60000), client_id="mine").is_open
    with pytest.raises(Rejected, match="unknown order"):
        exchange.cancel(order, NOW)


def test_a_resting_order_is_filled_when_the_price_reaches_it() -> None:
    world = _world()
    exchange = world.exchanges[BINANCE]
    bid, ask = exchange.top("BTCUSDT")
    order = _place(exchange, "BTCUSDT", "buy", "0.01", (bid + ask) / 2 // Decimal("0.01") * Decimal("0.01"))
    steps = 0
    while order.is_open and steps < 2000:
        world.step(NOW)
        steps += 1
    assert order.state == "filled"
    assert all(fill.is_maker for fill in order.fills)
    assert exchange.spot.of("USDT").locked == 0


def test_events_report_every_step_of_an_order() -> None:
    exchange = _world().exchanges[BINANCE]
    reported: list[AccountEvent] = []
    exchange.listeners.append(reported.append)
    _place(exchange, "BTCUSDT", "buy", "0.3")
    events = [event for event in reported if isinstance(event, OrderEvent)]
    assert [event.kind for event in events] == ["new"] + ["trade"] * (len(events) - 1)
    assert [event.order.state for event in events][-1] == "filled"
    assert sum(event.fill.quantity for event in events if event.fill) == Decimal("0.3")


@pytest.mark.parametrize("beyond", [Decimal("0.9"), Decimal("1.001")])
def test_every_event_of_a_resting_order_shows_what_it_locks(beyond: Decimal) -> None:
    """Also where a part is taken at once: the balances pushed with an event are those at its time."""
    exchange = _world("partial_fill").exchanges[BINANCE]
    price = (exchange.top("BTCUSDT")[1] * beyond).quantize(Decimal("0.01"))
    seen: list[tuple[Decimal, Decimal]] = []
    exchange.listeners.append(
        lambda event: (
            seen.append((event.order.left, exchange.spot.of("USDT").locked)) if isinstance(event, OrderEvent) else None
        )
    )
    _place(exchange, "BTCUSDT", "buy", "0.3", price)
    assert seen
    assert all(locked == left * price for left, locked in seen)


def test_rejections_and_partial_fills_on_demand() -> None:
    exchange = _world("reject", "partial_fill").exchanges[BINANCE]
    with pytest.raises(Rejected, match="fault"):
        _place(exchange, "BTCUSDT", "buy", "0.01")
    market = _place(exchange, "BTCUSDT", "buy", "0.01")
    assert (market.state, market.filled) == ("expired", Decimal("0.005"))


def test_a_partly_filled_limit_order_stays_open_for_some_steps() -> None:
    world = _world("partial_fill")
    exchange = world.exchanges[BINANCE]
    ask = exchange.top("BTCUSDT")[1]
    order = _place(exchange, "BTCUSDT", "buy", "0.02", ask)
    for _ in range(10):
        world.step(NOW)
    assert (order.state, order.filled) == ("partially_filled", Decimal("0.01"))
    assert exchange.top("BTCUSDT")[0] == ask


def test_a_lot_of_money_can_be_spent_on_bitcoin_everywhere() -> None:
    for exchange in _world().exchanges.values():
        for symbol, listing in exchange.listings.items():
            if listing.base == "BTC":
                asks = exchange.books[symbol].asks
                assert sum(price * lots for price, lots in asks.levels(len(asks))) * listing.unit > 1_000_000
