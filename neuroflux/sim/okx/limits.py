"""OKX's limits: of each path, of orders by instrument, and of all orders of the account.

Source: https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from neuroflux.sim.kit.limits import Recent
from neuroflux.sim.okx.wire import ApiError

SECOND = 1_000_000
MOST_ORDERS = 1000
"""New and amended orders of an account in two seconds."""
_RATES: Final[Mapping[str, tuple[int, int]]] = {
    "public/time": (10, 2),
    "market/books": (40, 2),
    "market/trades": (100, 2),
    "market/candles": (40, 2),
    "public/mark-price": (10, 2),
    "trade/order": (60, 2),
    "trade/cancel-order": (60, 2),
    "trade/amend-order": (60, 2),
    "trade/batch-orders": (300, 2),
    "trade/amend-batch-orders": (300, 2),
    "trade/cancel-batch-orders": (300, 2),
    "trade/order query": (60, 2),
    "trade/orders-pending": (60, 2),
    "trade/orders-history": (40, 2),
    "trade/fills": (60, 2),
    "trade/fills-history": (10, 2),
    "account/balance": (10, 2),
    "account/positions": (10, 2),
    "account/config": (5, 2),
    "account/trade-fee": (5, 2),
    "account/bills": (5, 1),
    "account/bills-archive": (5, 2),
    "account/set-position-mode": (5, 2),
    "asset/transfer": (2, 1),
    "asset/transfer-state": (10, 1),
    "asset/balances": (6, 1),
    "asset/currencies": (6, 1),
    "system/status": (1, 5),
}
"""Requests, and the seconds in which so many are allowed; other paths: 20 in two seconds."""
_USUAL = (20, 2)
_COUNTED_TOGETHER = ("trade/order", "trade/batch-orders", "trade/amend-order", "trade/amend-batch-orders")


class Limits:
    """Counts requests. Times are in µs."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], Recent] = {}
        self._orders = Recent(MOST_ORDERS, 2 * SECOND)

    def count(self, path: str, part: str, now: int) -> None:
        """Count a request; ``part`` is what has a limit of its own. Raises ApiError 50011, and 50061 for orders."""
        most, seconds = _RATES.get(path, _USUAL)
        counted = self._counted.setdefault((path, part), Recent(most, seconds * SECOND))
        if not counted.add(now):
            raise ApiError("50011", "Too Many Requests", 429)
        if path in _COUNTED_TOGETHER and not self._orders.add(now):
            raise ApiError("50061", "You've reached the maximum order rate limit for this account.", 429)
