"""Numbers that a trader may want to change, in one place."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

EXCHANGE_TIMEOUTS: Final = {
    "connect": 5.0,
    "read": 10.0,
    "order": 5.0,
    "initialize": 15.0,
}
"""Seconds. ``order``: an order not answered by then is in doubt."""

RATE_LIMIT_BUFFER: Final = 0.2
"""The share of an exchange's rate limit that is left unused."""

INSTRUMENTS_SECONDS: Final = 300.0
"""How often the exchanges' lists of instruments are read again."""

DEFAULT_ROUTING_STRATEGY: Final = "optimal"

BALANCED_WEIGHTS: Final = {"cost": 0.5, "latency": 0.5}
"""What the strategy ``balanced`` makes of cost and latency, each scaled from 0, the best offer's, to 1, the worst's."""

ARBITRAGE_THRESHOLDS: Final = {
    "min_profit_usd": 0.5,
    "min_profit_fraction": 0.0001,
    "max_book_age_seconds": 3.0,
    "max_notional_usd": 50_000.0,
    "lifetime_seconds": 2.0,
}
"""The least profit of a signal, net of everything, and the limits of its books, size and lifetime."""

ORDER_LIMITS: Final = {
    "max_notional_usd": 100_000.0,
    "price_collar": 0.02,
    "max_book_age_seconds": 5.0,
    "max_command_age_seconds": 60.0,
    "max_position_usd": 10_000_000.0,
    "max_open_orders": 2_000.0,
    "max_orders_per_second": 100.0,
    "max_daily_loss_usd": 50_000.0,
    "max_naked_usd": 50_000.0,
    "max_naked_seconds": 30.0,
}
"""What an order may be: its value, how far its price may be from the market (a fraction), how old its book and how
long ago its command was sent. And what all of them may add up to: the worth of one asset on one exchange, how many are
open, how many a second, and the loss of a day (UTC) with what is held marked to market, beyond which only hedges are
sent. A pair is never larger than what may be open on one leg, and while one is so for longer, no new one begins."""

LIVE_ORDER_LIMITS: Final = ORDER_LIMITS | {"max_notional_usd": 100.0, "max_daily_loss_usd": 1_000.0}
"""The same where an order goes to a real exchange. These two are small until others are set, in
NEUROFLUX_MAX_NOTIONAL_USD and NEUROFLUX_MAX_DAILY_LOSS_USD."""

REBALANCE_FREQUENCY: Final[timedelta | None] = None
"""How often drift from the target of the last rebalance is checked; None: never. See manager/drift.py."""
