"""The ids of schemas as a home keeps them, so that who trades, and who stops trading, needs no registry for it.

An id counts for the text of the schema that it was given for, and for the registry that gave it. The same schema has
another id after the registry was emptied: then the new one is written with, and records with the old one stay readable.
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
"""Of one schema."""

log = logging.getLogger(__name__)


class KeptIds(Struct, frozen=True):
    """``by_schema``: by the SHA-256 of topic and text, the ids, the newest first."""

    registry: str
    by_schema: dict[str, list[int]] = {}

    def ids(self, topic: Topic) -> list[int]:
        return self.by_schema.get(_called(topic), [])

    def with_ids(self, told: Mapping[Topic, int]) -> KeptIds:
        """The same with ids that the registry tells now."""
        new = {_called(topic): [number, *self._others(topic, number)][:MOST_IDS] for topic, number in told.items()}
        return KeptIds(self.registry, self.by_schema | new)

    def _others(self, topic: Topic, number: int) -> list[int]:
        return [one for one in self.ids(topic) if one != number]


def _called(topic: Topic) -> str:
    return sha256(f"{topic.name}\n{schema_text(topic)}".encode()).hexdigest()


def kept_ids(settings: Settings) -> KeptIds:
    """What this home keeps of this registry; nothing where there is no such file, or none that can be read."""
    with suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode(_path(settings).read_bytes(), type=KeptIds)
        if kept.registry == settings.registry and all(kept.by_schema.values()):
            return kept
    return KeptIds(settings.registry)


def keep(settings: Settings, told: Mapping[Topic, int]) -> KeptIds:
    """Add what the registry told, and give what is kept then. A home is not made for it, and none is needed."""
    before = kept_ids(settings)
    kept = before.with_ids(told)
    if kept != before and settings.home.is_dir():
        try:
            write_private(_path(settings), msgspec.json.encode(kept))
        except OSError as error:
            log.warning("the ids of the schemas are not kept: %s", error)
    return kept


def _path(settings: Settings) -> Path:
    return settings.home.absolute() / NAME
