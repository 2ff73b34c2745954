"""Schemas of other programs: which are accepted, and which are refused because of what their records could cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroflux.records.codec import schema_text
from neuroflux.records.foreign_schemas import MOST_DEPTH, MOST_TEXT, bounded
from neuroflux.records.topics import ALL

EMPTY = {"type": "record", "name": "Empty", "fields": []}
NODE = {"type": "record", "name": "Node", "fields": [{"name": "n", "type": ["null", "Node"]}]}


def record(*types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": f"f{n}", "type": one} for n, one in enumerate(types)]}


def within(levels: int) -> Any:
    """An int within this many arrays."""
    return "int" if not levels else {"type": "array", "items": within(levels - 1)}


def refused(schema: Any) -> str:
    with pytest.raises(ValueError) as caught:
        bounded(schema if isinstance(schema, str) else json.dumps(schema))
    return str(caught.value)


@pytest.mark.parametrize("topic", [topic for topic in ALL if topic.record is not bytes], ids=lambda topic: topic.name)
def test_our_own_schemas_are_read_with(topic: Any) -> None:
    assert bounded(schema_text(topic))["type"] == "record"


@pytest.mark.parametrize(
    "schema",
    [
        record("int", ["null", "int"], {"type": "array", "items": ["null", "string"]}),
        record({"type": "map", "values": {"type": "enum", "name": "E", "symbols": ["A"]}}, "E"),
        record({"type": "array", "items": {"type": "fixed", "name": "F", "size": 1}}, "F"),
        record({**record("int"), "name": "Other"}, "Other", {"type": "array", "items": "Other"}),
        record({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18}),
        record(within(MOST_DEPTH - 1)),
    ],
)
def test_what_is_bounded_by_its_bytes_is_read_with(schema: Any) -> None:
    assert bounded(json.dumps(schema))["name"] == "R"


@pytest.mark.parametrize(
    "schema",
    [
        NODE,
        record(NODE),
        record(["null", {**record("int", ["null", "R"]), "name": "Inner"}]),
        {**record({"type": "array", "items": "a.R"}), "namespace": "a"},
        {**record({"type": "map", "values": "R"}), "namespace": "a"},
    ],
)
def test_a_type_that_contains_itself_is_refused(schema: Any) -> None:
    assert "contains itself" in refused(schema)


@pytest.mark.parametrize(
    "empty", ["null", EMPTY, {"type": "fixed", "name": "F", "size": 0}, {**record(EMPTY), "name": "Outer"}]
)
@pytest.mark.parametrize(
    "around", [lambda one: {"type": "array", "items": one}, lambda one: {"type": "map", "values": one}, lambda one: one]
)
def test_a_value_that_takes_no_bytes_is_refused(empty: Any, around: Any) -> None:
    assert "no bytes" in refused(record(around(empty)))


def test_types_that_double_at_each_level_are_looked_at_once() -> None:
    """2^30 values, if they took no bytes."""
    levels = [{**record("int", "int"), "name": "L0"}]
    levels += [{**record(f"L{n}", f"L{n}"), "name": f"L{n + 1}"} for n in range(30)]
    assert f"deeper than {MOST_DEPTH}" in refused(record(*levels))


@pytest.mark.parametrize("levels", [MOST_DEPTH, 200, 900, 5_000])
def test_deeply_nested_types_are_refused(levels: int) -> None:
    text = json.dumps(record("T")).replace('"T"', '{"type":"array","items":' * levels + '"int"' + "}" * levels)
    assert refused(text)


def test_a_long_schema_is_refused() -> None:
    assert "longer" in refused(json.dumps(record("int") | {"doc": "x" * MOST_TEXT}))


@pytest.mark.parametrize("marks", [{"__fastavro_parsed": True}, {"__fastavro_parsed": True, "__named_schemas": {}}])
def test_a_schema_marked_as_checked_is_checked_anyway(marks: dict[str, Any]) -> None:
    assert "contains itself" in refused(NODE | marks)


@pytest.mark.parametrize("sizes", [{"precision": 10**9}, {"precision": 10**9, "scale": 10**9}])
def test_a_decimal_of_endless_digits_is_refused(sizes: dict[str, int]) -> None:
    assert "digits" in refused(record({"type": "bytes", "logicalType": "decimal", **sizes}))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "5", "null", '"null"', '"nothing"', "[" * 60_000),
        *('{"type": "array"}', '{"type": ["int"]}', '{"type": {"type": "int"}}'),
        '{"type": "fixed", "name": "F", "size": "1"}',
        '{"type": "error", "name": "R", "fields": []}',
        '{"type": "record", "name": "R", "fields": 1}',
        '{"type": "record", "name": "R", "fields": [1]}',
    ],
)
def test_a_text_that_is_not_a_schema_is_refused(text: str) -> None:
    assert refused(text)
