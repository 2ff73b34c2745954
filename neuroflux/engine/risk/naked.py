"""Whether a pair is filled on one leg only, with more or for longer than the limits allow."""

from __future__ import annotations

from collections.abc import Iterable

from neuroflux.domain import Microseconds
from neuroflux.engine.orders.exposure import DUST_USD, exposure
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.limits import Limits


def naked_fault(orders: Iterable[Order], limits: Limits, now: Microseconds) -> str:
    """Why no new pair may begin: another one is filled on one leg only, with more or for longer than allowed; or ""."""
    for order in orders:
        one = exposure(order, now)
        seconds = (now - one.since) / 1e6
        if one.usd > limits.max_naked_usd or (one.usd > DUST_USD and seconds > limits.max_naked_seconds):
            found = f"{one.usd:,.2f} USD of {order.command.market} for {seconds:.0f} s"
            return f"naked: {found}; {limits.max_naked_usd:,.0f} USD and {limits.max_naked_seconds:g} s are allowed"
    return ""
