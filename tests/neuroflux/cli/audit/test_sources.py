"""The position of a dead letter's record, from its headers, which any client may have written."""

from __future__ import annotations

import pytest

from neuroflux.cli.audit.pipeline import source_of
from neuroflux.domain import Cause

WHOLE = {"topic": b"market.quotes", "partition": b"3", "offset": b"17"}


def test_a_dead_letter_names_its_record() -> None:
    assert source_of(WHOLE) == Cause("market.quotes", 3, 17)


@pytest.mark.parametrize(
    "wrong", [{"topic": b"\xff"}, {"partition": None}, {"offset": b""}, {"offset": b"1e3"}, {"partition": b"\xff"}]
)
def test_unreadable_headers_name_no_record(wrong: dict[str, bytes | None]) -> None:
    assert source_of(WHOLE | wrong) is None


def test_missing_headers_name_no_record() -> None:
    assert source_of({}) is None
