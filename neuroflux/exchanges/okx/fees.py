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
    """Of several that may be meant the dearest; None where there is no rate. Raises ``UNREADABLE``."""
    pairs = [pair for wire in _FEES.decode(data) for pair in _pairs(wire, one)]
    if not pairs:
        return None
    makers, takers = ([_cost(text) for text in side] for side in zip(*pairs, strict=True))
    return FeeRates(one.symbol, max(takers), max(makers))


def _pairs(wire: _Fees, one: Instrument) -> list[tuple[str, str]]:
    """Of one group, else of the quote, else of all groups."""
    groups = [(group.maker, group.taker) for group in wire.feeGroup if group.maker and group.taker]
    if len(groups) == 1:
        return groups
    of_quote = {"USDT": (wire.makerU, wire.takerU), "USDC": (wire.makerUSDC, wire.takerUSDC)}.get(one.settle, ("", ""))
    named = next((pair for pair in (of_quote, (wire.maker, wire.taker)) if all(pair)), None)
    return [named] if named is not None else groups


def _cost(rate: str) -> Decimal:
    return -amount(rate) or ZERO
