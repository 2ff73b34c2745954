"""Coinbase: frames are numbered by the connection, and an order that is refused is HTTP 200."""

from __future__ import annotations

from typing import Any, Final

from neuroflux.domain import InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Keys
from tests.fuzz.frames import rest, ws
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Verdict, encoded

NAME: Final = "SOL-USD"
TIME: Final = "2025-10-09T08:53:20.123456789Z"
KEY: Final = "organizations/00000000-0000-4000-8000-000000000001/apiKeys/00000000-0000-4000-8000-000000000002"
SEED: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""The bytes 0 to 31, in base64: an Ed25519 key."""
_SIDES: Final = {"b": "bid", "a": "offer"}


def frame(channel: str, number: int, *events: Any) -> dict[str, Any]:
    return {"channel": channel, "timestamp": TIME, "sequence_num": number, "events": list(events)}


def level(side: str, price: str, quantity: str) -> dict[str, str]:
    return {"side": _SIDES[side], "event_time": TIME, "price_level": price, "new_quantity": quantity}


def book(kind: str, number: int, *levels: Any, name: str = NAME) -> dict[str, Any]:
    return frame("l2_data", number, {"type": kind, "product_id": name, "updates": list(levels)})


class CoinbaseSource(Levels):
    """A snapshot has the number of the newest change, as on a connection that was just opened."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 100

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        self.last += 1
        return encoded(book("update", self.last, level(side, str(price), str(quantity))))

    def snapshot(self) -> bytes:
        levels = [level(side, *one) for side, found in zip("ba", self.top(), strict=True) for one in found]
        return encoded(book("snapshot", self.last, *levels))


PRODUCT: Final = {
    "product_id": NAME,
    "base_currency_id": "SOL",
    "quote_currency_id": "USD",
    "price_increment": "0.01",
    "quote_increment": "0.01",
    "base_increment": "0.00000001",
    "base_min_size": "0.00000001",
    "base_max_size": "67000",
    "quote_min_size": "1",
    "quote_max_size": "5000000",
    "status": "online",
    "product_type": "SPOT",
    "alias": "",
    "alias_to": ["SOL-USDC"],
    "is_disabled": False,
    "trading_disabled": False,
    "cancel_only": False,
    "limit_only": False,
    "post_only": False,
    "auction_mode": False,
    "view_only": False,
}
QUOTE: Final = book("snapshot", 7, level("b", "10", "1"), level("a", "20", "2"))
TRADE: Final = {"trade_id": "901", "product_id": NAME, "price": "150.1", "size": "4", "side": "BUY", "time": TIME}
PUSHED: Final = {
    "order_id": "9c5b94b1",
    "client_order_id": "nf1",
    "product_id": NAME,
    "order_side": "BUY",
    "order_type": "Limit",
    "status": "OPEN",
    "cumulative_quantity": "1",
    "leaves_quantity": "3",
    "avg_price": "150.1",
    "limit_price": "150.5",
    "total_fees": "0.9",
    "cancel_reason": "",
    "reject_reason": "",
}
TERMS: Final = {"limit_limit_gtc": {"base_size": "4", "limit_price": "150.5", "post_only": False}}
ORDER: Final = {
    "order_id": "9c5b94b1",
    "client_order_id": "nf1",
    "product_id": NAME,
    "side": "BUY",
    "status": "OPEN",
    "created_time": TIME,
    "order_configuration": TERMS,
    "filled_size": "1",
    "average_filled_price": "150.1",
    "total_fees": "0.9",
    "order_type": "LIMIT",
    "reject_reason": "REJECT_REASON_UNSPECIFIED",
    "reject_message": "",
    "cancel_message": "",
    "last_fill_time": TIME,
}
FILL: Final = {
    "entry_id": "e1",
    "trade_id": "t1",
    "order_id": "9c5b94b1",
    "trade_time": TIME,
    "trade_type": "FILL",
    "price": "150.1",
    "size": "1",
    "commission": "0.9",
    "product_id": NAME,
    "liquidity_indicator": "TAKER",
    "size_in_quote": False,
    "side": "BUY",
}
HOLDING: Final = {
    "currency": "USD",
    "available_balance": {"value": "90.5", "currency": "USD"},
    "hold": {"value": "9.5", "currency": "USD"},
}
PLACED: Final = {
    "success": True,
    "success_response": {"order_id": "9c5b94b1", "product_id": NAME, "side": "BUY", "client_order_id": "nf1"},
    "order_configuration": TERMS,
}
LISTED: Final = {"orders": [ORDER], "has_next": True, "cursor": "789"}
PERMISSIONS: Final = {"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_uuid": "p"}


