"""OKX as an ``Exchange``: addresses, limits, what is listed, and what a key may do.

Limits are counted by endpoint: of public requests by address, of private ones by account, and of orders by instrument
besides, which is taken as one limit of the account here. Source: https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.requests import (
    ORDER_BUCKET,
    Answer,
    Buckets,
    EachInstrument,
    KeyQuestion,
    KeyRights,
    Keys,
    OrderRate,
    Request,
    Usage,
    WeightRate,
)
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.okx import rest
from neuroflux.exchanges.okx.account import OkxAccountFeed
from neuroflux.exchanges.okx.instruments import listing_of
from neuroflux.exchanges.okx.market import OkxMarketFeed
from neuroflux.exchanges.okx.modes import config_of, rights
from neuroflux.exchanges.okx.numbers import time_of
from neuroflux.exchanges.okx.order_client import PLACE, OkxOrderClient
from neuroflux.exchanges.okx.rest import API, ID


class _Time(Struct, frozen=True):
    ts: str


_TIMES = Decoder(list[_Time])


class Okx(BaseExchange):
    """Implements ``Exchange``.

    The testnet ("demo trading") has REST at the address of the real exchange, and knows its requests by a header.
    """

    ID: ClassVar[str] = ID
    REST_URL: ClassVar[str] = "https://www.okx.com"
    WS_URL: ClassVar[str] = "wss://ws.okx.com:8443"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (REST_URL, "wss://wspap.okx.com:8443", "wss://wspap.okx.com:8443")
    WEIGHT_PER_MINUTE: ClassVar[int] = 300
    BUCKETS: ClassVar[Buckets] = {
        ORDER_BUCKET: EachInstrument(WeightRate(60, 2)),
        "cancels": EachInstrument(WeightRate(60, 2)),
        "queries": WeightRate(60, 2),
        "orders-pending": WeightRate(60, 2),
        "fills": WeightRate(60, 2),
        "fills-history": WeightRate(10, 2),
        "balances": WeightRate(10, 2),
        "positions": WeightRate(10, 2),
        "config": WeightRate(5, 2),
        "trade-fee": WeightRate(5, 2),
        "leverage": WeightRate(20, 2),
        "bills": WeightRate(5, 1),
        "bills-archive": WeightRate(5, 2),
        "books": WeightRate(40, 2),
        "instruments": WeightRate(20, 2),
        "time": WeightRate(10, 2),
    }
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(1_000, 2),)
    TIME: ClassVar[Request] = Request("GET", f"{API}/public/time", tag="time", bucket="time")

    def instruments_requests(self) -> Sequence[Request]:
        path = f"{API}/public/instruments?instType="
        return [Request("GET", path + kind, tag="instruments", bucket="instruments") for kind in ("SPOT", "SWAP")]

    def listing(self, answers: Sequence[Answer]) -> Listing:
        return listing_of(answers)

    def server_time(self, answer: Answer) -> Microseconds:
        """Raises what ``checked`` raises, and MalformedFrame."""
        try:
            (time,) = _TIMES.decode(rest.checked(answer))
            return time_of(time.ts)
        except UNREADABLE as error:
            raise MalformedFrame(f"time: {error}") from error

    def usage(self, answer: Answer) -> Usage:
        """A limit of new orders holds these alone."""
        if not rest.is_throttled(answer):
            return Usage()
        wait, is_banned = self.wait(answer), rest.failure(answer.body) is None
        is_of_orders = answer.request.tag == PLACE and not is_banned
        return Usage(is_full=True) if is_of_orders else Usage(wait=wait)

    def wait(self, answer: Answer) -> float:
        return rest.wait(answer)

    def market_feed(self, instruments: Sequence[Instrument]) -> OkxMarketFeed:
        return OkxMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> OkxAccountFeed:
        return OkxAccountFeed(keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> OkxOrderClient:
        return OkxOrderClient(keys, instruments)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return KeyQuestion(ID, self.order_client(keys, ()).probe(now))

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        if answer is None:
            return super().key_rights(keys, answer)
        try:
            config = config_of(rest.checked(answer))
        except UNREADABLE as error:
            raise MalformedFrame(f"{answer.request.tag}: {error}") from error
        if config is None:
            raise MalformedFrame(f"{answer.request.tag}: no configuration")
        return rights(config)
