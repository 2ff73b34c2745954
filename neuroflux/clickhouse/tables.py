"""ClickHouse's tables, derived from the schemas: one per topic, with the schema's columns and the record's position."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from neuroflux.records.avro_file import MARK_BYTES, OFFSET_BYTES
from neuroflux.records.codec import schema_text
from neuroflux.records.topics import ALL, Topic

_SCALARS = {
    "string": "String",
    "bytes": "String",
    "double": "Float64",
    "long": "Int64",
    "boolean": "Bool",
}
_LOGICAL = {"decimal": "Decimal(38, 18)", "timestamp-micros": "DateTime64(6, 'UTC')"}
_FREE_TEXT = frozenset(
    {
        "order_id",
        "client_order_id",
        "exchange_order_id",
        "trade_id",
        "signal_id",
        "transfer_id",
        "reason",
        "detail",
        "why",
    }
)
"""Strings with many distinct values; all others repeat, and are stored as LowCardinality."""
_SORTED_BY = ("market", "exchange", "symbol", "asset", "account", "order_id")
_TIMES = ("event_time", "issued_at")
LARGEST_INSERT = 1 << 20
"""More rows than any insert has."""
KEPT_DAYS = 30
"""How long market data is kept; data of orders and accounts is kept forever."""


class Column(Struct, frozen=True):
    """``type`` is the type of a value as it is read; columns whose values repeat are stored as LowCardinality."""

    name: str
    type: str
    repeats: bool = False

    @property
    def kept_as(self) -> str:
        return f"LowCardinality({self.type})" if self.repeats else self.type


PLACE = (Column("_topic", "String", repeats=True), Column("_partition", "Int32"), Column("_offset", "Int64"))


def columns(topic: Topic) -> tuple[Column, ...]:
    """The columns of the topic's table, in the order of the schema, then topic, partition and offset."""
    return (*fields(topic), *PLACE)


@cache
def fields(topic: Topic) -> tuple[Column, ...]:
    """The columns of the schema alone."""
    named: dict[str, Any] = {}
    return tuple(_column(field, named) for field in json.loads(schema_text(topic))["fields"])


def _column(field: dict[str, Any], named: dict[str, Any]) -> Column:
    found, name = _type(field["type"], named), field["name"]
    return Column(name, found, found == "String" and name not in _FREE_TEXT)


def _type(avro: Any, named: dict[str, Any]) -> str:
    if isinstance(avro, str):
        return _type(named[avro], named) if avro in named else _SCALARS[avro]
    if isinstance(avro, list):
        (known,) = (part for part in avro if part != "null")
        return f"Nullable({_type(known, named)})"
    if "name" in avro:
        named[avro["name"]] = avro
    if "logicalType" in avro:
        return _LOGICAL[avro["logicalType"]]
    match avro["type"]:
        case "array":
            return f"Array({_type(avro['items'], named)})"
        case "record":
            parts = (f"{field['name']} {_type(field['type'], named)}" for field in avro["fields"])
            return f"Tuple({', '.join(parts)})"
        case "enum":
            return "String"
    return _type(avro["type"], named)


def create_table(topic: Topic) -> str:
    """The table of a topic. It is not partitioned, so that one insert creates one part, completely or not at all.

    ReplacingMergeTree by the record's position is a second safeguard: the warehouse writes no record twice.
    """
    names = [column.name for column in columns(topic)]
    order = [name for name in _SORTED_BY if name in names] + [name for name in _TIMES if name in names]
    sorting = ", ".join([*order, "_partition", "_offset"])
    body = ", ".join(f"`{column.name}` {column.kept_as}" for column in columns(topic))
    expiry = f" TTL toDateTime(received_time) + INTERVAL {KEPT_DAYS} DAY" if "received_time" in names else ""
    engine = f"ENGINE = ReplacingMergeTree ORDER BY ({sorting})"
    return f"CREATE TABLE IF NOT EXISTS {topic.table} ({body}) {engine}{expiry}"


def insert_avro(topic: Topic, mark: bytes) -> str:
    """The insert statement for an ``avro_file``. A record that does not end where its bytes do fails the whole insert.

    It must be one block, so it is read in one piece by one thread. LowCardinality columns are read as plain strings and
    converted afterwards, all at once, which takes half the time.
    """
    names = ", ".join(f"`{column.name}`" for column in columns(topic))
    found = ", ".join(f"`{column.name}`" for column in fields(topic))
    types = ", ".join(f"`{column.name}` {column.type}" for column in fields(topic)).replace("'", "\\'")
    around = f"_partition Int32, _offset FixedString({OFFSET_BYTES}), _mark FixedString({MARK_BYTES})"
    whole = f"throwIf(_mark != unhex('{mark.hex()}'), 'a record does not end where its bytes do') = 0"
    return (
        f"INSERT INTO {topic.table} ({names}) SELECT {found}, '{topic.name}', _partition, reinterpretAsInt64(_offset)"
        f" FROM input('{around}, {types}') WHERE {whole}"
        f" SETTINGS max_block_size = {LARGEST_INSERT}, max_insert_threads = 1 FORMAT Avro"
    )


def upgrade(topic: Topic, present: Mapping[str, str]) -> list[str]:
    """The statements that upgrade an existing table, with these types by column, to the current schema.

    Columns are added, or made nullable; no other type changes.
    """
    if not present:
        return []
    missing = [column for column in columns(topic) if column.name not in present]
    nullable = [column for column in columns(topic) if column.type == f"Nullable({present.get(column.name)})"]
    return [f"ALTER TABLE {topic.table} ADD COLUMN `{one.name}` {one.kept_as}" for one in missing] + [
        f"ALTER TABLE {topic.table} MODIFY COLUMN `{one.name}` {one.kept_as}" for one in nullable
    ]


STORED = tuple(topic for topic in ALL if topic.table)
"""The topics that have a table."""


def texts(values: Iterable[str]) -> str:
    """These texts as an SQL list, escaped and without duplicates: instrument names may contain a quote character."""
    escaped = (value.replace("\\", "\\\\").replace("'", "\\'") for value in sorted(set(values)))
    return ", ".join(f"'{value}'" for value in escaped)
