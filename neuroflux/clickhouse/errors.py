"""What ClickHouse's errors mean: that it may be asked again, or not."""

from __future__ import annotations

from neuroflux.errors import NeuroFluxError, Refused, Unreachable

_MAY_PASS = frozenset({159, 160, 209, 210, 236, 241, 242, 252, 285, 319})
"""Timeouts, memory, a server that is going down."""


def refusal(code: int, message: str, address: str) -> NeuroFluxError:
    """Refused for an error of the query, Unreachable for one that may pass or has no code: without its stack."""
    words = " ".join(message.partition("Stack trace:")[0].split())
    if code > 0 and code not in _MAY_PASS:
        return Refused(f"ClickHouse: {words}")
    return Unreachable(f"ClickHouse at {address}: {words}")
