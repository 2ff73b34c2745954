"""The downloader against a server that supports ranges, breaks connections and returns errors."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from neuroflux.errors import DownloadFailed
from neuroflux.stack.install import download
from neuroflux.stack.install.download import fetch_all
from neuroflux.stack.install.lockfile import Artifact

CONTENT = bytes(range(256)) * 4096
Handler = Callable[[web.Request], Any]


def artifact(name: str = "part", sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Artifact:
    return Artifact("kafka", "org.x", name, "jar", "", "1", sha256, len(CONTENT))


class Repository:
    """Serves CONTENT at every path; ``answer`` may be replaced. Keeps the Range of each request."""

    def __init__(self) -> None:
        self.ranges: list[str] = []
        self.answer: Handler = self.whole_or_rest
        self.address = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.ranges.append(request.headers.get("Range", ""))
        response: web.StreamResponse = await self.answer(request)
        return response

    async def whole_or_rest(self, request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return web.Response(body=CONTENT)
        start = request.http_range.start
        if start >= len(CONTENT):
            return web.Response(status=416)
        headers = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
        return web.Response(status=206, body=CONTENT[start:], headers=headers)


@pytest.fixture
async def repository() -> AsyncIterator[Repository]:
    made = Repository()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def fetch(repository: Repository, folder: Path, *artifacts: Artifact) -> int:
    """Download; returns the number of bytes reported as progress."""
    reported: list[int] = []
    await asyncio.to_thread(fetch_all, artifacts, folder, repository.address, reported.append)
    return sum(reported)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_several_files_and_the_progress(repository: Repository, tmp_path: Path) -> None:
    assert await fetch(repository, tmp_path, artifact("a"), artifact("b"), artifact("c")) == 3 * len(CONTENT)
    assert names(tmp_path) == ["a-1.jar", "b-1.jar", "c-1.jar"]
    assert (tmp_path / "b-1.jar").read_bytes() == CONTENT


async def test_existing_files_are_not_requested(repository: Repository, tmp_path: Path) -> None:
    await fetch(repository, tmp_path, artifact())
    await fetch(repository, tmp_path, artifact())
    assert len(repository.ranges) == 1


async def test_a_partial_file_is_resumed(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "part-1.jar.part").write_bytes(CONTENT[:1000])
    assert await fetch(repository, tmp_path, artifact()) == len(CONTENT)
    assert repository.ranges == ["bytes=1000-"]
    assert (tmp_path / "part-1.jar").read_bytes() == CONTENT


async def test_a_server_without_ranges_restarts_the_file(repository: Repository, tmp_path: Path) -> None:
    async def whole(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    repository.answer = whole
    (tmp_path / "part-1.jar.part").write_bytes(b"x" * 1000)
    assert await fetch(repository, tmp_path, artifact()) == len(CONTENT)
    assert (tmp_path / "part-1.jar").read_bytes() == CONTENT


async def test_a_partial_file_that_is_too_long_is_restarted(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "part-1.jar.part").write_bytes(CONTENT + b"more")
    assert await fetch(repository, tmp_path, artifact()) == len(CONTENT)


async def test_a_broken_connection_is_resumed(repository: Repository, tmp_path: Path) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        repository.answer = repository.whole_or_rest
        response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
        await response.prepare(request)
        await response.write(CONTENT[: 1 << 19])
        assert request.transport is not None
        request.transport.close()
        return response

    repository.answer = break_off
    assert await fetch(repository, tmp_path, artifact()) == len(CONTENT)
    assert repository.ranges[0] == ""
    assert repository.ranges[1].startswith("bytes=")
    assert (tmp_path / "part-1.jar").read_bytes() == CONTENT


async def test_a_wrong_checksum_is_refused_and_deleted(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"part-1\.jar is not the locked file"):
        await fetch(repository, tmp_path, artifact(sha256="0" * 64))
    assert names(tmp_path) == []


async def test_reading_stops_at_the_locked_size(repository: Repository, tmp_path: Path) -> None:
    """An endless answer would fill the disk before the checksum is verified."""
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(CONTENT)
            sent += len(CONTENT)
        return response

    repository.answer = endless
    with pytest.raises(DownloadFailed, match=r"part-1\.jar is not the locked file: it is longer than 1048576"):
        await fetch(repository, tmp_path, artifact())
    assert names(tmp_path) == []
    assert sent < 64 * len(CONTENT)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
async def test_another_size_than_the_locked_one_is_refused(repository: Repository, tmp_path: Path, size: int) -> None:
    body = (CONTENT + b"x")[:size]

    async def other(request: web.Request) -> web.Response:
        return web.Response(body=body)

    repository.answer = other
    with pytest.raises(DownloadFailed, match=r"part-1\.jar is not the locked file: it"):
        await fetch(repository, tmp_path, artifact(sha256=hashlib.sha256(body).hexdigest()))
    assert names(tmp_path) == []


async def test_a_missing_file_is_one_clear_line(repository: Repository, tmp_path: Path) -> None:
    async def absent(request: web.Request) -> web.Response:
        return web.Response(status=404)

    repository.answer = absent
    with pytest.raises(DownloadFailed) as caught:
        await fetch(repository, tmp_path, artifact())
    assert str(caught.value) == "part-1.jar can't be fetched: the repository answers 404"
    assert len(repository.ranges) == 1, "it is not there, and will not be"


async def test_an_overloaded_server_is_retried(repository: Repository, tmp_path: Path) -> None:
    async def later(request: web.Request) -> web.Response:
        repository.answer = repository.whole_or_rest
        return web.Response(status=503)

    repository.answer = later
    await fetch(repository, tmp_path, artifact())
    assert len(repository.ranges) == 2


def test_an_unreachable_server_keeps_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    (tmp_path / "part-1.jar.part").write_bytes(CONTENT[:10])
    with pytest.raises(DownloadFailed, match=r"part-1\.jar can't be fetched: the repository can't be reached"):
        fetch_all([artifact()], tmp_path, f"http://127.0.0.1:{unused_tcp_port}", lambda count: None)
    assert (tmp_path / "part-1.jar.part").read_bytes() == CONTENT[:10]


async def test_an_interruption_keeps_the_partial_file(repository: Repository, tmp_path: Path) -> None:
    stalled = threading.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
        await response.prepare(request)
        await response.write(CONTENT[: 1 << 19])
        while not stalled.is_set():  # noqa: ASYNC110  # set from the thread of the download
            await asyncio.sleep(0.01)
        return response

    def interrupt(count: int) -> None:
        if count:
            stalled.set()
            raise KeyboardInterrupt

    repository.answer = stall
    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(fetch_all, [artifact()], tmp_path, repository.address, interrupt)
    assert names(tmp_path) == ["part-1.jar.part"]
    assert CONTENT.startswith((tmp_path / "part-1.jar.part").read_bytes())
