"""The instruments of the examples, and what reads them: a spot pair, and a perpetual with contracts of 0.1."""

from __future__ import annotations

from typing import Any, Final

from neuroflux.domain import Instrument
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.okx.account import OkxAccountFeed
from neuroflux.exchanges.okx.exchange import Okx
from neuroflux.exchanges.okx.market import OkxMarketFeed
from neuroflux.exchanges.okx.order_client import OkxOrderClient
from tests.neuroflux.exchanges.kit.examples.example import encoded
from tests.neuroflux.exchanges.kit.examples.okx import OKX, envelope

NOW: Final = 1_795_867_200_123_000
"""2026-11-28T12:00:00.123Z"""
KEYS: Final = Keys("the-key", "22582BD0CFF14C41EDBF1AB98506286D", passphrase="the-word")


ANY: Final = Request("GET", "/x")


def answer(body: Any, request: Request = ANY, status: int = 200) -> Answer:
    return Answer(request, status, encoded(body))


LISTED: Final = (
    Okx()
    .listing([answer(body, one) for one, body in zip(Okx().instruments_requests(), OKX.lists, strict=True)])
    .instruments
)
SPOT: Final[Instrument] = LISTED[0]
SWAP: Final[Instrument] = LISTED[1]


def market() -> OkxMarketFeed:
    return Okx().market_feed(LISTED)


def account() -> OkxAccountFeed:
    return Okx().account_feed(KEYS, LISTED)


def client() -> OkxOrderClient:
    return Okx().order_client(KEYS, LISTED)


def rows(*given: dict[str, Any]) -> Answer:
    return answer(envelope(*given))
