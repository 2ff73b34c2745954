"""Which instruments a name means, also after one has moved to another market."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from consumers.execution.view import Views
from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.records.entries import Entry
from neuroflux.records.topics import INSTRUMENTS

SPOT = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
)
ELSEWHERE = replace(SPOT, exchange="hyperliquid", symbol="BTC/USDC", name="BTC", quote="USDC")


def listed(views: Views, *instruments: Instrument) -> None:
    for one in instruments:
        views.take(Entry(INSTRUMENTS, 0, 0, INSTRUMENTS.key(one), one, b"", "", 0))


def test_a_market_means_all_of_it_and_a_symbol_itself() -> None:
    views = Views()
    listed(views, SPOT, ELSEWHERE, SPOT)
    assert (Views().knows_instruments, views.knows_instruments) == (False, True)
    assert list(views.called("BTC/USD")) == [SPOT, ELSEWHERE]
    assert list(views.called("BTC/USDT")) == [SPOT]
    assert list(views.called("ETH/USD")) == []
    assert views.instrument("binance", "BTC/USDT") is SPOT
    assert views.instrument("binance", "BTC/USDC") is None


def test_one_that_has_moved_is_found_where_it_is_now() -> None:
    views, moved = Views(), replace(SPOT, market="BTCX/USD")
    listed(views, SPOT, moved)
    assert list(views.called("BTC/USD")) == []
    assert list(views.called("BTCX/USD")) == list(views.called("BTC/USDT")) == [moved]
    assert views.listed("binance") == (moved,)


def test_an_instrument_with_invalid_rules_is_ignored_and_replaces_nothing() -> None:
    views = Views()
    listed(views, SPOT, replace(SPOT, multiplier=0), replace(ELSEWHERE, taker_fee=Decimal(-5)))
    assert list(views.called("BTC/USD")) == [SPOT]
