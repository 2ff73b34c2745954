"""Secrets of demo accounts, by seed: they are valid in these simulations alone."""

from __future__ import annotations

import hashlib


def secret_bytes(seed: int, exchange_id: str, name: str) -> bytes:
    """32 bytes, equal for equal arguments."""
    return hashlib.sha512(f"neuroflux simulation {seed} {exchange_id} {name}".encode()).digest()[:32]
