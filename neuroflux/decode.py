"""Raw frames in, normalised events out, as text: the adapters alone, without a network.

A frame goes to the public feed and, where that has no use for it, to the private one. Lists of instruments name the
symbols of what comes after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from neuroflux.domain import (
    Balance,
    ExchangeStatus,
    Fill,
    Funding,
    Instrument,
    Microseconds,
    OrderReport,
    Position,
    Quote,
    Trade,
)
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.base_exchange import (
    Answer,
    BookChanged,
    Feed,
    FeedEvent,
    Ignored,
    Keys,
    Request,
    SnapshotNeeded,
    Undecodable,
)
from neuroflux.exchanges.catalogue import exchange as exchange_of

_TYPES: Final = {
    Quote: "quote",
    Trade: "trade",
    Funding: "funding",
    Balance: "balance",
    Position: "position",
    OrderReport: "order",
    Fill: "fill",
    ExchangeStatus: "status",
    Ignored: "ignored",
}


class _Line(Struct, frozen=True):
    """One line of input; ``ts_recv`` in seconds."""

    raw: str
    dir: str = "ws"
    ts_recv: float | str | None = None
    channel: str = ""
    url: str = ""


_LINE: Final = msgspec.json.Decoder(_Line)


class Decoding:
    """The feeds of one exchange, and the instruments it has listed so far."""

    def __init__(self, exchange_id: str, book_depth: int) -> None:
        self._exchange = exchange_of(exchange_id)
        self._depth = book_depth
        self._listed: dict[str, Instrument] = {}
        self._make_feeds()

    def _make_feeds(self) -> None:
        instruments = list(self._listed.values())
        self._feeds: tuple[Feed, ...] = (
            self._exchange.market_feed(instruments),
            self._exchange.account_feed(Keys("0x" + "0" * 40, ""), instruments),
        )

    def line(self, number: int, text: str) -> Iterator[str]:
        """The events of one line, each as JSON."""
        for event in self._read(text):
            if isinstance(event, SnapshotNeeded):
                continue
            yield msgspec.json.encode({"line": number, **self._plain(event)}).decode()

    def _read(self, text: str) -> Sequence[FeedEvent]:
        try:
            line = _LINE.decode(text)
        except (msgspec.MsgspecError, ValueError) as error:
            return (Undecodable(f"no line of input: {error}"),)
        received = _microseconds(line.ts_recv)
        if line.dir == "ws":
            return self._chosen(lambda feed: feed.frame(line.raw, received, line.channel))
        answer = Answer(Request("GET", line.url, tag=line.channel), 200, line.raw.encode())
        if self._lists(answer):
            return (Ignored("instruments"),)
        return self._chosen(lambda feed: feed.answer(answer, received))

    def _lists(self, answer: Answer) -> bool:
        """Whether this was a list of instruments. What it names has another name from here on: books begin anew."""
        try:
            listed = {one.name: one for one in self._exchange.instruments([answer])}
        except NeuroFluxError:
            return False
        if listed.items() - self._listed.items():
            self._listed |= listed
            self._make_feeds()
        return True

    def _chosen(self, ask: Callable[[Feed], Sequence[FeedEvent]]) -> Sequence[FeedEvent]:
        """What says most: an event before one that is understood and not used, that before one that is not."""
        answers = [ask(feed) for feed in self._feeds]
        return min(answers, key=_rank)

    def _plain(self, event: FeedEvent) -> dict[str, Any]:
        if isinstance(event, BookChanged):
            return {"type": "book", **_fields(event.picture(self._depth))}
        if isinstance(event, Undecodable):
            return {"type": "error", "reason": event.reason}
        fields = _fields(event)
        if isinstance(event, OrderReport):
            fields["order_type"] = fields.pop("type")  # the line's own type is "order"
        return {"type": _TYPES[type(event)], **fields}


def _rank(events: Sequence[FeedEvent]) -> int:
    if any(not isinstance(event, Ignored | Undecodable) for event in events):
        return 0
    return 1 if all(isinstance(event, Ignored) for event in events) else 2


def _fields(event: Any) -> dict[str, Any]:
    """Prices and quantities as text; books as pairs. The kind of a status keeps its name, of what is ignored too."""
    fields = msgspec.structs.asdict(event)
    for side in ("bids", "asks"):
        if side in fields:
            fields[side] = [[level.price, level.quantity] for level in fields[side]]
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in fields.items()}


def _microseconds(seconds: float | str | None) -> Microseconds:
    try:
        return int(float(seconds or 0) * 1e6)
    except (ValueError, OverflowError):
        return 0


def decode_lines(exchange_id: str, lines: Iterable[str], book_depth: int = 20) -> Iterator[str]:
    """Each line of input to the JSON lines it causes; raises UsageError for an exchange that there is none."""
    decoding = Decoding(exchange_id, book_depth)
    for number, text in enumerate(lines, start=1):
        if text.strip():
            yield from decoding.line(number, text)
