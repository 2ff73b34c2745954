"""The workers' reference data: only instruments with valid rules are used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.domain import Cause, Quote
from neuroflux.engine.markets.comparable import Reference
from neuroflux.records.entries import Entry
from neuroflux.records.topics import INSTRUMENTS
from streams.reference import take
from tests.neuroflux.engine.routing.test_strategies import instrument

LISTED = instrument("a")


@pytest.mark.parametrize(
    ("given", "taken"), [({"active": False}, True), ({"multiplier": 0}, False), ({"taker_fee": Decimal(-5)}, False)]
)
def test_an_instrument_with_invalid_rules_replaces_nothing(given: dict[str, Any], taken: bool) -> None:
    reference, result = Reference([LISTED]), replace(LISTED, **given)
    take(reference, Entry(INSTRUMENTS, 0, 0, INSTRUMENTS.key(result), result, b"", "", 0))
    assert reference.instrument(("a", LISTED.symbol)) is (result if taken else LISTED)


def test_a_rate_names_the_quote_it_is_based_on() -> None:
    reference, deep, thin = Reference(), Cause("market.quotes", 0, 1), Cause("market.quotes", 1, 7)
    reference.convert(Quote("a", "USDC/USDT", "USDC/USD", 0.9995, 1e6, 1.0005, 1e6, 1, 1, 1), deep)
    reference.convert(Quote("b", "USDT/USDC", "USDC/USD", 0.599, 1, 0.601, 1, 1, 2, 2), thin)
    assert reference.causes("USDT", "USDC") == (deep,)
