"""Sockets end with the exchange's own codes: when nothing passed for too long, and after a last frame."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from random import Random

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.faults import Faults


async def _handle(request: web.Request) -> web.StreamResponse:
    connection = Connection("any", Faults(time.monotonic, {}), Random(1))
    connection.idle = (0.4, 4004, "No data received")

    async def on_text(text: str) -> None:
        connection.reply(text)
        if text == "end":
            connection.finish(4001, "Login failed")
            connection.reply("too late")

    return await connection.run(request, on_text)


@pytest.fixture
async def socket() -> AsyncIterator[ClientWebSocketResponse]:
    app = web.Application()
    app.add_routes([web.get("/", _handle)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}") as one:
            yield one
    finally:
        await runner.cleanup()


async def test_an_idle_socket_is_closed(socket: ClientWebSocketResponse) -> None:
    start = time.monotonic()
    for _ in range(3):
        await socket.send_str("ping")
        assert await socket.receive_str(timeout=1) == "ping"
        with pytest.raises(TimeoutError):
            await socket.receive(0.2)
    message = await socket.receive(2)
    assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4004, "No data received")
    assert time.monotonic() - start > 0.8


async def test_the_last_frame_is_sent_before_the_end(socket: ClientWebSocketResponse) -> None:
    await socket.send_str("end")
    assert await socket.receive_str(timeout=1) == "end"
    assert (await socket.receive(1)).data == 4001
