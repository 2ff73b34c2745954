"""Exchanges' names map to markets of comparable instruments."""

import pytest

from neuroflux.domain.symbols import market_of, split_multiplier


@pytest.mark.parametrize(
    ("base", "quote", "market"), [("BTC", "USDT", "BTC/USD"), ("BTC", "USDC", "BTC/USD"), ("ETH", "BTC", "ETH/BTC")]
)
def test_market_of(base: str, quote: str, market: str) -> None:
    assert market_of(base, quote) == market


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("kPEPE", ("PEPE", 1000)),
        ("1000PEPE", ("PEPE", 1000)),
        ("1000000MOG", ("MOG", 1000000)),
        ("KAS", ("KAS", 1)),
        ("1INCH", ("1INCH", 1)),
        ("kas", ("kas", 1)),
    ],
)
def test_split_multiplier(name: str, split: tuple[str, int]) -> None:
    assert split_multiplier(name) == split
