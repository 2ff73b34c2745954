"""Numbers as Hyperliquid writes them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from neuroflux.sim.hyperliquid.account import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1", "1.0"),
        ("2986.30", "2986.3"),
        ("0", "0.0"),
        ("-0.5", "-0.5"),
        ("0.3333333333333333333333333333", "0.33333333"),
    ],
)
def test_a_number_has_a_point_and_an_end(value: str, text: str) -> None:
    assert number(Decimal(value)) == text
