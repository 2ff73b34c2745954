"""Raw frames in, normalised events out, as text: the adapters alone, without a network.

A frame is decoded by the public feed and by the private one, and the more specific result is written. Lists of
instruments name the symbols of the lines after them. Any line of input causes at least one line of output, and none
ends the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from neuroflux.domain import UNREADABLE_ANSWER, ExchangeStatus, InDoubt, Instrument, Microseconds, StatusKind, Throttled
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.decoded_lines import Fields, an_error, fields_of, is_ignored, outcome_lines, written
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Resubscribe, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.interface import Feed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

RAISED: Final = "the adapter raised"
"""Begins the reason where an adapter raised, which it must not: a fault of ours, not of the line."""

_FAULTS: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    *(msgspec.MsgspecError, NeuroFluxError),
)
_ORDER_TAGS: Final = frozenset(
    {"place", "cancel", "query", "order", "order limit", "order market", "cancelByCloid", "orderStatus"}
)
_SENT_TAGS: Final = frozenset({"place", "cancel"})
"""An answer to one of these always has an outcome: the order may be open."""
_ORDER_PATHS: Final = ("/order", "/exchange")
_KEYS: Final = Keys("0x" + "0" * 40, "0x" + "01" * 32)
_LATEST: Final = 4_102_444_800_000_000
"""2100 in microseconds: what is later, or before 1970, is no time of arrival."""


class _Line(Struct, frozen=True):
    """One line of input; ``ts_recv`` in seconds. Fields of a wrong type have their defaults."""

    raw: str
    dir: Any = "ws"
    ts_recv: Any = None
    channel: Any = ""
    url: Any = ""
    path: Any = ""
    tag: Any = ""
    status: Any = 200
    method: Any = "GET"


_LINE: Final = msgspec.json.Decoder(_Line)


class Decoding:
    """The feeds of one exchange, and the instruments it has listed so far."""

    def __init__(self, exchange_id: str, book_depth: int) -> None:
        self._exchange = exchange_of(exchange_id)
        self._depth = book_depth
        self._listed: dict[str, Instrument] = {}
        self._feeds: tuple[Feed, ...] = (self._exchange.market_feed([]), self._exchange.account_feed(_KEYS, []))
        self._order_client = self._exchange.order_client(_KEYS, [])

    def line(self, number: int, text: str) -> Iterator[str]:
        """The events of one line, each as JSON; at least one."""
        try:
            fields = self._read(text)
        except _FAULTS as error:
            fields = [an_error(f"{RAISED} {type(error).__name__}: {error}")]
        for one in fields or [is_ignored("buffered: waits for its snapshot")]:
            yield written(number, one)

    def _read(self, text: str) -> list[Fields]:
        try:
            line = _LINE.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return [an_error(f"no line of input: {error}")]
        received = _microseconds(line.ts_recv)
        if line.dir == "ws":
            channel = _text_or(line.channel, "")
            return self._events(lambda feed: feed.frame(line.raw, received, channel))
        if line.dir != "rest":
            return [an_error(f"no line of input: dir is neither ws nor rest: {line.dir!r}"[:200])]
        try:
            answer = _answer(line, received)
        except ValueError as error:
            return [an_error(f"no line of input: url: {error}")]
        return self._answered(answer, received)

    def _answered(self, answer: Answer, received: Microseconds) -> list[Fields]:
        listed = self._lists(answer, received)
        if listed:
            return listed
        if not _is_of_an_order(answer.request):
            return [*self._held(answer, received), *self._events(lambda feed: feed.answer(answer, received))]
        outcome = self._order_client.outcome(answer)
        chosen = self._chosen(lambda feed: feed.answer(answer, received))
        is_unread = isinstance(outcome, InDoubt) and outcome.reason.startswith(UNREADABLE_ANSWER)
        is_sent = answer.request.tag in _SENT_TAGS or any(isinstance(one, Undecodable) for one in chosen)
        if is_unread and not is_sent:
            return self._written(chosen)  # an answer that only its request explains is no doubt
        return list(outcome_lines(outcome, self._exchange.ID, received))

    def _held(self, answer: Answer, received: Microseconds) -> list[Fields]:
        """How long the exchange refuses any request after this answer; nothing where it refuses none."""
        wait = self._exchange.usage(answer).wait if answer.status in (418, 429) else None
        if wait is None:
            return []
        held = Throttled(wait, f"HTTP {answer.status}: {answer.body[:200]!r}")
        return list(outcome_lines(held, self._exchange.ID, received))

    def _lists(self, answer: Answer, received: Microseconds) -> list[Fields]:
        """The result of a list of instruments; nothing where this is none. Later lines have its symbols."""
        try:
            listing = self._exchange.listing([answer])
        except NeuroFluxError:
            return []
        listed = {one.name: one for one in listing.instruments}
        changed = [one for name, one in listed.items() if self._listed.get(name) != one]
        self._listed |= listed
        if changed:
            self._order_client = self._exchange.order_client(_KEYS, list(self._listed.values()))
        for feed in self._feeds:
            feed.learn(changed)
        faults = (_fault(self._exchange.ID, fault, received) for fault in listing.faults)
        return [is_ignored("instruments"), *(fields_of(one, self._depth) for one in faults)]

    def _events(self, ask: Callable[[Feed], Sequence[FeedEvent]]) -> list[Fields]:
        return self._written(self._chosen(ask))

    def _written(self, events: Sequence[FeedEvent]) -> list[Fields]:
        """A request for a snapshot is no event: it is written where nothing else is."""
        useful = [one for one in events if not isinstance(one, SnapshotNeeded | Resubscribe)]
        return [fields_of(one, self._depth) for one in useful or events]

    def _chosen(self, ask: Callable[[Feed], Sequence[FeedEvent]]) -> Sequence[FeedEvent]:
        """The more specific result: an event, else an error of the feed that should read it, else that it is unused."""
        return min((ask(feed) for feed in self._feeds), key=_rank)


def _rank(events: Sequence[FeedEvent]) -> int:
    """0 is the most specific. A malformed frame is less specific than another feed's event."""
    return min((_rank_of(event) for event in events), default=3)


