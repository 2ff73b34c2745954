"""Coinbase's sockets: numbers without a hole, snapshots, the account's channel, and when a socket is closed."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.coinbase import sockets
from neuroflux.sim.coinbase.keys import elliptic_key
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault, following
from tests.neuroflux.sim.coinbase.client import subscribe, token

D = Decimal


async def frames(socket: aiohttp.ClientWebSocketResponse, number: int) -> list[Any]:
    return [json.loads(await asyncio.wait_for(socket.receive_str(), 10)) for _ in range(number)]


def of(channel: str, kind: str = "update") -> Any:
    return lambda frame: frame.get("channel") == channel and frame["events"][0].get("type") == kind


async def test_a_book_is_the_one_of_rest(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws-user") as socket:
        await subscribe(socket, "level2", "BTC-USDC", "NOPE-USD")
        book: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "offer": {}}
        for number, frame in enumerate(await frames(socket, 12)):
            assert frame["sequence_num"] == number
            for event in frame["events"]:
                if event.get("type") == "snapshot":
                    book = {"bid": {}, "offer": {}}
                for row in event.get("updates", ()):
                    book[row["side"]][D(row["price_level"])] = D(row["new_quantity"])
        sim = served.simulation.exchange("coinbase")
        listing, halves = sim.listings["BTC-USD"], sim.books["BTC-USD"]
        for side, half in (("bid", halves.bids), ("offer", halves.asks)):
            there = {price * listing.tick: lots * listing.lot for price, lots in half.levels(10_000)}
            assert {price: size for price, size in book[side].items() if size} == there


async def test_a_lost_frame_uses_its_number_up(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws") as socket:
        await subscribe(socket, "level2", "BTC-USD")
        last = (await following(socket, lambda frame: frame["channel"] == "subscriptions"))["sequence_num"]
        assert last > 0
        await fault(session, "gap", "coinbase", count=1)
        there = {frame["sequence_num"] for frame in await frames(socket, 4)}
        assert max(there) == last + 5
        assert len({*range(last + 1, last + 6)} - there) == 1
        await session.delete("/sim/faults")
        await fault(session, "mute", "coinbase", seconds=0.6)
        await asyncio.sleep(0.7)
        numbers = [frame["sequence_num"] for frame in await frames(socket, 3)]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        await fault(session, "duplicate", "coinbase", count=1)
        numbers = [frame["sequence_num"] for frame in await frames(socket, 6)]
        assert len(set(numbers)) == 5


async def test_trades_have_the_side_of_the_maker(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws") as socket:
        await subscribe(socket, "market_trades", "PEPE-USD")
        snapshot = (await frames(socket, 1))[0]["events"][0]
        assert (snapshot["type"], len(snapshot["trades"])) == ("snapshot", 1)
        sim = served.simulation.exchange("coinbase")
        order = sim.place(Ask("PEPE-USD", "buy", D(1_000_000)), served.simulation.now("coinbase"))
        served.simulation.flush("coinbase")
        trades = (await following(socket, of("market_trades")))["events"][0]["trades"]
        mine = [one for one in trades if one["trade_id"] == str(order.fills[0].trade_id)]
        assert [(one["side"], one["price"]) for one in mine] == [("SELL", f"{order.fills[0].price:.8f}")]
        assert [int(one["trade_id"]) for one in trades] == sorted(
            (int(one["trade_id"]) for one in trades), reverse=True
        )


async def test_the_user_channel_begins_with_open_orders_in_batches(served: Served) -> None:
    sim, now = served.simulation.exchange("coinbase"), served.simulation.now("coinbase")
    for number in range(100):
        sim.place(Ask("BTC-USD", "buy", D("0.0001"), D(50000), client_order_id=f"{number}"), now)
    sim.place(Ask("ETH-USD", "buy", D("0.01"), D(2000), client_order_id="other"), now)
    async with aiohttp.ClientSession(served.url) as session:
        for products, sizes in (([], [50, 50, 1]), (["BTC-USD"], [50, 50, 0]), (["SOL-USD"], [0])):
            async with session.ws_connect("/coinbase/ws") as socket:
                await subscribe(socket, "user", *products, jwt=token())
                got = await frames(socket, len(sizes) + 1)
                assert [len(one["events"][0]["orders"]) for one in got[:-1]] == sizes
                assert got[-1]["channel"] == "subscriptions"


async def test_the_states_of_an_order(served: Served) -> None:
    sim, now = served.simulation.exchange("coinbase"), served.simulation.now("coinbase")
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws") as socket:
        await subscribe(socket, "user", "BTC-USD", jwt=token())
        await frames(socket, 2)
        sim.place(Ask("ETH-USD", "buy", D("0.01"), D(2000)), now)
        order = sim.place(Ask("BTC-USD", "buy", D("0.001"), D(50000), client_order_id="mine"), now)
        sim.cancel(order, now)
        rows = [one["events"][0]["orders"][0] for one in await frames(socket, 4)]
        assert [one["status"] for one in rows] == ["PENDING", "OPEN", "CANCEL_QUEUED", "CANCELLED"]
        assert [one["leaves_quantity"] for one in rows] == ["0.001", "0.001", "0.001", "0"]
        assert {one["client_order_id"] for one in rows} == {"mine"}
        sim.place(Ask("BTC-USD", "buy", D("0.01"), D(90000), "IOC"), now)
        rows = [one["events"][0]["orders"][0] for one in await frames(socket, 2)]
        assert [one["status"] for one in rows] == ["PENDING", "FILLED"]
        assert D(rows[1]["total_fees"]) == round(D(rows[1]["filled_value"]) * D("0.012"), 8)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("nonsense", "type required"),
        ('{"type":"subscribe"}', "channel required"),
        ('{"type":"subscribe","channel":"nope"}', "channel nope is not supported"),
        ('{"type":"subscribe","channel":"user"}', "authentication failure"),
        ('{"type":"subscribe","channel":"level2","jwt":"a.b.c"}', "authentication failure"),
        ('{"type":"subscribe","channel":"level2","product_ids":7}', "product_ids must be a list"),
    ],
)
async def test_an_error_has_no_number(served: Served, message: str, error: str) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws") as socket:
        await socket.send_str(message)
        await subscribe(socket, "heartbeats")
        first, second = await frames(socket, 2)
        assert first == {"type": "error", "message": error}
        assert second["sequence_num"] == 0


async def test_a_stale_token_is_refused(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws") as socket:
        for wrong in (token(nbf=1, exp=100), token(key=elliptic_key(9))):
            await subscribe(socket, "user", jwt=wrong)
            assert (await frames(socket, 1))[0]["message"] == "authentication failure"


async def _closes(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> bool:
    """Whether the other side closes within ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
    except TimeoutError:
        return False
    return True


