"""What an exchange, or whoever stands in for one, can do to who asks it: redirects, endless answers, garbage."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from neuroflux.exchanges.kit.requests import Request
from neuroflux.http import exchange_http
from neuroflux.http.exchange_http import FAILURES, Redirected, TooLarge, ask, why

SECRET = "canary-signature"
SIGNED = Request("GET", f"/api/v3/account?signature={SECRET}", headers={"X-MBX-APIKEY": "canary-key"})
WITHIN = aiohttp.ClientTimeout(total=10)
MEBIBYTE = 2**20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked(address: str) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as session:
        return await ask(session, address, SIGNED, WITHIN)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    stolen: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        stolen.append(request.headers.get("X-MBX-APIKEY", ""))
        return web.json_response({})

    async with served(thief) as elsewhere:

        async def exchange(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{elsewhere}{request.path_qs}"})

        async with served(exchange) as address:
            with pytest.raises(Redirected):
                await asked(address)
    assert stolen == []


async def test_an_answer_that_unpacks_to_more_than_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_http, "MOST_BYTES", 4 * MEBIBYTE)
    bomb = gzip.compress(bytes(200 * MEBIBYTE))

    async def exchange(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with served(exchange) as address:
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                await asked(address)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 40 * MEBIBYTE


async def test_an_answer_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_http, "MOST_BYTES", 4 * MEBIBYTE)
    sent = 0

    async def exchange(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100:
            await response.write(bytes(MEBIBYTE))
            sent += 1
        return response

    async with served(exchange) as address:
        with pytest.raises(TooLarge):
            await asked(address)
    assert sent < 50


async def test_an_answer_of_the_largest_size_is_read_whole() -> None:
    body = bytes(range(256)) * 4096 * 20

    async def exchange(_: web.Request) -> web.Response:
        answer = web.Response(body=body)
        answer.enable_compression()
        return answer

    async with served(exchange) as address:
        assert (await asked(address))[2] == body


async def test_no_error_tells_what_was_signed() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTP/9 nonsense\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(FAILURES) as caught:
            await asked(f"http://127.0.0.1:{port}")
    assert SECRET in repr(caught.value) or SECRET in str(caught.value)  # it is there to be told
    assert "canary" not in why(caught.value)


def test_what_the_system_said_is_told() -> None:
    assert why(ConnectionRefusedError(111, "Connection refused")) == "ConnectionRefusedError: Connection refused"
