"""The meaning of ClickHouse's errors: whether a retry may help."""

from __future__ import annotations

from neuroflux.errors import NeuroFluxError, Refused, Unreachable

_MAY_PASS = frozenset({159, 160, 209, 210, 236, 241, 242, 252, 285, 319})
"""Timeouts, memory limits, a server that is shutting down."""


def refusal(code: int, message: str, address: str) -> NeuroFluxError:
    """Refused for an error of the query, Unreachable for a temporary one or one without code; stack trace removed."""
    words = " ".join(message.partition("Stack trace:")[0].split())
    if code > 0 and code not in _MAY_PASS:
        return Refused(f"ClickHouse: {words}")
    return Unreachable(f"ClickHouse at {address}: {words}")
