"""Kraken's limits: a counter of requests for each key, one of orders for each pair, and one of public requests.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits and
https://docs.kraken.com/api/docs/guides/spot-ratelimits. From memory: how fast the counters of orders decrease, the
limit of open orders, and that cancellations are counted but never refused.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

SECOND = 1_000_000
PUBLIC_MOST, PUBLIC_A_SECOND = 60, 2.0
_BEYOND = 1.5
"""How far above its limit a counter may rise: going on after a refusal makes the wait longer."""


class Tier(Struct, frozen=True):
    """What a level of verification allows: requests, orders of a pair, and open orders of a pair."""

    requests: float
    requests_a_second: float
    orders: float
    orders_a_second: float
    open_orders: int


TIERS: Final = {
    "starter": Tier(15, 0.33, 60, 1, 60),
    "intermediate": Tier(20, 0.5, 125, 2.34, 80),
    "pro": Tier(20, 1, 180, 3.75, 225),
    "agreed": Tier(1000, 100, 10_000, 1000, 225),
}
"""The last one is no level: it is for clients of others, which do not keep to the counters."""
REQUEST_COSTS: Final = {"Ledgers": 2, "QueryLedgers": 2, "TradesHistory": 2, "QueryTrades": 2}
FREE: Final = (
    *("AddOrder", "AddOrderBatch", "AmendOrder", "EditOrder", "CancelOrder", "CancelOrderBatch", "CancelAll"),
    "CancelAllOrdersAfter",
)
"""Requests of orders, which the other counter counts."""
_AGES: Final = (5, 10, 15, 45, 90, 300)
"""Seconds that an order rested, below which each further cost applies."""
_PENALTIES: Final = {"amend": (3, 2, 1, 0, 0, 0), "edit": (6, 5, 4, 2, 1, 0), "cancel": (8, 6, 5, 4, 2, 1)}
_FIXED: Final = {"add": 1, "amend": 1, "edit": 1, "cancel": 0}


def order_cost(what: str, rested: int = 0) -> float:
    """What an ``add``, ``amend``, ``edit`` or ``cancel`` adds to the counter; ``rested`` in µs."""
    penalties = zip(_AGES, _PENALTIES.get(what, ()), strict=False)
    return _FIXED[what] + next((cost for age, cost in penalties if rested < age * SECOND), 0)


class Counter:
    """A number that requests raise and time lowers; times are in µs."""

    def __init__(self) -> None:
        self.value = 0.0
        self._at = 0

    def spend(self, cost: float, most: float, a_second: float, now: int, *, is_kept: bool = False) -> bool:
        """Count a request; returns whether the limit allows it. ``is_kept``: one that is refused counts too."""
        self.value = max(0.0, self.value - max(0, now - self._at) / SECOND * a_second)
        self._at = now
        is_allowed = self.value + cost <= most
        if is_allowed or is_kept:
            self.value = min(self.value + cost, most * _BEYOND)
        return is_allowed


class Limits:
    """The counters of one key. ``tier`` is that of its account."""

    def __init__(self, tier: str) -> None:
        self.tier = tier
        self._requests = Counter()
        self._orders: dict[str, Counter] = {}

    def request(self, name: str, tier: Tier, now: int) -> bool:
        """Whether a request by this name is allowed."""
        cost = 0 if name in FREE else REQUEST_COSTS.get(name, 1)
        return not cost or self._requests.spend(cost, tier.requests, tier.requests_a_second, now, is_kept=True)

    def order(self, symbol: str, cost: float, tier: Tier, now: int, *, is_kept: bool = False) -> bool:
        """Whether an order, or a change of one, is allowed."""
        return self.of(symbol).spend(cost, tier.orders, tier.orders_a_second, now, is_kept=is_kept)

    def of(self, symbol: str) -> Counter:
        """The counter of a pair."""
        return self._orders.setdefault(symbol, Counter())
