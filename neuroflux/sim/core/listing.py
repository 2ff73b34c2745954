"""A new instrument: a copy of one that is listed already, under a new name."""

from __future__ import annotations

import re

import msgspec

from neuroflux.errors import UsageError
from neuroflux.sim.core.coins import Kind, Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.venue import Venue

DEFAULT_BASE = "SOL"
"""The coin whose price a new one follows where the fault's ``value`` names none."""
_NAME = re.compile(r"[A-Z0-9]{1,20}")
_SEPARATED = re.compile(r"([A-Z0-9]{1,20})[-/]([A-Z]{3,4})")
_QUOTES = ("USDT", "USDC")


def new_listing(fault: Fault, exchange: SimExchange) -> Listing:
    """The instrument that the fault ``list`` describes; raises UsageError."""
    venue = exchange.venue
    if fault.symbol in exchange.listings:
        raise UsageError(f"{fault.symbol} is listed already")
    separated = _SEPARATED.fullmatch(fault.symbol)
    asset, quote = (separated[1], separated[2]) if separated else _parts(fault.symbol, venue)
    if not _NAME.fullmatch(asset):
        raise UsageError(f"{asset} is no name: capitals and digits, at most 20")
    like = fault.value or DEFAULT_BASE
    model = _model(exchange, like, venue.new_kind, quote)
    number = 1 + max((one.number for one in exchange.listings.values() if one.kind == model.kind), default=-1)
    names = {"symbol": fault.symbol, "base_asset": asset, "number": number if venue.numbers_instruments else 0}
    return msgspec.structs.replace(model, **names)


def _parts(symbol: str, venue: Venue) -> tuple[str, str]:
    """The asset and its quote, whose name the symbol may leave out where the venue has one."""
    if venue.quote:
        return symbol.removesuffix(venue.quote) or symbol, venue.quote
    ends = {quote: venue.symbol_end.format(quote=quote) for quote in _QUOTES}
    for quote, end in ends.items():
        if symbol.endswith(end) and symbol != end:
            return symbol.removesuffix(end), quote
    raise UsageError(f"{symbol} must end with {' or '.join(ends.values())}")


def _model(exchange: SimExchange, base: str, kind: Kind, quote: str) -> Listing:
    for listing in exchange.listings.values():
        if (listing.base, listing.kind, listing.quote) == (base, kind, quote):
            return listing
    raise UsageError(f"{exchange.exchange_id} has no {kind} of {base} in {quote} whose price could be followed")
