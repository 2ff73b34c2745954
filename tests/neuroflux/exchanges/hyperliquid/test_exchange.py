"""Hyperliquid's instruments: names, rules and ids; ccxt is the oracle of the symbols."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.errors import MalformedFrame, RateLimited, Unreachable
from neuroflux.exchanges.hyperliquid.exchange import CCXT_NAMES, Hyperliquid
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Request

META: dict[str, Any] = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40},
        {"name": "OLD", "szDecimals": 1, "maxLeverage": 3, "isDelisted": True},
        {"name": "kPEPE", "szDecimals": 0, "maxLeverage": 10, "isDelisted": None},
    ],
    "collateralToken": 0,
}
SPOT_META: dict[str, Any] = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "index": 0},
        {"name": "UBTC", "szDecimals": 5, "index": 197},
        {"name": "PURR", "szDecimals": 0, "index": 1},
        {"name": "USDT0", "szDecimals": 2, "index": 268},
        {"name": "HYPE", "szDecimals": 2, "index": 150},
        {"name": "feUSD", "szDecimals": 2, "index": 300},
    ],
    "universe": [
        {"name": "PURR/USDC", "tokens": [1, 0], "index": 0},
        {"name": "@142", "tokens": [197, 0], "index": 142},
        {"name": "@207", "tokens": [150, 268], "index": 207},
        {"name": "@250", "tokens": [300, 0], "index": 250},
    ],
}


def answer(body: object, status: int = 200, tag: str = "") -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Request("POST", "/info", tag=tag), status, raw)


def listed() -> dict[str, Instrument]:
    return {one.name: one for one in Hyperliquid().listing([answer(META), answer(SPOT_META)]).instruments}


def test_keeps_the_protocol() -> None:
    exchange: Exchange = Hyperliquid()
    assert exchange.ID == "hyperliquid"
    assert [(one.path, json.loads(one.body), one.weight) for one in exchange.instruments_requests()] == [
        ("/info", {"type": "meta"}, 20),
        ("/info", {"type": "spotMeta"}, 20),
    ]


def test_a_perpetual() -> None:
    assert listed()["BTC"] == Instrument(
        exchange="hyperliquid",
        symbol="BTC/USDC:USDC",
        market="BTC/USD",
        name="BTC",
        base="BTC",
        quote="USDC",
        kind=InstrumentKind.PERPETUAL,
        settle="USDC",
        quantity_step=Decimal("0.00001"),
        min_notional=Decimal(10),
        price_significant_figures=5,
        price_decimals=1,
        taker_fee=Decimal("0.00045"),
        maker_fee=Decimal("0.00015"),
        asset_id=0,
    )


def test_a_delisted_perpetual_keeps_its_place_and_is_not_active() -> None:
    assert not listed()["OLD"].active
    assert listed()["OLD"].asset_id == 1
    assert listed()["kPEPE"].asset_id == 2
    assert listed()["kPEPE"].active


def test_a_thousand_is_a_multiplier() -> None:
    kpepe = listed()["kPEPE"]
    assert (kpepe.symbol, kpepe.market, kpepe.base, kpepe.multiplier) == ("KPEPE/USDC:USDC", "PEPE/USD", "PEPE", 1000)


def test_a_wrapped_token_has_ccxts_symbol_and_its_own_market() -> None:
    bitcoin = listed()["@142"]
    assert (bitcoin.symbol, bitcoin.market, bitcoin.base) == ("BTC/USDC", "UBTC/USD", "UBTC")
    assert (bitcoin.asset_id, bitcoin.price_decimals, bitcoin.taker_fee) == (10142, 3, Decimal("0.0007"))
    assert (listed()["@207"].symbol, listed()["@207"].market) == ("HYPE/USDT", "HYPE/USD")


@pytest.mark.parametrize(
    ("name", "is_canonical"), [("TRUMP", False), ("HYPE", False), ("UBTC", False), ("USDT", True), ("BTC", True)]
)
def test_a_namesake_shares_nothing_with_the_coin_whose_name_it_has(name: str, is_canonical: bool) -> None:
    """A real TRUMP/USDC (@9) traded at 0.0025 where the coin was at 17.66: https://github.com/ccxt/ccxt/issues/25216."""
    token = {"name": name, "szDecimals": 1, "index": 12, "isCanonical": is_canonical}
    meta = {
        "tokens": [*SPOT_META["tokens"], token],
        "universe": [*SPOT_META["universe"], {"name": "@9", "tokens": [12, 0], "index": 9}],
    }
    now = {one.name: one for one in Hyperliquid().listing([answer(meta)]).instruments}
    own = now.pop("@9")
    assert (own.symbol, own.market, own.base) == (f"{name}#12/USDC", f"{name}#12/USD", f"{name}#12")
    assert own.asset_id == 10009
    assert now == {one.name: one for one in listed().values() if one.kind is InstrumentKind.SPOT}


