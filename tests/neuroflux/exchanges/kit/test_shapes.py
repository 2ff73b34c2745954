"""Bodies without a name of their own are distinguished by their keys."""

from __future__ import annotations

import pytest

from neuroflux.exchanges.kit.shapes import UNREADABLE, Shapes, kind_of

SHAPES = Shapes(
    objects=(("levels time", "book"), ("levels", "levels"), ("delta.type", "typed")),
    rows=(("oid", "fills"), ("delta.type", "ledger")),
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"levels": null, "time": 1}', "book"),
        ('{"levels": []}', "levels"),
        ('{"time": 1}', ""),
        ('{"delta": {"type": 1}}', "typed"),
        ('{"delta": {}}', ""),
        ('{"delta": 7}', ""),
        ('[{"oid": 1}]', "fills"),
        ('[7, null, {"x": 1}, {"delta": {"type": "a"}}]', "ledger"),
        ("[]", ""),
        ("7", ""),
        ("null", ""),
    ],
)
def test_the_first_kind_whose_keys_are_all_there_counts(body: str, kind: str) -> None:
    assert kind_of(body, SHAPES) == kind
    assert kind_of(body.encode(), SHAPES) == kind


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, "\ud800"])
def test_what_is_no_json_is_unreadable(body: str) -> None:
    with pytest.raises(UNREADABLE):
        kind_of(body, SHAPES)
