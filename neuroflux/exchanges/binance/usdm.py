"""Binance USDⓈ-M futures: its addresses, its instruments, its feeds and its order client.

Public data is on two sockets: trades with quotes and books, mark prices on the other. ``@trade`` is in no manual;
``/market`` accepts a subscription to it and sends nothing. Sources:
https://developers.binance.com/docs/derivatives/usds-margined-futures and, of the testnet, its page ``general-info``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.exchanges.binance.exchange import BinanceExchange
from neuroflux.exchanges.binance.market import Paths
from neuroflux.exchanges.binance.messages import DepthUpdate
from neuroflux.exchanges.binance.order_paths import USDM_PATHS, OrderPaths
from neuroflux.exchanges.binance.usdm_account import BinanceUsdmAccountFeed
from neuroflux.exchanges.kit.requests import Keys, OrderRate, Request
from neuroflux.exchanges.kit.sequences import RangedChained, Rule

_PATHS: Final = Paths(
    streams=(("/public/stream", ("bookTicker", "depth@100ms", "trade")), ("/market/stream", ("markPrice@1s",))),
    snapshots="/fapi/v1/depth",
    snapshot_weight=20,
    intervals="/fapi/v1/fundingInfo",
)


class BinanceUsdm(BinanceExchange):
    """Implements ``Exchange``."""

    ID: ClassVar[str] = USDM_PATHS.exchange
    REST_URL: ClassVar[str] = "https://fapi.binance.com"
    WS_URL: ClassVar[str] = "wss://fstream.binance.com"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://demo-fapi.binance.com",
        "wss://demo-fstream.binance.com",
        "wss://demo-fstream.binance.com",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = 2400
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(300, 10), OrderRate(1_200, 60))

    KIND: ClassVar[InstrumentKind] = InstrumentKind.PERPETUAL
    INSTRUMENTS: ClassVar[Request] = Request("GET", "/fapi/v1/exchangeInfo", weight=1, tag="exchangeInfo")
    TIME: ClassVar[Request] = Request("GET", "/fapi/v1/time", tag="time")
    RULE: ClassVar[Rule[DepthUpdate]] = RangedChained()
    PATHS: ClassVar[Paths] = _PATHS
    ORDER_PATHS: ClassVar[OrderPaths] = USDM_PATHS

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceUsdmAccountFeed:
        return BinanceUsdmAccountFeed(keys, instruments)
