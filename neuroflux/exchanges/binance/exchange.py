"""What Binance spot and USDⓈ-M answer alike, at other paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from neuroflux.domain import Instrument, InstrumentKind, Microseconds
from neuroflux.exchanges.binance import key_rights, rest
from neuroflux.exchanges.binance.instruments import listing
from neuroflux.exchanges.binance.market import BinanceMarketFeed, Paths
from neuroflux.exchanges.binance.messages import DepthUpdate
from neuroflux.exchanges.binance.order_client import BinanceOrderClient
from neuroflux.exchanges.binance.order_paths import OrderPaths
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.requests import Answer, KeyQuestion, KeyRights, Keys, Request, Usage
from neuroflux.exchanges.kit.sequences import Rule


class BinanceExchange(BaseExchange):
    """Implements ``Exchange`` but for the addresses, the limits and the account feed."""

    ID: ClassVar[str]
    WEIGHT_PER_MINUTE: ClassVar[int]
    KIND: ClassVar[InstrumentKind]
    INSTRUMENTS: ClassVar[Request]
    RULE: ClassVar[Rule[DepthUpdate]]
    PATHS: ClassVar[Paths]
    ORDER_PATHS: ClassVar[OrderPaths]

    def instruments_requests(self) -> Sequence[Request]:
        return (self.INSTRUMENTS,)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        found = [listing(self.ID, self.KIND, answer) for answer in answers]
        return Listing(
            tuple(one for listed in found for one in listed.instruments),
            tuple(fault for listed in found for fault in listed.faults),
        )

    def server_time(self, answer: Answer) -> Microseconds:
        return rest.server_time(answer)

    def usage(self, answer: Answer) -> Usage:
        return rest.usage(answer, self.WEIGHT_PER_MINUTE)

    def market_feed(self, instruments: Sequence[Instrument]) -> BinanceMarketFeed:
        return BinanceMarketFeed(self.ID, self.RULE, self.PATHS, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> BinanceOrderClient:
        return BinanceOrderClient(self.ORDER_PATHS, keys, instruments)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return key_rights.question(keys, now)

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        return key_rights.rights(answer)