def test_what_is_paid_with_a_namesake_of_the_dollar_is_not_paid_with_dollars() -> None:
    meta = {
        "tokens": [*SPOT_META["tokens"], {"name": "USDC", "szDecimals": 2, "index": 12}],
        "universe": [{"name": "@9", "tokens": [150, 12], "index": 9}],
    }
    (pair,) = Hyperliquid().listing([answer(meta)]).instruments
    assert (pair.symbol, pair.market, pair.quote) == ("HYPE/USDC#12", "HYPE/USDC#12", "USDC#12")


def test_a_token_that_is_not_known_has_a_market_of_its_own() -> None:
    token = listed()["@250"]
    assert (token.symbol, token.market, token.base) == ("feUSD#300/USDC", "feUSD#300/USD", "feUSD#300")


def test_of_two_pairs_with_one_symbol_the_last_keeps_it() -> None:
    doubled = {
        "tokens": SPOT_META["tokens"],
        "universe": [*SPOT_META["universe"], {"name": "@800", "tokens": [197, 0], "index": 800}],
    }
    symbols = {one.name: one.symbol for one in Hyperliquid().listing([answer(doubled)]).instruments}
    assert symbols["@142"] == "@142"
    assert symbols["@800"] == "BTC/USDC"


def test_answers_with_contexts_are_read_too() -> None:
    with_contexts = [answer([META, [{"markPx": "1"}]]), answer([SPOT_META, [{"markPx": "1"}]])]
    assert {one.name: one for one in Hyperliquid().listing(with_contexts).instruments} == listed()


@pytest.fixture(scope="module")
def ccxt_hyperliquid() -> Any:
    """It takes a token's index for its place in the list, so the gaps between ours are filled."""
    tokens: list[dict[str, object]] = [{"name": f"T{n}", "szDecimals": 1, "index": n} for n in range(301)]
    for token in SPOT_META["tokens"]:
        tokens[int(str(token["index"]))] = token
    exchange = ccxt.hyperliquid()
    exchange.publicPostInfo = lambda params: [
        {**SPOT_META, "tokens": tokens} if params["type"].startswith("spot") else META,
        [{} for _ in range(301)],
    ]
    return exchange


def test_symbols_ids_and_fees_are_ccxts(ccxt_hyperliquid: Any) -> None:
    for market in ccxt_hyperliquid.fetch_swap_markets() + ccxt_hyperliquid.fetch_spot_markets():
        name = market["baseName"] if market["swap"] else market["id"]
        ours = listed()[name]
        assert ours.symbol == market["symbol"] or "#" in ours.symbol  # ccxt uses names that are not unique
        assert ours.asset_id == int(market["baseId"])
        assert ours.active == market["active"]
        assert float(ours.quantity_step) == market["precision"]["amount"]


def test_token_names_are_ccxts() -> None:
    assert ccxt.hyperliquid().options["spotCurrencyMapping"] == CCXT_NAMES


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"universe":1}', b'{"universe":[{"name":"BTC"}]}', b"\xff", b'["a"]']
)
def test_what_is_no_list_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        Hyperliquid().listing([answer(body)])


def test_a_pair_of_unknown_tokens_is_malformed() -> None:
    with pytest.raises(MalformedFrame, match="@9"):
        Hyperliquid().listing([answer({"tokens": [], "universe": [{"name": "@9", "tokens": [9, 0], "index": 9}]})])


def test_only_a_bad_row_is_skipped_and_it_is_named() -> None:
    universe: list[object] = [
        *META["universe"],
        None,
        {"name": "HUGE", "szDecimals": 10**30},
        {"name": "LAST", "szDecimals": 1},
    ]
    perpetuals = Hyperliquid().listing([answer({"universe": universe})])
    assert [(one.name, one.asset_id) for one in perpetuals.instruments] == [
        ("BTC", 0),
        ("OLD", 1),
        ("kPEPE", 2),
        ("LAST", 5),
    ]
    assert ["perpetual 3" in perpetuals.faults[0], "HUGE" in perpetuals.faults[1], len(perpetuals.faults)] == [1, 1, 2]
    pairs = [*SPOT_META["universe"], {"name": "@9", "tokens": [9, 0], "index": 9}, {"name": "@10"}]
    spot = Hyperliquid().listing([answer({"tokens": [*SPOT_META["tokens"], {"name": "x"}], "universe": pairs})])
    assert [one.name for one in spot.instruments] == [one["name"] for one in SPOT_META["universe"]]
    assert len(spot.faults) == 3
    assert any("@9" in fault for fault in spot.faults)


def test_a_bad_status_is_an_error_of_its_kind() -> None:
    with pytest.raises(RateLimited):
        Hyperliquid().listing([answer(b"", 429)])
    with pytest.raises(Unreachable):
        Hyperliquid().listing([answer(b"", 502)])
    with pytest.raises(MalformedFrame):
        Hyperliquid().listing([answer(b"", 422)])


def test_server_time() -> None:
    exchange = Hyperliquid()
    request = exchange.server_time_request()
    assert request is not None
    assert json.loads(request.body) == {"type": "exchangeStatus"}
    assert exchange.server_time(answer({"time": 1787195068169, "specialStatuses": None})) == 1787195068169000
    with pytest.raises(MalformedFrame):
        exchange.server_time(answer(b"null"))
