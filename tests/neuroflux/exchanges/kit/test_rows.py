"""A row that can't be read is named by what it is about."""

from __future__ import annotations

import pytest
from msgspec import Raw

from neuroflux.exchanges.kit.rows import name_of


@pytest.mark.parametrize("key", ["symbol", "asset", "name", "instId", "ccy"])
def test_a_row_is_named_by_its_instrument_or_asset(key: str) -> None:
    assert name_of(Raw(b'{"%s":"BTC","x":1}' % key.encode())) == "BTC"
    assert name_of(Raw(b'{"x":"BTC"}')) == ""
