"""Which texts are plain numbers: whatever else stands in a frame is told as such, and never computed with."""

from __future__ import annotations

import pytest

from neuroflux.exchanges.kit.numerals import plain


@pytest.mark.parametrize("numerals", [("1",), ("0",), ("1.",), (".5",), ("0.35210000", "672.00000000"), ("9" * 200,)])
def test_plain_numbers_are_plain(numerals: tuple[str, ...]) -> None:
    assert plain(*numerals)


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1e5", "nan", "inf", "1_0", " 1", "1 ", "1\n", "1,2", "1.2.3", "0x1", "١", "1" * 400]
)
def test_one_that_is_none_spoils_them_all(text: str) -> None:
    assert not plain(text)
    assert not plain("1", text, "2")


def test_none_at_all_are_no_numbers() -> None:
    assert not plain()
