"""The simulated exchanges: one line each, in an order that is part of what a seed means; and what plays recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp.typedefs import Middleware

from neuroflux.sim.binance import replay
from neuroflux.sim.binance.spot import BinanceSpot
from neuroflux.sim.binance.usdm import BinanceUsdm
from neuroflux.sim.bybit.dialect import Bybit
from neuroflux.sim.coinbase.dialect import Coinbase
from neuroflux.sim.core.simulation import Dialect, Simulation
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.hyperliquid.dialect import Hyperliquid
from neuroflux.sim.kraken.dialect import Kraken
from neuroflux.sim.okx.dialect import Okx

DIALECTS: Final[tuple[type[Dialect], ...]] = (
    BinanceSpot,
    BinanceUsdm,
    Hyperliquid,
    Okx,
    Bybit,
    Coinbase,
    Kraken,
)
VENUES: Final[dict[str, Venue]] = {dialect.venue.id: dialect.venue for dialect in DIALECTS}
"""By exchange id."""


def player(simulation: Simulation, path: Path) -> Middleware:
    """Serves a recording instead of the market that it is of; raises UsageError on a file that is not a recording."""
    return replay.Player(simulation, replay.read(path)).middleware()
