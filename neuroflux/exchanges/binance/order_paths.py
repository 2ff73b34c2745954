"""Where Binance's two exchanges take orders and show an account, and what each request weighs there.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from neuroflux.domain import Microseconds

_DAY_MS: Final = 86_400_000
_UNAVAILABLE: Final = "service unavailable"
"""With HTTP 503: the request failed, so it may be sent again."""
_TRY_AGAIN: Final = "internal error; unable to process your request. please try again"
"""With HTTP 503. Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info: "This is a
failure API operation and you can resend your request if you need"."""


class OrderPaths(Struct, frozen=True):
    """Where an exchange takes orders; ``post_only`` is how that is sent: a type of spot, a time in force of USDⓈ-M.

    Fills are requested ``fills_window`` ms at once, and are kept for ``fills_kept`` ms; 0 where neither is bounded.
    """

    exchange: str
    order: str
    open_orders: str
    open_orders_weight: int
    query_weight: int
    fills: str
    fills_weight: int
    account: str
    account_weight: int
    post_only: dict[str, str]
    settled_after: Microseconds
    fills_window: int = 0
    fills_kept: int = 0
    not_executed: frozenset[str] = frozenset({_UNAVAILABLE})
    """Texts of HTTP 503, in small letters without the full stop, that mean that the request failed."""


SPOT_PATHS: Final = OrderPaths(
    exchange="binance",
    order="/api/v3/order",
    open_orders="/api/v3/openOrders",
    open_orders_weight=80,
    query_weight=4,
    fills="/api/v3/myTrades",
    fills_weight=20,
    account="/api/v3/account",
    account_weight=20,
    post_only={"type": "LIMIT_MAKER"},
    settled_after=20_000_000,  # recvWindow, which the book does not check; 10 s of the API's waiting for it; and 5 s
)

# 7 days and 6 months are the exchange's bounds, by its clock: a little less is requested.
USDM_PATHS: Final = OrderPaths(
    exchange="binanceusdm",
    order="/fapi/v1/order",
    open_orders="/fapi/v1/openOrders",
    open_orders_weight=40,
    query_weight=1,
    fills="/fapi/v1/userTrades",
    fills_weight=5,
    account="/fapi/v3/account",
    account_weight=5,
    post_only={"type": "LIMIT", "timeInForce": "GTX"},
    settled_after=6_000_000,  # recvWindow, which the book checks too (-5028), and 1 s for the way and the clocks
    fills_window=6 * _DAY_MS,
    fills_kept=180 * _DAY_MS,
    not_executed=frozenset({_UNAVAILABLE, _TRY_AGAIN}),
)
