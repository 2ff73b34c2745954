"""Replays a recording at any speed: the same records, in the same order, at the same offsets.

After every ``MARK`` of recorded time it waits for Kafka and publishes a mark with the end of each partition: a consumer
that reads the log in order of time then knows that nothing earlier will follow. After a kill it resumes where it
stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable

from neuroflux.domain import Microseconds, ReplayMark
from neuroflux.errors import NeuroFluxError, UsageError
from neuroflux.exchanges.catalogue import exchange
from neuroflux.exchanges.kit.events import PageNeeded, SnapshotNeeded
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.kafka.admin import extents
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.kafka.resumed import Resumed
from neuroflux.records.sink import Sink
from neuroflux.records.topics import ALL, BOOKS, INSTRUMENTS, MARKS, QUOTES, TRADES
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings
from producers.book_schedule import INTERVAL
from producers.normaliser import Normaliser
from producers.recording_file import Frame, Line, RestAnswer, SocketStatus, SymbolsFollowed, read

MARK: Microseconds = 200_000
TICK: Microseconds = INTERVAL // 4
log = logging.getLogger(__name__)

STEPPED = (INSTRUMENTS, QUOTES, TRADES, BOOKS)
"""The topics of the marks: what prices and signals are computed from."""


class Player:
    """Passes each line of a recording to its exchange's normaliser, and the time between them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._of: dict[str, Normaliser] = {}
        self._lists: defaultdict[str, list[Answer]] = defaultdict(list)

    def take(self, line: Line) -> None:
        match line:
            case Frame():
                self._of[line.exchange].frame(line.socket, line.content, line.time)
            case RestAnswer(of=0):
                self._of[line.exchange].answer(line.symbol, line.answer, line.time)
            case RestAnswer():
                self._list(line)
            case SymbolsFollowed():
                self._of[line.exchange].follow(line.symbols, line.time)
            case SocketStatus():
                self._of[line.exchange].socket(line.socket, line.kind, line.value, line.detail, line.time)

    def passed(self, now: Microseconds) -> None:
        for normaliser in self._of.values():
            normaliser.passed(now)

    def _list(self, line: RestAnswer) -> None:
        """Take the instruments of an exchange, once every list of them was read."""
        lists = self._lists[line.exchange]
        lists.append(line.answer)
        if len(lists) == line.of:
            if line.exchange not in self._of:
                self._of[line.exchange] = Normaliser(exchange(line.exchange), self._sink, _recorded)
            try:
                self._of[line.exchange].instruments(self._lists.pop(line.exchange), line.time)
            except NeuroFluxError as error:  # as when it was recorded: the list before it stays
                log.warning("%s: a list of instruments can't be read: %s", line.exchange, error)


def _recorded(_: SnapshotNeeded | PageNeeded) -> None:
    """Nothing to fetch: the answer is in the recording."""


class PlaybackClock:
    """Limits recorded time to ``speed`` times the clock's; 0 sets no limit."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = asyncio.get_running_loop().time()
        self._first: Microseconds = 0

    async def until(self, time: Microseconds) -> None:
        if not self._speed:
            return
        self._first = self._first or time
        due = self._began + (time - self._first) / 1e6 / self._speed
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def play(lines: Iterable[Line], sink: Resumed, publisher: Publisher, clock: PlaybackClock) -> None:
    """Publish the records of the lines, and a mark after each ``MARK`` of their time and at the end."""
    player, tick = Player(sink), 0
    for line in lines:
        tick = tick or line.time // TICK * TICK
        while tick <= line.time:
            sink.now = tick
            player.passed(tick)
            if tick % MARK == 0:
                await clock.until(tick)
                await _mark(sink, publisher, last=False)
            tick += TICK
        sink.now = max(sink.now, line.time)
        player.take(line)
    sink.now = tick
    player.passed(tick)
    await _mark(sink, publisher, last=True)


async def _mark(sink: Resumed, publisher: Publisher, *, last: bool) -> None:
    await publisher.flush()
    sink.publish(MARKS, ReplayMark({topic.name: sink.ends(topic) for topic in STEPPED}, last, sink.now))


async def main(settings: Settings) -> None:
    """Play NEUROFLUX_RECORDING at NEUROFLUX_REPLAY_SPEED; then keep running, since an exit would count as a failure."""
    if settings.recording is None:
        raise UsageError("NEUROFLUX_RECORDING: the file to read is needed")
    async with Publisher(settings, await load_codec(settings), client_id="replay") as publisher:
        sink = Resumed(publisher, await extents(settings, ALL))
        ready()
        await play(read(settings.recording), sink, publisher, PlaybackClock(settings.replay_speed))
        await publisher.flush()
        await asyncio.Event().wait()
