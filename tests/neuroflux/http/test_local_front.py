"""The front passes requests and answers on unchanged, and nothing of a web page of another site."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from msgspec import Struct

from neuroflux.http.local_front import HEADER, front

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
LARGE = b"0123456789abcdef" * (1 << 18)


class Behind(Struct):
    """A server of one answer, and the bytes of each connection that it was sent."""

    server: asyncio.Server
    answer: bytes = OK
    asked: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])


class Front(Struct):
    url: str
    behind: Behind


@pytest.fixture
async def served() -> AsyncIterator[Front]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = await reader.readuntil(b"\r\n\r\n")
        if b"Content-Length" in seen:
            seen += await reader.readexactly(int(seen.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
        elif b"chunked" in seen:
            seen += await reader.readuntil(b"0\r\n\r\n")
        behind.asked.append(seen)
        writer.write(behind.answer)
        await writer.drain()
        writer.close()

    behind = Behind(await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24))
    runner = web.AppRunner(front(behind.port, ["registry"]), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Front(f"http://127.0.0.1:{runner.addresses[0][1]}", behind)
    await runner.cleanup()
    behind.server.close()


async def raw(served: Front, request: bytes) -> bytes:
    """All bytes of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("path", ["/subjects/a%2Fb/../c?x=%20y&z=%2B+%C3%A9%0A", "//evil.example/x", "/%0a", "/a;b=c"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "QUERY"])
async def test_a_request_is_passed_on_unchanged(served: Front, method: str, path: str) -> None:
    line = f"{method} {path} HTTP/1.1\r\n".encode()
    headers = b"Host: localhost:8081\r\nAuthorization: Basic eDp5\r\nX-Two: 1\r\nX-Two: 2\r\n"
    await raw(served, line + headers + b"Connection: close, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\n\r\n")
    (asked,) = served.behind.asked
    assert asked.replace(b"Content-Length: 0\r\n", b"") == HEADER + line + headers + b"Connection: close\r\n\r\n"


async def test_bodies_are_passed_on_in_both_directions(served: Front) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield LARGE

    served.behind.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE
    async with aiohttp.ClientSession(served.url) as session:
        for data in (io.BytesIO(LARGE), pieces()):
            async with session.post("/subjects", data=data, expect100=True) as answer:
                assert await answer.read() == LARGE
    known, chunked = served.behind.asked
    assert (known.endswith(b"\r\n\r\n" + LARGE), b"Expect" in known) == (True, False)
    assert chunked.count(b"0123456789abcdef") >= len(LARGE) // 16 - 100


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
        b"HTTP/1.1 404 Not Found Here\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(b"[]", mtime=0))
        + gzip.compress(b"[]", mtime=0),
    ],
)
async def test_an_answer_is_passed_on_unchanged(served: Front, answer: bytes) -> None:
    served.behind.answer = answer
    close = b"Connection: close\r\n\r\n"
    got = await raw(served, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + close)
    assert got.replace(close, b"\r\n", 1) == answer
    await raw(served, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + close)
    assert b"Cookie" not in served.behind.asked[-1]


async def test_the_answer_to_a_head_has_its_length_and_no_body(served: Front) -> None:
    served.behind.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    got = await raw(served, b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert (b"Content-Length: 7\r\n" in got, got.endswith(b"\r\n\r\n")) == (True, True)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:8081", "Origin": "http://evil.example:8081"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_page_of_another_site_reaches_nothing(served: Front, method: str, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.request(method, "/subjects", headers=headers) as answer:
            assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)
    assert served.behind.asked == []


@pytest.mark.parametrize("host", ["localhost", "[::1]:8081", "REGISTRY:8081", "127.0.0.1"])
async def test_this_machine_and_the_configured_name_are_served(served: Front, host: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.get("/", headers={"Host": host, "Origin": f"http://{host}"}) as answer:
            assert answer.status == 200


async def test_no_other_address_is_asked(served: Front) -> None:
    for target, status in ((b"http://evil.example/x", b"403"), (b"http://127.0.0.1/x", b"400"), (b"*", b"400")):
        got = await raw(served, b"OPTIONS " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 " + status)
    assert served.behind.asked == []


async def test_an_answer_that_is_cut_off_does_not_look_complete(served: Front) -> None:
    served.behind.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n"
    async with aiohttp.ClientSession(served.url) as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.get("/") as answer:
                await answer.read()


async def test_without_the_server_it_is_a_bad_gateway(served: Front) -> None:
    served.behind.server.close()
    await served.behind.server.wait_closed()
    async with aiohttp.ClientSession(served.url) as session, session.get("/") as answer:
        assert answer.status == 502
