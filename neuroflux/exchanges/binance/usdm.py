"""Binance USDⓈ-M futures: its addresses, its instruments, and its feeds and desk.

Public data comes over two sockets: trades beside quotes and books, mark prices on the other. ``@trade`` is in no
manual; ``/market`` takes a subscription to it and stays silent. Sources:
https://developers.binance.com/docs/derivatives/usds-margined-futures and, of the testnet, its page ``general-info``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.exchanges.binance import key_rights, rest
from neuroflux.exchanges.binance.instruments import listing
from neuroflux.exchanges.binance.market import BinanceMarketFeed, Paths
from neuroflux.exchanges.binance.order_client import UNAVAILABLE, BinanceOrderClient, OrderPaths
from neuroflux.exchanges.binance.usdm_account import EXCHANGE, BinanceUsdmAccountFeed
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer, Buckets, KeyQuestion, KeyRights, Keys, OrderRate, Request, Usage
from neuroflux.exchanges.kit.sequences import RangedChained

WEIGHT_PER_MINUTE: Final = 2400
DAY_MS: Final = 86_400_000

_PATHS: Final = Paths(
    streams=(("/public/stream", ("bookTicker", "depth@100ms", "trade")), ("/market/stream", ("markPrice@1s",))),
    snapshots="/fapi/v1/depth",
    snapshot_weight=20,
    intervals="/fapi/v1/fundingInfo",
)
_TRY_AGAIN: Final = "internal error; unable to process your request. please try again"
"""With HTTP 503. Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info: "This is a
failure API operation and you can resend your request if you need"."""

# 7 days and 6 months are the exchange's bounds, by its clock: a little less is asked for.
_ORDER_PATHS: Final = OrderPaths(
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
    settled_after=6_000_000,  # recvWindow, which the book checks too (-5028), and 1 s for the way and the clocks
    fills_window=6 * DAY_MS,
    fills_kept=180 * DAY_MS,
    not_executed=frozenset({UNAVAILABLE, _TRY_AGAIN}),
)


class BinanceUsdm:
    """Implements ``Exchange``."""

    ID: ClassVar[str] = EXCHANGE
    FACADE_NAME: ClassVar[str] = key_rights.FACADE_NAME
    REST_URL: ClassVar[str] = "https://fapi.binance.com"
    WS_URL: ClassVar[str] = "wss://fstream.binance.com"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://demo-fapi.binance.com",
        "wss://demo-fstream.binance.com",
        "wss://demo-fstream.binance.com",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = WEIGHT_PER_MINUTE
    BUCKETS: ClassVar[Buckets] = {}
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(300, 10), OrderRate(1_200, 60))

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/fapi/v1/exchangeInfo", weight=1, tag="exchangeInfo"),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        found = [listing(EXCHANGE, InstrumentKind.PERPETUAL, answer) for answer in answers]
        return Listing(
            tuple(one for listed in found for one in listed.instruments),
            tuple(fault for listed in found for fault in listed.faults),
        )

    def server_time_request(self) -> Request | None:
        return Request("GET", "/fapi/v1/time", tag="time")

    def server_time(self, answer: Answer) -> Microseconds:
        return rest.server_time(answer)

    def usage(self, answer: Answer) -> Usage:
        return rest.usage(answer, WEIGHT_PER_MINUTE)

    def market_feed(self, instruments: Sequence[Instrument]) -> BinanceMarketFeed:
        return BinanceMarketFeed(EXCHANGE, RangedChained(), _PATHS, instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceUsdmAccountFeed:
        return BinanceUsdmAccountFeed(keys, instruments)

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
