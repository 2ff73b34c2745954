"""Hyperliquid: its answers to orders are HTTP 200, and the body decides."""

from __future__ import annotations

from typing import Any, Final

from neuroflux.domain import InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Keys
from tests.fuzz import frames
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Verdict, encoded

MS: Final = 1_760_000_000_000


class HyperliquidSource(Levels):
    """Every message is the whole book."""

    def __init__(self) -> None:
        super().__init__()
        self.last = MS

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        self.last += 1
        return self.snapshot()

    def snapshot(self) -> bytes:
        levels = [[{"px": price, "sz": size, "n": 1} for price, size in side] for side in self.top()]
        return encoded({"channel": "l2Book", "data": {"coin": "SOL", "time": self.last, "levels": levels}})


def _status(status: Any) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": [status]}}}


def _error(text: str) -> dict[str, Any]:
    return {"status": "err", "response": text}


def _quote(coin: str) -> dict[str, Any]:
    sides = [{"px": "10", "sz": "1", "n": 1}, {"px": "20", "sz": "2", "n": 1}]
    return {"channel": "bbo", "data": {"coin": coin, "time": MS, "bbo": sides}}


HYPERLIQUID: Final = Example(
    keys=Keys("0x" + "0" * 39 + "a", "0x" + "2b" * 32),
    lists=(
        {"universe": [{"name": "SOL", "szDecimals": 2}]},
        {
            "tokens": [{"name": "USDC", "szDecimals": 8, "index": 0}, {"name": "HYPE", "szDecimals": 2, "index": 150}],
            "universe": [{"name": "@107", "tokens": [150, 0], "index": 107}],
        },
    ),
    messages=frames.HYPERLIQUID,
    symbol="SOL/USDC:USDC",
    kinds=frozenset({InstrumentKind.PERPETUAL, InstrumentKind.SPOT}),
    quotes={"SOL/USDC:USDC": _quote("SOL"), "HYPE/USDC": _quote("@107")},
    source=HyperliquidSource,
    verdicts=(
        Verdict("place", 200, _status({"error": "Price must be divisible by tick size. asset=3"}), Reject),
        Verdict("place", 200, _error("Action already expired"), Reject),
        Verdict("place", 422, "Failed to deserialize the JSON body", Reject),
        Verdict("place", 200, _status({"error": "Cloid already in use"}), InDoubt),
        Verdict("place", 200, _status({}), InDoubt),
        Verdict("place", 500, _status({"error": "Price must be divisible by tick size. asset=3"}), InDoubt),
        Verdict("place", 408, _error("Action already expired"), InDoubt),
        Verdict("place", 429, None, Throttled),
        Verdict("place", 200, _error("Too many cumulative requests sent (9 > 8)"), Throttled),
        Verdict("query", 200, {"status": "unknownOid"}, NotThere),
        Verdict("cancel", 200, _status({"error": "Order was never placed, already canceled, or filled."}), NotThere),
        Verdict("cancel", 200, _status("perhaps"), InDoubt),
    ),
)
