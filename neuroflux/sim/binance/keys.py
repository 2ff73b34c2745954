"""The keys of Binance's demo account, by seed."""

from __future__ import annotations

from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.core.keys import secret_bytes


def demo_keys(seed: int) -> tuple[str, str]:
    """Key and secret of 64 characters each; one pair is valid on spot and on USDⓈ-M, as at Binance."""
    return secret_bytes(seed, BINANCE, "key").hex(), secret_bytes(seed, BINANCE, "secret").hex()
