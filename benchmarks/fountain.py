"""``python -m benchmarks.fountain PORT``: a WebSocket that sends quotes of BTC as fast as they are read.

The path sets their number: ``/20000/stream``.

Its frames are prepared in advance, so that it is never the bottleneck.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
import sys
from contextlib import suppress

from benchmarks import frames

FRAMES = 20_000
TOGETHER = 200
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def framed(raw: bytes) -> bytes:
    """RFC 6455, 5.2: one final text frame, unmasked, of up to 64 KiB."""
    head = bytes((0x81, len(raw))) if len(raw) < 126 else bytes((0x81, 126)) + struct.pack(">H", len(raw))
    return head + raw


def accepted(asked: bytes) -> bytes:
    """RFC 6455, 4.2.2: the answer to a handshake."""
    key = next(
        line.split(b":")[1].strip() for line in asked.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    return head + accept + b"\r\n\r\n"


GIVEN = frames.quotes(["BTC"], FRAMES)
PARTS = [b"".join(map(framed, GIVEN[at : at + TOGETHER])) for at in range(0, FRAMES, TOGETHER)]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    writer.write(accepted(asked))
    with suppress(ConnectionError):  # the reader has enough
        for number in range(int(asked.split(b"/")[1]) // TOGETHER):
            writer.write(PARTS[number % len(PARTS)])
            await writer.drain()
        await reader.read()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
