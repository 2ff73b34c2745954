"""Bybit: its addresses, its limits, its feeds and its order client.

Source: https://bybit-exchange.github.io/docs/v5/guide. Accounts that are registered in some countries have hosts of
their own (``NEUROFLUX_BYBIT_REST_URL``, ``NEUROFLUX_BYBIT_WS_URL``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.bybit import instruments, rest
from neuroflux.exchanges.bybit.account import BybitAccountFeed
from neuroflux.exchanges.bybit.codes import OVER_THE_RATE
from neuroflux.exchanges.bybit.market import BybitMarketFeed
from neuroflux.exchanges.bybit.names import ID
from neuroflux.exchanges.bybit.order_client import CREATE, BybitOrderClient
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.requests import (
    Answer,
    Buckets,
    KeyQuestion,
    KeyRights,
    Keys,
    OrderRate,
    Request,
    Usage,
    WeightRate,
)
from neuroflux.exchanges.kit.rest import LIMITED
from neuroflux.exchanges.kit.shapes import UNREADABLE

_WITHDRAW: Final = "Withdraw"
_ANY_ADDRESS: Final = "*"


class _Key(Struct, frozen=True):
    """Source: https://bybit-exchange.github.io/docs/v5/user/apikey-info."""

    permissions: dict[str, list[str] | None]
    readOnly: int = 0
    ips: list[str] | None = None


_KEY: Final = Decoder(_Key)


class Bybit(BaseExchange):
    """Implements ``Exchange``."""

    ID: ClassVar[str] = ID
    REST_URL: ClassVar[str] = "https://api.bybit.com"
    WS_URL: ClassVar[str] = "wss://stream.bybit.com"
    PRIVATE_WS_URL: ClassVar[str] = WS_URL
    TESTNET: ClassVar[tuple[str, str, str]] = (
        "https://api-testnet.bybit.com",
        "wss://stream-testnet.bybit.com",
        "wss://stream-testnet.bybit.com",
    )
    WEIGHT_PER_MINUTE: ClassVar[int] = 7_200
    """Of an address: 600 in 5 s."""
    BUCKETS: ClassVar[Buckets] = {path: WeightRate(most, 1) for path, most in rest.PATHS_PER_SECOND.items()}
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = (OrderRate(10, 1),)
    """That of perpetuals; spot has 20 a second, counted apart."""
    TIME: ClassVar[Request] = Request("GET", "/v5/market/time", tag="time")

    def instruments_requests(self) -> Sequence[Request]:
        return instruments.REQUESTS

    def listing(self, answers: Sequence[Answer]) -> Listing:
        return instruments.listing(answers)

    def server_time(self, answer: Answer) -> Microseconds:
        time = rest.checked(answer).time
        if time <= 0:
            raise MalformedFrame("time: the answer has none")
        return time * 1000

    def usage(self, answer: Answer) -> Usage:
        """What is left of a path's limit is reported with every signed answer; of new orders it counts here."""
        is_order = answer.request.path == CREATE
        orders = {1: used} if is_order and (used := _used(answer)) else {}
        if not rest.is_limited(answer):
            return Usage(orders=orders)
        failed = rest.failure(answer.body)
        is_full = is_order and answer.status not in LIMITED and failed is not None and failed.code == OVER_THE_RATE
        return Usage(orders=orders, is_full=is_full, wait=None if is_full else rest.wait(answer))

    def market_feed(self, instruments: Sequence[Instrument]) -> BybitMarketFeed:
        return BybitMarketFeed(instruments)

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> BybitAccountFeed:
        return BybitAccountFeed(keys, instruments)

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> BybitOrderClient:
        return BybitOrderClient(keys, instruments)

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return KeyQuestion(ID, rest.asked(keys, "/v5/user/query-api", now, "query-api"))

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        if answer is None:
            return KeyRights(None, "the key was not asked about")
        result = rest.checked(answer).result
        try:
            found = _KEY.decode(result)
        except UNREADABLE as error:
            raise MalformedFrame(f"{answer.request.tag}: {error}") from error
        if any(_WITHDRAW in (rights or ()) for rights in found.permissions.values()):
            return KeyRights(True, 'clear "Withdraw" (Wallet) of this key in the exchange\'s API management')
        if found.readOnly:
            return KeyRights(False, "it is read-only, and can't trade")
        is_bound = bool(found.ips) and _ANY_ADDRESS not in (found.ips or ())
        return KeyRights(False, "bound to IP addresses" if is_bound else "bound to no IP address, which it could be")


def _used(answer: Answer) -> int:
    """How many of the new orders of this second are used up; 0 where the answer does not say it."""
    limit, left = (answer.headers.get(name, "") for name in ("x-bapi-limit", "x-bapi-limit-status"))
    is_named = all(text.isascii() and text.isdecimal() and len(text) < 6 for text in (limit, left))
    return max(int(limit) - int(left), 0) if is_named else 0
