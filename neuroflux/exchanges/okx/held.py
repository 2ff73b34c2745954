"""What OKX's answers leave out: they list only the assets and positions that an account has.

A position that was closed, or an asset that was spent, while the socket was lost is in no push and in no answer: it is
reported as 0. Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-positions
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from neuroflux.domain import Balance, Microseconds, Position
from neuroflux.exchanges.kit.events import FeedEvent
from neuroflux.exchanges.kit.omitted import Held
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.exchanges.okx.numbers import ZERO
from neuroflux.exchanges.okx.rest import EPOCH, ID

_MICROSECOND = timedelta(microseconds=1)


class HeldFigures:
    """The balances and positions that were reported last as more than nothing."""

    def __init__(self) -> None:
        self._balances, self._positions = Held(), Held()

    def report(self, events: Sequence[FeedEvent]) -> None:
        """Note the figures of a push or an answer."""
        for event in events:
            if isinstance(event, Balance):
                self._balances.reported(event.asset, event.total != 0, event.event_time)
            elif isinstance(event, Position):
                self._positions.reported(event.symbol, event.quantity != 0, event.event_time)

    def omitted(self, answer: Answer, events: Sequence[FeedEvent], received: Microseconds) -> Sequence[FeedEvent]:
        """What an answer leaves out; nothing where one of its rows can't be read, since that may be the one."""
        asked = _asked_at(answer)
        match answer.request.tag:
            case "balances" if all(isinstance(one, Balance) for one in events):
                named = {one.asset for one in events if isinstance(one, Balance)}
                gone = self._balances.omitted(named, asked)
                return [Balance(ID, asset, ZERO, ZERO, ZERO, ZERO, received) for asset in gone]
            case "positions" if all(isinstance(one, Position) for one in events):
                symbols = {one.symbol for one in events if isinstance(one, Position)}
                gone = self._positions.omitted(symbols, asked)
                return [Position(ID, symbol, ZERO, ZERO, ZERO, received) for symbol in gone]
        return ()


def _asked_at(answer: Answer) -> Microseconds:
    """The time at which the request was signed, by the exchange's clock; 0 where it is not signed."""
    stamp = answer.request.headers.get("OK-ACCESS-TIMESTAMP")
    return (datetime.fromisoformat(stamp) - EPOCH) // _MICROSECOND if stamp else 0
