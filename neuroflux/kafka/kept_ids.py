"""Schema ids stored in the home, so that trading, and stopping it, do not depend on the registry.

An id is valid for the exact text of its schema, and for the registry that assigned it. After the registry was emptied,
the same schema has a new id: records are written with the new one, and records with the old one stay readable.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from neuroflux.records.codec import schema_text
from neuroflux.records.topics import Topic
from neuroflux.runtime.credentials import write_private
from neuroflux.runtime.settings import Settings

NAME = "schema-ids.json"
MOST_IDS = 16
"""Maximum number of ids of one schema."""

log = logging.getLogger(__name__)


class KeptIds(Struct, frozen=True):
    """The stored ids; ``by_schema`` holds them newest first, by the SHA-256 of topic and schema text."""

    registry: str
    by_schema: dict[str, list[int]] = {}

    def ids(self, topic: Topic) -> list[int]:
        return self.by_schema.get(_called(topic), [])

    def with_ids(self, current: Mapping[Topic, int]) -> KeptIds:
        """A copy with the registry's current ids."""
        new = {_called(topic): [number, *self._others(topic, number)][:MOST_IDS] for topic, number in current.items()}
        return KeptIds(self.registry, self.by_schema | new)

    def _others(self, topic: Topic, number: int) -> list[int]:
        return [one for one in self.ids(topic) if one != number]


def _called(topic: Topic) -> str:
    return sha256(f"{topic.name}\n{schema_text(topic)}".encode()).hexdigest()


def kept_ids(settings: Settings) -> KeptIds:
    """The ids of this registry that are stored in this home; none if the file is missing or can't be read."""
    with suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode(_path(settings).read_bytes(), type=KeptIds)
        if kept.registry == settings.registry and all(kept.by_schema.values()):
            return kept
    return KeptIds(settings.registry)


def keep(settings: Settings, current: Mapping[Topic, int]) -> KeptIds:
    """Store the registry's current ids, and return all stored ids. Without a home nothing is stored."""
    before = kept_ids(settings)
    kept = before.with_ids(current)
    if kept != before and settings.home.is_dir():
        try:
            write_private(_path(settings), msgspec.json.encode(kept))
        except OSError as error:
            log.warning("the schema ids can't be stored: %s", error)
    return kept


def _path(settings: Settings) -> Path:
    return settings.home.absolute() / NAME