async def test_a_socket_without_a_subscription_is_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "FIRST_WITHIN", 0.4)
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/coinbase/ws") as idle, session.ws_connect("/coinbase/ws") as refused:
            await subscribe(refused, "user")
            async with session.ws_connect("/coinbase/ws") as active:
                await subscribe(active, "heartbeats")
                assert await _closes(idle, 2)
                assert await _closes(refused, 2)
                assert not await _closes(active, 1)


async def test_a_socket_that_is_sent_nothing_is_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "QUIET_FOR", 1.3)
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/coinbase/ws") as quiet, session.ws_connect("/coinbase/ws") as beating:
            await subscribe(quiet, "user", jwt=token())
            await subscribe(beating, "user", jwt=token())
            await subscribe(beating, "heartbeats")
            assert await _closes(quiet, 3)
            assert not await _closes(beating, 1)


async def test_heartbeats_count_up(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/coinbase/ws") as socket:
        await subscribe(socket, "heartbeats", "BTC-USD")
        beats = [await following(socket, lambda frame: frame["channel"] == "heartbeats") for _ in range(2)]
        first, second = (one["events"][0]["heartbeat_counter"] for one in beats)
        assert second == first + 1


async def test_a_ninth_connection_and_a_ninth_message(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/coinbase/ws") as socket:
            for _ in range(9):
                await subscribe(socket, "heartbeats")
            assert (await frames(socket, 9))[-1] == {"type": "error", "message": "rate limit exceeded"}
        opened = [await session.ws_connect("/coinbase/ws") for _ in range(7)]
        with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
            await session.ws_connect("/coinbase/ws")
        for one in opened:
            await one.close()
