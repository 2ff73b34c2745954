"""The schema registry over its Confluent API: register, look up, read by id."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from neuroflux.codec import Codec, schema_text
from neuroflux.errors import NeuroFluxError, Refused, Transient, Unreachable
from neuroflux.settings import Settings
from neuroflux.topics import ALL, Topic

PATIENCE = 10.0
"""Seconds that a registry which does not answer is asked again."""

_RECORDED = tuple(topic for topic in ALL if topic.record is not bytes)


class Registry:
    """One session with the registry; an async context manager. Raises Unreachable, and Refused for its own no."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    async def __aenter__(self) -> Registry:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def register(self, topic: Topic) -> int:
        """Register the topic's schema, BACKWARD from then on; the same schema again gives the same id."""
        subject = topic.subject
        body = {"schema": schema_text(topic), "schemaType": "AVRO"}
        answer = await self._ask("POST", f"/subjects/{subject}/versions", body)
        await self._ask("PUT", f"/config/{subject}", {"compatibility": "BACKWARD"})
        return int(answer["id"])

    async def schema_id(self, topic: Topic) -> int:
        """The id under which the topic's schema, as we have it, is registered."""
        body = {"schema": schema_text(topic), "schemaType": "AVRO"}
        return int((await self._ask("POST", f"/subjects/{topic.subject}", body))["id"])

    async def schema(self, schema_id: int) -> str:
        """The text of a schema that anybody registered."""
        return str((await self._ask("GET", f"/schemas/ids/{schema_id}"))["schema"])

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            stop=stop_after_delay(PATIENCE),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        ):
            with attempt:
                return await self._ask_once(method, path, body)
        raise AssertionError("the retry loop returns or raises")

    async def _ask_once(self, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        try:
            async with self._session.request(method, self._address + path, json=body) as answer:
                if answer.status >= 500:
                    raise Unreachable(f"the registry at {self._address} answered {answer.status}")
                if answer.status >= 400:
                    raise Refused(f"the registry refused {method} {path}: {answer.status} {await answer.text()}")
                said: dict[str, Any] = await answer.json(content_type=None)
                return said
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(
                f"the registry at {self._address} does not answer: {error or type(error).__name__}"
            ) from error


async def register_schemas(settings: Settings) -> None:
    """Register the schema of every topic; again does nothing. Raises Refused for one that breaks compatibility."""
    async with Registry(settings.registry) as registry:
        await asyncio.gather(*(registry.register(topic) for topic in _RECORDED))


async def load_codec(settings: Settings) -> Codec:
    """A codec with the registry's ids. Asked once: a registry that goes later stops nobody."""
    async with Registry(settings.registry) as registry:
        ids = await asyncio.gather(*(registry.schema_id(topic) for topic in _RECORDED))
    return Codec({topic.name: schema_id for topic, schema_id in zip(_RECORDED, ids, strict=True)})


async def learn(settings: Settings, codec: Codec, schema_id: int) -> None:
    """Let the codec know a schema that somebody else wrote with; raises where the registry does not know it."""
    async with Registry(settings.registry) as registry:
        text = await registry.schema(schema_id)
    try:
        codec.learn(schema_id, text)
    except (ValueError, KeyError, TypeError) as error:
        raise NeuroFluxError(f"schema {schema_id} can't be used: {error!r}") from error
