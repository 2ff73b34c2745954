"""How exchanges' names map to symbols (ccxt's) and to markets (groups of comparable instruments)."""

from __future__ import annotations

import re

USD_CLASS = frozenset({"USD", "USDT", "USDC", "FDUSD", "TUSD", "USDP", "DAI", "USDE", "USDH", "USDT0", "USD1", "RLUSD"})
"""Quote assets that track the US dollar. They are comparable, never equal: see engine/markets/conversion.py."""

FIAT = frozenset({"AUD", "BRL", "CAD", "CHF", "EUR", "GBP", "JPY", "TRY"})
"""Quote assets that do not track the US dollar: their pairs are markets of their own, ``BTC/EUR``."""

_THOUSANDS = re.compile(r"^(?:(1000000|10000|1000)(?=[A-Z])|(k)(?=[A-Z]))")


def market_of(base: str, quote: str) -> str:
    """The market of a pair: ``("BTC", "USDT")`` → ``"BTC/USD"``; a quote outside ``USD_CLASS`` stays: ``"ETH/BTC"``."""
    return f"{base}/USD" if quote in USD_CLASS else f"{base}/{quote}"


def split_multiplier(name: str) -> tuple[str, int]:
    """The base and its multiplier: ``"1000PEPE"`` and ``"kPEPE"`` → ``("PEPE", 1000)``; ``"BTC"`` → ``("BTC", 1)``."""
    found = _THOUSANDS.match(name)
    if found is None:
        return name, 1
    return name[found.end() :], int(found.group(1)) if found.group(1) else 1000


def spot_symbol(base: str, quote: str) -> str:
    """ccxt's symbol of a spot pair: ``BTC/USDT``."""
    return f"{base}/{quote}"


def perpetual_symbol(base: str, quote: str, settle: str) -> str:
    """ccxt's symbol of a perpetual: ``BTC/USDT:USDT``."""
    return f"{base}/{quote}:{settle}"
