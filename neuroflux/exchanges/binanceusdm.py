"""Binance USDⓈ-M futures: its addresses, its instruments, and its feeds and desk.

Public data comes over two sockets, so nothing tells how a trade and a quote lie in time but their own times. Source:
https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from neuroflux.domain import Instrument, Microseconds
from neuroflux.exchanges import binance_instruments, binance_rest
from neuroflux.exchanges.base_exchange import Answer, Keys, OrderRate, Request, Usage
from neuroflux.exchanges.binance_book import FuturesRule
from neuroflux.exchanges.binance_books import SnapshotPath
from neuroflux.exchanges.binance_desk import BinanceDesk, DeskPaths
from neuroflux.exchanges.binance_market import BinanceMarketFeed, Paths
from neuroflux.exchanges.binanceusdm_account import EXCHANGE, BinanceUsdmAccountFeed

WEIGHT_PER_MINUTE: Final = 2400

_PATHS: Final = Paths(
    streams=(("/public/stream", ("bookTicker", "depth@100ms")), ("/market/stream", ("trade", "markPrice@1s"))),
    snapshots=SnapshotPath("/fapi/v1/depth", weight=20),
    intervals="/fapi/v1/fundingInfo",
)
_DESK: Final = DeskPaths(
    exchange=EXCHANGE,
    order="/fapi/v1/order",
    open_orders="/fapi/v1/openOrders",
    open_orders_weight=40,
    query_weight=1,
    fills="/fapi/v1/userTrades",
    fills_weight=5,
    account="/fapi/v3/account",
    account_weight=5,
    post_only={"type": "LIMIT", "timeInForce": "GTX"},
)


class BinanceUsdm:
    """Implements ``Exchange``."""

    ID: ClassVar[str] = EXCHANGE
    REST_URL: ClassVar[str] = "https://fapi.binance.com"
    WS_URL: ClassVar[str] = "wss://fstream.binance.com"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://demo-fapi.binance.com",
        "wss://fstream.binancefuture.com",
        "wss://fstream.binancefuture.com",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = WEIGHT_PER_MINUTE
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(300, 10), OrderRate(1_200, 60))
    BALANCE_HAS_PNL: ClassVar[bool] = False

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/fapi/v1/exchangeInfo", weight=1, tag="exchangeInfo"),)

    def instruments(self, answers: Sequence[Answer]) -> Sequence[Instrument]:
        return [one for answer in answers for one in binance_instruments.instruments(EXCHANGE, answer)]

    def server_time_request(self) -> Request | None:
        return Request("GET", "/fapi/v1/time", tag="time")

    def server_time(self, answer: Answer) -> Microseconds:
        return binance_rest.server_time(answer)

    def usage(self, answer: Answer) -> Usage:
        return binance_rest.usage(answer, WEIGHT_PER_MINUTE)

    def market_feed(self, instruments: Sequence[Instrument]) -> BinanceMarketFeed:
        return BinanceMarketFeed(EXCHANGE, FuturesRule(), _PATHS, instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceUsdmAccountFeed:
        return BinanceUsdmAccountFeed(keys, instruments)

    def desk(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceDesk:
        return BinanceDesk(_DESK, keys, instruments)
