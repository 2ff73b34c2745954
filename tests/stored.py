"""Rows as the warehouse inserts them, and a database of one's own to put them in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.tables import STORED
from neuroflux.records.codec import Codec
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings

CODEC = Codec({topic.name: number for number, topic in enumerate(STORED)})


class Row(Struct, frozen=True):
    offset: int
    value: bytes
    partition: int = 0


def rows(topic: Topic, records: Sequence[Any]) -> list[Row]:
    """Each at a place of its own."""
    return [Row(offset, CODEC.encode(topic, one)) for offset, one in enumerate(records)]


@contextmanager
def own_database(settings: Settings) -> Iterator[Settings]:
    """Empty, with the tables and views: what other tests stored would be among it."""
    name = f"neuroflux_{uuid.uuid4().hex}"
    maker = ClickHouse(settings)
    maker.execute(f"CREATE DATABASE {name}")
    own = settings.model_copy(update={"clickhouse": f"{settings.clickhouse.rpartition('/')[0]}/{name}"})
    database = ClickHouse(own)
    database.migrate()
    database.close()
    yield own
    maker.execute(f"DROP DATABASE {name}")
    maker.close()
