"""The simulated exchanges: one line each, in an order that is part of what a seed means; and what plays recordings.

Each is imported when it is first used: a start with some of them does not wait for the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Final

from aiohttp.typedefs import Middleware

from neuroflux.sim.core.simulation import Dialect, Simulation
from neuroflux.sim.core.venue import Venue

_DIALECTS: Final = {
    "binance": "binance.spot:BinanceSpot",
    "binanceusdm": "binance.usdm:BinanceUsdm",
    "hyperliquid": "hyperliquid.dialect:Hyperliquid",
    "okx": "okx.dialect:Okx",
    "bybit": "bybit.dialect:Bybit",
    "coinbase": "coinbase.dialect:Coinbase",
    "kraken": "kraken.dialect:Kraken",
}
"""``module:class`` in this package, by exchange id."""
SIMULATED: Final = tuple(_DIALECTS)


def dialects(ids: Collection[str] = SIMULATED) -> tuple[type[Dialect], ...]:
    """Those of these exchanges, in the order of the catalogue."""
    return tuple(resolve_name(f"neuroflux.sim.{place}") for one, place in _DIALECTS.items() if one in ids)


@cache
def venues() -> Mapping[str, Venue]:
    """What each simulated exchange lists and is like, by exchange id."""
    return {dialect.venue.id: dialect.venue for dialect in dialects()}


def player(simulation: Simulation, path: Path) -> Middleware:
    """Serves a recording instead of the market that it is of; raises UsageError on a file that is not a recording."""
    from neuroflux.sim.binance import replay

    return replay.Player(simulation, replay.read(path)).middleware()
