"""A socket against a server that closes, falls silent, or is down: it reports that and reconnects."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

import producers.socket
from neuroflux.domain import StatusKind
from neuroflux.errors import Unreachable
from neuroflux.exchanges.kit.requests import Subscription
from neuroflux.runtime.clock import wall
from producers.socket import Socket

PATIENCE = 10
Handler = Callable[[ServerConnection], Awaitable[None]]


class Recorder:
    """Implements ``Listener``: records its calls in order, and can wait for one."""

    def __init__(self) -> None:
        self.recorded: list[str] = []
        self.received: list[int] = []
        self.details: dict[StatusKind, tuple[float, str]] = {}
        self._changed = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def opened(self) -> None:
        self._record("opened")

    async def drained(self) -> None:
        await self.free.wait()

    def frame(self, raw: bytes, received: int) -> None:
        self.received.append(received)
        self._record(bytes(raw).decode())

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        self.details[kind] = value, detail
        self._record(kind.value)

    def _record(self, what: str) -> None:
        self.recorded.append(what)
        self._changed.set()

    async def until(self, what: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.recorded.count(what) < times:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def serving(handler: Handler, host: str = "127.0.0.1", **how: Any) -> AsyncIterator[str]:
    """The address of an exchange that handles connections so; ``how`` is for ``serve``."""
    async with serve(handler, host, 0, **how) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{'wss' if 'ssl' in how else 'ws'}://{host}:{port}"


@asynccontextmanager
async def running(address: str, subscription: Subscription, listener: Recorder) -> AsyncIterator[Socket]:
    one = Socket(address, subscription, listener)
    task = asyncio.create_task(one.run())
    try:
        yield one
        assert not task.done(), task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_it_connects_subscribes_and_passes_frames_on() -> None:
    messages: list[str] = []

    async def exchange(connection: ServerConnection) -> None:
        assert connection.request is not None
        messages.append(connection.request.path)
        messages.extend([str(await connection.recv()), str(await connection.recv())])
        for frame in ("one", "two"):
            await connection.send(frame)
        await connection.wait_closed()

    recorder, before = Recorder(), wall()
    subscription = Subscription("/stream?streams=a@trade/b@trade", frames=(b"first", b"second"))
    async with serving(exchange) as address, running(address, subscription, recorder) as one:
        await recorder.until("two")
        assert one.tried.is_set()
    assert messages == ["/stream?streams=a@trade/b@trade", "first", "second"]
    assert recorder.recorded[0] == "connected"
    assert [what for what in recorder.recorded if what in ("one", "two")] == ["one", "two"]
    assert recorder.recorded.count("opened") == 1
    assert before <= recorder.received[0] <= recorder.received[1] <= wall()


async def test_it_reconnects_after_a_close() -> None:
    connections = 0

    async def exchange(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await connection.send(f"frame {connections}")
        if connections > 1:
            await connection.wait_closed()

    recorder = Recorder()
    async with serving(exchange) as address, running(address, Subscription("/"), recorder):
        await recorder.until("frame 2")
        recorded = [what for what in recorder.recorded if what != "opened"]
    assert recorded == ["connected", "frame 1", "disconnected", "connected", "frame 2"]


async def test_a_silent_socket_is_stale_and_reopened() -> None:
    connections = 0

    async def exchange(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await connection.send("data")
        await connection.wait_closed()  # pings are answered all the while

    recorder = Recorder()
    async with serving(exchange) as address, running(address, Subscription("/", quiet_seconds=0.2), recorder):
        await recorder.until("data")
        recorded = [what for what in recorder.recorded if what != "opened"]
        _, why = recorder.details[StatusKind.DISCONNECTED]
    assert recorded == ["connected", "stale", "disconnected", "connected", "data"]
    assert 0.2 <= recorder.details[StatusKind.STALE][0] < PATIENCE
    assert why == "no data for 0 s"


async def test_a_stalled_socket_is_connected_again_when_it_receives_data_and_not_before() -> None:
    connections, resume = 0, asyncio.Event()

    async def exchange(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await connection.send("taken: prices")
        if connections > 2:
            await resume.wait()
            await connection.send("data")
        await connection.wait_closed()

    recorder, subscription = Recorder(), Subscription("/", quiet_seconds=0.2, answers=(b"taken",))
    async with serving(exchange) as address, running(address, subscription, recorder):
        await recorder.until("stale", 2)
        assert recorder.recorded.count("connected") == 1, "opened again, and still without data"
        resume.set()
        await recorder.until("data")
        recorded = [what for what in recorder.recorded if what != "opened"]
    assert recorded[-2:] == ["connected", "data"]


async def test_a_socket_that_is_not_read_for_lack_of_room_is_not_stalled() -> None:
    async def exchange(connection: ServerConnection) -> None:
        await connection.send("one")
        await connection.send("two")
        await connection.wait_closed()

    recorder = Recorder()
    recorder.free.clear()
    async with serving(exchange) as address, running(address, Subscription("/", quiet_seconds=0.2), recorder):
        await recorder.until("one")
        await asyncio.sleep(0.5)  # time itself is what is tested
        assert "stale" not in recorder.recorded
        recorder.free.set()
        await recorder.until("two")


async def test_the_heartbeat_is_sent_again_and_again() -> None:
    beats: asyncio.Queue[str] = asyncio.Queue()

    async def exchange(connection: ServerConnection) -> None:
        async for frame in connection:
            beats.put_nowait(str(frame))

    recorder = Recorder()
    subscription = Subscription("/", heartbeat=b'{"method":"ping"}', heartbeat_seconds=0.05)
    async with serving(exchange) as address, running(address, subscription, recorder):
        async with asyncio.timeout(PATIENCE):
            messages = [await beats.get() for _ in range(3)]
    assert messages == ['{"method":"ping"}'] * 3


async def test_frames_wait_while_the_listener_is_full() -> None:
    async def exchange(connection: ServerConnection) -> None:
        for frame in ("one", "two"):
            await connection.send(frame)
        await connection.recv()

    recorder = Recorder()
    recorder.free.clear()
    subscription = Subscription("/", heartbeat=b"x", heartbeat_seconds=0.05)
    async with serving(exchange) as address, running(address, subscription, recorder):
        await recorder.until("one")
        await recorder.until("opened")
        assert "two" not in recorder.recorded
        recorder.free.set()
        await recorder.until("two")


async def test_an_address_without_a_server_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    recorder = Recorder()
    async with running(f"ws://127.0.0.1:{port}", Subscription("/"), recorder) as one:
        await recorder.until("disconnected", times=2)
        assert one.tried.is_set()
        assert set(recorder.recorded) == {"disconnected"}
        assert recorder.details[StatusKind.DISCONNECTED][1]

        async def exchange(connection: ServerConnection) -> None:
            await connection.send("there")
            await connection.wait_closed()

        async with serve(exchange, "127.0.0.1", port):
            await recorder.until("there")


@pytest.mark.parametrize("status", [404, 503])
async def test_an_exchange_that_refuses_the_handshake_is_tried_again(status: int) -> None:
    handshakes = 0

    def refuse_once(connection: ServerConnection, _: object) -> object:
        nonlocal handshakes
        handshakes += 1
        return connection.respond(status, "not now\n") if handshakes == 1 else None

    async def exchange(connection: ServerConnection) -> None:
        await connection.send("there")
        await connection.wait_closed()

    recorder = Recorder()
    async with serving(exchange, process_request=refuse_once) as address:
        async with running(address, Subscription("/"), recorder):
            await recorder.until("there")
            _, why = recorder.details[StatusKind.DISCONNECTED]
    assert str(status) in why
    assert recorder.recorded[0] == "disconnected"
    assert handshakes == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """The first frame may be a login, with a key, its signature and on OKX the passphrase."""
    stolen: list[object] = []

    async def thief(connection: ServerConnection) -> None:
        stolen.append(await connection.recv())

    async with serving(thief) as elsewhere:

        def redirect(connection: ServerConnection, _: object) -> object:
            answer = connection.respond(status, "")
            answer.headers["Location"] = f"{elsewhere}/private"
            return answer

        recorder = Recorder()
        async with serving(thief, process_request=redirect) as address:
            async with running(address, Subscription("/", (b"login",)), recorder):
                await recorder.until("disconnected", times=2)
    assert (stolen, set(recorder.recorded)) == ([], {"disconnected"})
    assert elsewhere not in recorder.details[StatusKind.DISCONNECTED][1]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"not http at all\r\n\r\n"])
async def test_a_server_of_another_protocol_is_tried_again(answer: bytes) -> None:
    handshakes = 0

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal handshakes
        handshakes += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    recorder = Recorder()
    async with await asyncio.start_server(stranger, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with running(f"ws://127.0.0.1:{port}", Subscription("/"), recorder):
            await recorder.until("disconnected", times=2)
    assert set(recorder.recorded) == {"disconnected"}
    assert recorder.details[StatusKind.DISCONNECTED][1]
    assert handshakes >= 2


async def test_a_listener_that_fails_on_a_frame_ends_it() -> None:
    class Stuck(Recorder):
        def frame(self, raw: bytes, received: int) -> None:
            raise Unreachable("Kafka did not take it")

    async def exchange(connection: ServerConnection) -> None:
        await connection.send("lost")
        await connection.wait_closed()

    async with serving(exchange) as address, asyncio.timeout(PATIENCE):
        with pytest.raises(Unreachable, match="Kafka"):
            await Socket(address, Subscription("/"), Stuck()).run()


async def test_a_listener_that_fails_on_opening_ends_it() -> None:
    class Unlucky(Recorder):
        async def opened(self) -> None:
            raise ZeroDivisionError

    async with serving(lambda connection: connection.wait_closed()) as address, asyncio.timeout(PATIENCE):
        with pytest.raises(ZeroDivisionError):
            await Socket(address, Subscription("/"), Unlucky()).run()


async def test_a_connection_that_was_being_opened_at_the_end_is_closed() -> None:
    requested, answer, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(_: ServerConnection, __: object) -> None:
        requested.set()
        await answer.wait()

    async def exchange(connection: ServerConnection) -> None:
        await connection.wait_closed()
        closed.set()

    async with asyncio.timeout(PATIENCE), serving(exchange, process_request=late) as address:
        async with running(address, Subscription("/"), Recorder()):
            await requested.wait()
        answer.set()
        await closed.wait()


async def test_a_fragmented_frame_is_passed_on_whole() -> None:
    async def exchange(connection: ServerConnection) -> None:
        await connection.send(["in ", "three ", "parts"])
        await connection.wait_closed()

    recorder = Recorder()
    async with serving(exchange) as address, running(address, Subscription("/"), recorder):
        await recorder.until("in three parts")


async def test_a_frame_beyond_the_limit_is_not_read_and_the_socket_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.socket.MAX_FRAME", 1000)

    async def exchange(connection: ServerConnection) -> None:
        await connection.send("short")
        await connection.send("l" * 1001)
        await connection.wait_closed()

    recorder = Recorder()
    async with serving(exchange) as address, running(address, Subscription("/"), recorder):
        await recorder.until("short", times=2)
    assert "l" * 1001 not in recorder.recorded


async def test_a_certificate_must_be_trusted_and_of_this_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, other = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "trusted.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))

    async def exchange(connection: ServerConnection) -> None:
        await connection.send("secret")
        await connection.wait_closed()

    async def connect_with(certificate: trustme.LeafCert, last: str) -> Recorder:
        context, recorder = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), Recorder()
        certificate.configure_cert(context)
        async with serving(exchange, "localhost", ssl=context) as address:
            async with running(address, Subscription("/"), recorder):
                await recorder.until(last)
        return recorder

    await connect_with(trusted.issue_cert("localhost"), "secret")
    for refused in (other.issue_cert("localhost"), trusted.issue_cert("elsewhere.example")):
        recorder = await connect_with(refused, "disconnected")
        assert set(recorder.recorded) == {"disconnected"}
        assert "certificate verify failed" in recorder.details[StatusKind.DISCONNECTED][1]


async def test_it_is_reopened_on_request_before_the_exchange_closes_it() -> None:
    connections = 0

    async def exchange(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await connection.send(f"frame {connections}")
        await connection.wait_closed()

    recorder = Recorder()
    async with serving(exchange) as address, running(address, Subscription("/"), recorder) as one:
        one.reopen("before it was opened")
        await recorder.until("frame 1")
        assert "disconnected" not in recorder.recorded
        one.reopen("server shutdown")
        await recorder.until("frame 2")
        recorded = [what for what in recorder.recorded if what != "opened"]
        _, why = recorder.details[StatusKind.DISCONNECTED]
    assert recorded == ["connected", "frame 1", "disconnected", "connected", "frame 2"]
    assert why == "server shutdown"


async def test_a_book_is_subscribed_to_again_on_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.socket, "SAME_BOOK_SECONDS", 0.2)
    messages, times = list[str](), list[float]()

    async def exchange(connection: ServerConnection) -> None:
        async for message in connection:
            messages.append(str(message))
            times.append(time.monotonic())
            await connection.send(str(message))

    recorder = Recorder()
    subscription = Subscription("/", frames=(b"first",), resubscribes={"BTC/USDT": (b"off", b"on")})
    async with serving(exchange) as address, running(address, subscription, recorder) as one:
        await recorder.until("first")
        one.resubscribe("BTC/USDT", "a gap")
        one.resubscribe("BTC/USDT", "a gap")
        await recorder.until("on")
        one.resubscribe("BTC/USDT", "another gap")
        await recorder.until("on", 2)
    assert messages == ["first", "off", "on", "off", "on"]
    assert times[3] - times[1] >= 0.19
    assert recorder.recorded.count("connected") == 1


async def test_what_concerns_all_books_is_subscribed_to_again_within_seconds() -> None:
    async def exchange(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(str(message))

    recorder, symbols = Recorder(), [f"{number}/USDT" for number in range(5)]
    again = {symbol: (b"off", symbol.encode()) for symbol in symbols}
    async with serving(exchange) as address:
        async with running(address, Subscription("/", frames=(b"first",), resubscribes=again), recorder) as one:
            await recorder.until("first")
            for symbol in symbols:
                one.resubscribe(symbol, "frames were lost")
            async with asyncio.timeout(5):
                await recorder.until(symbols[-1])
    assert [what for what in recorder.recorded if what in symbols] == symbols


async def test_a_book_without_frames_of_its_own_is_subscribed_to_again_on_a_new_connection() -> None:
    async def exchange(connection: ServerConnection) -> None:
        await connection.send(str(await connection.recv()))
        await connection.wait_closed()

    recorder = Recorder()
    async with serving(exchange) as address:
        async with running(address, Subscription("/", frames=(b"first",)), recorder) as one:
            await recorder.until("first")
            one.resubscribe("BTC/USDT", "a gap")
            await recorder.until("first", 2)
            assert recorder.details[StatusKind.DISCONNECTED] == (0.0, "a gap")


async def test_what_waits_for_the_login_is_sent_once_after_its_answer() -> None:
    messages = list[str]()

    async def exchange(connection: ServerConnection) -> None:
        messages.append(str(await connection.recv()))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.2)
        await connection.send('{"event":"notice"}')
        for _ in range(2):
            await connection.send('{"event":"login"}')
        messages.extend([str(await connection.recv()), str(await connection.recv())])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.2)
        await connection.send("over")
        await connection.wait_closed()

    recorder = Recorder()
    subscription = Subscription("/", frames=(b"login", b"orders", b"positions"), awaits=b'"login"')
    async with serving(exchange) as address, running(address, subscription, recorder):
        await recorder.until("over")
    assert messages == ["login", "orders", "positions"]
