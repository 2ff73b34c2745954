"""mintex: sizes on the wire are contracts of 0.01, and a book is numbered without a hole."""

from __future__ import annotations

from typing import Any, Final

from neuroflux.domain import InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Keys
from tests.fuzz.frames import rest, ws
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Verdict, encoded

NAME: Final = "SOL-USDT"
US: Final = 1_760_000_000_000_000


class MintexSource(Levels):
    """Quantities are kept in coins and sent in contracts."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 100

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        self.last += 1
        levels = {"bids": [], "asks": [], _SIDES[side]: [[str(price), str(100 * quantity)]]}
        return encoded({"channel": "books", "name": NAME, "last": self.last, "time": US, **levels})

    def snapshot(self) -> bytes:
        bids, asks = ([[price, f"{size}00"] for price, size in side] for side in self.top())
        body = {"name": NAME, "last": self.last, "time": US, "bids": bids, "asks": asks}
        return encoded({"channel": "snapshots", **body})


_SIDES: Final = {"b": "bids", "a": "asks"}
_LISTED: Final = {
    "name": NAME,
    "base": "SOL",
    "quote": "USDT",
    "tick": "0.01",
    "lot": "1",
    "min_notional": "5",
    "taker": "0.001",
    "maker": "0.0008",
    "open": True,
}
_QUOTE: Final = {
    "channel": "quotes",
    "name": NAME,
    "last": 7,
    "time": US,
    "bids": [["10", "100"]],
    "asks": [["20", "200"]],
}
_TRADE: Final = {"name": NAME, "time": US, "id": "901", "side": "buy", "price": "150.1", "size": "400"}
_ORDER: Final = _TRADE | {
    "client_id": "mx1",
    "type": "limit",
    "filled": "100",
    "average": "150.1",
    "status": "partially_filled",
}
_FILL: Final = _TRADE | {"client_id": "mx1", "order_id": "9", "fee": "0.004", "fee_asset": "SOL", "role": "taker"}
_BALANCE: Final = {"asset": "SOL", "free": "10", "locked": "1", "time": US}


def _verdict(action: str, status: int, code: str, outcome: Any) -> Verdict:
    return Verdict(action, status, {"code": code, "msg": "text"}, outcome)


MINTEX: Final = Example(
    keys=Keys("the-key", "the-secret", passphrase="the-word"),
    lists=([_LISTED],),
    messages=(
        ws(_QUOTE),
        ws(_QUOTE | {"channel": "snapshots"}),
        ws(_QUOTE | {"channel": "books", "last": 8}),
        ws({"channel": "trades", **_TRADE}),
        ws({"event": "subscribe"}),
        ws({"event": "error", "msg": "2001 no such key"}),
        ws({"channel": "orders", "rows": [_ORDER, _ORDER | {"status": "suspended"}]}),
        ws({"channel": "fills", "rows": [_FILL]}),
        ws({"channel": "balances", "rows": [_BALANCE, _BALANCE | {"asset": "USDT"}]}),
        rest([_LISTED], tag="instruments"),
        rest({"time": US // 1000}, tag="time"),
        rest([_ORDER], tag="orders", url="/v1/orders"),
        rest([_FILL], tag="fills", url="/v1/fills?name=SOL-USDT"),
        rest([_BALANCE], tag="balances", url="/v1/balances"),
        rest(_ORDER, tag="place", url="/v1/order"),
        rest({"code": "1005", "msg": "the balance is too low"}, tag="place", status=400),
    ),
    symbol="SOL/USDT",
    kinds=frozenset({InstrumentKind.SPOT}),
    quotes={"SOL/USDT": _QUOTE},
    source=MintexSource,
    verdicts=(
        _verdict("place", 400, "1005", Reject),
        _verdict("place", 400, "2002", Reject),
        _verdict("place", 200, "1005", Reject),
        _verdict("place", 400, "1006", InDoubt),
        _verdict("place", 400, "9999", InDoubt),
        _verdict("place", 400, "1008", InDoubt),
        _verdict("place", 500, "1005", InDoubt),
        _verdict("place", 408, "1005", InDoubt),
        _verdict("place", 429, "2429", Throttled),
        _verdict("place", 200, "2429", Throttled),
        _verdict("query", 400, "1008", NotThere),
        _verdict("cancel", 400, "1008", NotThere),
    ),
)
