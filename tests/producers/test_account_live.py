"""An account on a simulated exchange: what its stream did not push is requested, and differences are published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

import neuroflux.exchanges.binance.usdm_transfers
import neuroflux.exchanges.hyperliquid.ledger
import producers.account
import producers.due
import producers.figures
from neuroflux.domain import StatusKind
from neuroflux.engine.health.state import REST
from neuroflux.exchanges.catalogue import exchange
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.http.client import Client
from neuroflux.records.topics import ACCOUNT_FILLS, ACCOUNT_ORDERS, BALANCES, INSTRUMENTS, STATUS, TRANSFERS, Topic
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served, serve
from producers.account import ExchangeAccount

PATIENCE = 20
D = Decimal


class Kept:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[tuple[Topic, Any]] = []

    def publish(self, topic: Topic, record: Any) -> None:
        self.published.append((topic, record))

    async def drain(self) -> None: ...

    def of(self, topic: Topic) -> list[Any]:
        return [record for where, record in self.published if where is topic]

    async def until(self, condition: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (found := condition()):  # noqa: ASYNC110  # it looks at what another task gathers
                await asyncio.sleep(0.02)
            return found


@asynccontextmanager
async def following(served: Served, name: str, kept: Kept) -> AsyncIterator[None]:
    demo = served.simulation.dialects[name].account()
    keys = Keys(demo.address or demo.key, demo.secret)
    on, address = exchange(name), f"{served.url}/{name.removesuffix('usdm')}"
    async with Client(on, address, REST, partial(kept.publish, STATUS)) as client:
        account = ExchangeAccount(on, keys, kept, client, ())  # type: ignore[arg-type]
        running = asyncio.create_task(account.run(address.replace("http", "ws", 1), asyncio.Event()))
        await kept.until(lambda: StatusKind.CONNECTED in kinds(kept))
        try:
            yield
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def kinds(kept: Kept) -> list[StatusKind]:
    return [one.kind for one in kept.of(STATUS) if one.channel == "account"]


async def test_a_difference_from_the_stream_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A balance changes without an event of the stream, such as a missed fee: the regular reading finds it.

    (Hyperliquid's stream repeats whole accounts, so it pushes the change.) Every reading is published: two of them
    after the socket was opened, so that the balance changes while the stream is connected.
    """
    name, asset = "binance", "BTC"
    monkeypatch.setattr(producers.due, "FULL_SECONDS", 0.3)
    monkeypatch.setattr(producers.figures, "SETTLED", 0)
    monkeypatch.setattr(producers.figures, "REPEAT", 0)
    kept = Kept()
    async with serve(0, 1) as served, following(served, name, kept):
        assets = served.simulation.exchange(name).spot
        opened = len(kept.of(BALANCES))
        await kept.until(lambda: [one.asset for one in kept.of(BALANCES)[opened:]].count(asset) == 2)
        (before,) = {one.total for one in kept.of(BALANCES) if one.asset == asset}
        assets.of(asset).free -= Decimal(1)
        found = await kept.until(lambda: [one for one in kept.of(STATUS) if one.kind is StatusKind.DIFFERENCE])
        assert (found[0].value, found[0].detail.partition(":")[0]) == (-1.0, asset)
        newest = await kept.until(lambda: [o for o in kept.of(BALANCES) if o.asset == asset and o.total != before])
        assert newest[-1].total == before - 1


