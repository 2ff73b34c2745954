"""Schemas of other programs: parsed only if reading with them costs no more than in proportion to a record's bytes.

Anyone who can register a schema controls what the reader in C does. A type that contains itself recurses until the
stack overflows, and an array of a type without bytes has as many items as its count says, up to 2^60. So every value
must take at least one byte (``null`` only as a branch of a union, whose index takes one), and types may be nested only
a few levels deep: then the number of values in a record is bounded by its bytes. Source of the encoding: Avro 1.12,
"Binary Encoding".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastavro import parse_schema

MOST_TEXT: Final = 64 * 1024
"""Maximum characters of a schema; ours have up to 4,300."""
MOST_DEPTH: Final = 12
"""Maximum nesting of types, including fields and branches; ours have up to 4."""
MOST_DIGITS: Final = 38
"""Maximum precision and scale of a decimal."""

_SCALARS: Final = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string", "enum"})
_UNFINISHED: Final = -1


def bounded(text: str) -> Any:
    """The schema in this text, parsed for fastavro. Raises ValueError for any fault of it."""
    if len(text) > MOST_TEXT:
        raise ValueError(f"it is longer than {MOST_TEXT} characters")
    named: dict[str, Any] = {}
    try:
        schema = parse_schema(without_times(json.loads(text)), named)
        _Depths(named).of(schema)
    except ValueError:
        raise
    except Exception as error:  # fastavro does not document which errors it raises
        raise ValueError(f"not a schema: {error!r}") from error
    return schema


def without_times(schema: Any) -> Any:
    """The same schema with times as plain longs: a datetime per field would cost more than the rest of a record.

    fastavro's own marks are removed, as they would make it skip parsing and checking.
    """
    if isinstance(schema, list):
        return [without_times(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("logicalType") == "timestamp-micros":
        return "long"
    return {key: without_times(part) for key, part in schema.items() if not key.startswith("__")}


class _Depths:
    """The nesting depth of types. Raises ValueError for one that violates a rule; each named type is checked once."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, int] = {}

    def of(self, schema: Any) -> int:
        depth = 1 + max(map(self._of_part, _parts(schema)), default=0) if _is_nesting(schema) else self._of_leaf(schema)
        if depth > MOST_DEPTH:
            raise ValueError(f"types are nested deeper than {MOST_DEPTH}")
        return depth

    def _of_part(self, part: tuple[Any, bool]) -> int:
        schema, may_be_null = part
        return 0 if may_be_null and schema == "null" else self.of(schema)

    def _of_leaf(self, schema: Any) -> int:
        kind = _kind(schema)
        if kind == "record":
            return self._of_named(schema["name"])
        if kind == "fixed" and not _is_positive(schema["size"]):
            raise ValueError("a fixed takes no bytes")
        if kind in _SCALARS or kind == "fixed":
            _check_decimal(schema)
            return 0
        if kind in self._named:
            return self._of_named(kind)
        raise ValueError(f"a value of {kind} takes no bytes, or its type is unknown")

    def _of_named(self, name: str) -> int:
        schema = self._named[name]
        if _kind(schema) != "record":
            return self._of_leaf(schema)
        if self._known.get(name) == _UNFINISHED:
            raise ValueError(f"{name} contains itself")
        if name not in self._known:
            self._known[name] = _UNFINISHED
            self._known[name] = self._of_fields(schema)
        return self._known[name]

    def _of_fields(self, record: Any) -> int:
        if not record["fields"]:
            raise ValueError(f"{record['name']} takes no bytes")
        return 1 + max(self.of(field["type"]) for field in record["fields"])


def _kind(schema: Any) -> str:
    return str(schema["type"] if isinstance(schema, dict) else schema)


def _is_nesting(schema: Any) -> bool:
    return isinstance(schema, list) or _kind(schema) in ("array", "map")


def _parts(schema: Any) -> list[tuple[Any, bool]]:
    """The types in a union, array or map, and whether each may be null."""
    if isinstance(schema, list):
        return [(branch, True) for branch in schema]
    return [(schema["items" if schema["type"] == "array" else "values"], False)]


def _is_positive(size: object) -> bool:
    return isinstance(size, int) and size > 0


def _check_decimal(schema: Any) -> None:
    """Limit precision and scale: a number with a scale of a billion has a billion digits in plain notation."""
    if isinstance(schema, dict) and schema.get("logicalType") == "decimal":
        sizes = schema.get("precision", 0), schema.get("scale", 0)
        if not all(isinstance(size, int) and 0 <= size <= MOST_DIGITS for size in sizes):
            raise ValueError(f"a decimal of more than {MOST_DIGITS} digits")
