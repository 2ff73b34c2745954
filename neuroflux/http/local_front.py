"""A front for a local server that does not check who asks: what ``guarded`` accepts is passed on unchanged, both ways.

The server behind it listens on loopback too, so it must require a header of the PROXY protocol at the start of each
connection. The front sends it. A web page can't: its browser begins with a request line.

Source: HAProxy, "The PROXY protocol", 2.1 "Human-readable header format (Version 1)".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping

from aiohttp import BaseConnector, ClientError, ClientRequest, ClientSession, ClientTimeout, DummyCookieJar, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict
from yarl import URL

from neuroflux.http.local_http import guarded

HOST = "127.0.0.1"
HEADER = b"PROXY UNKNOWN\r\n"
BLOCK = 1 << 16
CONNECT_SECONDS = 10.0

OF_A_CONNECTION = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings")
)
"""Headers of one connection (RFC 9110, 7.6.1), not of what is asked or answered; so is what ``Connection`` names."""
OURS = frozenset(("Accept", "Accept-Encoding", "Content-Type", "User-Agent"))
"""What aiohttp's client would add to a request."""
ADDED = ("Content-Type", "Date", "Server")
"""What aiohttp's server adds to an answer."""
SESSION = web.AppKey("session", ClientSession)
ANSWERED = web.RequestKey("answered", CIMultiDict[str])


class _Behind(BaseConnector):
    """One connection per request, which begins with the PROXY header: an idle one might be closed as a POST is sent."""

    def __init__(self, port: int) -> None:
        super().__init__(force_close=True, limit=0)
        self._port = port

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        async with asyncio.timeout(CONNECT_SECONDS):
            transport, protocol = await self._loop.create_connection(self._factory, HOST, self._port)
        transport.write(HEADER)
        return protocol


def front(port: int, names: Collection[str] = ()) -> web.Application:
    """Pass on what is asked of this machine or ``names`` to the server at ``port`` of loopback, and its answers."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(
            connector=_Behind(port),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=OURS,
            timeout=ClientTimeout(total=None),
            read_bufsize=BLOCK,
        ) as app[SESSION]:
            yield

    app = web.Application(middlewares=[guarded(names), _passing(f"http://{HOST}:{port}")])
    app.cleanup_ctx.append(session)
    app.on_response_prepare.append(_without_added)
    return app


def _passing(address: str) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.raw_path.startswith("/"):
            raise web.HTTPBadRequest(text="not a path")
        try:
            return await _passed(request, URL(address + request.raw_path, encoded=True))
        except (ClientError, TimeoutError) as error:
            if request.get(ANSWERED) is not None:
                raise ConnectionError("the answer behind the front was cut off") from error
            raise web.HTTPBadGateway(text=f"the server behind the front: {type(error).__name__}") from error

    return middleware


async def _passed(request: web.Request, address: URL) -> web.StreamResponse:
    data = request.content if request.body_exists else None
    headers = _of_the_message(request.headers, "expect")  # "100 Continue" was sent here
    session = request.app[SESSION]
    async with session.request(request.method, address, headers=headers, data=data, allow_redirects=False) as answer:
        request[ANSWERED] = _of_the_message(answer.headers)
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=request[ANSWERED])
        await response.prepare(request)
        async for piece in answer.content.iter_chunked(BLOCK):
            await response.write(piece)
        await response.write_eof()
        return response


def _of_the_message(headers: Mapping[str, str], *without: str) -> CIMultiDict[str]:
    named = (name.strip().lower() for name in headers.get("Connection", "").split(","))
    dropped = OF_A_CONNECTION.union(named, without)
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


async def _without_added(request: web.Request, response: web.StreamResponse) -> None:
    answered = request.get(ANSWERED)
    for name in ADDED:
        if answered is not None and name not in answered:
            response.headers.popall(name, None)
