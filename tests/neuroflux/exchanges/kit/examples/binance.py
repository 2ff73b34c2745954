"""Binance, spot and USDⓈ-M."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from neuroflux.domain import InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from tests.fuzz.frames import BINANCE, BINANCEUSDM
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Verdict, encoded


class BinanceSource(Levels):
    """USDⓈ-M's ids jump, spot's don't."""

    def __init__(self, exchange: str, name: str) -> None:
        super().__init__()
        self.exchange, self.name, self.last = exchange, name, 100

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        before, jump = self.last, 1 if self.exchange == "binance" else 7
        self.last += jump
        frame: dict[str, Any] = {"e": "depthUpdate", "E": 1, "s": self.name, "U": self.last, "u": self.last}
        frame |= {"b": [], "a": [], side: [[str(price), str(quantity)]]}
        if self.exchange == "binanceusdm":
            frame |= {"pu": before, "U": before + 3, "T": 1}
        return encoded(frame)

    def snapshot(self) -> Answer:
        bids, asks = ([*self.sides[side].items()] for side in "ba")
        body = {"lastUpdateId": self.last, "bids": bids, "asks": asks}
        return Answer(Request("GET", f"/depth?symbol={self.name}"), 200, encoded(body))


def _verdict(action: str, status: int, code: int, outcome: Any, text: str = "text") -> Verdict:
    return Verdict(action, status, {"code": code, "msg": text}, outcome)


_VERDICTS: Final = (
    _verdict("place", 400, -2010, Reject),
    _verdict("place", 400, -1013, Reject),
    _verdict("place", 400, -1021, Reject),
    _verdict("place", 400, -2019, Reject),
    _verdict("place", 400, -4164, Reject),
    _verdict("place", 400, -1006, InDoubt),
    _verdict("place", 400, -1007, InDoubt),
    _verdict("place", 400, -9999, InDoubt),
    _verdict("place", 400, -2010, InDoubt, "Duplicate order sent."),
    _verdict("place", 500, -2010, InDoubt),
    _verdict("place", 503, -1000, InDoubt),
    _verdict("place", 408, -2010, InDoubt),
    _verdict("place", 429, -1003, Throttled),
    _verdict("place", 418, -1003, Throttled),
    _verdict("place", 400, -1015, Throttled),
    _verdict("place", 400, -2013, InDoubt),
    _verdict("query", 400, -2013, NotThere),
    _verdict("query", 400, -2026, NotThere),
    _verdict("cancel", 400, -2013, NotThere),
    _verdict("cancel", 400, -2011, Reject),
)
_TOP: Final = {"u": 1, "s": "SOLUSDT", "b": "10", "B": "1", "a": "20", "A": "2"}
_ROW: Final = {"symbol": "SOLUSDT", "status": "TRADING", "baseAsset": "SOL", "quoteAsset": "USDT", "filters": []}
_PERPETUAL: Final = {"contractType": "PERPETUAL", "marginAsset": "USDT"}

SPOT: Final = Example(
    keys=Keys("the-key", "the-secret"),
    lists=({"symbols": [_ROW]},),
    messages=BINANCE,
    symbol="SOL/USDT",
    kinds=frozenset({InstrumentKind.SPOT}),
    quotes={"SOL/USDT": {"stream": "solusdt@bookTicker", "data": _TOP}},
    source=partial(BinanceSource, "binance", "SOLUSDT"),
    verdicts=_VERDICTS,
)
USDM: Final = Example(
    keys=Keys("the-key", "the-secret"),
    lists=({"symbols": [_ROW | _PERPETUAL]},),
    messages=BINANCEUSDM,
    symbol="SOL/USDT:USDT",
    kinds=frozenset({InstrumentKind.PERPETUAL}),
    quotes={"SOL/USDT:USDT": {"stream": "solusdt@bookTicker", "data": _TOP | {"e": "bookTicker", "T": 5, "E": 6}}},
    source=partial(BinanceSource, "binanceusdm", "SOLUSDT"),
    verdicts=_VERDICTS,
)
