"""Binance spot: its addresses, its instruments, its feeds and its order client.

Source: https://developers.binance.com/docs/binance-spot-api-docs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.exchanges.binance.exchange import BinanceExchange
from neuroflux.exchanges.binance.market import Paths
from neuroflux.exchanges.binance.messages import DepthUpdate
from neuroflux.exchanges.binance.order_paths import SPOT_PATHS, OrderPaths
from neuroflux.exchanges.binance.spot_account import BinanceAccountFeed
from neuroflux.exchanges.kit.requests import Keys, OrderRate, Request
from neuroflux.exchanges.kit.sequences import Ranged, Rule

_PATHS: Final = Paths(
    streams=(("/stream", ("bookTicker", "trade", "depth@100ms")),),
    snapshots="/api/v3/depth",
    snapshot_weight=50,
)


class Binance(BinanceExchange):
    """Implements ``Exchange``."""

    ID: ClassVar[str] = SPOT_PATHS.exchange
    REST_URL: ClassVar[str] = "https://api.binance.com"
    WS_URL: ClassVar[str] = "wss://stream.binance.com:9443"
    PRIVATE_WS_URL: ClassVar[str] = "wss://ws-api.binance.com:443"
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://testnet.binance.vision",
        "wss://stream.testnet.binance.vision",
        "wss://ws-api.testnet.binance.vision",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = 6000
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(100, 10), OrderRate(200_000, 86_400))

    KIND: ClassVar[InstrumentKind] = InstrumentKind.SPOT
    INSTRUMENTS: ClassVar[Request] = Request("GET", "/api/v3/exchangeInfo", weight=20, tag="exchangeInfo")
    TIME: ClassVar[Request] = Request("GET", "/api/v3/time", tag="time")
    RULE: ClassVar[Rule[DepthUpdate]] = Ranged()
    PATHS: ClassVar[Paths] = _PATHS
    ORDER_PATHS: ClassVar[OrderPaths] = SPOT_PATHS

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceAccountFeed:
        return BinanceAccountFeed(keys, instruments)
