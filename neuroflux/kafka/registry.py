"""The schema registry through its Confluent API: register schemas, and look them up."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from neuroflux.errors import NeuroFluxError, Refused, Transient, Unreachable
from neuroflux.kafka.kept_ids import keep, kept_ids
from neuroflux.records.codec import Codec, schema_text
from neuroflux.records.topics import ALL, Topic
from neuroflux.runtime.credentials import read_credentials
from neuroflux.runtime.settings import Settings

RETRY_SECONDS = 10.0
"""Seconds for which requests to a registry that does not respond are repeated."""
KNOWN_IDS_SECONDS = 2.0
"""The same if this home has all ids: a command that stops trading waits for it."""

MOST_BYTES = 1 << 20
"""Maximum size of one answer."""
MOST_WHY = 300
"""Maximum bytes of a refusal that are quoted in our error."""

_RECORDED = tuple(topic for topic in ALL if topic.record is not bytes)


class Registry:
    """One session with the registry; an async context manager. Raises Unreachable, and Refused if it refuses a request.

    Requests are repeated for ``retry_seconds`` while it does not respond. ``login`` is the authentication, if any.
    """

    def __init__(
        self, address: str, retry_seconds: float = RETRY_SECONDS, login: aiohttp.BasicAuth | None = None
    ) -> None:
        self._address, self._retry_seconds, self._login = address.rstrip("/"), retry_seconds, login

    async def __aenter__(self) -> Registry:
        self._session = aiohttp.ClientSession(
            auth=self._login, timeout=aiohttp.ClientTimeout(total=self._retry_seconds)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def register(self, topic: Topic) -> int:
        """Register the topic's schema, with BACKWARD compatibility from then on; the same schema has the same id."""
        subject = topic.subject
        body = {"schema": schema_text(topic), "schemaType": "AVRO"}
        answer = await self._request("POST", f"/subjects/{subject}/versions", body)
        await self._request("PUT", f"/config/{subject}", {"compatibility": "BACKWARD"})
        return _id_in(answer)

    async def schema_id(self, topic: Topic) -> int:
        """The id under which our schema of the topic is registered."""
        body = {"schema": schema_text(topic), "schemaType": "AVRO"}
        return _id_in(await self._request("POST", f"/subjects/{topic.subject}", body))

    async def versions(self, topic: Topic) -> list[int]:
        """All versions of a topic's subject, including those of other programs."""
        answer = await self._request("GET", f"/subjects/{topic.subject}/versions")
        return [one for one in answer if isinstance(one, int)] if isinstance(answer, list) else []

    async def version(self, topic: Topic, version: int) -> tuple[int, str]:
        """The id and the text of one version."""
        answer = await self._request("GET", f"/subjects/{topic.subject}/versions/{version}")
        return _id_in(answer), str(answer.get("schema"))

    async def _request(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            stop=stop_after_delay(self._retry_seconds),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        ):
            with attempt:
                return await self._request_once(method, path, body)
        raise AssertionError("the retry loop returns or raises")

    async def _request_once(self, method: str, path: str, body: dict[str, str] | None) -> Any:
        address = self._address + path
        try:
            async with self._session.request(method, address, json=body, allow_redirects=False) as answer:
                if answer.status >= 500:
                    raise Unreachable(f"the registry at {self._address} answered {answer.status}")
                content = await _bounded(answer)
                if answer.status >= 300:
                    why = content[:MOST_WHY].decode(errors="replace")
                    raise Refused(f"the registry refused {method} {path}: {answer.status} {why}")
                return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Refused(f"the registry at {self._address} answered {method} {path} without JSON") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(
                f"the registry at {self._address} does not answer: {error or type(error).__name__}"
            ) from error


def _id_in(answer: object) -> int:
    number = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(number, int) or not 0 <= number < 1 << 32:
        raise Refused("the registry answered without a schema id")
    return number


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > MOST_BYTES:
            raise Refused(f"the registry answered with more than {MOST_BYTES} bytes")
    return bytes(content)


async def register_schemas(settings: Settings) -> None:
    """Register the schema of every topic; repeating it has no effect. Raises Refused for an incompatible schema."""
    async with Registry(settings.registry, login=_login(settings)) as registry:
        ids = await asyncio.gather(*(registry.register(topic) for topic in _RECORDED))
    keep(settings, dict(zip(_RECORDED, ids, strict=True)))


def _login(settings: Settings) -> aiohttp.BasicAuth | None:
    """The login for the registry of a secure local stack, where one principal may write; others need no login."""
    if not settings.kafka_user or not read_credentials(settings.home):
        return None
    return aiohttp.BasicAuth(settings.kafka_user, settings.kafka_password.get_secret_value())


async def load_codec(settings: Settings) -> Codec:
    """A codec with the registry's ids, or those stored in this home where the registry gives none.

    The registry is queried once: a later outage has no effect. If the home has all ids, the wait is short. Raises
    Unreachable or Refused if neither knows an id.
    """
    kept = kept_ids(settings)
    retry_seconds = KNOWN_IDS_SECONDS if all(map(kept.ids, _RECORDED)) else RETRY_SECONDS
    async with Registry(settings.registry, retry_seconds) as registry:
        answers = await asyncio.gather(*(_answer(registry, topic, retry_seconds) for topic in _RECORDED))
    current = {topic: answer for topic, answer in zip(_RECORDED, answers, strict=True) if isinstance(answer, int)}
    kept = keep(settings, current)
    for topic, answer in zip(_RECORDED, answers, strict=True):
        if not kept.ids(topic) and isinstance(answer, NeuroFluxError):
            raise answer
    return Codec({topic.name: kept.ids(topic) for topic in _RECORDED})


async def _answer(registry: Registry, topic: Topic, retry_seconds: float) -> int | NeuroFluxError:
    """The id of a topic's schema, or the error."""
    try:
        async with asyncio.timeout(retry_seconds):
            return await registry.schema_id(topic)
    except TimeoutError:
        return Unreachable(f"the registry did not respond within {retry_seconds:.0f} s")
    except NeuroFluxError as error:
        return error
