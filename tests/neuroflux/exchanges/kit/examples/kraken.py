"""Kraken: books are proved by checksums alone, an error is HTTP 200, and orders are looked for in lists."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from neuroflux.domain import Ack, InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Keys
from tests.fuzz.frames import rest, ws
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Side, Verdict, encoded

NAME: Final = "DOGE/USD"
TIME: Final = "2025-10-09T08:53:20.123456Z"
SECRET: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""The bytes 0 to 31, in base64."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = {"b": "bids", "a": "asks"}


def frame(channel: str, kind: str, *rows: Any, **more: Any) -> dict[str, Any]:
    return {"channel": channel, "type": kind, "data": list(rows), **more}


def crc(bids: Side, asks: Side) -> int:
    """Over whole numbers of a pair that counts no decimals."""
    return zlib.crc32("".join(price + size for price, size in (*asks[:10], *bids[:10])).encode())


def book(kind: str, bids: Side, asks: Side, checksum: int, time: str = TIME) -> dict[str, Any]:
    sides = {"bids": bids, "asks": asks}
    levels = {side: [{"price": int(price), "qty": int(size)} for price, size in sides[side]] for side in sides}
    return frame("book", kind, {"symbol": NAME, **levels, "checksum": checksum, "timestamp": time})


class KrakenSource(Levels):
    """A change has no number but its time; ``last`` is that, in microseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 1_760_000_000_000_000

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        self.last += 1
        changed: dict[str, Side] = {"bids": [], "asks": [], _NAMES[side]: [(str(price), str(quantity))]}
        return encoded(book("update", **changed, checksum=crc(*self.top()), time=self._time))

    def snapshot(self) -> bytes:
        bids, asks = self.top()
        return encoded(book("snapshot", bids, asks, crc(bids, asks), self._time))

    @property
    def _time(self) -> str:
        return (_EPOCH + timedelta(microseconds=self.last)).isoformat()


def result(of: Any) -> dict[str, Any]:
    return {"error": [], "result": of}


def refused(*errors: str) -> dict[str, Any]:
    return {"error": list(errors)}


PAIR: Final = {
    "altname": "XDGUSD",
    "wsname": "XDG/USD",
    "aclass_base": "currency",
    "base": "XXDG",
    "aclass_quote": "currency",
    "quote": "ZUSD",
    "cost_decimals": 5,
    "pair_decimals": 0,
    "lot_decimals": 0,
    "lot_multiplier": 1,
    "fees": [[0, 0.4], [10000, 0.35]],
    "fees_maker": [[0, 0.25], [10000, 0.2]],
    "ordermin": "10",
    "costmin": "0.5",
    "tick_size": "1",
    "status": "online",
}
QUOTE: Final = frame(
    "ticker", "snapshot", {"symbol": NAME, "bid": 10, "bid_qty": 1, "ask": 20, "ask_qty": 2, "timestamp": TIME}
)
TRADE: Final = {"symbol": NAME, "side": "sell", "price": 0.15, "qty": 4, "trade_id": 901, "timestamp": TIME}
PLACED: Final = {
    "order_id": "OAAAAA-BBBBB-CCCCCC",
    "cl_ord_id": "nf1",
    "symbol": NAME,
    "side": "buy",
    "order_type": "limit",
    "order_qty": 40,
    "limit_price": 0.15,
    "exec_type": "pending_new",
    "order_status": "pending_new",
    "cum_qty": 0,
    "timestamp": TIME,
}
NEW: Final = {"order_id": "OAAAAA-BBBBB-CCCCCC", "exec_type": "new", "order_status": "new", "timestamp": TIME}
TRADED: Final = {
    "order_id": "OAAAAA-BBBBB-CCCCCC",
    "exec_id": "TAAAAA-BBBBB-CCCCCC",
    "exec_type": "trade",
    "order_status": "partially_filled",
    "symbol": NAME,
    "side": "buy",
    "order_type": "limit",
    "last_qty": 10,
    "last_price": 0.14,
    "cum_qty": 10,
    "avg_price": 0.14,
    "liquidity_ind": "t",
    "fees": [{"asset": "USD", "qty": 0.0056}],
    "trade_id": 7,
    "timestamp": TIME,
}
FILLED: Final = NEW | {"exec_type": "filled", "order_status": "filled", "cum_qty": 40, "avg_price": 0.14}
CANCELED: Final = NEW | {"exec_type": "canceled", "order_status": "canceled", "reason": "User requested"}
TOTAL: Final = {"asset": "USD", "balance": 90.5, "wallets": [{"type": "spot", "id": "main", "balance": 90.5}]}
ENTRY: Final = {
    "asset": "USD",
    "balance": 190.5,
    "amount": 100,
    "fee": 0,
    "type": "deposit",
    "wallet_type": "spot",
    "ledger_id": "LAAAAA",
    "timestamp": TIME,
}
ORDER: Final = {
    "status": "open",
    "cl_ord_id": "nf1",
    "userref": 0,
    "opentm": 1759999000.5,
    "descr": {"pair": "XDGUSD", "type": "buy", "ordertype": "limit", "price": "0.15", "price2": "0", "order": "buy"},
    "vol": "40",
    "vol_exec": "10",
    "cost": "1.4",
    "fee": "0.0056",
    "price": "0.14",
    "reason": None,
    "oflags": "fciq",
}
FILL: Final = {
    "ordertxid": "OAAAAA-BBBBB-CCCCCC",
    "pair": "XXDGZUSD",
    "time": 1759999000.5,
    "type": "buy",
    "ordertype": "limit",
    "price": "0.14",
    "cost": "1.4",
    "fee": "0.0056",
    "vol": "10",
    "maker": False,
    "trade_id": 7,
}
OPEN: Final = result({"open": {"OAAAAA-BBBBB-CCCCCC": ORDER}})
CLOSED: Final = result({"closed": {"OAAAAA-BBBBB-CCCCCC": ORDER | {"status": "closed", "closetm": 1.5}}, "count": 90})
ADDED: Final = result({"descr": {"order": "buy 40 XDGUSD @ limit 0.15"}, "txid": ["OAAAAA-BBBBB-CCCCCC"]})
_NO_FUNDS: Final = refused("EOrder:Insufficient funds")

