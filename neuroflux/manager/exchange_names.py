"""The exchange ids behind a name of the façade: several where they are accounts of one company."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import EXCHANGE_IDS, facade_name


@cache
def shared_names() -> dict[str, tuple[str, ...]]:
    """The exchange ids of each name that stands for several."""
    found: dict[str, list[str]] = {}
    for exchange_id in EXCHANGE_IDS:
        found.setdefault(facade_name(exchange_id), []).append(exchange_id)
    return {name: tuple(ids) for name, ids in found.items() if len(ids) > 1}


def parts(name: str, argument: str) -> tuple[str, ...]:
    """The exchange ids of a name; raises UsageError that names the argument and the unknown name."""
    if name not in EXCHANGE_IDS:
        raise UsageError(f"{argument}: unknown exchange {name!r}; known: {', '.join(EXCHANGE_IDS)}")
    return shared_names().get(name, (name,))


def expand(names: Iterable[str], argument: str) -> tuple[str, ...]:
    """The exchange ids of several names, each once, in order."""
    if isinstance(names, str):
        raise UsageError(f"{argument}: expected a list of exchanges, not {names!r}")
    return tuple(dict.fromkeys(each for name in names for each in parts(name, argument)))
