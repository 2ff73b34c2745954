"""What only some venues do: order numbers that are text, fees that the quote pays."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import aiohttp
import msgspec
import pytest

from neuroflux.errors import UsageError
from neuroflux.sim.binance.spot import BinanceSpot
from neuroflux.sim.binance.spot_venue import VENUE as BINANCE_VENUE
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault, Faults
from neuroflux.sim.core.listing import new_listing
from neuroflux.sim.core.orders import Ask, Rejected, SelfTrade
from neuroflux.sim.core.simulation import DemoAccount
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.core.world import World
from neuroflux.sim.server import serve
from tests.neuroflux.sim.core.test_exchange import NOW, Script

D = Decimal


def named(number: int) -> str:
    return f"order-{number}"


class Named(BinanceSpot):
    venue = msgspec.structs.replace(BINANCE_VENUE, order_name=named)


class Keyed(BinanceSpot):
    def account(self) -> DemoAccount:
        return msgspec.structs.replace(super().account(), more_keys=(("other", "secret"),))


async def test_the_truth_names_orders_as_the_exchange_does() -> None:
    async with serve(0, seed=1, dialects=(Named,)) as served, aiohttp.ClientSession(served.url) as session:
        order = served.simulation.exchange("binance").place(Ask("BTCUSDT", "buy", D("0.01")), NOW)
        async with session.get("/sim/orders") as answer:
            assert json.loads(await answer.text())[0]["exchange_order_id"] == f"order-{order.order_id}"


async def test_an_account_is_listed_once_for_each_of_its_keys() -> None:
    async with serve(0, seed=1, dialects=(Keyed,)) as served, aiohttp.ClientSession(served.url) as session:
        async with session.get("/sim/accounts") as answer:
            accounts = json.loads(await answer.text())
    assert [one["key"] for one in accounts][1:] == ["other"]
    assert accounts[0]["balances"] == accounts[1]["balances"]
    assert all("more_keys" not in one for one in accounts)


def exchange_of(venue: Venue) -> SimExchange:
    return World({venue.id: venue}, 3, Script(), NOW).exchanges[venue.id]


def test_the_quote_pays_every_fee_and_a_buy_locks_it() -> None:
    exchange = exchange_of(msgspec.structs.replace(BINANCE_VENUE, fees_in_quote=True))
    dollars, coins, rate = exchange.spot.of("USDT"), exchange.spot.of("BTC"), D("0.001")
    start, coins_before = dollars.total, coins.total
    rests = exchange.place(Ask("BTCUSDT", "buy", D("0.1"), D(50000)), NOW)
    assert dollars.locked == 5000 * (1 + rate)
    exchange.cancel(rests, NOW)
    assert (dollars.locked, dollars.free) == (D(0), start)
    for side, price in (("buy", None), ("buy", D(80000)), ("sell", None)):
        exchange.place(Ask("BTCUSDT", side, D("0.01"), price), NOW)  # type: ignore[arg-type]
    fills = exchange.fills()
    spent = sum((one.price * one.quantity * (1 if one.side == "buy" else -1) for one in fills), D(0))
    assert {one.fee_asset for one in fills} == {"USDT"}
    assert all(one.fee == round(one.price * one.quantity * rate, 8) for one in fills)
    assert dollars.free == start - spent - sum((one.fee for one in fills), D(0))
    assert (dollars.locked, coins.total) == (D(0), coins_before + D("0.01"))


def test_the_base_pays_the_fee_of_an_order_that_prefers_it() -> None:
    exchange = exchange_of(msgspec.structs.replace(BINANCE_VENUE, fees_in_quote=True))
    dollars, coins, rate = exchange.spot.of("USDT"), exchange.spot.of("BTC"), D("0.001")
    start = coins.total
    sale = exchange.place(Ask("BTCUSDT", "sell", D("0.1"), D(90000), fee_in_base=True), NOW)
    assert coins.locked == D("0.1") * (1 + rate)
    exchange.cancel(sale, NOW)
    assert (coins.locked, coins.free) == (D(0), start)
    with pytest.raises(Rejected, match="balance"):
        exchange.place(Ask("BTCUSDT", "sell", start, D(90000), fee_in_base=True), NOW)
    purchase = exchange.place(Ask("BTCUSDT", "buy", D("0.1"), D(80000), fee_in_base=True), NOW)
    assert {(fill.fee_asset, fill.fee) for fill in purchase.fills} == {
        ("BTC", round(fill.quantity * rate, 8)) for fill in purchase.fills
    }
    assert coins.total == start + D("0.1") - sum((fill.fee for fill in purchase.fills), D(0))
    assert dollars.locked == 0


def test_a_buy_needs_its_fee_too() -> None:
    exchange = exchange_of(msgspec.structs.replace(BINANCE_VENUE, fees_in_quote=True))
    with pytest.raises(Rejected, match="balance"):
        exchange.place(Ask("BTCUSDT", "buy", D("0.5"), D(50000)), NOW)
    assert exchange.place(Ask("BTCUSDT", "buy", D("0.499"), D(50000)), NOW).is_open


def test_an_order_is_amended() -> None:
    exchange = exchange_of(BINANCE_VENUE)
    dollars = exchange.spot.of("USDT")
    order = exchange.place(Ask("BTCUSDT", "buy", D("0.1"), D(50000), client_order_id="mine"), NOW)
    exchange.amend(order, D("0.2"), D(51000), NOW)
    assert (order.left, dollars.locked, exchange.find(None, "mine")) == (D("0.2"), D(10200), order)
    with pytest.raises(Rejected, match="balance"):
        exchange.amend(order, D(2), D(51000), NOW)
    assert (order.quantity, dollars.locked, order.is_open) == (D("0.2"), D(10200), True)
    exchange.amend(order, D("0.1"), D(80000), NOW)
    assert (order.state, dollars.locked) == ("filled", D(0))
    with pytest.raises(Rejected, match="unknown order"):
        exchange.amend(order, D("0.1"), D(50000), NOW)


def test_a_venue_may_take_larger_orders() -> None:
    large = Ask("BTCUSDT", "buy", D("90000.1"), D(10000))
    for most, reason in ((BINANCE_VENUE.most_lots, "quantity limit"), (10**11, "balance")):
        with pytest.raises(Rejected, match=reason):
            exchange_of(msgspec.structs.replace(BINANCE_VENUE, most_lots=most)).place(large, NOW)


def test_a_new_name_may_separate_its_quote() -> None:
    exchange = exchange_of(BINANCE_VENUE)
    for name in ("NEW-USDC", "NEW/USDC"):
        listing = new_listing(Fault("binance", "list", symbol=name), exchange)
        assert (listing.symbol, listing.base_asset, listing.quote, listing.base) == (name, "NEW", "USDC", "SOL")
    for name in ("NEW-", "-USDC", "NEW-USDC-X"):
        with pytest.raises(UsageError, match=r"no name|must end with"):
            new_listing(Fault("binance", "list", symbol=name), exchange)


def test_an_account_mode_is_a_fault_of_the_venues_that_have_it() -> None:
    venue = msgspec.structs.replace(BINANCE_VENUE, faults={"account_mode": ("view_only",)})
    faults = Faults(time.monotonic, {"binance": venue})
    faults.add(b'{"exchange":"binance","fault":"account_mode","value":"view_only"}')
    assert faults.is_active("binance", "account_mode")
    with pytest.raises(UsageError, match="needs value"):
        faults.add(b'{"exchange":"binance","fault":"account_mode"}')
    with pytest.raises(UsageError, match="is a fault of"):
        Faults(time.monotonic, {"binance": BINANCE_VENUE}).add(
            b'{"exchange":"binance","fault":"account_mode","value":"view_only"}'
        )


@pytest.mark.parametrize(
    ("which", "states"),
    [
        ("", ["filled", "filled"]),
        ("cancel_newest", ["new", "expired"]),
        ("cancel_oldest", ["expired", "filled"]),
        ("cancel_both", ["expired", "expired"]),
    ],
)
def test_an_order_names_which_one_ends_where_it_would_meet_its_own_account(which: SelfTrade, states: list[str]) -> None:
    exchange = exchange_of(BINANCE_VENUE)
    ask = exchange.top("BTCUSDT")[1]
    sale = exchange.place(Ask("BTCUSDT", "sell", D("0.01"), ask), NOW)
    before = sum(one.left for one in exchange.books["BTCUSDT"].asks.queue(exchange.listings["BTCUSDT"].ticks(ask)))
    ahead = before * exchange.listings["BTCUSDT"].lot - D("0.01")
    exchange.transfer("USDT", D(10**7), NOW, is_spot=True)
    purchase = exchange.place(Ask("BTCUSDT", "buy", ahead + D("0.01"), None, self_trade=which), NOW)
    assert [sale.state, purchase.state] == states
    assert purchase.filled == ahead + (0 if "newest" in which or "both" in which else D("0.01"))


def test_an_order_can_be_checked_without_being_placed() -> None:
    exchange = exchange_of(BINANCE_VENUE)
    exchange.check(Ask("BTCUSDT", "buy", D("0.01"), D(50000)))
    with pytest.raises(Rejected, match="balance"):
        exchange.check(Ask("BTCUSDT", "buy", D(1000), D(50000)))
    assert not exchange.orders