KRAKEN: Final = Example(
    keys=Keys("a-key", SECRET),
    lists=(result({"XXDGZUSD": PAIR}),),
    messages=(
        ws(QUOTE),
        ws(book("snapshot", [("10", "1")], [("20", "2")], crc([("10", "1")], [("20", "2")]))),
        ws(book("update", [("11", "1")], [("20", "0")], 7)),
        ws(frame("trade", "update", TRADE, TRADE | {"trade_id": 902})),
        ws({"channel": "heartbeat"}),
        ws(frame("status", "update", {"system": "online", "api_version": "v2", "version": "2.0.10"})),
        ws({"method": "subscribe", "result": {"channel": "book", "symbol": NAME}, "success": True, "time_in": TIME}),
        ws({"method": "subscribe", "error": "Currency pair not supported", "success": False, "symbol": NAME}),
        ws({"Error": "Exceeded msg rate"}),
        ws(frame("executions", "snapshot", PLACED, sequence=1)),
        ws(frame("executions", "update", NEW, TRADED, FILLED, sequence=2)),
        ws(frame("executions", "update", CANCELED, PLACED | {"order_status": "suspended"}, sequence=3)),
        ws(frame("balances", "snapshot", TOTAL, sequence=1)),
        ws(frame("balances", "update", ENTRY, ENTRY | {"type": "trade", "balance": 90}, sequence=2)),
        rest(result({"XXDGZUSD": PAIR}), tag="pairs"),
        rest(result({"unixtime": 1760000000, "rfc1123": "x"}), tag="time"),
        rest(result({"token": "a-token", "expires": 900}), tag="token"),
        rest(result({"ZUSD": {"balance": "90.5", "hold_trade": "9.5"}, "XXDG": {"balance": 1, "hold_trade": 0}})),
        rest(OPEN, tag="open orders"),
        rest(CLOSED, tag="closed orders"),
        rest(result({"OAAAAA-BBBBB-CCCCCC": ORDER}), tag="orders"),
        rest(result({"trades": {"TAAAAA-BBBBB-CCCCCC": FILL}, "count": 90}), tag="fills"),
        rest(result({"fees": {"XXDGZUSD": {"fee": "0.4"}}, "fees_maker": {"XXDGZUSD": {"fee": "0.25"}}}), tag="fees"),
        rest(result({"permissions": ["query-funds", "withdraw-funds"]}), tag="rights"),
        rest(ADDED, tag="place"),
        rest(_NO_FUNDS, tag="place"),
        rest(result({"count": 1}), tag="cancel nf1 XXDGZUSD"),
    ),
    symbol=NAME,
    kinds=frozenset({InstrumentKind.SPOT}),
    quotes={NAME: QUOTE},
    source=KrakenSource,
    verdicts=(
        Verdict("place", 200, ADDED, Ack),
        Verdict("place", 200, _NO_FUNDS, Reject),
        Verdict("place", 200, refused("EGeneral:Invalid arguments:volume minimum not met"), Reject),
        Verdict("place", 200, refused("EOrder:Margin allowance exceeded"), Reject),
        Verdict("place", 200, refused("EService:Deadline elapsed"), Reject),
        Verdict("place", 200, refused("EAPI:Invalid nonce"), Reject),
        Verdict("place", 200, refused("EService:Unavailable"), InDoubt),
        Verdict("place", 200, refused("EService:Timeout"), InDoubt),
        Verdict("place", 200, refused("EGeneral:Internal error"), InDoubt),
        Verdict("place", 200, refused("EOrder:Insufficient funds", "EService:Timeout"), InDoubt),
        Verdict("place", 200, refused("EOrder:Invalid orders of today"), InDoubt),
        Verdict("place", 200, refused("EOrder:Duplicate order"), InDoubt),
        Verdict("place", 200, refused("EGeneral:Invalid arguments:cl_ord_id duplicate"), InDoubt),
        Verdict("place", 200, refused("EOrder:Unknown order"), InDoubt),
        Verdict("place", 200, result({"descr": {"order": "buy"}}), InDoubt),
        Verdict("place", 200, result({"txid": []}), InDoubt),
        Verdict("place", 520, {}, InDoubt),
        Verdict("place", 200, refused("EOrder:Rate limit exceeded"), Throttled),
        Verdict("place", 200, refused("EService: Throttled: 1760000000"), Throttled),
        Verdict("place", 200, refused("EGeneral:Temporary lockout"), Throttled),
        Verdict("place", 429, {}, Throttled),
        Verdict("query", 200, result({"open": {}}), InDoubt),
        Verdict("query", 200, refused("EAPI:Rate limit exceeded"), Throttled),
        Verdict("cancel", 200, result({"count": 1}), Ack),
        Verdict("cancel", 200, result({"count": 0}), InDoubt),
        Verdict("cancel", 200, refused("EOrder:Cancel pending"), InDoubt),
        Verdict("cancel", 200, refused("EOrder:Unknown order"), NotThere),
    ),
)
