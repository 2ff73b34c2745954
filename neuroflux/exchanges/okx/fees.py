"""What an account pays on OKX: a rate is negative where it is charged.

Rates are those of the fee group of an instrument; without groups, of its quote. Source:
https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-fee-rates
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, Microseconds
from neuroflux.exchanges.kit.events import FeeRates
from neuroflux.exchanges.kit.requests import Keys, Request
from neuroflux.exchanges.okx.numbers import ZERO, amount
from neuroflux.exchanges.okx.rest import iso, signed


class _Group(Struct, frozen=True):
    maker: str
    taker: str


class _Fees(Struct, frozen=True):
    maker: str = ""
    taker: str = ""
    makerU: str = ""
    takerU: str = ""
    makerUSDC: str = ""
    takerUSDC: str = ""
    feeGroup: list[_Group] = []


_FEES: Final = Decoder(list[_Fees])


def fee_request(keys: Keys, one: Instrument, now: Microseconds) -> Request:
    if one.settle:
        asked = {"instType": "SWAP", "instFamily": one.name.removesuffix("-SWAP")}
    else:
        asked = {"instType": "SPOT", "instId": one.name}
    return signed(keys, "GET", "/account/trade-fee", iso(now), f"fees {one.name}", "trade-fee", **asked)


def rates_of(data: bytes | Raw, one: Instrument) -> FeeRates | None:
    """Of several groups the dearest; None where there is no rate. Raises ``UNREADABLE``."""
    pairs = [pair for wire in _FEES.decode(data) for pair in _pairs(wire, one) if all(pair)]
    if not pairs:
        return None
    makers, takers = ([_cost(text) for text in side] for side in zip(*pairs, strict=True))
    return FeeRates(one.symbol, max(takers), max(makers))


def _pairs(wire: _Fees, one: Instrument) -> list[tuple[str, str]]:
    if wire.feeGroup:
        return [(group.maker, group.taker) for group in wire.feeGroup]
    of_quote = {"USDT": (wire.makerU, wire.takerU), "USDC": (wire.makerUSDC, wire.takerUSDC)}.get(one.settle, ("", ""))
    return [of_quote if all(of_quote) else (wire.maker, wire.taker)]


def _cost(rate: str) -> Decimal:
    return -amount(rate) or ZERO
