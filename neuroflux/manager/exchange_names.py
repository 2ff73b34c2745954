"""Which exchanges a name of the façade means: ``binance`` is both of Binance's accounts."""

from __future__ import annotations

from collections.abc import Iterable

from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import EXCHANGE_IDS

PARTS = {"binance": ("binance", "binanceusdm")}
"""What the façade's name stands for, where that is more than one."""


def parts(name: str, argument: str) -> tuple[str, ...]:
    """The exchange ids of a name; raises UsageError that names the argument and what it does not know."""
    if name not in EXCHANGE_IDS:
        raise UsageError(f"{argument}: unknown exchange {name!r}; known: {', '.join(EXCHANGE_IDS)}")
    return PARTS.get(name, (name,))


def expand(names: Iterable[str], argument: str) -> tuple[str, ...]:
    """The exchange ids of several names, each once, in their order."""
    if isinstance(names, str):
        raise UsageError(f"{argument}: a list of exchanges is wanted, not {names!r}")
    return tuple(dict.fromkeys(each for name in names for each in parts(name, argument)))
