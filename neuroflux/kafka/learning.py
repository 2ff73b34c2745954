"""Looks up the schemas that other programs use for a topic, as registered under its subject."""

from __future__ import annotations

import logging
import time
from collections import defaultdict

from neuroflux.errors import NeuroFluxError, Unreachable
from neuroflux.kafka.registry import Registry
from neuroflux.records.codec import Codec
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""Seconds that records wait for a registry that does not respond."""
PAUSE_SECONDS = 30.0
"""Seconds without another request after that."""
MOST_VERSIONS = 100
"""Maximum number of versions read of a subject. Ours have one per change of their schema."""


class Learning:
    """Reads the new versions of a subject: a thousand unknown ids cost one lookup, not a thousand."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._address, self._codec = settings.registry, codec
        self._seen: dict[str, set[int]] = defaultdict(set)
        self._not_before = 0.0

    async def learn(self, topic: Topic) -> None:
        """Add a topic's registered schemas to the codec; one that can't be read or used is logged and skipped."""
        if time.monotonic() < self._not_before:
            return
        try:
            async with Registry(self._address, RETRY_SECONDS) as registry:
                for version in await self._new_versions(registry, topic):
                    await self._learn(registry, topic, version)
        except NeuroFluxError as error:
            log.warning("the schemas of %s can't be looked up: %s", topic.name, error)
            if isinstance(error, Unreachable):
                self._not_before = time.monotonic() + PAUSE_SECONDS

    async def _new_versions(self, registry: Registry, topic: Topic) -> list[int]:
        seen = self._seen[topic.name]
        new = [version for version in await registry.versions(topic) if version not in seen]
        return new[-MOST_VERSIONS:][: MOST_VERSIONS - len(seen)]

    async def _learn(self, registry: Registry, topic: Topic, version: int) -> None:
        number, text = await registry.version(topic, version)
        self._seen[topic.name].add(version)
        try:
            self._codec.learn(topic, number, text)
        except ValueError as error:
            log.warning("records of %s with schema %d can't be read: %s", topic.name, number, error)
