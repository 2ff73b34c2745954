"""Which exchanges there are; each is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from neuroflux.errors import UsageError
from neuroflux.exchanges.base_exchange import Exchange

_CLASSES = {"binance": "Binance", "binanceusdm": "BinanceUsdm", "hyperliquid": "Hyperliquid"}

EXCHANGE_IDS = tuple(_CLASSES)
"""ccxt's ids."""


@cache
def exchange(exchange_id: str) -> Exchange:
    """The exchange of this id; raises UsageError where there is none."""
    if exchange_id not in _CLASSES:
        raise UsageError(f"unknown exchange {exchange_id!r}; known: {', '.join(EXCHANGE_IDS)}")
    module = import_module(f"neuroflux.exchanges.{exchange_id}")
    made: Exchange = getattr(module, _CLASSES[exchange_id])()
    return made
