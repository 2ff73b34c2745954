"""A message of every kind that the exchanges send, written by hand: the input that the fuzzer mutates."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

MS: Final = 1_795_824_000_000
CLOID: Final = "0x" + "1f" * 16
USER: Final = "0x" + "0" * 39 + "a"


class Message(Struct, frozen=True):
    """One line of input; ``more`` are its other fields: ``tag``, ``url``, ``status`` …"""

    dir: str
    body: Any
    more: dict[str, Any] = {}


def ws(body: Any, **more: Any) -> Message:
    return Message("ws", body, more)


def rest(body: Any, **more: Any) -> Message:
    return Message("rest", body, more)


def channel(name: str, data: Any) -> Message:
    return ws({"channel": name, "data": data})


def stream(name: str, data: Any) -> Message:
    return ws({"stream": name, "data": data})


# ── Hyperliquid ──────────────────────────────────────────────────────────────────────────────────────────────────

_LEVELS: Final = [
    [{"px": "150.1", "sz": "3", "n": 1}, {"px": "150.0", "sz": "4", "n": 2}],
    [{"px": "150.2", "sz": "3", "n": 1}, {"px": "150.4", "sz": "9", "n": 3}],
]
_BOOK: Final = {"coin": "SOL", "time": MS, "levels": _LEVELS}
_TRADE: Final = {
    "coin": "SOL",
    "side": "A",
    "px": "150.1",
    "sz": "1.5",
    "time": MS,
    "tid": 77,
    "hash": "0x0",
    "users": [USER, USER],
}
_ORDER: Final = {
    "coin": "SOL",
    "side": "B",
    "limitPx": "150.5",
    "sz": "1.0",
    "oid": 8001,
    "timestamp": MS,
    "origSz": "3.0",
    "cloid": CLOID,
}
_UPDATE: Final = {"order": _ORDER, "status": "open", "statusTimestamp": MS}
_HL_FILL: Final = {
    "coin": "SOL",
    "px": "150.5",
    "sz": "1.0",
    "side": "B",
    "time": MS,
    "startPosition": "0.0",
    "dir": "Open Long",
    "closedPnl": "0.0",
    "hash": "0x0",
    "oid": 8001,
    "crossed": True,
    "fee": "0.05",
    "tid": 901,
    "feeToken": "USDC",
    "cloid": CLOID,
    "builderFee": "0.01",
    "twapId": None,
    "liquidation": {"liquidatedUser": USER, "markPx": "149", "method": "market"},
}
_SUMMARY: Final = {"accountValue": "500.5", "totalNtlPos": "300", "totalRawUsd": "200.5", "totalMarginUsed": "60"}
_STATE: Final = {
    "marginSummary": _SUMMARY,
    "crossMarginSummary": _SUMMARY,
    "withdrawable": "400.5",
    "time": MS,
    "assetPositions": [
        {
            "type": "oneWay",
            "position": {
                "coin": "SOL",
                "szi": "2.0",
                "entryPx": "150",
                "unrealizedPnl": "0.5",
                "marginUsed": "60",
                "leverage": {"type": "isolated", "value": 5, "rawUsd": "-240"},
            },
        }
    ],
}
_SPOT: Final = {
    "balances": [
        {"coin": "USDC", "token": 0, "total": "1000.0", "hold": "20.0", "entryNtl": "0.0", "spotHold": "20.0"},
        {"coin": "HYPE", "token": 150, "total": "5.5", "hold": "0.5", "entryNtl": "100.0"},
    ]
}
_META: Final = {
    "universe": [{"name": "SOL", "szDecimals": 2, "maxLeverage": 20}, {"name": "kPEPE", "szDecimals": 0}],
    "marginTables": [],
}
_SPOT_META: Final = {
    "tokens": [{"name": "USDC", "szDecimals": 8, "index": 0}, {"name": "HYPE", "szDecimals": 2, "index": 150}],
    "universe": [{"name": "@107", "tokens": [150, 0], "index": 107, "isCanonical": False}],
}
_STATUSES: Final = (
    {"resting": {"oid": 7, "cloid": CLOID}},
    {"filled": {"totalSz": "1.0", "avgPx": "150.1", "oid": 8}},
    {"error": "Too many cumulative requests sent (9 > 8)"},
    {"error": "Order was never placed, already canceled, or filled."},
    "waitingForFill",
    "success",
)

HYPERLIQUID: Final = (
    channel("bbo", {"coin": "SOL", "time": MS, "bbo": [_LEVELS[0][0], _LEVELS[1][0]]}),
    channel("trades", [_TRADE, _TRADE | {"tid": 78}]),
    channel("l2Book", _BOOK),
    channel(
        "activeAssetCtx",
        {"coin": "SOL", "ctx": {"funding": "0.00001", "oraclePx": "150", "markPx": "150", "midPx": None}},
    ),
    channel("activeSpotAssetCtx", {"coin": "@107", "ctx": {"markPx": "30"}}),
    channel("userFills", {"isSnapshot": True, "user": USER, "fills": [_HL_FILL, _HL_FILL | {"tid": 902}]}),
    channel("user", {"fills": [_HL_FILL]}),
    channel("user", {"funding": {"coin": "SOL", "usdc": "-0.1"}}),
    channel("orderUpdates", [_UPDATE, _UPDATE | {"status": "internalCancel"}]),
    channel("clearinghouseState", {"dex": "", "user": USER, "clearinghouseState": _STATE}),
    channel("clearinghouseState", {"dex": "xyz", "user": USER, "clearinghouseState": _STATE}),
    channel("spotState", {"user": USER, "spotState": _SPOT}),
    channel("error", "Already subscribed: {}"),
    channel("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "SOL"}}),
    ws({"channel": "pong"}),
    ws("Websocket connection established."),
    rest(_META, tag="meta", url="/info"),
    rest(_SPOT_META, tag="spotMeta", url="/info"),
    rest([_META, [{"markPx": "1"}]]),
    rest(_STATE, tag="clearinghouseState", url="/info"),
    rest(_SPOT, tag="spotClearinghouseState", url="/info"),
    rest(_BOOK, url="/info"),
    rest([_TRADE], url="/info"),
    rest([_ORDER | {"orderType": "Stop Market"}], tag="frontendOpenOrders"),
    rest([_UPDATE]),
    rest([_HL_FILL], tag="userFills", url="/info userFillsByTime"),
    rest("unifiedAccount", tag="userAbstraction"),
    rest({"role": "user"}, tag="userRole"),
    rest({"status": "order", "order": _UPDATE}, tag="orderStatus", url="/info"),
    rest({"status": "unknownOid"}, tag="query"),
    rest({"time": MS, "specialStatuses": None}, tag="exchangeStatus"),
    *(
        rest(
            {"status": "ok", "response": {"type": "order", "data": {"statuses": [one]}}},
            tag="order limit",
            url="/exchange",
        )
        for one in _STATUSES
    ),
    rest({"status": "err", "response": "User or API Wallet 0x0 does not exist."}, tag="order market"),
    rest(None, status=429),
)

# ── Binance, spot ────────────────────────────────────────────────────────────────────────────────────────────────

_FILTERS: Final = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000", "stepSize": "0.001"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "900", "stepSize": "0"},
    {"filterType": "NOTIONAL", "minNotional": "5", "applyMinToMarket": True},
    {"filterType": "MIN_NOTIONAL", "notional": "5"},
]
_SYMBOL: Final = {
    "symbol": "SOLUSDT",
    "status": "TRADING",
    "baseAsset": "SOL",
    "quoteAsset": "USDT",
    "filters": _FILTERS,
    "isSpotTradingAllowed": True,
    "permissions": ["SPOT"],
    "baseAssetPrecision": 8,
}
_DIFF: Final = {
    "e": "depthUpdate",
    "E": MS,
    "s": "SOLUSDT",
    "U": 101,
    "u": 105,
    "b": [["150.10", "2"], ["150.00", "0"]],
    "a": [["150.20", "3"]],
}
_DEPTH: Final = {"lastUpdateId": 103, "bids": [["150.10", "1"], ["150.00", "4"]], "asks": [["150.20", "2"]]}
_TICKER: Final = {"u": 7, "s": "SOLUSDT", "b": "150.10", "B": "2", "a": "150.20", "A": "3"}
_REPORT: Final = {
    "e": "executionReport",
    "E": MS,
    "s": "SOLUSDT",
    "c": "nf1",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "10",
    "p": "151",
    "P": "0",
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 9,
    "l": "4",
    "z": "4",
    "L": "150.1",
    "n": "0.004",
    "N": "SOL",
    "T": MS,
    "t": 900,
    "m": False,
    "O": MS,
    "Z": "600.4",
    "Y": "600.4",
}
_REST_ORDER: Final = {
    "symbol": "SOLUSDT",
    "orderId": 9,
    "clientOrderId": "nf1",
    "price": "151",
    "origQty": "10",
    "executedQty": "4",
    "cummulativeQuoteQty": "600.4",
    "status": "PARTIALLY_FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "time": MS,
    "updateTime": MS,
    "transactTime": MS,
    "isWorking": True,
}
_MY_TRADE: Final = {
    "symbol": "SOLUSDT",
    "id": 900,
    "orderId": 9,
    "price": "150.1",
    "qty": "4",
    "quoteQty": "600.4",
    "commission": "0.004",
    "commissionAsset": "BNB",
    "time": MS,
    "isBuyer": True,
    "isMaker": False,
}
_ACCOUNT: Final = {
    "makerCommission": 10,
    "canTrade": True,
    "accountType": "SPOT",
    "updateTime": MS,
    "balances": [{"asset": "SOL", "free": "10", "locked": "1"}, {"asset": "USDT", "free": "1000", "locked": "0"}],
}
_REFUSED: Final = {"code": -2010, "msg": "Account has insufficient balance for requested action."}

BINANCE: Final = (
    ws(_TICKER),
    stream("solusdt@bookTicker", _TICKER),
    ws({"e": "trade", "E": MS, "s": "SOLUSDT", "t": 1, "p": "150.1", "q": "2", "T": MS, "m": True, "M": True}),
    ws(_DIFF),
    stream("solusdt@depth@100ms", _DIFF | {"U": 106, "u": 108}),
    ws({"result": None, "id": 1}),
    ws({"error": {"code": 2, "msg": "Invalid request"}, "id": None}),
    ws({"e": "serverShutdown", "E": MS}),
    ws(_REPORT),
    ws({"subscriptionId": 0, "event": _REPORT}),
    ws({"e": "outboundAccountPosition", "E": MS, "u": MS, "B": [{"a": "SOL", "f": "10", "l": "1"}]}),
    ws({"e": "balanceUpdate", "E": MS, "a": "SOL", "d": "1", "T": MS}),
    ws({"e": "externalLockUpdate", "E": MS, "a": "SOL", "d": "1", "T": MS}),
    ws({"e": "listStatus", "E": MS, "s": "SOLUSDT"}),
    ws({"id": "x", "status": 200, "result": {"subscriptionId": 0}, "rateLimits": []}),
    rest({"timezone": "UTC", "serverTime": MS, "rateLimits": [], "symbols": [_SYMBOL]}, url="/api/v3/exchangeInfo"),
    rest(_DEPTH, url="/api/v3/depth?symbol=SOLUSDT&limit=5000", tag="depth"),
    rest(_ACCOUNT, url="/api/v3/account?omitZeroBalances=true", tag="account"),
    rest([_REST_ORDER], url="/api/v3/openOrders", tag="openOrders"),
    rest([_MY_TRADE], url="/api/v3/myTrades?symbol=SOLUSDT", tag="trades"),
    rest(
        _REST_ORDER
        | {"fills": [{"price": "150.1", "qty": "4", "commission": "0.1", "commissionAsset": "BNB", "tradeId": 900}]},
        tag="place",
        url="/api/v3/order",
    ),
    rest(_REST_ORDER, tag="query", url="/api/v3/order"),
    rest(_REST_ORDER | {"origClientOrderId": "nf1", "status": "CANCELED"}, tag="cancel", url="/api/v3/order"),
    rest(_REFUSED, tag="place", status=400),
    rest(_REFUSED | {"code": -2013}, tag="query", status=400),
    rest(_REFUSED | {"code": -1003}, tag="place", status=429),
    rest({"serverTime": MS}, url="/api/v3/time", tag="time"),
)

# ── Binance USDⓈ-M ───────────────────────────────────────────────────────────────────────────────────────────────

_USDM_SYMBOL: Final = _SYMBOL | {
    "contractType": "PERPETUAL",
    "marginAsset": "USDT",
    "pair": "SOLUSDT",
    "underlyingType": "COIN",
    "onboardDate": MS,
    "deliveryDate": 4_133_404_800_000,
    "quantityPrecision": 3,
    "pricePrecision": 2,
}
_USDM_DIFF: Final = _DIFF | {"T": MS, "pu": 100}
_MARK: Final = {
    "e": "markPriceUpdate",
    "E": MS,
    "s": "SOLUSDT",
    "p": "150",
    "i": "150.01",
    "P": "150",
    "r": "0.0001",
    "T": MS,
}
_UPDATED: Final = {
    "e": "ORDER_TRADE_UPDATE",
    "E": MS,
    "T": MS,
    "o": {
        "s": "SOLUSDT",
        "c": "nf1",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "10",
        "p": "151",
        "ap": "150.1",
        "sp": "0",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "i": 9,
        "l": "4",
        "z": "4",
        "L": "150.1",
        "n": "0.2",
        "N": "USDT",
        "T": MS,
        "t": 900,
        "m": False,
        "R": False,
        "ot": "LIMIT",
        "ps": "BOTH",
        "rp": "0",
        "er": "0",
    },
}
_ACCOUNT_UPDATED: Final = {
    "e": "ACCOUNT_UPDATE",
    "E": MS,
    "T": MS,
    "a": {
        "m": "ORDER",
        "B": [{"a": "USDT", "wb": "999.4", "cw": "999.4", "bc": "0"}],
        "P": [{"s": "SOLUSDT", "pa": "20", "ep": "150", "up": "-40", "mt": "cross", "iw": "0", "ps": "BOTH"}],
    },
}
_USDM_ACCOUNT: Final = {
    "totalWalletBalance": "1000",
    "availableBalance": "700",
    "multiAssetsMargin": False,
    "assets": [
        {
            "asset": "USDT",
            "walletBalance": "1000",
            "unrealizedProfit": "-40",
            "marginBalance": "960",
            "initialMargin": "300",
            "positionInitialMargin": "250",
            "openOrderInitialMargin": "50",
            "availableBalance": "660",
            "maxWithdrawAmount": "660",
            "updateTime": MS,
        }
    ],
    "positions": [{"symbol": "SOLUSDT", "positionSide": "BOTH", "positionAmt": "20", "unrealizedProfit": "-40"}],
}
_RISK: Final = {
    "symbol": "SOLUSDT",
    "positionSide": "BOTH",
    "positionAmt": "20",
    "entryPrice": "150",
    "markPrice": "148",
    "unRealizedProfit": "-40",
    "liquidationPrice": "0",
    "initialMargin": "250",
    "updateTime": MS,
}
_USDM_ORDER: Final = {
    "symbol": "SOLUSDT",
    "orderId": 9,
    "clientOrderId": "nf1",
    "price": "151",
    "origQty": "10",
    "executedQty": "4",
    "cumQty": "4",
    "status": "PARTIALLY_FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "positionSide": "BOTH",
    "reduceOnly": False,
    "updateTime": MS,
    "avgPrice": "150.1",
    "cumQuote": "600.4",
}
_USER_TRADE: Final = _MY_TRADE | {
    "side": "BUY",
    "maker": False,
    "buyer": True,
    "realizedPnl": "0",
    "marginAsset": "USDT",
}

BINANCEUSDM: Final = (
    ws(_TICKER | {"e": "bookTicker", "E": MS, "T": MS}),
    stream("solusdt@bookTicker", _TICKER | {"e": "bookTicker", "E": MS, "T": MS}),
    ws({"e": "trade", "E": MS, "T": MS, "s": "SOLUSDT", "t": 1, "p": "150.1", "q": "2", "X": "MARKET", "m": True}),
    ws({"e": "aggTrade", "E": MS, "T": MS, "s": "SOLUSDT", "a": 1, "p": "150.1", "q": "2", "f": 1, "l": 1, "m": True}),
    ws(_USDM_DIFF),
    stream("solusdt@depth@100ms", _USDM_DIFF | {"U": 106, "u": 108, "pu": 105}),
    ws(_MARK),
    stream("!markPrice@arr@1s", [_MARK]),
    ws(_UPDATED),
    ws(_ACCOUNT_UPDATED),
    ws({"e": "ACCOUNT_CONFIG_UPDATE", "E": MS, "T": MS, "ac": {"s": "SOLUSDT", "l": 10}}),
    ws({"e": "MARGIN_CALL", "E": MS, "cw": "3.1", "p": [{"s": "SOLUSDT", "ps": "BOTH", "pa": "1", "up": "-1"}]}),
    ws({"e": "TRADE_LITE", "E": MS, "T": MS, "s": "SOLUSDT", "q": "1", "p": "0", "m": False, "c": "nf1", "t": 900}),
    ws({"e": "listenKeyExpired", "E": MS, "listenKey": "k"}),
    ws({"result": None, "id": 1}),
    rest({"timezone": "UTC", "serverTime": MS, "symbols": [_USDM_SYMBOL], "assets": []}, url="/fapi/v1/exchangeInfo"),
    rest(_DEPTH | {"E": MS, "T": MS}, url="/fapi/v1/depth?symbol=SOLUSDT&limit=1000", tag="depth"),
    rest(
        [{"symbol": "SOLUSDT", "fundingIntervalHours": 4, "adjustedFundingRateCap": "0.02"}], url="/fapi/v1/fundingInfo"
    ),
    rest(_USDM_ACCOUNT, url="/fapi/v3/account", tag="account"),
    rest([_RISK], url="/fapi/v3/positionRisk", tag="positionRisk"),
    rest([_USDM_ORDER], url="/fapi/v1/openOrders", tag="openOrders"),
    rest([_USER_TRADE], url="/fapi/v1/userTrades?symbol=SOLUSDT", tag="trades"),
    rest(_USDM_ORDER, tag="place", url="/fapi/v1/order"),
    rest(_USDM_ORDER, tag="query", url="/fapi/v1/order"),
    rest(_REFUSED | {"code": -4400}, tag="place", status=400),
    rest(_REFUSED | {"code": -1008}, tag="place", status=503),
    rest({"listenKey": "k"}, url="/fapi/v1/listenKey", method="POST", tag="listenKey"),
    rest(_REFUSED | {"code": -1125}, url="/fapi/v1/listenKey", method="PUT", tag="listenKey", status=400),
    rest({"dualSidePosition": False}, url="/fapi/v1/positionSide/dual"),
    rest({"multiAssetsMargin": True}, url="/fapi/v1/multiAssetsMargin"),
)
