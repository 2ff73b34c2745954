"""NeuroFlux: one place to see, route and follow orders on several crypto exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroflux.manager.async_manager import AsyncExchangeManager
    from neuroflux.manager.sync_manager import ExchangeManager

__all__ = ["AsyncExchangeManager", "ExchangeManager"]


def __getattr__(name: str) -> Any:
    """Import the façade, with its clients of Kafka and ClickHouse, when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from neuroflux.manager import async_manager, sync_manager

    return getattr(sync_manager if name == "ExchangeManager" else async_manager, name)
