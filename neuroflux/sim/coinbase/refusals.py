"""Why Coinbase places no order: HTTP 200 with ``success`` false, and a reason.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from __future__ import annotations

from typing import Any

from neuroflux.errors import Refused
from neuroflux.sim.coinbase.wire import Json
from neuroflux.sim.core.orders import Reason, Rejected

_UNKNOWN, _UNKNOWN_PREVIEW = "UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON"


class NotPlaced(Refused):
    """``error`` is the failure, ``preview`` what was found before the order reached the engine."""

    def __init__(self, error: str, preview: str, message: str) -> None:
        super().__init__(message)
        self.error, self.preview, self.message = error, preview, message


def previewed(reason: str, message: str = "") -> NotPlaced:
    """A refusal of the preview, which most are."""
    return NotPlaced(_UNKNOWN, f"PREVIEW_{reason}", message)


def unsupported(message: str) -> NotPlaced:
    return NotPlaced("UNSUPPORTED_ORDER_CONFIGURATION", _UNKNOWN_PREVIEW, message)


_FUNDS = NotPlaced("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", "Insufficient balance in source account")
_REASONS = {
    Reason.PRICE_STEP: previewed("INVALID_PRICE_PRECISION", "Too many decimals in order price"),
    Reason.QUANTITY_STEP: previewed("INVALID_SIZE_PRECISION", "Too many decimals in order amount"),
    Reason.QUANTITY_LIMIT: previewed("INVALID_BASE_SIZE_TOO_LARGE"),
    Reason.NOTIONAL: previewed("INVALID_QUOTE_SIZE_TOO_SMALL"),
    Reason.BALANCE: _FUNDS,
    Reason.MARGIN: _FUNDS,
    Reason.DUPLICATE: NotPlaced("DUPLICATE_CLIENT_ORDER_ID", _UNKNOWN_PREVIEW, ""),
    Reason.WOULD_MATCH: NotPlaced(
        "INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY", "Post only order would match"
    ),
    Reason.REDUCE_ONLY: unsupported("reduce only"),
    Reason.UNKNOWN_ORDER: NotPlaced("INVALID_REQUEST", _UNKNOWN_PREVIEW, "unknown order"),
    Reason.HALTED: previewed("TRADING_DISABLED", "Trading is disabled for this product"),
    Reason.FAULT: NotPlaced("ORDER_ENTRY_DISABLED", _UNKNOWN_PREVIEW, "Orderbook is in maintenance"),
    Reason.UNKNOWN_CODE: NotPlaced("RULE_OF_TODAY_VIOLATED", _UNKNOWN_PREVIEW, "A rule that came into force today"),
}


def reason_of(error: NotPlaced | Rejected) -> NotPlaced:
    return error if isinstance(error, NotPlaced) else _REASONS[error.reason]


def refused(error: NotPlaced | Rejected, configuration: Any) -> Json:
    """The answer to an order that was not placed."""
    cause = reason_of(error)
    response = {
        "error": cause.error,
        "message": cause.message,
        "error_details": "",
        "preview_failure_reason": cause.preview,
        "new_order_failure_reason": cause.error,
    }
    return {"success": False, "error_response": response, "order_configuration": configuration}


def not_edited(error: NotPlaced | Rejected) -> Json:
    """The answer to an edit that was not made."""
    is_gone = isinstance(error, Rejected) and error.reason is Reason.UNKNOWN_ORDER
    cause = reason_of(error)
    failure = "ORDER_NOT_FOUND" if is_gone else cause.error
    row = {"edit_failure_reason": failure, "preview_failure_reason": _UNKNOWN_PREVIEW if is_gone else cause.preview}
    return {"success": False, "errors": [row]}
