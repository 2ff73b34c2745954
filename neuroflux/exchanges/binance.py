"""Binance spot: its addresses, its instruments, and its feeds and desk.

Source: https://developers.binance.com/docs/binance-spot-api-docs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.exchanges import binance_instruments, binance_keys, binance_rest
from neuroflux.exchanges.base_exchange import (
    Answer,
    KeyQuestion,
    KeyRights,
    Keys,
    Listing,
    OrderRate,
    Request,
    Usage,
)
from neuroflux.exchanges.binance_account import EXCHANGE, BinanceAccountFeed
from neuroflux.exchanges.binance_book import SpotRule
from neuroflux.exchanges.binance_books import SnapshotPath
from neuroflux.exchanges.binance_desk import BinanceDesk, DeskPaths
from neuroflux.exchanges.binance_market import BinanceMarketFeed, Paths

WEIGHT_PER_MINUTE: Final = 6000

_PATHS: Final = Paths(
    streams=(("/stream", ("bookTicker", "trade", "depth@100ms")),), snapshots=SnapshotPath("/api/v3/depth", weight=50)
)
_DESK: Final = DeskPaths(
    exchange=EXCHANGE,
    order="/api/v3/order",
    open_orders="/api/v3/openOrders",
    open_orders_weight=80,
    query_weight=4,
    fills="/api/v3/myTrades",
    fills_weight=20,
    account="/api/v3/account",
    account_weight=20,
    post_only={"type": "LIMIT_MAKER"},
    settled_after=20_000_000,  # recvWindow, which the book does not check; 10 s of the API's waiting for it; and 5 s
)


class Binance:
    """Implements ``Exchange``."""

    ID: ClassVar[str] = EXCHANGE
    REST_URL: ClassVar[str] = "https://api.binance.com"
    WS_URL: ClassVar[str] = "wss://stream.binance.com:9443"
    PRIVATE_WS_URL: ClassVar[str] = "wss://ws-api.binance.com:443"
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://testnet.binance.vision",
        "wss://stream.testnet.binance.vision",
        "wss://ws-api.testnet.binance.vision",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = WEIGHT_PER_MINUTE
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(100, 10), OrderRate(200_000, 86_400))

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/api/v3/exchangeInfo", weight=20, tag="exchangeInfo"),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        found = [binance_instruments.listing(EXCHANGE, InstrumentKind.SPOT, answer) for answer in answers]
        return Listing(
            tuple(one for listed in found for one in listed.instruments),
            tuple(fault for listed in found for fault in listed.faults),
        )

    def server_time_request(self) -> Request | None:
        return Request("GET", "/api/v3/time", tag="time")

    def server_time(self, answer: Answer) -> Microseconds:
        return binance_rest.server_time(answer)

    def usage(self, answer: Answer) -> Usage:
        return binance_rest.usage(answer, WEIGHT_PER_MINUTE)

    def market_feed(self, instruments: Sequence[Instrument]) -> BinanceMarketFeed:
        return BinanceMarketFeed(EXCHANGE, SpotRule(), _PATHS, instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceAccountFeed:
        return BinanceAccountFeed(keys, instruments)

    def desk(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceDesk:
        return BinanceDesk(_DESK, keys, instruments)

    def account_name(self, keys: Keys) -> str:
        return binance_keys.account_name(keys)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return binance_keys.question(keys, now)

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        return binance_keys.rights(answer)
