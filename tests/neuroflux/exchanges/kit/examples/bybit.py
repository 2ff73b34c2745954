"""Bybit: spot and perpetuals have the same names, and a frame from an unknown socket is of what is listed."""

from __future__ import annotations

from typing import Any, Final

from neuroflux.domain import InDoubt, InstrumentKind, NotThere, Reject, Throttled
from neuroflux.exchanges.kit.requests import Keys
from tests.fuzz.frames import rest, ws
from tests.neuroflux.exchanges.kit.examples.example import Example, Levels, Verdict, encoded

NAME: Final = "SOLUSDT"
MS: Final = 1_760_000_000_000


def _book(topic: str, kind: str, number: int, bids: Any, asks: Any) -> dict[str, Any]:
    name = topic.rpartition(".")[2]
    data = {"s": name, "b": bids, "a": asks, "u": number, "seq": 1_000 + number}
    return {"topic": topic, "type": kind, "ts": MS + number, "data": data, "cts": MS + number}


class BybitSource(Levels):
    """Each frame has the number after that of the frame before."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 100

    def change(self, side: str, price: int, quantity: int) -> bytes:
        self.sides[side][str(price)] = str(quantity)
        self.last += 1
        levels = {"b": [], "a": [], side: [[str(price), str(quantity)]]}
        return encoded(_book(f"orderbook.50.{NAME}", "delta", self.last, levels["b"], levels["a"]))

    def snapshot(self) -> bytes:
        bids, asks = ([list(level) for level in side] for side in self.top())
        return encoded(_book(f"orderbook.50.{NAME}", "snapshot", self.last, bids, asks))


def answered(result: Any, code: int = 0, text: str = "OK") -> dict[str, Any]:
    return {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": MS}


def listed(category: str, *rows: Any, cursor: str = "") -> dict[str, Any]:
    return answered({"category": category, "list": list(rows), "nextPageCursor": cursor})


SPOT_ROW: Final[dict[str, Any]] = {
    "symbol": "SOLUSDC",
    "baseCoin": "SOL",
    "quoteCoin": "USDC",
    "status": "Trading",
    "marginTrading": "utaOnly",
    "lotSizeFilter": {
        "basePrecision": "0.001",
        "quotePrecision": "0.0000001",
        "minOrderQty": "0.001",
        "maxOrderQty": "9000",
        "minOrderAmt": "5",
        "maxLimitOrderQty": "9000",
        "maxMarketOrderQty": "4500",
    },
    "priceFilter": {"tickSize": "0.01"},
}
LINEAR_ROW: Final[dict[str, Any]] = {
    "symbol": NAME,
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "SOL",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "deliveryTime": "0",
    "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
    "priceFilter": {"minPrice": "0.01", "maxPrice": "19999.98", "tickSize": "0.01"},
    "lotSizeFilter": {
        "minOrderQty": "0.1",
        "maxOrderQty": "20000",
        "maxMktOrderQty": "4000",
        "qtyStep": "0.1",
        "minNotionalValue": "5",
    },
    "fundingInterval": 480,
    "isPreListing": False,
}
ORDER: Final[dict[str, Any]] = {
    "category": "linear",
    "symbol": NAME,
    "orderId": "5cf98598-39a7-459e-97bf-76ca765ee020",
    "orderLinkId": "nf1",
    "side": "Buy",
    "orderType": "Limit",
    "timeInForce": "GTC",
    "price": "151",
    "qty": "10",
    "orderStatus": "PartiallyFilled",
    "cumExecQty": "4",
    "cumExecValue": "600.4",
    "avgPrice": "150.1",
    "leavesQty": "6",
    "cumExecFee": "0.33",
    "rejectReason": "EC_NoError",
    "cancelType": "UNKNOWN",
    "reduceOnly": False,
    "positionIdx": 0,
    "createdTime": str(MS),
    "updatedTime": str(MS),
}
SPOT_ORDER: Final[dict[str, Any]] = ORDER | {
    "category": "spot",
    "symbol": "SOLUSDC",
    "orderId": "1321003749386327552",
    "marketUnit": "",
    "isLeverage": "0",
}
EXECUTION: Final[dict[str, Any]] = {
    "category": "linear",
    "symbol": NAME,
    "orderId": ORDER["orderId"],
    "orderLinkId": "nf1",
    "side": "Buy",
    "execId": "7e2ae69c-4edf-5800-a352-893d52b446aa",
    "execPrice": "150.1",
    "execQty": "4",
    "execValue": "600.4",
    "execFee": "0.33022",
    "feeCurrency": "",
    "feeRate": "0.00055",
    "isMaker": False,
    "execType": "Trade",
    "execTime": str(MS),
    "leavesQty": "6",
    "seq": 4688002127,
}
POSITION: Final[dict[str, Any]] = {
    "category": "linear",
    "symbol": NAME,
    "side": "Sell",
    "size": "2.5",
    "entryPrice": "150.5",
    "positionIdx": 0,
    "tradeMode": 0,
    "positionValue": "376.25",
    "leverage": "10",
    "markPrice": "151",
    "unrealisedPnl": "-1.25",
    "updatedTime": str(MS),
    "seq": 1,
}
COIN: Final[dict[str, Any]] = {
    "coin": "USDT",
    "equity": "998.75",
    "walletBalance": "1000",
    "locked": "100",
    "totalOrderIM": "20",
    "totalPositionIM": "37.75",
    "unrealisedPnl": "-1.25",
    "cumRealisedPnl": "0",
    "availableToWithdraw": "",
}
WALLET: Final[dict[str, Any]] = {
    "accountType": "UNIFIED",
    "coin": [COIN, COIN | {"coin": "BTC"}],
}
LOG: Final[dict[str, Any]] = {
    "id": "592324_USDT_161440249321",
    "symbol": "",
    "category": "",
    "side": "None",
    "type": "TRANSFER_IN",
    "currency": "USDT",
    "change": "50",
    "cashFlow": "50",
    "transactionTime": str(MS),
}
KEY: Final[dict[str, Any]] = {
    "readOnly": 0,
    "permissions": {"ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"]},
    "ips": ["*"],
}
TRADE: Final[dict[str, Any]] = {
    "T": MS,
    "s": NAME,
    "S": "Sell",
    "v": "1.5",
    "p": "150.1",
    "L": "PlusTick",
    "i": "20f43950-d8dd-5b31-9112-a178eb6023af",
    "BT": False,
    "RPI": False,
    "seq": 1,
}
TICKER: Final[dict[str, Any]] = {
    "symbol": NAME,
    "lastPrice": "150.1",
    "markPrice": "150.2",
    "indexPrice": "150.3",
    "fundingRate": "-0.0001",
    "nextFundingTime": str(MS + 3_600_000),
    "fundingIntervalHour": "8",
    "bid1Price": "150.1",
    "bid1Size": "3",
}


def pushed(topic: str, *rows: Any) -> dict[str, Any]:
    return {"id": "1", "topic": topic, "creationTime": MS, "data": list(rows)}


def ticker(kind: str, **data: str) -> dict[str, Any]:
    return {"topic": f"tickers.{NAME}", "type": kind, "data": {"symbol": NAME, **data}, "cs": 1, "ts": MS}


def _verdict(action: str, code: int, outcome: Any, status: int = 200) -> Verdict:
    return Verdict(action, status, answered({}, code, "text"), outcome)


_TAKEN: Final = answered({"orderId": "1321003749386327552", "orderLinkId": "nf1"})

BYBIT: Final = Example(
    keys=Keys("the-key", "the-secret"),
    lists=(listed("spot", SPOT_ROW), listed("linear", LINEAR_ROW)),
    messages=(
        ws(_book(f"orderbook.1.{NAME}", "snapshot", 7, [["150.1", "3"]], [["150.2", "4"]])),
        ws(_book(f"orderbook.50.{NAME}", "snapshot", 7, [["150.1", "3"]], [["150.2", "4"]])),
        ws(_book(f"orderbook.50.{NAME}", "delta", 8, [["150.1", "0"], ["150", "1"]], [])),
        ws({"topic": f"publicTrade.{NAME}", "type": "snapshot", "ts": MS, "data": [TRADE, TRADE | {"BT": True}]}),
        ws(ticker("snapshot", **{key: text for key, text in TICKER.items() if key != "symbol"})),
        ws(ticker("delta", markPrice="150.4")),
        ws({"success": True, "ret_msg": "subscribe", "conn_id": "1", "op": "subscribe"}),
        ws({"success": True, "ret_msg": "pong", "conn_id": "1", "op": "ping"}),
        ws({"success": False, "ret_msg": "error:handler not found,topic:x", "conn_id": "1", "op": "subscribe"}),
        ws({"op": "pong", "args": [str(MS)], "conn_id": "1"}),
        ws({"success": False, "ret_msg": "Invalid sign", "op": "auth", "conn_id": "1"}),
        ws(pushed("order", ORDER, SPOT_ORDER, ORDER | {"orderStatus": "Suspended"})),
        ws(pushed("execution", EXECUTION, EXECUTION | {"execType": "Funding"}, EXECUTION | {"execType": "Other"})),
        ws(pushed("position", POSITION, POSITION | {"positionIdx": 1})),
        ws(pushed("wallet", WALLET)),
        rest(listed("spot", SPOT_ROW), tag="instruments", url="/v5/market/instruments-info?category=spot"),
        rest(listed("linear", LINEAR_ROW), tag="instruments", url="/v5/market/instruments-info?category=linear"),
        rest(answered({"timeSecond": "1", "timeNano": "1"}), tag="time"),
        rest(listed("linear", ORDER), tag="orders", url="/v5/order/realtime?category=linear&settleCoin=USDT"),
        rest(listed("spot", SPOT_ORDER, cursor="a%3D1"), tag="orders", url="/v5/order/realtime?category=spot"),
        rest(listed("linear", EXECUTION, cursor="1%3A2"), tag="fills", url="/v5/execution/list?category=linear"),
        rest(listed("linear", POSITION), tag="positions", url="/v5/position/list?category=linear&settleCoin=USDT"),
        rest(answered({"list": [WALLET]}), tag="balances", url="/v5/account/wallet-balance?accountType=UNIFIED"),
        rest(
            answered({"list": [{"symbol": NAME, "takerFeeRate": "0.0005", "makerFeeRate": "-0.0001"}]}),
            tag="fees",
            url="/v5/account/fee-rate?category=linear",
        ),
        rest(listed("", LOG, LOG | {"type": "NEW"}), tag="log", url="/v5/account/transaction-log?accountType=UNIFIED"),
        rest(answered({"unifiedMarginStatus": 6, "marginMode": "REGULAR_MARGIN"}), tag="mode", url="/v5/account/info"),
        rest(answered(KEY), tag="query-api", url="/v5/user/query-api"),
        rest(_TAKEN, tag="place", url="/v5/order/create"),
        rest(listed("linear", ORDER), tag="query", url="/v5/order/realtime?category=linear&orderLinkId=nf1"),
        rest(answered({}, 110007, "ab not enough for new order"), tag="place"),
        rest(answered({}, 10006, "Too many visits!"), tag="place"),
    ),
    symbol="SOL/USDT:USDT",
    kinds=frozenset({InstrumentKind.PERPETUAL, InstrumentKind.SPOT}),
    quotes={
        "SOL/USDT:USDT": _book(f"orderbook.1.{NAME}", "snapshot", 7, [["10", "1"]], [["20", "2"]]),
        "SOL/USDC": _book("orderbook.1.SOLUSDC", "snapshot", 7, [["10", "1"]], [["20", "2"]]),
    },
    source=BybitSource,
    verdicts=(
        _verdict("place", 110007, Reject),
        _verdict("place", 170131, Reject),
        _verdict("place", 10002, Reject),
        _verdict("place", 10003, Reject, status=401),
        Verdict("place", 200, _TAKEN, InDoubt),
        _verdict("place", 170141, InDoubt),
        _verdict("place", 110072, InDoubt),
        _verdict("place", 10016, InDoubt),
        _verdict("place", 170007, InDoubt),
        _verdict("place", 110001, InDoubt),
        _verdict("place", 110007, InDoubt, status=500),
        _verdict("place", 10006, Throttled),
        Verdict("place", 429, None, Throttled),
        Verdict("place", 403, "403 access too frequent", Throttled),
        Verdict("query", 200, listed("linear"), NotThere),
        Verdict("query", 200, answered({}), InDoubt),
        _verdict("query", 10016, InDoubt),
        _verdict("cancel", 110001, NotThere),
        _verdict("cancel", 170213, NotThere),
        _verdict("cancel", 170191, InDoubt),
        Verdict("cancel", 200, _TAKEN, InDoubt),
    ),
)
