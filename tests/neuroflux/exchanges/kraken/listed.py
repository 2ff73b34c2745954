"""The pairs that Kraken's tests list, and what answers to its requests look like."""

from __future__ import annotations

import json
from typing import Any, Final

from neuroflux.domain import Instrument
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kraken.exchange import Kraken

NOW: Final = 1_760_000_000_000_000
TIME: Final = "2025-10-09T08:53:20.000000Z"
"""The same."""
KEYS: Final = Keys("a-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")


def pair(altname: str, wsname: str, base: str, quote: str, **more: Any) -> dict[str, Any]:
    fees = {"fees": [[0, 0.4], [10000, 0.35]], "fees_maker": [[0, 0.25], [10000, 0.2]]}
    rules = {"pair_decimals": 1, "lot_decimals": 8, "tick_size": "0.1", "ordermin": "0.00005", "costmin": "0.5"}
    names = {"altname": altname, "wsname": wsname, "base": base, "quote": quote, "status": "online"}
    return {**names, **rules, **fees, **more}


PAIRS: Final = {
    "XXBTZUSD": pair("XBTUSD", "XBT/USD", "XXBT", "ZUSD"),
    "XDGUSD": pair("XDGUSD", "XDG/USD", "XXDG", "ZUSD", pair_decimals=7, tick_size="0.0000001"),
    "ETHCHF": pair("ETHCHF", "ETH/CHF", "XETH", "CHF", pair_decimals=2, tick_size="0.01", status="cancel_only"),
    "USDTZUSD": pair("USDTUSD", "USDT/USD", "USDT", "ZUSD", fees=[[0, 0.2]], fees_maker=[]),
    "ZETAUSD": pair("ZETAUSD", "ZETA/USD", "ZETA", "ZUSD", pair_decimals=4, tick_size="0.0001"),
}


def result(of: Any, *errors: str) -> bytes:
    return json.dumps({"error": list(errors), "result": of}).encode()


def refused(*errors: str) -> bytes:
    return json.dumps({"error": list(errors)}).encode()


def answer(request: Request, body: bytes, status: int = 200) -> Answer:
    return Answer(request, status, body, received_at=NOW)


def instruments() -> tuple[Instrument, ...]:
    return Kraken().listing([answer(Request("GET", "/0/public/AssetPairs"), result(PAIRS))]).instruments


def instrument(symbol: str) -> Instrument:
    return next(one for one in instruments() if one.symbol == symbol)
