"""``ExchangeManager``, at the path that the API reference gives it."""

from neuroflux.manager.sync_manager import ExchangeManager

__all__ = ["ExchangeManager"]