def refused(**reasons: str) -> dict[str, Any]:
    unsaid = {
        "error": "UNKNOWN_FAILURE_REASON",
        "message": "",
        "error_details": "",
        "preview_failure_reason": "UNKNOWN_PREVIEW_FAILURE_REASON",
        "new_order_failure_reason": "UNKNOWN_FAILURE_REASON",
    }
    return {"success": False, "error_response": unsaid | reasons, "order_configuration": TERMS}


_NO_FUNDS: Final = refused(preview_failure_reason="PREVIEW_INSUFFICIENT_FUND")
_NONE: Final[dict[str, Any]] = {"orders": [], "has_next": False, "cursor": ""}
_CANCELLED: Final = {"results": [{"success": True, "failure_reason": "X", "order_id": "9c5b94b1"}]}
_LIST: Final = "/api/v3/brokerage/orders/historical/batch?order_status=OPEN&limit=100"

COINBASE: Final = Example(
    keys=Keys(KEY, SEED),
    lists=({"products": [PRODUCT], "num_products": 1},),
    messages=(
        ws(QUOTE),
        ws(book("update", 8, level("b", "11", "1"), level("a", "20", "0"))),
        ws(frame("market_trades", 9, {"type": "update", "trades": [TRADE, TRADE | {"trade_id": "900"}]})),
        ws(frame("heartbeats", 10, {"current_time": TIME, "heartbeat_counter": 3})),
        ws(frame("subscriptions", 11, {"subscriptions": {"level2": [NAME]}})),
        ws({"type": "error", "message": "authentication failure"}),
        ws(frame("user", 12, {"type": "snapshot", "orders": [PUSHED], "positions": {}})),
        ws(frame("user", 13, {"type": "update", "orders": [PUSHED, PUSHED | {"status": "SUSPENDED"}]})),
        ws({"type": "snapshot", "product_id": NAME, "bids": [["10", "1"]], "asks": [["20", "2"]]}),
        ws({"type": "l2update", "product_id": NAME, "changes": [["buy", "10", "1"]], "time": TIME}),
        rest({"products": [PRODUCT]}, tag="products"),
        rest({"iso": TIME, "epochSeconds": "1760000000", "epochMillis": "1760000000123"}, tag="time"),
        rest({"accounts": [HOLDING, HOLDING | {"currency": "SOL"}], "has_next": True, "cursor": "1"}, tag="accounts"),
        rest(LISTED, tag="orders", url=_LIST),
        rest({"order": ORDER}, tag="query", url="/api/v3/brokerage/orders/historical/9c5b94b1"),
        rest({"fills": [FILL], "cursor": "1"}, tag="fills", url="/api/v3/brokerage/orders/historical/fills"),
        rest({"fee_tier": {"taker_fee_rate": "0.006", "maker_fee_rate": "0.004"}}, tag="fees"),
        rest(PERMISSIONS, tag="permissions"),
        rest(PLACED, tag="place"),
        rest(_NO_FUNDS, tag="place"),
        rest(_CANCELLED, tag="cancel nf1 SOL-USD"),
    ),
    symbol="SOL/USD",
    kinds=frozenset({InstrumentKind.SPOT}),
    quotes={"SOL/USD": QUOTE},
    source=CoinbaseSource,
    verdicts=(
        Verdict("place", 200, _NO_FUNDS, Reject),
        Verdict("place", 200, refused(error="INVALID_LIMIT_PRICE_POST_ONLY"), Reject),
        Verdict("place", 200, refused(new_order_failure_reason="INVALID_PRODUCT_ID"), Reject),
        Verdict("place", 400, {"error": "INVALID_ARGUMENT", "message": "product_id"}, Reject),
        Verdict("place", 403, {"error": "PERMISSION_DENIED", "error_details": "Missing required scopes"}, Reject),
        Verdict("place", 200, refused(), InDoubt),
        Verdict("place", 200, refused(error="COMMANDER_REJECTED_NEW_ORDER"), InDoubt),
        Verdict("place", 200, {"success": True, "success_response": {}}, InDoubt),
        Verdict("place", 200, PLACED, InDoubt),
        Verdict("place", 404, {"error": "NOT_FOUND"}, InDoubt),
        Verdict("place", 503, {"error": "UNAVAILABLE"}, InDoubt),
        Verdict("place", 429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}, Throttled),
        Verdict("place", 429, {"error": "RESOURCE_EXHAUSTED"}, Throttled),
        Verdict("query", 200, _NONE, NotThere),
        Verdict("query", 200, LISTED, InDoubt),
        Verdict("query", 404, {"error": "NOT_FOUND"}, InDoubt),
        Verdict("cancel", 200, _NONE, NotThere),
    ),
)
