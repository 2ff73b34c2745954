"""Records the public feeds in a file, without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from neuroflux.domain import Instrument, Microseconds, StatusKind
from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.records.sink import Sink
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings
from producers.market import follow_all
from producers.normaliser import Fetch, Normaliser
from producers.recording_file import Recording, SocketStatus, SymbolsFollowed, frame, rest_answer


class NullSink:
    """A sink that keeps nothing: the input is recorded, not the output."""

    def publish(self, topic: Topic, record: Any) -> None: ...

    def publish_raw(
        self, topic: Topic, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]
    ) -> None: ...

    async def drain(self) -> None: ...


class Recorded(Normaliser):
    """Writes each input to the recording before it is processed, since its output requests the snapshots."""

    def __init__(self, recording: Recording, exchange: Exchange, sink: Sink, fetch: Fetch) -> None:
        super().__init__(exchange, sink, fetch)
        self._id, self._recording = exchange.ID, recording

    def instruments(self, answers: Sequence[Answer], now: Microseconds) -> Sequence[Instrument]:
        for answer in answers:
            self._recording.write(rest_answer(self._id, answer, now, of=len(answers)))
        return super().instruments(answers, now)

    def follow(self, symbols: Sequence[str], now: Microseconds) -> Sequence[tuple[int, Subscription]]:
        self._recording.write(SymbolsFollowed(self._id, now / 1e6, list(symbols)))
        return super().follow(symbols, now)

    def frame(self, socket: int, raw: bytes, received: Microseconds) -> None:
        self._recording.write(frame(self._id, socket, raw, received))
        super().frame(socket, raw, received)

    def answer(self, symbol: str, answer: Answer, received: Microseconds) -> None:
        self._recording.write(rest_answer(self._id, answer, received, symbol))
        super().answer(symbol, answer, received)

    def socket(self, socket: int, kind: StatusKind, value: float, detail: str, now: Microseconds) -> None:
        self._recording.write(SocketStatus(self._id, now / 1e6, socket, kind, value, detail))
        super().socket(socket, kind, value, detail, now)


async def main(settings: Settings) -> None:
    """Record every exchange's public feeds until cancelled, to NEUROFLUX_RECORDING."""
    if settings.recording is None:
        raise UsageError("NEUROFLUX_RECORDING: the file to write is needed")
    recording = Recording(Path(settings.recording))
    try:
        await follow_all(settings, NullSink(), partial(Recorded, recording))
    finally:
        recording.close()
