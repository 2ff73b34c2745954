"""Every transition of an attempt in one table, and every span of time that the order machine knows."""

from __future__ import annotations

from enum import StrEnum

from neuroflux.domain import Microseconds
from neuroflux.engine.orders.state import Phase

SECOND: Microseconds = 1_000_000
MAX_ATTEMPTS = 3
SEND_WITHIN = 120 * SECOND
FRESH_FOR = 5 * SECOND
"""How old a decision may be when its order is sent for the first time: as old as a book that one is made from."""
ANSWER_WITHIN = 10 * SECOND
"""When nobody told what became of a request by then, the shell has lost it."""
FILLS_WITHIN = 30 * SECOND
MAX_HEDGES = 20
MAX_REROUTES = 2
HEDGE_AGAIN, HEDGE_LATEST = 200_000, 2 * SECOND
"""The second try to hedge follows the first at once, since it goes elsewhere if it can; each later one waits as much
longer, up to the latest: half a minute in all."""
CANCEL_AGAIN = 2 * SECOND
QUIET_RESTING = 30 * SECOND
QUIET_IMMEDIATE = 2 * SECOND
"""How long nothing may be heard of an order that rests, or that should have ended at once, before it is asked after."""
BACK_OFF = (250_000, 500_000, SECOND, 2 * SECOND, 4 * SECOND)
SLOW_AFTER, SLOW = 150, 30 * SECOND
MAX_QUERIES = 300
"""How often an order is asked after in a row without a word that is understood (question and answer count each): some
five minutes every few seconds, then more slowly, and after three quarters of an hour it is a person's."""
CANCELS_QUICK, MAX_CANCELS = 15, 60
"""How often a cancel is sent without a pause, and at all, for an order that stands all the same."""
LOST_AFTER = 4
"""So many times in a row an exchange must not know an order that it had acknowledged, until it counts as gone."""


class Input(StrEnum):
    """What can happen to an attempt; the first six are reports of the exchange."""

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
    """A final phase: no report, fill or late answer leads out of it."""
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
"""Phase and input → phase. What is not here is a fault."""
