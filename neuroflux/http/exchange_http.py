"""How our processes ask an exchange over HTTP: once, no redirects, bounded answers, and errors without what is signed.

A redirect would carry the key and the signature to whoever it names. An answer without an end, or a small one that
unpacks to a huge one, would take the memory of the process that trades. And what an HTTP client says of a failed
request holds its URL and headers, so of an error only its kind is told.
"""

from __future__ import annotations

from typing import Final

import aiohttp
import yarl

from neuroflux.exchanges.kit.requests import Request

MOST_BYTES: Final = 64 * 2**20
"""Of one answer, unpacked. The largest is Binance's list of instruments, of some 20 MB."""
_PIECE: Final = 2**16

FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What asking raises where no answer came, or none that can be used."""


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
    """Send a request to an address; the answer's status, headers by lower-case name, and body.

    ``context`` is handed to the session's traces. Raises one of ``FAILURES``.
    """
    url = yarl.URL(address.rstrip("/") + request.path, encoded=True)  # as it was signed: nothing is quoted again
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
    """What went wrong, for logs and people: the kind of error, and what the system said of it; no URL, no header.

    >>> why(ConnectionResetError(104, "Connection reset by peer"))
    'ConnectionResetError: Connection reset by peer'
    """
    said = getattr(error, "strerror", None)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
