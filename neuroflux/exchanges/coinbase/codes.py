"""Coinbase's reasons, and what they say of an order.

The documents name no full list: these are of its create-order page and of users' reports. A reason that begins with
``PREVIEW_`` is found before the order is passed to the engine. Source:
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from neuroflux.exchanges.kit.order_client import Code

UNAUTHORIZED: Final = "Unauthorized"
"""The whole body of a 401: the token is wrong, or its time is."""
UNKNOWN: Final = "UNKNOWN_FAILURE_REASON"
UNKNOWN_CANCEL: Final = "UNKNOWN_CANCEL_ORDER"
_PREVIEW: Final = "PREVIEW_"

_NAMED: Final = frozenset(
    (
        *("INSUFFICIENT_FUND", "INVALID_LIMIT_PRICE_POST_ONLY", "INVALID_LIMIT_PRICE", "INVALID_SIDE"),
        *("INVALID_REQUEST", "INVALID_ARGUMENT", "INVALID_SIZE_PRECISION", "INVALID_PRICE_PRECISION"),
        *("INVALID_PRODUCT_ID", "INVALID_NO_LIQUIDITY", "UNSUPPORTED_ORDER_CONFIGURATION", "ORDER_ENTRY_DISABLED"),
        *("INELIGIBLE_PAIR", "ORDER_TYPE_NOT_SUPPORTED", "PERMISSION_DENIED", "UNAUTHENTICATED", UNAUTHORIZED),
        *("INVALID_CANCEL_REQUEST", "COMMANDER_REJECTED_CANCEL_ORDER"),
    )
)
"""Refused, and nothing was done. ``COMMANDER_REJECTED_NEW_ORDER`` is not among them: it comes from beyond the gate, so
that the order is asked after."""


class _Definite(Collection[Code]):
    """The named ones, and any of the preview."""

    def __contains__(self, code: object) -> bool:
        return code in _NAMED or (isinstance(code, str) and code.startswith(_PREVIEW))

    def __iter__(self) -> Iterator[Code]:
        return iter(_NAMED)

    def __len__(self) -> int:
        return len(_NAMED)


DEFINITE: Final = _Definite()


def code_of(named: Iterable[str | None]) -> str:
    """The most telling of the reasons that an answer names: those that say nothing begin with ``UNKNOWN_``."""
    telling = [one for one in named if one and not one.startswith("UNKNOWN_")]
    return next((one for one in telling if one in DEFINITE), telling[0] if telling else UNKNOWN)
