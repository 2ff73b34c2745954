"""How exchanges' names map to symbols (ccxt's) and markets (what can stand in for each other)."""

from __future__ import annotations

import re

USD_CLASS = frozenset({"USD", "USDT", "USDC", "FDUSD", "TUSD", "USDP", "DAI", "USDE", "USDH", "USDT0", "USD1", "RLUSD"})
"""Quotes of one class. They are comparable, never equal: see engine/markets/conversion.py."""

_THOUSANDS = re.compile(r"^(?:(1000000|10000|1000)(?=[A-Z])|(k)(?=[A-Z]))")


def market_of(base: str, quote: str) -> str:
    """``("BTC", "USDT")`` → ``"BTC/USD"``; a quote of no class stands for itself: ``"ETH/BTC"``."""
    return f"{base}/USD" if quote in USD_CLASS else f"{base}/{quote}"


def split_multiplier(name: str) -> tuple[str, int]:
    """``"1000PEPE"`` and ``"kPEPE"`` → ``("PEPE", 1000)``; any other base → itself and 1."""
    found = _THOUSANDS.match(name)
    if found is None:
        return name, 1
    return name[found.end() :], int(found.group(1)) if found.group(1) else 1000


def spot_symbol(base: str, quote: str) -> str:
    return f"{base}/{quote}"


def perpetual_symbol(base: str, quote: str, settle: str) -> str:
    return f"{base}/{quote}:{settle}"
