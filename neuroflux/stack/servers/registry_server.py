"""Run the registry's Java behind a front: ``python -m neuroflux.stack.servers.registry_server HOST PORT COMMAND…``.

Java chooses a free port and prints it. The front listens from then on, so that until the registry is ready nobody is
answered, and ends with it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from neuroflux.stack.supervise import die_with_parent

if TYPE_CHECKING:
    from asyncio import StreamReader

LISTENING = re.compile(rb"Listening on: http://127\.0\.0\.1:(\d+)")
BLOCK = 1 << 16


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start Java; it ends with this process."""
    tied = (sys.executable, "-IS", die_with_parent.__file__, str(os.getpid()))
    return subprocess.Popen((*tied, *command), stdout=subprocess.PIPE, bufsize=0)


async def listening(output: StreamReader) -> int:
    """Copy its output until it names the port it listens on; 0 if it ends before."""
    seen = b""
    while piece := await output.read(BLOCK):
        log(piece)
        seen = (seen + piece)[-BLOCK:]
        if found := LISTENING.search(seen):
            return int(found[1])
    return 0


def log(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


async def serve(java: subprocess.Popen[bytes], host: str, port: int) -> int:
    """Serve until Java ends, and return its exit code; SIGTERM ends Java."""
    import asyncio
    import signal

    from aiohttp import web

    from neuroflux.http.local_front import front

    loop, output = asyncio.get_running_loop(), asyncio.StreamReader()
    loop.add_signal_handler(signal.SIGTERM, java.terminate)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), java.stdout)
    if behind := await listening(output):
        runner = web.AppRunner(front(behind, [host]), access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        while piece := await output.read(BLOCK):
            log(piece)
        await runner.cleanup()
    return await asyncio.to_thread(java.wait)


def main() -> int:
    host, port, *command = sys.argv[1:]
    java = start(command)  # before the slow imports
    import asyncio

    code = asyncio.run(serve(java, host, int(port)))
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
