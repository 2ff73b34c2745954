"""Hyperliquid's limit of an address: so many requests as it has traded USDC, and ten thousand to begin with.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.core.orders import AccountEvent, OrderEvent
from neuroflux.sim.hyperliquid.account import Json, number
from neuroflux.sim.hyperliquid.venue import HYPERLIQUID

BUFFER = 10_000
MORE_FOR_CANCELS = 100_000
ONE_EVERY = 10_000_000
"""µs: an address that is above its limit still has one request in so long a time."""


class AddressLimit:
    """Counts the requests of the account. Cancels have a limit of their own, which is higher."""

    def __init__(self, exchange: SimExchange, faults: Faults) -> None:
        self._faults = faults
        self._volume = Decimal(0)
        self._used = 0
        self._last = 0
        exchange.listeners.append(self._on_event)

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent) and event.fill is not None:
            self._volume += event.fill.price * event.fill.quantity

    @property
    def cap(self) -> int:
        return BUFFER + int(self._volume)

    def refusal(self, now: int) -> str:
        """Count an order; why it is refused, or "". ``now`` in µs."""
        self._used += 1
        if self._faults.take(HYPERLIQUID, "address_limit"):
            return self._text(self.cap + 101)
        return "" if self._used <= self.cap or self._has_waited(now) else self._text(self._used)

    def cancel_refusal(self, now: int) -> str:
        """Count a cancellation; why it is refused, or ""."""
        self._used += 1
        most = min(self.cap + MORE_FOR_CANCELS, 2 * self.cap)
        return "" if self._used <= most or self._has_waited(now) else self._text(self._used)

    def _has_waited(self, now: int) -> bool:
        if now - self._last < ONE_EVERY:
            return False
        self._last = now
        return True

    def _text(self, used: int) -> str:
        traded = f"cumulative volume traded ${self._volume:.2f}"
        return f"Too many cumulative requests sent ({used} > {self.cap}) for {traded}."

    def usage(self) -> Json:
        """The answer to ``userRateLimit``."""
        is_above = self._faults.setting(HYPERLIQUID, "address_limit") is not None
        used = self.cap + 101 if is_above else self._used
        return {"cumVlm": number(self._volume), "nRequestsUsed": used, "nRequestsCap": self.cap, "nRequestsSurplus": 0}
