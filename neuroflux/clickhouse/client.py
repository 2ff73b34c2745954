"""The ClickHouse client of the stages: create tables, insert records, query. Blocking; call it from a thread."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from neuroflux.clickhouse.errors import refusal
from neuroflux.clickhouse.inserts import Inserts
from neuroflux.clickhouse.login import with_login
from neuroflux.clickhouse.tables import STORED, create_table, insert_avro, upgrade
from neuroflux.clickhouse.views import VIEWS
from neuroflux.records.avro_file import MARK_BYTES, Row, avro_file
from neuroflux.records.places import Extent
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings

_RECORDS = "uniqExact(_partition, _offset)"
"""Counts a record once, however often it was inserted."""


class ClickHouse:
    """One connection; not thread-safe. Raises Unreachable, and Refused for an error of the query."""

    def __init__(self, settings: Settings) -> None:
        self._address = _without_password(settings.clickhouse)
        self._client = Client.from_url(with_login(settings))
        self._inserts = Inserts(settings)

    def close(self) -> None:
        self._client.disconnect()

    def execute(self, sql: str) -> Any:
        """Run a query."""
        try:
            return self._client.execute(sql)
        except (ClickHouseError, OSError, EOFError) as error:
            self._client.disconnect()
            raise refusal(getattr(error, "code", 0), str(error) or repr(error), self._address) from error

    def migrate(self) -> None:
        """Create missing tables, columns and views. Repeating it has no effect."""
        present: dict[str, dict[str, str]] = {}
        stored = self.execute("SELECT table, name, type FROM system.columns WHERE database = currentDatabase()")
        for table, column, kept_as in stored:
            present.setdefault(table, {})[column] = kept_as
        for topic in STORED:
            for statement in (create_table(topic), *upgrade(topic, present.get(topic.table, {}))):
                self.execute(statement)
        for view in VIEWS:
            self.execute(view)

    def insert(self, topic: Topic, rows: Sequence[Row]) -> None:
        """Insert records as one block, completely or not at all; raises Refused if one can't be read."""
        mark = secrets.token_bytes(MARK_BYTES)
        self._inserts.insert(insert_avro(topic, mark), avro_file(topic, rows, mark))

    def newest(self, topic: Topic) -> dict[int, int]:
        """The largest stored offset, by partition."""
        rows = self.execute(f"SELECT _partition, max(_offset) FROM {topic.table} GROUP BY _partition")
        return {int(partition): int(offset) for partition, offset in rows}

    def rows(self, topic: Topic, extents: Mapping[int, Extent]) -> int:
        """The number of distinct stored records within these extents."""
        found = self.execute(f"SELECT {_RECORDS} FROM {topic.table} WHERE {_within(extents)}")
        return int(found[0][0])

    def rows_by_exchange(self, topic: Topic, extents: Mapping[int, Extent]) -> Mapping[str, int]:
        """The same by exchange, for a table that has one."""
        where = f"WHERE {_within(extents)} GROUP BY exchange ORDER BY exchange"
        rows = self.execute(f"SELECT exchange, {_RECORDS} FROM {topic.table} {where}")
        return {str(exchange): int(count) for exchange, count in rows}


def _within(extents: Mapping[int, Extent]) -> str:
    return " OR ".join(
        f"(_partition = {partition} AND _offset >= {extent.start} AND _offset < {extent.end})"
        for partition, extent in extents.items()
    )


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
