"""Amounts fit the decimals of the topics."""

from __future__ import annotations

from decimal import Decimal

import pytest

from neuroflux.domain import to_scale


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("2499.5", "2499.5"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("65000.1234567890123456789", "65000.123456789012345679"),
        ("-0.33333333333333333333333", "-0.333333333333333333"),
        ("1E+3", "1000"),
    ],
)
def test_an_amount_is_rounded_only_if_it_has_more_places(amount: str, rounded: str) -> None:
    assert f"{to_scale(Decimal(amount)):f}" == rounded
