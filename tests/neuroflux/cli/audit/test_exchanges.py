"""Which exchanges can be read, and with which keys; what can't be read is listed with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from neuroflux.cli.audit import exchanges
from neuroflux.cli.audit.audit import READINGS
from neuroflux.cli.audit.exchanges import Access, ExchangeReader, accesses
from neuroflux.exchanges.hyperliquid.own_answers import TOPS
from neuroflux.http.budget import Urgency
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served, serve

COINS = sorted(one.symbol for one in venues()["hyperliquid"].listings)
NAMES = {name: [next(one.symbol for one in venue.listings if one.base == "BTC")] for name, venue in venues().items()}
"""An instrument of each exchange."""
LONGER_THAN_A_PAGE = {
    "binance": 1005,
    "binanceusdm": 1005,
    "hyperliquid": 2005,
    "okx": 105,
    "bybit": 105,
    "coinbase": 1005,
    "kraken": 55,
}
QUANTITY = {"binanceusdm": Decimal("0.002")}


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(0, seed=1) as server:
        yield server


def settings_of(sim: str, home: Path) -> Settings:
    return Settings(home=home, sim=sim)


async def ways_of(served: Served, home: Path) -> list[Access]:
    return await asyncio.to_thread(accesses, settings_of(served.url, home))


async def test_the_account_of_the_simulator_is_read(served: Served, tmp_path: Path) -> None:
    async with ExchangeReader(await ways_of(served, tmp_path)) as asker:
        asked = await asker.read(NAMES, NAMES, wall() - 60_000_000)
    assert asked.unread == {}
    assert asked.exchanges.keys() == NAMES.keys()
    for exchange, own in asked.exchanges.items():
        assert own.account is not None, exchange
        assert all(one.wallet >= 0 for one in own.account.balances.values())
        assert any(one.wallet > 0 for one in own.account.balances.values())
        assert NAMES[exchange][0] in own.tops


@pytest.mark.parametrize(("exchange", "count"), LONGER_THAN_A_PAGE.items())
async def test_lists_are_read_to_their_end(served: Served, tmp_path: Path, exchange: str, count: int) -> None:
    sim, since, (name,) = served.simulation.exchange(exchange), wall() - 60_000_000, NAMES[exchange]
    for number in range(count):
        ask = Ask(
            name,
            "sell" if number % 2 else "buy",
            QUANTITY.get(exchange, Decimal("0.001")),
            None,
            "IOC",
            f"0x{number:032x}",
        )
        sim.place(ask, served.simulation.now(exchange))
        if number % 20 == 0:
            served.simulation.step()
    (way,) = (one for one in await ways_of(served, tmp_path) if one.exchange == exchange)
    async with ExchangeReader([way]) as reader:
        asked = await reader.read(NAMES, NAMES, since)
    own = asked.exchanges[exchange]
    assert own.account is not None
    assert len(own.account.fills) == len(sim.fills()) >= count
    if exchange == "hyperliquid":
        assert asked.unread == {(exchange, "orders of all instruments"): "its list is longer than what is read"}
        assert not own.is_whole
    else:
        assert asked.unread == {}
        assert own.is_whole
        assert own.account.orders.keys() == {order.client_order_id for order in sim.orders.values()}


async def test_a_list_that_goes_on_for_too_long_is_cut(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "MOST_PAGES", 0)
    sim, (name,) = served.simulation.exchange("okx"), NAMES["okx"]
    for number in range(LONGER_THAN_A_PAGE["okx"]):
        order = sim.place(Ask(name, "buy", Decimal("0.001"), Decimal(10_000), "GTC", f"n{number}"), wall())
        sim.cancel(order, wall())
    (way,) = (one for one in await ways_of(served, tmp_path) if one.exchange == "okx")
    async with ExchangeReader([way]) as reader:
        asked = await reader.read(NAMES, NAMES, wall() - 60_000_000)
    assert asked.unread == {("okx", "ended"): "its list is longer than what is read"}
    assert not asked.exchanges["okx"].is_whole


async def test_two_audits_in_a_minute_leave_room_to_trade(served: Served, tmp_path: Path) -> None:
    """The audit shares the rate limit with trading. On Kraken an audit of so many readings takes minutes."""
    ways = [one for one in await ways_of(served, tmp_path) if one.exchange != "kraken"]
    quoted = {**NAMES, "hyperliquid": COINS}
    for _ in range(2):
        async with ExchangeReader(ways) as asker:
            for _ in range(READINGS + 1):
                asked = await asker.read(NAMES, quoted, wall() - 60_000_000)
                assert asked.unread == {}
    tops = asked.exchanges["hyperliquid"].tops
    assert len(tops) == TOPS
    assert "BTC" in tops, "what is traded comes first"


async def test_an_audit_leaves_half_of_each_limit_to_trading(served: Served, tmp_path: Path) -> None:
    """It waits where it would use more: both would be refused for a minute."""
    async with ExchangeReader(await ways_of(served, tmp_path)) as asker:
        for client in asker.clients.values():
            half = client.exchange.WEIGHT_PER_MINUTE // 2
            assert client.try_turn(half, Urgency.READ)
            assert not client.try_turn(half, Urgency.READ)


@pytest.mark.parametrize("milliseconds", [-20_000, 20_000])
async def test_a_skewed_clock_hides_nothing(served: Served, tmp_path: Path, milliseconds: int) -> None:
    """Requests are signed with the exchange's own time."""
    served.simulation.faults.add(f'{{"exchange":"binanceusdm","fault":"skew","ms":{milliseconds}}}'.encode())
    async with ExchangeReader(await ways_of(served, tmp_path)) as asker:
        asked = await asker.read(NAMES, NAMES, wall() - 60_000_000)
    assert asked.unread == {}


async def test_a_failing_exchange_is_listed_and_the_others_are_read(served: Served, tmp_path: Path) -> None:
    served.simulation.faults.add(b'{"exchange":"binance","fault":"http_5xx","count":100}')
    async with ExchangeReader(await ways_of(served, tmp_path)) as asker:
        asked = await asker.read(NAMES, NAMES, wall())
    assert {place: why for place, why in asked.unread.items() if "503" not in why} == {}
    assert asked.unread.keys() == {("binance", "account"), ("binance", "prices")}
    assert asked.exchanges["hyperliquid"].account is not None


async def test_an_account_without_keys_is_listed(served: Served, tmp_path: Path) -> None:
    first, *others = await ways_of(served, tmp_path)
    async with ExchangeReader([replace(first, keys=None), *others]) as asker:
        asked = await asker.read(NAMES, NAMES, wall())
    assert "NEUROFLUX_BINANCE_API_KEY" in asked.unread["binance", "account"]
    assert asked.exchanges["binance"].tops, "prices need no keys"


def test_without_a_simulator_the_user_s_keys_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEUROFLUX_BINANCE_API_KEY", "key")
    monkeypatch.setenv("NEUROFLUX_BINANCE_SECRET_KEY", "secret")
    ways = {one.exchange: one for one in accesses(settings_of("http://127.0.0.1:1", tmp_path))}
    assert ways["binance"].keys is not None
    assert ways["binance"].keys.key == "key"
    assert ways["hyperliquid"].keys is None
    assert "127.0.0.1" not in ways["binance"].address
