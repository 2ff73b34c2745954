"""Which texts are plain numbers: any other text in a frame is reported, and never computed with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.exchanges.kit.numerals import is_two_sided, plain, positive

PLAIN = ["1", "1.", ".5", "0.35210000", "672.00000000", "9" * 200, "0.00000001"]
ZEROS = ["0", "0.0", "00", ".0", "0."]
NONE = ["", ".", "-1", "+1", "1e5", "nan", "inf", "1_0", " 1", "1 ", "1\n", "1,2", "1.2.3", "0x1", "١", "1" * 400]


@pytest.mark.parametrize("text", [*PLAIN, *ZEROS])
def test_plain_numbers_are_plain(text: str) -> None:
    assert plain(text)
    assert plain("1", text, "2")


@pytest.mark.parametrize("text", NONE)
def test_one_that_is_none_spoils_them_all(text: str) -> None:
    for check in (plain, positive):
        assert not check(text)
        assert not check("1", text, "2")
        assert not check(*["1"] * 100, text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_above_0_is_positive(text: str) -> None:
    assert positive(text)
    assert positive("1", text, "2")
    assert is_two_sided(f"1,{text},2,3")


@pytest.mark.parametrize("text", ZEROS)
def test_0_is_not_positive(text: str) -> None:
    assert not positive(text)
    assert not positive("1", text, "2")
    assert not is_two_sided(f"1,2,{text},3")


def test_none_at_all_are_no_numbers() -> None:
    assert not plain()
    assert not positive()


@given(st.lists(st.sampled_from([*PLAIN, *ZEROS, *NONE, "0,0", "1,", ",1"]), min_size=1, max_size=130))
def test_many_are_judged_as_one_by_one(numerals: list[str]) -> None:
    """Also beyond the number of numerals for which a pattern is written out."""
    assert plain(*numerals) == all(plain(one) for one in numerals)
    assert positive(*numerals) == all(positive(one) for one in numerals)
