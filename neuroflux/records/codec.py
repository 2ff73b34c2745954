"""Encodes and decodes records: Avro in Confluent framing (byte 0, four bytes of schema id, the record).

Source of the framing: Confluent's "Wire format" page. A record is written with the schema of its topic. It is read with
the schema it was written with, resolved to ours if the two differ.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import LOGICAL_READERS, SchemaResolutionError

from neuroflux.domain import CommandKind, ControlKind
from neuroflux.errors import MalformedFrame, UsageError
from neuroflux.records import tick_reader, tick_writer
from neuroflux.records.foreign_schemas import bounded, without_times
from neuroflux.records.tick_reader import FRAMING
from neuroflux.records.topics import BY_NAME, COMMANDS, CONTROL, Topic

Plain = dict[str, Any]
_HEADER = struct.Struct(">bI")
_MAGIC = 0
_TOO_MUCH = Decimal(10) ** 20
_PACKAGE = Path(__file__).parents[1]
_SCHEMAS = _PACKAGE / "schemas" if (_PACKAGE / "schemas").is_dir() else _PACKAGE.parent / "schemas"
"""In the wheel the schemas are inside of the package, in a checkout beside it."""

_GENERAL: tuple[bytes, Callable[[bytes], Any]] = (b"", lambda _: None)
"""For a topic without a hand-written reader."""

_STOPPING, _STOPPING_KINDS = (CONTROL, COMMANDS), (ControlKind.HALT, CommandKind.CANCEL)
"""Commands that stop trading are read with our schema if their own is unknown: they must depend on Kafka only."""

_UNREADABLE = (
    EOFError,
    IndexError,
    KeyError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
    AssertionError,
    AttributeError,
    struct.error,
    SchemaResolutionError,
)
"""The errors of reading bytes that are not a record."""


_DECIMAL_BYTES = 16
"""The size of a decimal(38, 18) in ClickHouse."""
_READ_DECIMAL: Callable[..., Any] = LOGICAL_READERS["bytes-decimal"]


def _read_decimal(raw: bytes, written: Any = None, expected: Any = None) -> Any:
    """fastavro's reader with a size limit: it would take minutes for a number of a megabyte."""
    if len(raw) > _DECIMAL_BYTES:
        raise ValueError(f"a decimal of {len(raw)} bytes")
    return _READ_DECIMAL(raw, written, expected)


LOGICAL_READERS["bytes-decimal"] = LOGICAL_READERS["fixed-decimal"] = _read_decimal


def schema_text(topic: Topic) -> str:
    """The schema of a topic as it is registered."""
    return (_SCHEMAS / f"{topic.name}.avsc").read_text()


def written(topic: Topic, record: Any) -> bytes:
    """A record of any topic, encoded with its schema; raises the errors of fastavro and Python for an invalid value."""
    out = BytesIO()
    _check_money(record)
    schemaless_writer(out, _writer_schema(topic.name), _plain(topic.record)(record))
    return out.getvalue()


class Codec:
    """Writes and reads the records of every topic.

    ``ids`` are the registry's schema ids by the name of the topic: one, or the one to write with, followed by those
    that the same schema had before the registry was emptied.
    """

    def __init__(self, ids: Mapping[str, int | Sequence[int]]) -> None:
        all_ids = {name: (few,) if isinstance(few, int) else few for name, few in ids.items()}
        headers = {name: _HEADER.pack(_MAGIC, few[0]) for name, few in all_ids.items()}
        self._writers = {name: (headers[name], _writer(name)) for name in ids}
        self._readers = {name: (headers[name], read) for name, read in tick_reader.BY_HAND.items() if name in ids}
        self._own = {(name, schema_id) for name, few in all_ids.items() for schema_id in few}  # topics may share an id
        self._learned: dict[tuple[str, int], Any] = {}

    def encode(self, topic: Topic, record: Any) -> bytes:
        """The bytes of one record. Raises UsageError for a value that the schema can't represent."""
        header, write = self._writers[topic.name]
        try:
            return header + write(record)
        except (ValueError, TypeError, ArithmeticError, AttributeError, KeyError) as error:
            raise UsageError(f"not a record of {topic.name}: {error}") from error

    def decode(self, topic: Topic, raw: bytes) -> Any:
        """The record in these bytes, as the topic's type. Raises MalformedFrame if they are not one."""
        if (record := self.tick(topic, raw)) is not None:
            return record
        schema_id = self.schema_id(raw)
        if (topic.name, schema_id) in self._own:
            return _read(topic, raw, _own_fields)
        if (written := self._learned.get((topic.name, schema_id))) is not None:
            return _read(topic, raw, partial(_foreign_fields, written))
        with suppress(MalformedFrame):
            if topic in _STOPPING and (record := _read(topic, raw, _own_fields)).kind in _STOPPING_KINDS:
                return record
        raise MalformedFrame(f"schema {schema_id} is not known for {topic.name}")

    def tick(self, topic: Topic, raw: bytes) -> Any:
        """The record in these bytes if the hand-written reader can read it, as for nearly all ticks; else None."""
        header, read = self._readers.get(topic.name, _GENERAL)
        return read(raw) if raw.startswith(header) else None

    def header(self, topic: Topic) -> bytes:
        """The framing of a record that is written with the schema of its topic."""
        return self._writers[topic.name][0]

    def schema_id(self, raw: bytes) -> int:
        """The id of the schema that these bytes were written with; raises MalformedFrame without a header."""
        if len(raw) < FRAMING or raw[0] != _MAGIC:
            raise MalformedFrame("not in Confluent framing")
        return int(_HEADER.unpack_from(raw)[1])

    def knows(self, topic: Topic, schema_id: int) -> bool:
        """Whether records of the topic with this schema id can be decoded."""
        return (topic.name, schema_id) in self._own or (topic.name, schema_id) in self._learned

    def learn(self, topic: Topic, schema_id: int, text: str) -> None:
        """Add a schema that another program uses for a topic. Raises ValueError for one that is unsafe to read with."""
        self._learned[topic.name, schema_id] = bounded(text)


