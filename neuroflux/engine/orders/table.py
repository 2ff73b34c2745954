"""Every transition of an attempt in one table, and every time limit and count limit of the order state machine."""

from __future__ import annotations

from enum import StrEnum

from neuroflux.domain import Microseconds
from neuroflux.engine.orders.state import Phase

SECOND: Microseconds = 1_000_000
MAX_ATTEMPTS = 3
SEND_WITHIN = 120 * SECOND
FRESH_FOR = 5 * SECOND
"""How old a decision may be when its order is first sent: as old as the books that a decision may use."""
ANSWER_WITHIN = 10 * SECOND
"""A request without an outcome after this time was lost by the shell."""
PROVED_WITHIN = SECOND
"""An order that the exchange took without deciding on it is queried where no report of it came by then."""
FILLS_WITHIN = 30 * SECOND
MAX_REASON = 1_000
"""Characters of an exchange's reason that are kept: Kafka accepts no record above a megabyte."""
MAX_HEDGES = 20
MAX_REROUTES = 2
HEDGE_AGAIN, HEDGE_LATEST = 200_000, 2 * SECOND
"""The second try to hedge follows the first at once, as it prefers another exchange. The wait grows by ``HEDGE_AGAIN``
with each later try, up to ``HEDGE_LATEST``: half a minute in total."""
CANCEL_AGAIN = 2 * SECOND
QUIET_RESTING = 30 * SECOND
QUIET_IMMEDIATE = 2 * SECOND
"""How long an order may go without a report before it is queried: one that rests, and one that should end at once."""
BACK_OFF = (250_000, 500_000, SECOND, 2 * SECOND, 4 * SECOND)
SLOW_AFTER, SLOW = 150, 30 * SECOND
MAX_QUERIES = 300
"""How often an order is queried in a row without a usable answer (query and answer each count): for about five minutes
every few seconds, then every ``SLOW``; after three quarters of an hour it needs a person."""
CANCELS_QUICK, MAX_CANCELS = 15, 60
"""How many cancels of an order that stays open are sent at ``CANCEL_AGAIN``, and in total."""
LOST_AFTER = 4
"""How often in a row an exchange must answer that it has no such order until an acknowledged order counts as lost."""


class Input(StrEnum):
    """The inputs of an attempt; the first six are reports of the exchange."""

    ACKNOWLEDGED = "acknowledged"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    SEND = "send"
    UNSENT = "unsent"
    REFUSED = "refused"
    DOUBT = "doubt"
    NOT_THERE = "not_there"
    FILL = "fill"
    DROP = "drop"
    LATE = "late"
    GIVEN_UP = "given_up"


_REPORTS = {
    Input.ACKNOWLEDGED: Phase.ACKNOWLEDGED,
    Input.WORKING: Phase.WORKING,
    Input.FILLED: Phase.FILLED,
    Input.CANCELLED: Phase.CANCELLED,
    Input.EXPIRED: Phase.EXPIRED,
    Input.REJECTED: Phase.REJECTED,
}
_ARRIVED = {
    **_REPORTS,
    Input.FILL: Phase.WORKING,
}


def _stays(phase: Phase, *inputs: Input) -> dict[Input, Phase]:
    """The transitions of a final phase: no report, fill or late answer leaves it."""
    return dict.fromkeys((*_ARRIVED, Input.DOUBT, Input.NOT_THERE, *inputs), phase)


TRANSITIONS: dict[Phase, dict[Input, Phase]] = {
    Phase.ROUTED: {
        Input.SEND: Phase.SENDING,
        Input.DROP: Phase.CANCELLED,
        Input.LATE: Phase.EXPIRED,
        Input.GIVEN_UP: Phase.REJECTED,
    },
    Phase.SENDING: _ARRIVED
    | {
        Input.REFUSED: Phase.REJECTED,
        Input.DOUBT: Phase.IN_DOUBT,
        Input.UNSENT: Phase.ROUTED,
    },
    Phase.IN_DOUBT: _ARRIVED
    | {
        Input.REFUSED: Phase.REJECTED,
        Input.DOUBT: Phase.IN_DOUBT,
        Input.UNSENT: Phase.ROUTED,
        Input.NOT_THERE: Phase.ABSENT,
    },
    Phase.ACKNOWLEDGED: _ARRIVED | {Input.DOUBT: Phase.ACKNOWLEDGED, Input.NOT_THERE: Phase.EXPIRED},
    Phase.WORKING: _ARRIVED
    | {Input.ACKNOWLEDGED: Phase.WORKING, Input.DOUBT: Phase.WORKING, Input.NOT_THERE: Phase.EXPIRED},
    Phase.FILLED: _stays(Phase.FILLED),
    Phase.CANCELLED: _stays(Phase.CANCELLED),
    Phase.EXPIRED: _stays(Phase.EXPIRED, Input.REFUSED),
    Phase.REJECTED: _stays(Phase.REJECTED, Input.REFUSED),
    Phase.ABSENT: _ARRIVED | {Input.DOUBT: Phase.ABSENT, Input.NOT_THERE: Phase.ABSENT, Input.REFUSED: Phase.ABSENT},
}
"""Phase and input → phase. Any other combination is a fault."""