@pytest.mark.parametrize(("name", "symbol"), [("binance", "BTCUSDT"), ("hyperliquid", "BTC")])
async def test_a_fill_while_the_stream_is_disconnected_is_requested(
    name: str, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order rests below what the market maker bids, its exchange falls silent, a seller fills it, and the
    socket is opened again. So deep in the book no other order takes it before that. (Hyperliquid's stream begins with
    the newest fills; those of Binance must be requested.)"""
    monkeypatch.setattr(producers.account, "SHORT_LIVED_SECONDS", 0)
    kept = Kept()
    async with serve(0, 1) as served, following(served, name, kept):
        simulation, traded = served.simulation, served.simulation.exchange(name)
        book, listing = traded.books[symbol], traded.listings[symbol]
        assert book.bids.best is not None
        ticks = book.bids.best * 99 // 100
        deep = Ask(symbol, "buy", Decimal("0.01"), listing.tick * ticks)
        order = traded.place(deep, simulation.now(name))
        await kept.until(lambda: kept.of(ACCOUNT_ORDERS))
        simulation.faults.add(b'{"exchange": "%s", "fault": "mute"}' % name.encode())
        everything = book.take("sell", book.available("sell", ticks), ticks, 0)
        traded.settle(everything, simulation.now(name))
        simulation.flush(name)
        simulation.faults.clear()
        assert order.left == filled(kept) == 0, "filled, and not yet reported"
        simulation.disconnect(name)
        found = await kept.until(lambda: filled(kept) == order.filled and kept.of(ACCOUNT_FILLS))
        assert {one.exchange_order_id for one in found} == {str(order.order_id)}


@pytest.mark.parametrize("name", ["binance", "binanceusdm", "hyperliquid"])
async def test_instruments_get_the_fees_that_this_account_pays(name: str) -> None:
    kept = Kept()
    async with serve(0, 1) as served:
        served.simulation.faults.add(
            b'{"exchange": "%s", "fault": "fees", "maker": "-0.0001", "taker": "0.0002"}' % name.encode()
        )
        async with following(served, name, kept):
            listed = await kept.until(lambda: kept.of(INSTRUMENTS))
    assert {(one.taker_fee, one.maker_fee) for one in listed} == {(Decimal("0.0002"), Decimal("-0.0001"))}
    assert {one.exchange for one in listed} == {name}


@pytest.mark.parametrize(("name", "asset"), [("binance", "USDT"), ("binanceusdm", "USDT"), ("hyperliquid", "USDC")])
async def test_transfers_are_published_once(name: str, asset: str) -> None:
    kept = Kept()
    async with serve(0, 1) as served, following(served, name, kept):
        await kept.until(lambda: kept.of(BALANCES))
        for amount in (D(250), D(-30)):
            spot = name == "binance"
            served.simulation.exchange(name).transfer(asset, amount, served.simulation.now(name), is_spot=spot)
            served.simulation.flush(name)
        await kept.until(lambda: len(named(kept)) == 2)
    assert sorted(one.quantity for one in named(kept)) == [D(-30), D(250)]
    assert {(one.exchange, one.asset) for one in named(kept)} == {(name, asset)}


@pytest.mark.parametrize(("name", "asset"), [("binanceusdm", "USDT"), ("hyperliquid", "USDC")])
async def test_transfers_while_the_stream_was_disconnected_are_read_to_the_last_page(
    name: str, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producers.account, "SHORT_LIVED_SECONDS", 0)
    monkeypatch.setattr(neuroflux.exchanges.hyperliquid.ledger, "PAGE_ROWS", 3)
    monkeypatch.setattr(neuroflux.exchanges.binance.usdm_transfers, "PAGE", 3)
    kept = Kept()
    async with serve(0, 1) as served, following(served, name, kept):
        simulation = served.simulation
        simulation.faults.add(b'{"exchange": "%s", "fault": "page_size", "value": "3"}' % name.encode())
        simulation.faults.add(b'{"exchange": "%s", "fault": "mute"}' % name.encode())
        start = simulation.now(name)
        for number in range(10):
            traded = simulation.exchange(name)
            traded.transfer(asset, D(number + 1), start + number * 2_000, is_spot=False)
        simulation.flush(name)
        assert not kept.of(TRANSFERS)
        simulation.disconnect(name)
        await kept.until(lambda: len(named(kept)) == 10)
    assert sorted(one.quantity for one in named(kept)) == [D(number + 1) for number in range(10)]


def named(kept: Kept) -> set[Any]:
    """Repeated transfers are the same."""
    return set(kept.of(TRANSFERS))


def filled(kept: Kept) -> Decimal:
    """By trade id: fills that are requested again may be published again."""
    return sum({one.trade_id: one.quantity for one in kept.of(ACCOUNT_FILLS)}.values(), Decimal(0))
