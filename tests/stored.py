"""Rows as the warehouse inserts them, and a separate database for them."""

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
    """Rows, each with its own log position."""
    return [Row(offset, CODEC.encode(topic, one)) for offset, one in enumerate(records)]


@contextmanager
def own_database(settings: Settings) -> Iterator[Settings]:
    """An empty database with the tables and views, without rows of other tests."""
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