def _rank_of(event: FeedEvent) -> int:
    if isinstance(event, Ignored):
        return 3
    if isinstance(event, Undecodable):
        return 2
    return int(isinstance(event, ExchangeStatus) and event.kind is StatusKind.MALFORMED)


def _answer(line: _Line, received: Microseconds) -> Answer:
    """Raises ValueError for what can be no address."""
    url = _text_or(line.url, "") or _text_or(line.path, "")
    urlsplit(url)
    tag = _text_or(line.tag, "") or _text_or(line.channel, "")
    status = line.status if isinstance(line.status, int) and 0 <= line.status <= 999 else 200
    request = Request(_text_or(line.method, "GET"), url, tag=tag)
    return Answer(request, status, line.raw.encode(), received_at=received)


def _is_of_an_order(request: Request) -> bool:
    return request.tag in _ORDER_TAGS or request.path.partition("?")[0].endswith(_ORDER_PATHS)


def _fault(exchange: str, text: str, time: Microseconds) -> ExchangeStatus:
    kind = StatusKind.UNKNOWN if "unknown" in text.lower() or "not known" in text.lower() else StatusKind.MALFORMED
    return ExchangeStatus(exchange, "instruments", kind, 0.0, text, time)


def _text_or(value: object, default: str) -> str:
    return value if isinstance(value, str) else default


def _microseconds(seconds: object) -> Microseconds:
    try:
        time = int(float(seconds) * 1e6) if isinstance(seconds, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0
    return time if 0 <= time <= _LATEST else 0


def decode_lines(exchange_id: str, lines: Iterable[str], book_depth: int = 20) -> Iterator[str]:
    """Each line of input to the JSON lines it causes; raises UsageError for an exchange that there is none."""
    decoding = Decoding(exchange_id, book_depth)
    for number, text in enumerate(lines, start=1):
        if text.strip(" \t\r\n"):
            yield from decoding.line(number, text)
