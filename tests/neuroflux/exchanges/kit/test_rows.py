"""A row that can't be read is named by what it is about."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw, Struct

from neuroflux.exchanges.kit.rows import name_of, taken


@pytest.mark.parametrize("key", ["symbol", "asset", "coin", "product_id", "currency", "name", "instId", "ccy"])
def test_a_row_is_named_by_its_instrument_or_asset(key: str) -> None:
    assert name_of(Raw(b'{"%s":"BTC","x":1}' % key.encode())) == "BTC"
    assert name_of(Raw(b'{"x":"BTC"}')) == ""


class Wire(Struct):
    name: str
    size: str


def test_what_can_not_be_taken_costs_its_row_alone() -> None:
    sizes = list[int]()
    body = b'[{"name":"A","size":"1"},{"name":"B","size":"x"},{"name":"C"},{"name":"D","size":"4"}]'
    read = taken(body, msgspec.json.Decoder(Wire).decode, lambda one: sizes.append(int(one.size)))
    assert sizes == [1, 4]
    assert [one.name for one in read.good] == ["A", "D"]
    assert read.bad_names == {"B", "C"}
