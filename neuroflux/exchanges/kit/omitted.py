"""What a complete answer omits no longer exists: exchanges list only what an account holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

from neuroflux.domain import Balance, Microseconds, Position
from neuroflux.exchanges.kit.events import FeedEvent

_ZERO: Final = Decimal(0)


class Held:
    """The names (of assets, of instruments) that were reported last as more than nothing, and when.

    Times are of one clock, the exchange's, in microseconds; 0 where it is not known.
    """

    def __init__(self) -> None:
        self._since: dict[str, Microseconds] = {}

    def reported(self, name: str, is_held: bool, time: Microseconds = 0) -> None:
        """Record one figure, pushed or answered."""
        if is_held:
            self._since[name] = time
        else:
            self._since.pop(name, None)

    def omitted(self, named: Collection[str], asked: Microseconds = 0) -> Iterable[str]:
        """The names that a complete answer left out, and which are held no more from here on, in order.

        ``asked`` is the time of its request: what was reported since then is newer than the answer (0: not known).
        """
        ended = sorted(name for name, since in self._since.items() if name not in named and not 0 < asked <= since)
        for name in ended:
            del self._since[name]
        return ended


class HeldFigures:
    """The balances and positions of an account that were reported last as more than nothing.

    What was spent or closed while the socket was lost is in no push and in no answer: it is reported as 0. ``asked``
    is as in ``Held``, ``time`` that of the records, both in microseconds.
    """

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._balances, self._positions = Held(), Held()

    def report(self, events: Iterable[FeedEvent]) -> None:
        """Record the figures of a push or an answer."""
        for event in events:
            if isinstance(event, Balance):
                self._balances.reported(event.asset, event.total != 0, event.event_time)
            elif isinstance(event, Position):
                self._positions.reported(event.symbol, event.quantity != 0, event.event_time)

    def balances_omitted(self, named: Collection[str], asked: Microseconds, time: Microseconds) -> list[Balance]:
        """Zeros for the assets that a complete answer left out."""
        gone = self._balances.omitted(named, asked)
        return [Balance(self._exchange, asset, _ZERO, _ZERO, _ZERO, _ZERO, time) for asset in gone]

    def positions_omitted(self, named: Collection[str], asked: Microseconds, time: Microseconds) -> list[Position]:
        """Zeros for the symbols whose positions a complete answer left out."""
        gone = self._positions.omitted(named, asked)
        return [Position(self._exchange, symbol, _ZERO, _ZERO, _ZERO, time) for symbol in gone]
