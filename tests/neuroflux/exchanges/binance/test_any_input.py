"""Whatever Binance sends, there are events or a verdict and no exception: own frames with fields changed, removed,
retyped, repeated; and whatever an adapter says has room in the topics.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from msgspec.structs import astuple

from neuroflux.domain import Ack, Balance, Fill, Funding, OrderReport, Position, Quote, Trade
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.binance.order_client import CANCEL, PLACE, QUERY
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

NOW = 1_700_000_000_000_000
KEYS = Keys("k", "s")
RUNS = 4_000

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        7,
        2**63,
        2**64,
        10**30,
        -(10**40),
        1e308,
        1.5,
        "",
        "0",
        "-0",
        "1",
        "nan",
        "NaN",
        "sNaN",
    ),
    *(
        "inf",
        "-Infinity",
        "1e999999",
        "1E-999999",
        "9" * 300,
        "0." + "0" * 300 + "1",
        "1_000",
        "١",
        " 1",
        "abc",
        "\u0000",
    ),
    *([], [[]], [None], {}, {"e": 1}, {"a": {"b": []}}, "LONG", "SHORT", "X" * 500, "TRADE", "CALCULATED", "FILLED"),
)
ORDER = {
    "s": "XUSDT",
    "c": "mine",
    "S": "SELL",
    "o": "LIMIT",
    "q": "10",
    "p": "1",
    "ap": "1",
    "x": "TRADE",
    "X": "FILLED",
    "i": 1,
    "l": "1",
    "z": "1",
    "L": "1",
    "n": "1",
    "N": "BNB",
    "T": 1,
    "t": 1,
    "m": False,
    "er": "1",
    "C": "",
    "r": "NONE",
    "Z": "1",
    "V": "NONE",
    "eR": "",
}
FRAMES: tuple[Any, ...] = (
    {"u": 1, "s": "XUSDT", "b": "1", "B": "2", "a": "3", "A": "4", "T": 5, "E": 6},
    {
        "stream": "xusdt@bookTicker",
        "data": {"e": "bookTicker", "u": 1, "s": "XUSDT", "b": "1", "B": "2", "a": "3", "A": "4"},
    },
    {
        "stream": "xusdt@trade",
        "data": {"e": "trade", "E": 1, "T": 2, "s": "XUSDT", "t": 3, "p": "1", "q": "2", "m": True},
    },
    {"e": "depthUpdate", "E": 1, "s": "XUSDT", "U": 1, "u": 2, "pu": 0, "b": [["1", "2"]], "a": [["3", "4"]]},
    {"e": "markPriceUpdate", "E": 1, "s": "XUSDT", "p": "1", "i": "1", "P": "1", "r": "0.1", "T": 3_600_000},
    {"e": "serverShutdown", "E": 1},
    {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": ORDER},
    {"e": "executionReport", "E": 1, **ORDER},
    {"subscriptionId": 0, "event": {"e": "executionReport", "E": 1, **ORDER}},
    {
        "e": "ACCOUNT_UPDATE",
        "E": 1,
        "a": {
            "m": "ORDER",
            "B": [{"a": "USDT", "wb": "1", "cw": "1"}],
            "P": [{"s": "XUSDT", "pa": "1", "ep": "1", "up": "1", "ps": "BOTH", "mt": "cross", "iw": "0"}],
        },
    },
    {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "USDT", "f": "1", "l": "1"}]},
    {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "ac": {"s": "XUSDT", "l": 10}, "ai": {"j": True}},
    {"e": "listenKeyExpired", "E": 1},
    {"id": 1, "status": 400, "error": {"code": -1, "msg": ""}},
)
REST_ORDER = {
    "symbol": "XUSDT",
    "orderId": 1,
    "clientOrderId": "a",
    "price": "1",
    "origQty": "1",
    "executedQty": "1",
    "type": "LIMIT",
    "status": "NEW",
    "side": "BUY",
    "cumQuote": "1",
    "avgPrice": "1",
    "cummulativeQuoteQty": "1",
    "updateTime": 1,
    "fills": [{"price": "1", "qty": "1", "commission": "1", "commissionAsset": "BNB", "tradeId": 1}],
}
REST_FILL = {
    "symbol": "XUSDT",
    "id": 1,
    "orderId": 1,
    "price": "1",
    "qty": "1",
    "commission": "1",
    "commissionAsset": "BNB",
    "time": 1,
    "isBuyer": True,
    "isMaker": True,
    "side": "BUY",
    "maker": True,
}
RISK = {
    "symbol": "XUSDT",
    "positionSide": "BOTH",
    "positionAmt": "1",
    "entryPrice": "1",
    "unRealizedProfit": "1",
    "notional": "1",
    "positionInitialMargin": "1",
    "leverage": "3",
}
ASSET = {
    "asset": "USDT",
    "walletBalance": "1",
    "availableBalance": "1",
    "crossUnPnl": "1",
    "unrealizedProfit": "1",
    "positionInitialMargin": "1",
    "openOrderInitialMargin": "1",
}
LISTED = {
    "symbol": "XUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "X",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": [{"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "9"}],
}
BODIES: tuple[Any, ...] = (
    REST_ORDER,
    [REST_ORDER, REST_ORDER],
    [REST_FILL, REST_FILL],
    [RISK, RISK],
    {"assets": [ASSET, ASSET], "positions": [RISK], "canTrade": True, "multiAssetsMargin": False},
    {"balances": [{"asset": "USDT", "free": "1", "locked": "1"}], "canTrade": True},
    [{"asset": "USDT", "balance": "1", "availableBalance": "1"}],
    [{"symbol": "XUSDT", "leverage": 3, "marginType": "CROSSED"}],
    [{"symbol": "XUSDT", "fundingIntervalHours": 4}],
    {"lastUpdateId": 1, "bids": [["1", "2"]], "asks": [["3", "4"]]},
    {"listenKey": "abc"},
    {"dualSidePosition": True, "multiAssetsMargin": True, "canTrade": True},
    {"code": -1125, "msg": "gone"},
    {"symbols": [LISTED, LISTED]},
    [],
)
PATHS = (
    *("", "/fapi/v3/account", "/fapi/v3/positionRisk?symbol=X&timestamp=9", "/fapi/v1/userTrades?limit=2&timestamp=99"),
    *(
        "/api/v3/myTrades?limit=1",
        "/fapi/v1/listenKey",
        "/fapi/v1/fundingInfo",
        "/api/v3/depth?symbol=XUSDT&limit=1000",
    ),
    *(
        "http://[",
        "?limit=" + "9" * 6_000,
        "/api/v3/depth?limit=²&symbol=%ff",
        "/fapi/v3/balance?timestamp=" + "9" * 99,
    ),
)


def changed(value: Any, random_: random.Random) -> Any:
    """The same, with something in it that is not as it was."""
    if isinstance(value, dict) and value and random_.random() < 0.85:
        name = random_.choice(list(value))
        if random_.random() < 0.15:
            return {key: one for key, one in value.items() if key != name}
        return {**value, name: changed(value[name], random_)}
    if isinstance(value, list) and value and random_.random() < 0.85:
        at = random_.randrange(len(value))
        rows = [*value[:at], changed(value[at], random_), *value[at + 1 :]]
        return rows * 2 if random_.random() < 0.1 else rows
    return random_.choice(ODD)


def mutated(seed: int, known: tuple[Any, ...]) -> Iterator[str]:
    random_ = random.Random(seed)
    for _ in range(RUNS):
        value = random_.choice(known)
        for _ in range(random_.randrange(3)):
            value = changed(value, random_)
        text = json.dumps(value)
        yield text[: random_.randrange(len(text) + 1)] if random_.random() < 0.03 else text


def check(event: Any) -> None:
    """Every number of a record has room in the topics."""
    if isinstance(event, Balance):
        assert event.total == event.free + event.in_orders + event.in_positions
    if not isinstance(event, Balance | Position | OrderReport | Fill | Quote | Trade | Funding):
        return
    for value in astuple(event):
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert abs(value) < Decimal(10) ** 20
        if isinstance(value, int):
            assert -(2**63) <= value < 2**63


@pytest.mark.parametrize("exchange", [Binance(), BinanceUsdm()])
def test_any_frame_gives_events(exchange: Binance | BinanceUsdm) -> None:
    feeds = exchange.market_feed([]), exchange.account_feed(KEYS, [])
    for text in mutated(1, FRAMES):
        for feed in feeds:
            events = feed.frame(text if len(text) % 2 else text.encode(), NOW, "xusdt@depth5")
            assert events, text
            for event in events:
                check(event)


@pytest.mark.parametrize("exchange", [Binance(), BinanceUsdm()])
def test_any_answer_gives_events(exchange: Binance | BinanceUsdm) -> None:
    feeds = exchange.market_feed([]), exchange.account_feed(KEYS, [])
    random_ = random.Random(2)
    for text in mutated(3, BODIES):
        request = Request(random_.choice(("GET", "PUT", "POST")), random_.choice(PATHS), tag=random_.choice(("", "x")))
        for feed in feeds:
            events = feed.answer(Answer(request, random_.choice((200, 200, 200, 400, 503)), text.encode()), NOW)
            assert events, text
            for event in events:
                check(event)


@pytest.mark.parametrize("exchange", [Binance(), BinanceUsdm()])
def test_any_answer_has_an_outcome(exchange: Binance | BinanceUsdm) -> None:
    order_client, random_ = exchange.order_client(KEYS, []), random.Random(4)
    for text in mutated(5, BODIES):
        request = Request("POST", random_.choice(PATHS), tag=random_.choice((PLACE, CANCEL, QUERY, "fills")))
        headers = {"retry-after": random_.choice(("1", "nan", "²", ""))}
        answer = Answer(request, random_.choice((200, 200, 400, 429, 503)), text.encode(), headers)
        outcome = order_client.outcome(answer)
        if isinstance(outcome, Ack):
            check(outcome.report)
        exchange.usage(answer)
        _only_ours(partial(order_client.reports, answer))
        _only_ours(partial(exchange.listing, [answer]))


def _only_ours(ask: Callable[[], Any]) -> None:
    """It may refuse, by an error of ours."""
    with suppress(NeuroFluxError):
        ask()


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "null", "7", '"x"', "[1]", "[[[]]]", "", "\ud800", "{"]
)
def test_what_is_no_message_gives_events(text: str) -> None:
    for exchange in (Binance(), BinanceUsdm()):
        for feed in (exchange.market_feed([]), exchange.account_feed(KEYS, [])):
            assert feed.frame(text, NOW)
            body = text.encode(errors="surrogatepass")
            assert feed.answer(Answer(Request("GET", "/fapi/v3/account"), 200, body), NOW)
        assert exchange.order_client(KEYS, []).outcome(Answer(Request("POST", "/x", tag=PLACE), 400, body))
