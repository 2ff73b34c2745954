"""Kraken's rate limits: one counter of private requests for each key, and one of orders for each pair.

A counter falls all the time, and a request is refused that would raise it above its maximum; both follow from the tier
of the account. Several processes use one key, and none knows of the others: each has a share of the counter, so that
the execution's queries of orders in doubt are not held up by the polling of the account. New orders and cancels don't
count there. The counter of orders is of a pair. No answer reports any of them. Source:
https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits and https://docs.kraken.com/api/docs/guides/spot-ratelimits
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Buckets, DecayingCounter, EachInstrument

QUERIES: Final = "queries"
"""Orders in doubt and their fills, and what tests a key."""
POLLING: Final = "polling"
"""The account's figures, its reconciliation and its fees."""
TOKEN: Final = "token"
"""The token of the account's socket, which must not wait for what is polled: what the socket says needs no request."""
AUDIT: Final = "audit"
_SHARES: Final = {QUERIES: 0.4, POLLING: 0.27, TOKEN: 0.08, AUDIT: 0.5}
"""The audit's client leaves half of every bucket unused, so that its part is 0.25, and the sum is 1."""

HEAVY: Final = 2
"""What a page of fills weighs; everything else weighs 1."""


class Tier(Struct, frozen=True):
    """``private`` and ``orders`` are maximum and decay a second of the counters of requests and of orders."""

    private: DecayingCounter
    orders: DecayingCounter


STARTER: Final = Tier(DecayingCounter(15, 0.33), DecayingCounter(60, 1.0))
INTERMEDIATE: Final = Tier(DecayingCounter(20, 0.5), DecayingCounter(125, 2.34))
PRO: Final = Tier(DecayingCounter(20, 1.0), DecayingCounter(180, 3.75))


def buckets(tier: Tier) -> Buckets:
    """The limits of a tier, by the names that requests have."""
    most, decay = tier.private.maximum, tier.private.decay
    shares = {name: DecayingCounter(most * share, decay * share) for name, share in _SHARES.items()}
    return {**shares, ORDER_BUCKET: EachInstrument(tier.orders)}


_CANCELS: Final = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
"""What a cancel weighs, by the seconds for which the order rested at most."""


def cancel_weight(rested: Microseconds) -> int:
    """The sooner an order is cancelled, the more it weighs."""
    return next((weight for seconds, weight in _CANCELS if rested < seconds * 1_000_000), 0)
