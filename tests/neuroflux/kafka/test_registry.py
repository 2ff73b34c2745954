"""The source of schema ids: the registry, or the ids stored in the home if the registry gives none."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from neuroflux.domain import ControlCommand, ControlKind
from neuroflux.errors import NeuroFluxError, Refused, Unreachable
from neuroflux.kafka.kept_ids import MOST_IDS, NAME, keep, kept_ids
from neuroflux.kafka.registry import Registry, load_codec
from neuroflux.records.codec import Codec
from neuroflux.records.topics import ALL, CONTROL, QUOTES
from neuroflux.runtime.settings import Settings
from tests.ports import free_port

RECORDED = [topic for topic in ALL if topic.record is not bytes]
SHORT_SECONDS = 0.4
IDS = {topic: number for number, topic in enumerate(RECORDED, 10)}
HALT = ControlCommand(kind=ControlKind.HALT, issued_by="t", issued_at=1)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, registry=f"http://127.0.0.1:{free_port()}")


@pytest.fixture(autouse=True)
def _short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroflux.kafka.registry.KNOWN_IDS_SECONDS", SHORT_SECONDS)


@asynccontextmanager
async def answering(settings: Settings, answer: Answer) -> AsyncIterator[None]:
    """A registry that answers every request with this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(settings.registry.rpartition(":")[2])).start()
    try:
        yield
    finally:
        await runner.cleanup()


def ids_from(start: int) -> Answer:
    """Each subject has an id."""
    by_subject = {topic.subject: number for number, topic in enumerate(RECORDED, start)}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"id": by_subject[request.path.split("/")[2]]})

    return answer


async def not_found(_: web.Request) -> web.Response:
    return web.json_response({"error_code": 40401, "message": "Subject not found."}, status=404)


async def hanging(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.1)


def with_body(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return answer


USELESS = {
    "not found": not_found,
    "hanging": hanging,
    "dripping": dripping,
    "broken": with_body(b"", 503),
    "not JSON": with_body(b"<html>"),
    "deep JSON": with_body(b"[" * 100_000),
    "no id": with_body(b"{}"),
    "a text": with_body(b'{"id": "7"}'),
    "too large an id": with_body(b'{"id": 4294967296}'),
    "too long": with_body(b" " * (2 << 20)),
    "elsewhere": with_body(b"", 307, Location="http://192.0.2.1/"),
    "no text": with_body(b"\xff\xfe", 400),
}


def header(codec: Codec) -> int:
    return codec.schema_id(codec.encode(CONTROL, HALT))


async def test_the_registrys_ids_are_stored_readable_by_their_owner_only(settings: Settings) -> None:
    async with answering(settings, ids_from(10)):
        codec = await load_codec(settings)
    assert header(codec) == IDS[CONTROL]
    assert [kept_ids(settings).ids(topic) for topic in RECORDED] == [[IDS[topic]] for topic in RECORDED]
    assert stat.S_IMODE((settings.home / NAME).stat().st_mode) == 0o600
    assert [path.name for path in settings.home.iterdir()] == [NAME]


@pytest.mark.parametrize("answer", USELESS.values(), ids=USELESS)
async def test_a_useless_answer_of_the_registry_falls_back_to_stored_ids(settings: Settings, answer: Answer) -> None:
    keep(settings, IDS)
    began = time.monotonic()
    async with answering(settings, answer):
        codec = await load_codec(settings)
        assert time.monotonic() - began < SHORT_SECONDS + 1
    assert header(codec) == IDS[CONTROL]
    assert kept_ids(settings).ids(CONTROL) == [IDS[CONTROL]]


async def test_a_registry_that_is_down_falls_back_to_stored_ids(settings: Settings) -> None:
    keep(settings, IDS)
    assert header(await load_codec(settings)) == IDS[CONTROL]


async def test_a_missing_subject_falls_back_to_its_stored_id(settings: Settings) -> None:
    keep(settings, IDS)
    others = ids_from(200)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (not_found if CONTROL.subject in request.path else others)(request)

    async with answering(settings, answer):
        codec = await load_codec(settings)
    assert header(codec) == IDS[CONTROL]
    assert codec.knows(QUOTES, 200 + RECORDED.index(QUOTES))


async def test_new_ids_of_an_emptied_registry_are_written_and_old_ones_still_read(
    settings: Settings,
) -> None:
    keep(settings, IDS)
    before = (await load_codec(settings)).encode(CONTROL, HALT)
    async with answering(settings, ids_from(200)):
        codec = await load_codec(settings)
    assert header(codec) == 200 + RECORDED.index(CONTROL)
    assert codec.decode(CONTROL, before) == HALT
    later = await load_codec(settings)
    assert header(later) == header(codec)
    assert later.decode(CONTROL, before) == HALT


@pytest.mark.parametrize(("answer", "error"), [(not_found, Refused), (with_body(b"", 307, Location="/"), Refused)])
async def test_an_unknown_id_raises_the_registrys_error(
    settings: Settings, answer: Answer, error: type[Exception]
) -> None:
    async with answering(settings, answer):
        with pytest.raises(error):
            await load_codec(settings)


async def test_ids_of_another_registry_do_not_count(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(settings.model_copy(update={"registry": "http://127.0.0.1:1"}), IDS)
    monkeypatch.setattr("neuroflux.kafka.registry.RETRY_SECONDS", 0.2)
    with pytest.raises(Unreachable):
        await load_codec(settings)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"registry": 1}', b'{"registry": "", "by_schema": {"a": []}}'])
def test_a_damaged_file_is_ignored(settings: Settings, content: bytes) -> None:
    (settings.home / NAME).write_bytes(content)
    assert kept_ids(settings).by_schema == {}
    assert keep(settings, IDS).ids(CONTROL) == [IDS[CONTROL]]
    assert kept_ids(settings).ids(CONTROL) == [IDS[CONTROL]]


def test_ids_are_stored_newest_first_and_bounded(settings: Settings) -> None:
    for number in (1, 2, 1, *range(100)):
        keep(settings, {CONTROL: number})
    assert kept_ids(settings).ids(CONTROL) == list(range(99, 99 - MOST_IDS, -1))


def test_no_home_is_created_for_the_ids(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"home": settings.home / "none"})
    assert keep(elsewhere, IDS).ids(CONTROL) == [IDS[CONTROL]]
    assert not elsewhere.home.exists()


@pytest.mark.parametrize("answer", USELESS.values(), ids=USELESS)
async def test_an_invalid_answer_about_versions_raises_our_error(settings: Settings, answer: Answer) -> None:
    async with answering(settings, answer), Registry(settings.registry, 0.3) as registry:
        result: Any = []
        with suppress(NeuroFluxError):
            result = await registry.versions(QUOTES)
        assert result == []
