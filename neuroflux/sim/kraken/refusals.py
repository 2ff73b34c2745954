"""The text that Kraken has for each reason why an order is refused.

Source: https://support.kraken.com/articles/360001491786-api-error-messages. From memory: the text for a client order
id that an open order has, and that of orders that may only reduce.
"""

from __future__ import annotations

from typing import Final

from neuroflux.errors import Refused
from neuroflux.sim.core.orders import Reason, Rejected

REASONS: Final = {
    Reason.PRICE_STEP: "EOrder:Tick size check failed",
    Reason.QUANTITY_STEP: "EGeneral:Invalid arguments:volume",
    Reason.QUANTITY_LIMIT: "EGeneral:Invalid arguments:volume",
    Reason.NOTIONAL: "EOrder:Cost minimum not met",
    Reason.BALANCE: "EOrder:Insufficient funds",
    Reason.MARGIN: "EOrder:Insufficient margin",
    Reason.DUPLICATE: "EOrder:Duplicate order",
    Reason.WOULD_MATCH: "EOrder:Post only order",
    Reason.REDUCE_ONLY: "EOrder:Reduce only:No position exists",
    Reason.UNKNOWN_ORDER: "EOrder:Unknown order",
    Reason.HALTED: "EService:Market in cancel_only mode",
    Reason.FAULT: "EOrder:Trading agreement required",
    Reason.UNKNOWN_CODE: "ERule:Came into force today",
}


def error_text(error: Refused) -> str:
    """The text of a refusal by the core; any other error is raised again."""
    if not isinstance(error, Rejected):
        raise error
    return REASONS[error.reason]
