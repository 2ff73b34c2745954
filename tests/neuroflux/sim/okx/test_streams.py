"""OKX's sockets: logins, subscriptions, the chain of a book's numbers, the account's pushes, and how sockets end."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.core.orders import Ask
from neuroflux.sim.okx import socket as sockets
from neuroflux.sim.okx.instruments import Instruments
from neuroflux.sim.okx.market import Market
from neuroflux.sim.okx.public import PublicChannels
from tests.neuroflux.sim.okx.client import Client, of, sign, until

D = Decimal
BOOK = {"channel": "books", "instId": "BTC-USDT"}
ORDERS = {"channel": "orders", "instType": "ANY"}


def _answers(number: str, frame: Any) -> bool:
    return bool(frame.get("id") == number)


async def _public(client: Client, *args: Any, path: str = "public") -> aiohttp.ClientWebSocketResponse:
    socket = await client.connect(path)
    await socket.send_json({"op": "subscribe", "args": list(args)})
    return socket


def _apply(book: dict[str, dict[str, str]], row: Any) -> None:
    for side in ("bids", "asks"):
        for price, size, _, _ in row[side]:
            book[side][price] = size
            if size == "0":
                del book[side][price]


async def test_updates_continue_the_snapshot(client: Client) -> None:
    socket = await _public(client, BOOK)
    snapshot = (await until(socket, lambda frame: frame.get("action") == "snapshot"))["data"][0]
    assert (snapshot["prevSeqId"], snapshot["checksum"]) == (-1, 0)
    last, book = (
        snapshot["seqId"],
        {side: {level[0]: level[1] for level in snapshot[side]} for side in ("bids", "asks")},
    )
    other = await _public(client, BOOK)
    for _ in range(8):
        row = (await until(socket, lambda frame: frame.get("action") == "update"))["data"][0]
        assert row["prevSeqId"] == last < row["seqId"]
        last = row["seqId"]
        _apply(book, row)
    joined = (await until(other, lambda frame: frame.get("action") == "snapshot"))["data"][0]["seqId"]
    assert (await until(other, of("books")))["data"][0]["prevSeqId"] == joined
    best = max(map(D, book["bids"])), min(map(D, book["asks"]))
    assert best == pytest.approx(client.served.simulation.exchange("okx").top("BTC-USDT"), rel=D("0.001"))


async def test_subscribing_again_brings_a_snapshot_and_no_second_updates(client: Client) -> None:
    socket = await _public(client, BOOK)
    await until(socket, lambda frame: frame.get("action") == "snapshot")
    await socket.send_json({"id": "7", "op": "subscribe", "args": [BOOK]})
    ack = await until(socket, lambda frame: frame.get("event") == "subscribe" and "id" in frame)
    assert (ack["id"], ack["arg"]) == ("7", BOOK)
    last = (await until(socket, lambda frame: frame.get("action") == "snapshot"))["data"][0]["seqId"]
    for _ in range(4):
        row = (await until(socket, lambda frame: frame.get("action") == "update"))["data"][0]
        assert row["prevSeqId"] == last
        last = row["seqId"]
    await socket.send_json({"op": "unsubscribe", "args": [BOOK]})
    await until(socket, lambda frame: frame.get("event") == "unsubscribe")
    await socket.send_str("ping")
    assert await socket.receive_str(timeout=1) == "pong"
    with pytest.raises(TimeoutError):
        await socket.receive(1)


async def test_a_reset_continues_with_a_low_number(client: Client) -> None:
    socket = await _public(client, BOOK)
    last = (await until(socket, lambda frame: frame.get("action") == "snapshot"))["data"][0]["seqId"]
    await client.fault("sequence_reset", symbol="BTC-USDT")
    row = (await until(socket, lambda frame: frame.get("action") == "update"))["data"][0]
    while row["prevSeqId"] == last < row["seqId"]:
        last, row = row["seqId"], (await until(socket, of("books")))["data"][0]
    assert row["seqId"] < row["prevSeqId"] == last
    after = (await until(socket, of("books")))["data"][0]
    assert after["prevSeqId"] == row["seqId"] < after["seqId"]


def test_a_book_without_changes_is_kept_alive(client: Client) -> None:
    simulation = client.served.simulation
    channels = PublicChannels(simulation, Market(simulation, Instruments(simulation.exchange("okx"))))
    (_, key, _, _), (_, _, alive, every) = channels.find(BOOK, "public")
    assert alive.timed is not None
    now = simulation.now("okx")
    texts = [alive.timed(key, now + second * every) for second in range(62)]
    assert [second for second, text in enumerate(texts) if text] == [60]
    row = json.loads(texts[60])["data"][0]
    assert row["prevSeqId"] == row["seqId"] == simulation.exchange("okx").books["BTC-USDT"].sequence
    assert (row["asks"], row["bids"]) == ([], [])


async def test_what_is_not_there_is_refused(client: Client) -> None:
    wrong = [({**BOOK, "instId": "NOPE"}, "60018"), ({"channel": "books-l2-tbt", "instId": "BTC-USDT"}, "64003")]
    wrong += [(ORDERS, "60018"), ({"channel": "candle1m", "instId": "BTC-USDT"}, "60018")]
    for arg, code in wrong:
        socket = await _public(client, arg)
        assert (await until(socket, lambda frame: frame["event"] == "error"))["code"] == code
        await socket.send_str("{")
        assert (await until(socket, lambda frame: frame["event"] == "error"))["code"] == "60012"
        await socket.close()
        client.served.simulation.dialects["okx"]._sockets._connects._times.clear()  # type: ignore[attr-defined]
    private = await _public(client, ORDERS, path="private")
    assert (await until(private, lambda frame: frame["event"] == "error"))["code"] == "60011"
    candles = await _public(client, {"channel": "candle1m", "instId": "BTC-USDT"}, path="business")
    await until(candles, lambda frame: frame.get("event") == "subscribe")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": "x"}, "60005"),
        ({"apiKey": "00000000-0000-4000-8000-000000000000"}, "60032"),
        ({"timestamp": "1700000000"}, "60006"),
        ({"timestamp": "soon"}, "60006"),
        ({"passphrase": "x"}, "60024"),
        ({"sign": "x"}, "60007"),
    ],
)
async def test_a_refused_login_closes_the_socket(client: Client, changed: dict[str, str], code: str) -> None:
    socket = await client.connect("private")
    await socket.send_json(client.login(**changed))
    assert (await until(socket, lambda frame: True))["code"] == code
    message = await socket.receive(5)
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4001)


async def test_a_login_is_done_once(client: Client) -> None:
    socket = await client.private()
    await socket.send_json(client.login(timestamp=int(client.login()["args"][0]["timestamp"])))
    assert (await until(socket, lambda frame: True))["code"] == "60031"


def test_the_worked_example_of_a_login() -> None:
    text = "1795867200GET/users/self/verify"
    assert sign("22582BD0CFF14C41EDBF1AB98506286D", text) == "TnrSI8TLU0dRt68wTioZ2WKVWMY42G3vor7IsGF1MWI="


async def test_a_socket_on_which_nothing_passes_is_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "IDLE", (0.5, 4004, "No data received in 30s"))
    socket = await client.private(ORDERS)
    while (message := await socket.receive(5)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert (message.data, message.extra) == (4004, "No data received in 30s")


async def test_new_sockets_and_requests_are_limited(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MOST_REQUESTS", 2)
    monkeypatch.setattr(sockets, "MOST_OF_CHANNEL", 1)
    first = await client.private(ORDERS)
    count = await until(first, lambda frame: frame.get("event") == "channel-conn-count")
    assert (count["channel"], count["connCount"]) == ("orders", "1")
    await first.send_json({"op": "subscribe", "args": [ORDERS]})
    assert (await until(first, lambda frame: frame["event"] == "error"))["code"] == "60014"
    second = await client.private(ORDERS)
    await until(second, lambda frame: frame.get("event") == "subscribe")
    assert (await until(second, lambda frame: True))["event"] == "channel-conn-count-error"
    await client.connect("public")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.connect("public")
    assert refused.value.status == 429


async def test_every_fill_of_an_order_is_a_row(client: Client) -> None:
    socket = await client.private(ORDERS, {"channel": "orders", "instType": "SWAP"})
    await until(socket, lambda frame: frame.get("event") == "channel-conn-count")
    sim, simulation = client.served.simulation.exchange("okx"), client.served.simulation
    ask = sim.books["SOL-USDT"].asks.levels(2)
    size = (ask[0][1] + 1) * sim.listings["SOL-USDT"].lot
    sim.place(Ask("SOL-USDT", "buy", size, None, "IOC", "both"), simulation.now("okx"))
    frames = [await until(socket, of("orders")) for _ in range(3)]
    assert {frame["arg"]["instType"] for frame in frames} == {"ANY"}
    rows = [frame["data"][0] for frame in frames]
    assert [row["state"] for row in rows] == ["live", "partially_filled", "filled"]
    assert sum(D(row["fillSz"]) for row in rows) == size
    assert D(rows[-1]["fee"]) == sum(D(row["fillFee"]) for row in rows)
    assert len({row["tradeId"] for row in rows}) == 3


async def test_balances_and_positions_are_pushed(client: Client) -> None:
    account, positions = {"channel": "account", "type": "spot"}, {"channel": "positions", "instType": "ANY"}
    socket = await client.private(account, positions, {"channel": "balance_and_position"})
    first = await until(socket, of("account"))
    assert (first["eventType"], first["arg"]["type"], first["lastPage"]) == ("snapshot", "spot", True)
    assert (await until(socket, of("positions")))["data"] == []
    assert (await until(socket, of("balance_and_position")))["data"][0]["eventType"] == "snapshot"
    sim, now = client.served.simulation.exchange("okx"), client.served.simulation.now("okx")
    sim.place(Ask("SOL-USDT-SWAP", "buy", D(2), None, "IOC"), now)
    seen: dict[str, Any] = {}
    while len(seen) < 3:
        frame = await until(socket, lambda frame: frame.get("eventType") != "interval_update" and "data" in frame)
        seen[frame["arg"]["channel"]] = frame["data"]
    assert [row["ccy"] for row in seen["account"][0]["details"]] == ["USDT"]
    sim.place(Ask("SOL-USDT-SWAP", "sell", D(2), None, "IOC"), now)
    closed = await until(socket, lambda frame: of("positions")(frame) and frame["data"][0]["pos"] == "0")
    assert closed["data"][0]["avgPx"] == ""
    await client.fault("transfer", asset="EUR", amount="5")
    moved = await until(socket, lambda frame: of("account")(frame) and len(frame["data"][0]["details"]) == 1)
    while moved["data"][0]["details"][0]["ccy"] != "EUR":
        moved = await until(socket, of("account"))
    assert moved["data"][0]["details"][0]["cashBal"] == "1505"


async def test_an_order_over_the_socket_needs_the_number_of_its_instrument(client: Client) -> None:
    socket = await client.private()
    order = {"tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "1", "px": "146"}
    await socket.send_json({"id": "1", "op": "order", "args": [{**order, "instId": "SOL-USDT"}]})
    answer = await until(socket, lambda frame: frame.get("id") == "1")
    assert (answer["code"], answer["data"]) == ("50014", [])
    code = client.served.simulation.exchange("okx").listings["SOL-USDT"].number
    await socket.send_json({"id": "2", "op": "order", "args": [{**order, "instIdCode": code}]})
    placed = await until(socket, lambda frame: frame.get("id") == "2")
    assert (placed["op"], placed["code"], placed["data"][0]["sCode"]) == ("order", "0", "0")
    cancel = {"instIdCode": code, "ordId": placed["data"][0]["ordId"]}
    for number, expected in (("3", "0"), ("4", "51400")):
        await socket.send_json({"id": number, "op": "cancel-order", "args": [cancel]})
        answer = await until(socket, partial(_answers, number))
        assert answer["data"][0]["sCode"] == expected


async def test_instruments_are_pushed_when_they_change(client: Client) -> None:
    socket = await _public(client, {"channel": "instruments", "instType": "SPOT"})
    await until(socket, lambda frame: frame.get("event") == "subscribe")
    with pytest.raises(TimeoutError):
        await socket.receive(1.5)
    await client.fault("halt", symbol="SOL-USDT")
    rows = (await until(socket, of("instruments")))["data"]
    assert [(row["instId"], row["state"]) for row in rows] == [("SOL-USDT", "suspend")]


async def test_sides_may_be_empty(client: Client) -> None:
    socket = await _public(client, {"channel": "bbo-tbt", "instId": "SOL-USDT"})
    await client.fault("empty_side", symbol="SOL-USDT", value="buy")
    row = (await until(socket, lambda frame: of("bbo-tbt")(frame) and not frame["data"][0]["bids"]))["data"][0]
    assert row["asks"]
