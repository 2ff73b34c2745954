"""The balances and positions of one account: chooses between the pushes of the stream and the answers to requests.

A push and an answer about one figure arrive in either order. An answer is as new as its request, and may lag behind
pushes of just before; a push is as old as its event time. If it is unknown which is newer, the figure stays, and the
caller is to request it again. What a complete answer omits has become zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import Balance, ExchangeStatus, Microseconds, Position, StatusKind
from producers.listings import mentions

REPEAT: Microseconds = 50_000_000
"""An unchanged figure is published again after this long, so that its age is known."""
SETTLED: Microseconds = 2_000_000
"""A figure that the stream changed less than this ago is still moving, and REST may lag behind it."""

Figure = Balance | Position
Key = tuple[str, str]


class Reading(Struct, frozen=True):
    """The answers to requests. ``requested_at`` is our time of the first request, ``received`` of the last answer.

    ``is_whole``: every answer arrived and is complete. ``unread`` has the texts of what could not be read in them: a
    figure that one of them names is not omitted.
    """

    figures: Sequence[Figure]
    requested_at: Microseconds
    received: Microseconds
    is_whole: bool
    unread: Sequence[str] = ()


class _Kept(Struct):
    """``pushed`` and ``requested_at`` are our times of the last push, and of the last answer that was taken."""

    figure: Figure
    published: Microseconds
    updated_at: Microseconds
    pushed: Microseconds = 0
    requested_at: Microseconds = 0


class Figures:
    """``before`` are this account's figures in the log; ``pushes_whole`` is that of its ``AccountFeed``.

    ``name_of`` gives the exchange's own name of a symbol.
    """

    def __init__(
        self,
        before: Iterable[Figure],
        publish: Callable[[Figure], None],
        publish_status: Callable[[ExchangeStatus], None],
        name_of: Callable[[str], str] = str,
    ) -> None:
        self._publish, self._publish_status, self._name_of = publish, publish_status, name_of
        self._kept = {key_of(one): _Kept(one, 0, 0) for one in before}
        self._streamed_since: Microseconds | float = inf
        self._difference: ExchangeStatus | None = None
        self.pushes_whole = True

    def connected(self, now: Microseconds) -> None:
        """From now on the stream pushes changes: a figure that changes without a push is a difference."""
        self._streamed_since = now

    def disconnected(self) -> None:
        self._streamed_since = inf

    def pushed(self, figure: Figure, now: Microseconds, offset: Microseconds) -> bool:
        """Take a push; returns whether to request the figure, because the push was older than what is known."""
        known = self._kept.get(key_of(figure))
        if (
            known is not None
            and figure.event_time - offset < known.requested_at
            and self._disagree(known.figure, figure)
        ):
            return True
        self._keep(figure, now).pushed = now
        return False

    def changes(self, figure: Figure) -> bool:
        """Whether the amount differs from the known one."""
        known = self._kept.get(key_of(figure))
        return known is None or _is_other(known.figure, figure)

    def read(self, reading: Reading) -> bool:
        """Take answers; returns whether to request again, because the stream changed some of them just before."""
        named = {key_of(one): one for one in reading.figures}
        absent = self._left_out(named, reading) if reading.is_whole else []
        before, self._difference = self._difference, None
        moving = [self._answered(one, reading) for one in (*named.values(), *absent)]
        if before is not None and self._difference is None:
            self._compared_again(before, reading, is_sure=reading.is_whole and not any(moving))
        return any(moving)

    def _left_out(self, named: Mapping[Key, Figure], reading: Reading) -> list[Figure]:
        return [
            _none_of(one.figure, reading.received)
            for key, one in self._kept.items()
            if key not in named and not _is_none(one.figure) and not self._is_unread(one.figure, reading.unread)
        ]

    def _is_unread(self, figure: Figure, unread: Sequence[str]) -> bool:
        name = figure.asset if isinstance(figure, Balance) else self._name_of(figure.symbol)
        return mentions(unread, name)

    def _answered(self, figure: Figure, reading: Reading) -> bool:
        known = self._kept.get(key_of(figure))
        if known is not None and known.pushed > reading.requested_at - SETTLED and self._disagree(known.figure, figure):
            return True
        if known is not None and known.updated_at >= self._streamed_since and _is_other(known.figure, figure):
            self._differ(known.figure, figure, reading.received)
        kept = self._keep(figure, reading.received)
        kept.requested_at = kept.updated_at = reading.requested_at
        return False

    def _disagree(self, known: Figure, figure: Figure) -> bool:
        """Whether it matters which is newer: parts that pushes omit are always newer in an answer."""
        return _is_other(known, figure) or (self.pushes_whole and _is_changed(known, figure))

    def _keep(self, figure: Figure, now: Microseconds) -> _Kept:
        """Keep a figure, and publish it if it changed or is due again."""
        known = self._kept.get(key_of(figure))
        if known is None:
            known = self._kept[key_of(figure)] = _Kept(figure, 0, now)
        known.updated_at = now
        if now - known.published >= REPEAT or _is_changed(known.figure, figure):
            known.published = now
            self._publish(figure)
        known.figure = figure
        return known

    def _compared_again(self, before: ExchangeStatus, reading: Reading, is_sure: bool) -> None:
        """A difference lasts until a complete answer has none, which is published with the value 0."""
        if is_sure:
            detail = "the stream and the exchange agree again"
            self._publish_status(replace(before, value=0.0, detail=detail, event_time=reading.received))
        else:
            self._difference = before

    def _differ(self, before: Figure, after: Figure, now: Microseconds) -> None:
        """Publish a difference. Wallets exclude unrealised profit, so market moves are none."""
        old, new = amount_of(before), amount_of(after)
        detail = f"{key_of(after)[1]}: the stream reported {old}, the exchange {new}"
        kind, value = StatusKind.DIFFERENCE, float(new - old)
        self._difference = ExchangeStatus(after.exchange, "account", kind, value, detail, now)
        self._publish_status(self._difference)


def last_of_each(figures: Iterable[Figure]) -> list[Figure]:
    """The last of each figure: it may be the sum of several answers (Hyperliquid's spot and margin)."""
    return list({key_of(one): one for one in figures}.values())


def key_of(figure: Figure) -> Key:
    return type(figure).__name__, figure.asset if isinstance(figure, Balance) else figure.symbol


def amount_of(figure: Figure) -> Decimal:
    """A balance's wallet, or a position's quantity."""
    return figure.total - figure.unrealised_pnl if isinstance(figure, Balance) else figure.quantity


def _is_other(before: Figure, after: Figure) -> bool:
    return amount_of(before) != amount_of(after)


def _is_changed(before: Figure, after: Figure) -> bool:
    return replace(before, event_time=0) != replace(after, event_time=0)


def _is_none(figure: Figure) -> bool:
    if isinstance(figure, Position):
        return not figure.quantity
    return not any((figure.total, figure.free, figure.in_orders, figure.in_positions))


def _none_of(figure: Figure, now: Microseconds) -> Figure:
    zero = Decimal(0)
    if isinstance(figure, Balance):
        return Balance(figure.exchange, figure.asset, zero, zero, zero, zero, now)
    return Position(figure.exchange, figure.symbol, zero, zero, zero, now)
