"""One HTTP request to an exchange: sent once, without redirects, with a bounded answer and errors without secrets.

A redirect would send the key and the signature to another address. An answer without an end, or a small one that
unpacks to a huge one, would take the memory of the process that trades. The text of an HTTP client's error has the URL
and the headers of the request, so only the kind of the error is reported.
"""

from __future__ import annotations

from typing import Final

import aiohttp
import yarl

from neuroflux.errors import Unreachable
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.runtime.clock import wall

MOST_BYTES: Final = 64 * 2**20
"""Of one answer, unpacked. The largest is Binance's list of instruments, some 20 MB."""
_PIECE: Final = 2**16

FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request raises that gets no answer, or none that can be used."""


class TooLarge(aiohttp.ClientPayloadError):
    """An answer has more than ``MOST_BYTES``."""


class Redirected(aiohttp.ClientPayloadError):
    """The answer names another address."""


async def ask(
    session: aiohttp.ClientSession,
    address: str,
    request: Request,
    timeout: aiohttp.ClientTimeout,
    context: object = None,
) -> tuple[int, dict[str, str], bytes]:
    """Sign a request that asks for it, and send it; return the answer's status, headers by lower-case name, and body.

    ``context`` is passed to the session's traces. Raises one of ``FAILURES``.
    """
    request = request.signed(wall())
    url = yarl.URL(address.rstrip("/") + request.path, encoded=True)  # as it was signed: it must not be quoted again
    async with session.request(
        request.method,
        url,
        data=request.body or None,
        headers=request.headers,
        timeout=timeout,
        trace_request_ctx=context,
        allow_redirects=False,
    ) as response:
        if 300 <= response.status < 400:
            raise Redirected
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, headers, await _bounded(response)


async def answer_to(
    session: aiohttp.ClientSession, address: str, request: Request, timeout: aiohttp.ClientTimeout, name: str
) -> Answer:
    """For a command that sends a few requests and ends: ``ask`` without a rate budget. Raises Unreachable, with the
    reason after ``name``."""
    try:
        status, headers, body = await ask(session, address, request, timeout)
    except FAILURES as error:
        raise Unreachable(f"{name}: {why(error)}") from None
    return Answer(request, status, body, headers)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    pieces: list[bytes] = []
    left = MOST_BYTES
    async for piece in response.content.iter_chunked(_PIECE):
        left -= len(piece)
        if left < 0:
            raise TooLarge
        pieces.append(piece)
    return b"".join(pieces)


def why(error: BaseException) -> str:
    """What went wrong, for logs and people: the kind of error and the system's text for it; no URL, no header.

    >>> why(ConnectionResetError(104, "Connection reset by peer"))
    'ConnectionResetError: Connection reset by peer'
    """
    text = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
