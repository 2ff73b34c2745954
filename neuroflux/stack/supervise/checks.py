"""Whether an address answers: shared by the checks of the services."""

from __future__ import annotations

import asyncio
import urllib.request

TIMEOUT = 5.0


async def listens(host: str, port: int) -> bool:
    """Whether a connection is accepted. Checked first, because the clients log each failure."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def serves(url: str) -> bool:
    """Whether a GET is answered with 200."""
    return await asyncio.to_thread(_get, url)


def _get(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=TIMEOUT) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
