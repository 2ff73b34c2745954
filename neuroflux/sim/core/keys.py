"""The demo accounts' credentials, by seed: they open nothing but these simulations."""

from __future__ import annotations

import hashlib


def _digest(seed: int, exchange_id: str, what: str) -> bytes:
    return hashlib.sha512(f"neuroflux simulation {seed} {exchange_id} {what}".encode()).digest()


def binance_keys(seed: int) -> tuple[str, str]:
    """Key and secret of 64 characters each; one pair opens spot and USDⓈ-M, as it does at Binance."""
    return _digest(seed, "binance", "key").hex()[:64], _digest(seed, "binance", "secret").hex()[:64]


def private_key(seed: int, exchange_id: str, what: str) -> bytes:
    """32 bytes; practically never outside of the curve's order."""
    return _digest(seed, exchange_id, what)[:32]
