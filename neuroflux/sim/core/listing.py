"""A new instrument: like one that is traded already, under a name of its own."""

from __future__ import annotations

import re

import msgspec

from neuroflux.errors import UsageError
from neuroflux.sim.core.coins import BINANCE, HYPERLIQUID, Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault

DEFAULT_BASE = "SOL"
"""The coin whose price a new one follows where the fault's ``value`` names none."""
_NAME = re.compile(r"[A-Z0-9]{1,20}")
_QUOTES = ("USDT", "USDC")


def new_listing(fault: Fault, exchange: SimExchange) -> Listing:
    """The instrument that the fault ``list`` describes; raises UsageError."""
    if not _NAME.fullmatch(fault.symbol) or fault.symbol in exchange.listings:
        raise UsageError(f"{fault.symbol} is listed already, or no name: capitals and digits, at most 20")
    asset, quote = _parts(fault)
    like = fault.value or DEFAULT_BASE
    model = _model(exchange, like, "spot" if fault.exchange == BINANCE else "perpetual", quote)
    number = 1 + max((one.number for one in exchange.listings.values() if one.kind == model.kind), default=-1)
    names = {"symbol": fault.symbol, "base_asset": asset, "number": number if fault.exchange == HYPERLIQUID else 0}
    return msgspec.structs.replace(model, **names)


def _parts(fault: Fault) -> tuple[str, str]:
    """The asset and its quote."""
    if fault.exchange == HYPERLIQUID:
        return fault.symbol, "USDC"
    quote = fault.symbol[-4:]
    if quote not in _QUOTES or len(fault.symbol) == len(quote):
        raise UsageError(f"{fault.symbol} must end with {' or '.join(_QUOTES)}")
    return fault.symbol[:-4], quote


def _model(exchange: SimExchange, base: str, kind: str, quote: str) -> Listing:
    for listing in exchange.listings.values():
        if (listing.base, listing.kind, listing.quote) == (base, kind, quote):
            return listing
    raise UsageError(f"{exchange.exchange_id} has no {kind} of {base} in {quote} whose price could be followed")
