"""Binance spot: its addresses, its instruments, and its feeds and desk.

Source: https://developers.binance.com/docs/binance-spot-api-docs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.exchanges.binance import key_rights, rest
from neuroflux.exchanges.binance.instruments import listing
from neuroflux.exchanges.binance.market import BinanceMarketFeed, Paths
from neuroflux.exchanges.binance.order_client import BinanceOrderClient, OrderPaths
from neuroflux.exchanges.binance.spot_account import EXCHANGE, BinanceAccountFeed
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer, Buckets, KeyQuestion, KeyRights, Keys, OrderRate, Request, Usage
from neuroflux.exchanges.kit.sequences import Ranged

WEIGHT_PER_MINUTE: Final = 6000

_PATHS: Final = Paths(
    streams=(("/stream", ("bookTicker", "trade", "depth@100ms")),),
    snapshots="/api/v3/depth",
    snapshot_weight=50,
)
_ORDER_PATHS: Final = OrderPaths(
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
    FACADE_NAME: ClassVar[str] = key_rights.FACADE_NAME
    REST_URL: ClassVar[str] = "https://api.binance.com"
    WS_URL: ClassVar[str] = "wss://stream.binance.com:9443"
    PRIVATE_WS_URL: ClassVar[str] = "wss://ws-api.binance.com:443"
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://testnet.binance.vision",
        "wss://stream.testnet.binance.vision",
        "wss://ws-api.testnet.binance.vision",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = WEIGHT_PER_MINUTE
    BUCKETS: ClassVar[Buckets] = {}
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(100, 10), OrderRate(200_000, 86_400))

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/api/v3/exchangeInfo", weight=20, tag="exchangeInfo"),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        found = [listing(EXCHANGE, InstrumentKind.SPOT, answer) for answer in answers]
        return Listing(
            tuple(one for listed in found for one in listed.instruments),
            tuple(fault for listed in found for fault in listed.faults),
        )

    def server_time_request(self) -> Request | None:
        return Request("GET", "/api/v3/time", tag="time")

    def server_time(self, answer: Answer) -> Microseconds:
        return rest.server_time(answer)

    def usage(self, answer: Answer) -> Usage:
        return rest.usage(answer, WEIGHT_PER_MINUTE)

    def market_feed(self, instruments: Sequence[Instrument]) -> BinanceMarketFeed:
        return BinanceMarketFeed(EXCHANGE, Ranged(), _PATHS, instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceAccountFeed:
        return BinanceAccountFeed(keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceOrderClient:
        return BinanceOrderClient(_ORDER_PATHS, keys, instruments)

    def account_name(self, keys: Keys) -> str:
        return key_rights.account_name(keys)

    def subaccount_fault(self, subaccount: str, *, has_keys: bool) -> str:
        return key_rights.subaccount_fault(subaccount, has_keys=has_keys)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return key_rights.question(keys, now)

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        return key_rights.rights(answer)