def _read(topic: Topic, raw: bytes, fields_of: Callable[[Topic, BytesIO], Any]) -> Any:
    body = BytesIO(raw)
    body.seek(FRAMING)
    try:
        record = msgspec.convert(fields_of(topic, body), _read_type(topic.record), builtin_types=(bytes, Decimal))
        _check_money(record)
    except _UNREADABLE as error:
        raise MalformedFrame(f"not a record of {topic.name}: {error!r}") from error
    if body.tell() != len(raw):
        raise MalformedFrame(f"{len(raw) - body.tell()} bytes after the record")
    return record


def _own_fields(topic: Topic, body: BytesIO) -> Any:
    return schemaless_reader(body, _reader_schema(topic.name), None)


def _foreign_fields(written: Any, topic: Topic, body: BytesIO) -> Any:
    """Read twice: skipping fields that our schema lacks may pass the end of the bytes, which the first pass detects."""
    schemaless_reader(body, written, None)
    body.seek(FRAMING)
    return schemaless_reader(body, written, _reader_schema(topic.name))


def _writer(name: str) -> Callable[[Any], bytes]:
    return tick_writer.BY_HAND.get(name) or partial(written, BY_NAME[name])


@cache
def _money_of(record: Any) -> tuple[str, ...]:
    return tuple(name for name, hint in get_type_hints(record).items() if hint in (Decimal, Decimal | None))


def _check_money(record: Any) -> None:
    """Raises ValueError for an amount that decimal(38, 18) can't represent: fastavro would write it anyway."""
    for name in _money_of(record.__class__):
        amount = getattr(record, name)
        if amount is not None and not -_TOO_MUCH < amount < _TOO_MUCH:
            raise ValueError(f"{name} is out of range")


@cache
def _writer_schema(name: str) -> Any:
    return parse_schema(json.loads((_SCHEMAS / f"{name}.avsc").read_text()))


@cache
def _reader_schema(name: str) -> Any:
    return parse_schema(without_times(json.loads((_SCHEMAS / f"{name}.avsc").read_text())))


@cache
def _read_type(record: Any) -> Any:
    return record[float] if getattr(record, "__parameters__", ()) else record


@cache
def _plain(record: Any) -> Callable[[Any], Plain]:
    """The function that converts a struct to the dictionary that fastavro writes; made once for each type."""
    hints = get_type_hints(record)
    changed = {name: change for name in record.__struct_fields__ if (change := _change(hints[name])) is not None}
    asdict = msgspec.structs.asdict
    if not changed:
        return asdict

    def plain(value: Any) -> Plain:
        fields = asdict(value)
        for name, change in changed.items():
            fields[name] = change(fields[name])
        return fields

    return plain


def _change(hint: Any) -> Callable[[Any], Any] | None:
    """The conversion of a field's value before it is written; None if it is unchanged."""
    if isinstance(hint, TypeVar):
        return float
    origin = get_origin(hint)
    if origin is tuple:
        inner = _change(get_args(hint)[0])
        return list if inner is None else lambda values: [inner(value) for value in values]
    struct_type = origin if isinstance(origin, type) else hint
    if isinstance(struct_type, type) and issubclass(struct_type, msgspec.Struct):
        return _plain(struct_type)
    return None
