"""What a complete answer omits no longer exists: exchanges list only what an account holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from neuroflux.domain import Microseconds


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
