"""What Binance lists: only a row that is undecodable or of an unknown kind is skipped, and it is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroflux.domain import InstrumentKind
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer, Request

GOOD = {
    "symbol": "ABCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "ABC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01", "minPrice": "0.01", "maxPrice": "9"},
        {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "1000"},
        {"filterType": "SOMETHING_NEW", "limit": 3, "nested": [{}]},
    ],
}
SPOT = {name: value for name, value in GOOD.items() if name not in ("contractType", "marginAsset")}


def listed(exchange: Binance | BinanceUsdm, *rows: Any) -> Listing:
    return exchange.listing([Answer(Request("GET", "/exchangeInfo"), 200, json.dumps({"symbols": rows}).encode())])


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, "symbol": "XUSDT", **fields}


@pytest.mark.parametrize(
    "row",
    [
        changed(baseAsset=None),
        changed(baseAsset=""),
        changed(quoteAsset=7),
        changed(filters=[{"filterType": "LOT_SIZE", "stepSize": "many"}]),
        changed(filters=[{"filterType": "LOT_SIZE", "stepSize": "NaN"}]),
        changed(filters=[{"filterType": "LOT_SIZE", "maxQty": "1e99"}]),
        changed(filters=[{"filterType": "LOT_SIZE", "minQty": "-1"}]),
        changed(filters=[{"stepSize": "1"}]),
        changed(filters=None),
        changed(status=None),
        {"symbol": "XUSDT"},
    ],
)
@pytest.mark.parametrize("exchange", [Binance(), BinanceUsdm()])
def test_only_a_bad_row_is_skipped_and_it_is_named(exchange: Binance | BinanceUsdm, row: Any) -> None:
    found = listed(exchange, row, GOOD)
    assert [one.name for one in found.instruments] == ["ABCUSDT"]
    assert len(found.faults) == 1
    assert "XUSDT" in found.faults[0]


def test_a_row_that_is_no_object_is_named_by_its_number() -> None:
    found = listed(BinanceUsdm(), GOOD, None, [1], 7)
    assert [one.name for one in found.instruments] == ["ABCUSDT"]
    assert [f"row {number}" in fault for number, fault in enumerate(found.faults, start=1)] == [True] * 3


@pytest.mark.parametrize("kind", ["PERPETUAL", "TRADIFI_PERPETUAL"])
def test_perpetuals_of_either_kind_are_listed(kind: str) -> None:
    (one,) = listed(BinanceUsdm(), changed(contractType=kind, baseAsset="TSLA")).instruments
    assert (one.kind, one.symbol, one.settle) == (InstrumentKind.PERPETUAL, "TSLA/USDT:USDT", "USDT")


@pytest.mark.parametrize("status", ["TRADING_HALT", "TRADING_CANCEL_ONLY"])
def test_a_contract_that_is_halted_is_listed_and_not_active(status: str) -> None:
    found = listed(BinanceUsdm(), changed(status=status))
    assert [(one.active, found.faults) for one in found.instruments] == [(False, ())]


@pytest.mark.parametrize(("allowed", "active"), [(False, False), (True, True), (None, True)])
def test_what_is_traded_on_margin_alone_is_not_active(allowed: bool | None, active: bool) -> None:
    (one,) = listed(Binance(), {**SPOT, "isSpotTradingAllowed": allowed}).instruments
    assert one.active is active


def test_a_perpetual_that_is_being_settled_is_listed_and_not_active() -> None:
    (one,) = listed(BinanceUsdm(), changed(contractType="PERPETUAL_DELIVERING", status="DELIVERING")).instruments
    assert not one.active


@pytest.mark.parametrize("kind", ["", "PERPETUAL_NEXT", "perpetual"])
def test_an_unknown_contract_type_is_never_spot_and_is_named(kind: str) -> None:
    found = listed(BinanceUsdm(), changed(contractType=kind), GOOD)
    assert [one.name for one in found.instruments] == ["ABCUSDT"]
    assert found.faults == (f"XUSDT: unknown contract type {kind!r}, not taken",)


def test_a_dated_future_is_another_market_and_no_fault() -> None:
    assert listed(BinanceUsdm(), changed(contractType="CURRENT_QUARTER")) == Listing(())


@pytest.mark.parametrize(
    "row",
    [
        {"symbol": "ABCUSD_PERP", "quoteAsset": "USD", "marginAsset": "ABC", "contractSize": 100},
        {"symbol": "ABCUSD_PERP", "quoteAsset": "USD", "marginAsset": "ABC"},
        {"symbol": "ABCUSD_PERP", "contractSize": 10},
        {"symbol": "ABCUSD_260925", "quoteAsset": "USD", "marginAsset": "ABC", "contractType": "A_NEW_QUARTER"},
        {"symbol": "ABCUSD_PERP", "quoteAsset": "USD", "marginAsset": "ABC", "status": "MOON_PHASE"},
    ],
)
def test_a_coin_margined_future_is_another_product_and_no_fault(row: Any) -> None:
    found = listed(BinanceUsdm(), changed(**row), GOOD)
    assert [one.name for one in found.instruments] == ["ABCUSDT"]
    assert found.faults == ()


@pytest.mark.parametrize(("exchange", "row"), [(Binance(), SPOT), (BinanceUsdm(), GOOD)])
def test_an_instrument_with_an_unknown_status_is_not_traded_and_named(
    exchange: Binance | BinanceUsdm, row: Any
) -> None:
    found = listed(exchange, {**row, "status": "MOON_PHASE"})
    assert [one.active for one in found.instruments] == [False]
    assert found.faults == ("ABCUSDT: unknown status 'MOON_PHASE'",)


def test_a_perpetual_whose_delisting_is_announced_is_named_and_only_closed_on_its_last_day() -> None:
    settled = 1_790_000_000_000

    def asked(before: float, date: int) -> Listing:
        body = json.dumps({"symbols": [{**GOOD, "deliveryDate": date}]}).encode()
        at = int(settled * 1_000 - before * 3_600e6)
        return BinanceUsdm().listing([Answer(Request("GET", "/exchangeInfo"), 200, body, received_at=at)])

    for hours, closing in ((72.0, False), (23.9, True), (0.1, True)):
        found = asked(hours, settled)
        assert found.faults == ("ABCUSDT: is delisted, and settled at 2026-09-21 14:13 UTC",)
        assert [(one.active, one.closing_only) for one in found.instruments] == [(True, closing)]
    for never in (4_133_404_800_000, 0):
        found = asked(1.0, never)
        assert (found.faults, found.instruments[0].closing_only) == ((), False)
    assert asked(1.0, 10**18).faults == (f"ABCUSDT: is delisted, and settled at {10**18}",)


def test_the_exchange_decides_what_an_instrument_is() -> None:
    (one,) = listed(Binance(), SPOT).instruments
    assert (one.kind, one.symbol, one.settle) == (InstrumentKind.SPOT, "ABC/USDT", "")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"symbols":{}}', b"7", b""])
def test_what_is_no_list_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        BinanceUsdm().listing([Answer(Request("GET", "/exchangeInfo"), 200, body)])
