"""What an account pays, from the exchanges' own answers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.exchanges.catalogue import exchange
from neuroflux.exchanges.hyperliquid.fees import rates_of
from neuroflux.exchanges.kit.events import FeeRates, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed
from neuroflux.exchanges.kit.requests import Answer, Keys

NOW = 1_760_000_000_000_000
USER = "0x00000000000000000000000000000000000000Ab"
SPOT_SYMBOL, PERPETUAL_SYMBOL = "ETH/USDT", "ETH/USDT:USDT"


def feed(on: str) -> AccountFeed:
    kinds = {SPOT_SYMBOL: InstrumentKind.SPOT, PERPETUAL_SYMBOL: InstrumentKind.PERPETUAL}
    listed = [
        Instrument(
            exchange=on, symbol=symbol, market="ETH/USD", name="ETHUSDT", base="ETH", quote="USDT", kind=kind, settle=""
        )
        for symbol, kind in kinds.items()
        if on == "hyperliquid" or (kind is InstrumentKind.SPOT) is (on == "binance")
    ]
    if on == "hyperliquid":
        listed = [Instrument(**{**_fields(one), "name": one.kind.value}) for one in listed]
    return exchange(on).account_feed(Keys(USER, "0x01"), listed)


def _fields(one: Instrument) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def events_of(on: str, body: Any, symbols: tuple[str, ...]) -> list[Any]:
    """The feed's events of this answer to its own first request."""
    of = feed(on)
    request = of.fees(symbols, NOW)[0]
    return list(of.answer(Answer(request, 200, json.dumps(body).encode()), NOW))


def part(maker: str, taker: str, buyer: str = "0", seller: str = "0") -> dict[str, str]:
    return {"maker": maker, "taker": taker, "buyer": buyer, "seller": seller}


def test_spots_rates_are_the_sum_of_their_parts_on_the_dearer_side_without_discount() -> None:
    body = {
        "symbol": "ETHUSDT",
        "standardCommission": part("0.0004", "0.0006", "0.0001", "0.0002"),
        "specialCommission": part("0.001", "0.002"),
        "taxCommission": part("0.00001", "0.00002", "0.00003", "0"),
        "discount": {"enabledForAccount": True, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75"},
    }
    taker = Decimal("0.0006") + Decimal("0.002") + Decimal("0.00002") + Decimal("0.0002")
    maker = Decimal("0.0004") + Decimal("0.001") + Decimal("0.00001") + Decimal("0.0002")
    assert events_of("binance", body, (SPOT_SYMBOL,)) == [FeeRates(SPOT_SYMBOL, taker, maker)]


def test_spot_is_requested_by_symbol_signed_and_only_of_what_it_lists() -> None:
    requests = feed("binance").fees((SPOT_SYMBOL, "NO/SUCH"), NOW)
    (path,) = [request.path for request in requests]
    assert path.startswith("/api/v3/account/commission?symbol=ETHUSDT&")
    assert "&signature=" in path


def test_usdm_reports_a_rebate_as_a_negative_rate() -> None:
    body = {"symbol": "ETHUSDT", "makerCommissionRate": "-0.0001", "takerCommissionRate": "0.0003"}
    expected = FeeRates(PERPETUAL_SYMBOL, Decimal("0.0003"), Decimal("-0.0001"))
    assert events_of("binanceusdm", body, (PERPETUAL_SYMBOL,)) == [expected]


def test_hyperliquids_answer_is_of_all_it_lists() -> None:
    body = {"userCrossRate": "0.0003", "userAddRate": "0.0001", "userSpotCrossRate": "0.0006", "userSpotAddRate": "0"}
    assert events_of("hyperliquid", {"dailyUserVlm": [], **body}, ()) == [
        FeeRates(SPOT_SYMBOL, Decimal("0.0006"), Decimal(0)),
        FeeRates(PERPETUAL_SYMBOL, Decimal("0.0003"), Decimal("0.0001")),
    ]
    (request,) = feed("hyperliquid").fees((), NOW)
    assert (request.path, request.weight, json.loads(request.body)) == (
        "/info",
        20,
        {"type": "userFees", "user": USER.lower()},
    )


@pytest.mark.parametrize(
    ("on", "body"),
    [
        ("binance", {"symbol": "ETHUSDT", "standardCommission": part("NaN", "0.001")}),
        ("binance", {"symbol": "ETHUSDT", "standardCommission": {"maker": []}}),
        ("binanceusdm", {"symbol": "ETHUSDT", "makerCommissionRate": "0.1", "takerCommissionRate": "Infinity"}),
        ("binanceusdm", {"takerCommissionRate": "0.1"}),
        ("hyperliquid", {"userCrossRate": "0.0003"}),
        (
            "hyperliquid",
            {"userCrossRate": "NaN", "userAddRate": "0", "userSpotCrossRate": "0", "userSpotAddRate": "0"},
        ),
    ],
)
def test_what_is_no_rate_is_undecodable(on: str, body: Any) -> None:
    (event,) = events_of(on, body, (SPOT_SYMBOL,) if on == "binance" else (PERPETUAL_SYMBOL,))
    assert isinstance(event, Undecodable)


def pair(base: str, quote: str) -> Instrument:
    names: dict[str, Any] = {
        "symbol": f"{base}/{quote}",
        "market": f"{base}/USD",
        "name": f"@{base}{quote}",
        "base": base,
        "quote": quote,
    }
    return Instrument(exchange="hyperliquid", kind=InstrumentKind.SPOT, **names)


@pytest.mark.parametrize(("maker", "between"), [("0.0004", "0.0004"), ("-0.0001", "-0.00002")])
def test_hyperliquid_charges_a_fifth_between_two_quote_assets(maker: str, between: str) -> None:
    """Source: https://hyperliquid.gitbook.io/hyperliquid-docs/trading/fees."""
    perpetual = {"userCrossRate": "0.00045", "userAddRate": "0.00015"}
    body = json.dumps({**perpetual, "userSpotCrossRate": "0.0007", "userSpotAddRate": maker}).encode()
    found = rates_of(body, [pair("USDH", "USDC"), pair("PURR", "USDC"), pair("PURR", "USDH")])
    taker, usual = Decimal("0.00014"), Decimal("0.0007")
    assert found[0] == FeeRates("USDH/USDC", taker, Decimal(between))
    assert [(one.taker, one.maker) for one in found[1:]] == [(usual, Decimal(maker))] * 2
