"""ClickHouse as the stages use it: make the tables, insert records, ask what is there. Blocking; use from a thread."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from neuroflux.entries import Entry
from neuroflux.errors import Refused, Unreachable
from neuroflux.kafka_admin import Extent
from neuroflux.settings import Settings
from neuroflux.tables import STORED, VIEWS, add_columns, columns, create_table
from neuroflux.topics import Topic


class ClickHouse:
    """One connection; not for several threads at once. Raises Unreachable, and Refused for an error of the query."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.clickhouse
        self._client = Client.from_url(settings.clickhouse)

    def close(self) -> None:
        self._client.disconnect()

    def execute(self, sql: str, rows: Sequence[Any] | None = None, *, columnar: bool = False) -> Any:
        """Run a query, or insert ``rows`` (columns with ``columnar``)."""
        try:
            return self._client.execute(sql, rows, columnar=columnar) if rows is not None else self._client.execute(sql)
        except (ClickHouseError, OSError, EOFError) as error:
            self._client.disconnect()
            if isinstance(error, ClickHouseError) and error.code > 0 and not _may_pass(error):
                raise Refused(f"ClickHouse: {_first_line(error)}") from error
            raise Unreachable(f"ClickHouse at {_without_password(self._address)}: {_first_line(error)}") from error

    def _insert(self, sql: str, data: Sequence[Any]) -> None:
        try:
            self.execute(sql, data, columnar=True)
        except (ValueError, TypeError, ArithmeticError, struct.error) as error:
            self._client.disconnect()
            raise Refused(f"ClickHouse has no room for a value: {error}") from error

    def migrate(self) -> None:
        """Make what is missing: tables, columns, views. Again does nothing."""
        present: dict[str, set[str]] = {}
        for table, column in self.execute("SELECT table, name FROM system.columns WHERE database = currentDatabase()"):
            present.setdefault(table, set()).add(column)
        for topic in STORED:
            for statement in (create_table(topic), *add_columns(topic, present.get(topic.table, ()))):
                self.execute(statement)
        for view in VIEWS:
            self.execute(view)

    def insert(self, topic: Topic, entries: Sequence[Entry]) -> None:
        """Insert records as one block, which is there whole or not at all; Refused where a value does not fit."""
        self._insert(*self.prepared(topic, entries))

    def prepared(self, topic: Topic, entries: Sequence[Entry]) -> tuple[str, list[Any]]:
        """The insert of these records, and its columns."""
        names = [column.name for column in columns(topic)]
        records = [entry.record for entry in entries]
        data = [_column(records, name) for name in names[:-3]]
        data += [
            [topic.name] * len(entries),
            *([getattr(entry, at) for entry in entries] for at in ("partition", "offset")),
        ]
        listed = ", ".join(f"`{name}`" for name in names)
        return f"INSERT INTO {topic.table} ({listed}) VALUES", data

    def newest(self, topic: Topic) -> dict[int, int]:
        """The greatest offset that is stored, by partition."""
        rows = self.execute(f"SELECT _partition, max(_offset) FROM {topic.table} GROUP BY _partition")
        return {int(partition): int(offset) for partition, offset in rows}

    def rows(self, topic: Topic, extents: Mapping[int, Extent]) -> int:
        """How many records of these stretches of the log are stored, each counted once."""
        clauses = [
            f"(_partition = {partition} AND _offset >= {extent.start} AND _offset < {extent.end})"
            for partition, extent in extents.items()
        ]
        found = self.execute(f"SELECT uniqExact(_partition, _offset) FROM {topic.table} WHERE {' OR '.join(clauses)}")
        return int(found[0][0])


def _column(records: Sequence[Any], name: str) -> list[Any]:
    values = list(map(attrgetter(name), records))
    first = values[0]
    if isinstance(first, tuple):
        return [[_as_tuple(part) for part in value] for value in values]
    if isinstance(first, msgspec.Struct):
        return [_as_tuple(value) for value in values]
    return values


def _as_tuple(value: Any) -> Any:
    return msgspec.structs.astuple(value)


def _may_pass(error: ClickHouseError) -> bool:
    """Timeouts, memory, a server that is going down: 159, 160, 209, 210, 236, 241, 242, 252, 285, 319."""
    return error.code in {159, 160, 209, 210, 236, 241, 242, 252, 285, 319}


def _first_line(error: BaseException) -> str:
    """What the server said, without its stack."""
    said = str(error).partition("Stack trace:")[0].split()
    return " ".join(said) or repr(error)


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
