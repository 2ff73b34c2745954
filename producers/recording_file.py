"""A recording: what the exchanges sent, unchanged and in order, one JSON object a line.

Compressed with gzip and flushed every second, so that a truncated file loses a second at most; after ``ROTATE``
bytes it continues in the next file (``FILE``, ``FILE.1``, ``FILE.2``). The lines of frames and REST answers of one
exchange are also input of ``neuroflux decode``.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct

from neuroflux.domain import Microseconds, StatusKind
from neuroflux.errors import MalformedFrame, UsageError
from neuroflux.exchanges.kit.requests import Answer, Request

ROTATE = 256 << 20
"""Compressed bytes per file."""
FLUSH: Microseconds = 1_000_000
CHUNK = 1 << 16
GZIP = 31
"""zlib's ``wbits`` for a gzip stream."""

log = logging.getLogger(__name__)


class BaseLine(Struct, frozen=True, tag_field="dir"):
    """The fields of every line. ``ts_recv`` is in seconds, exact to the microsecond."""

    exchange: str
    ts_recv: float

    @property
    def time(self) -> Microseconds:
        return round(self.ts_recv * 1e6)


class Frame(BaseLine, frozen=True, tag="ws"):
    """``socket`` is the number of the subscription. A frame that is not UTF-8 is kept in ``octets``."""

    socket: int
    raw: str = ""
    octets: bytes = b""

    @property
    def content(self) -> bytes:
        return self.octets or self.raw.encode()


class RestAnswer(BaseLine, frozen=True, tag="rest"):
    """A REST answer: the snapshot of ``symbol``, or, if that is empty, one of ``of`` lists of instruments."""

    method: str
    url: str
    body: str
    tag: str
    status: int
    raw: str
    headers: Mapping[str, str]
    symbol: str = ""
    of: int = 0

    @property
    def answer(self) -> Answer:
        request = Request(self.method, self.url, self.body.encode(), tag=self.tag)
        return Answer(request, self.status, self.raw.encode(), self.headers)


class SymbolsFollowed(BaseLine, frozen=True, tag="follow"):
    """Which symbols were followed from then on."""

    symbols: list[str]


class SocketStatus(BaseLine, frozen=True, tag="socket"):
    """A status of a socket."""

    socket: int
    kind: StatusKind
    value: float
    detail: str


Line = Frame | RestAnswer | SymbolsFollowed | SocketStatus

_DECODER = msgspec.json.Decoder(Line)


def frame(exchange: str, socket: int, raw: bytes, received: Microseconds) -> Frame:
    try:
        return Frame(exchange, received / 1e6, socket, raw.decode())
    except UnicodeDecodeError:
        return Frame(exchange, received / 1e6, socket, octets=raw)


def rest_answer(exchange: str, answer: Answer, received: Microseconds, symbol: str = "", of: int = 0) -> RestAnswer:
    request, body = answer.request, answer.body.decode(errors="replace")
    place = request.method, request.path, request.body.decode(), request.tag
    return RestAnswer(exchange, received / 1e6, *place, answer.status, body, answer.headers, symbol, of)


class Recording:
    """Writes lines; to be closed. Raises UsageError if the file exists."""

    def __init__(self, path: Path, rotate: int = ROTATE) -> None:
        self._path, self._rotate = path, rotate
        self._number = 0
        self._flushed: Microseconds = 0
        if path.exists():
            raise UsageError(f"{path} exists already")
        self._open()

    def write(self, line: Line) -> None:
        self._put(self._gzip.compress(msgspec.json.encode(line) + b"\n"))
        if line.time - self._flushed >= FLUSH:
            self._flushed = line.time
            self._put(self._gzip.flush(zlib.Z_SYNC_FLUSH))
            self._file.flush()
            if self._file.tell() >= self._rotate:
                self.close()
                self._number += 1
                self._open()

    def close(self) -> None:
        self._put(self._gzip.flush())
        self._file.close()

    def _open(self) -> None:
        self._gzip = zlib.compressobj(6, zlib.DEFLATED, GZIP)
        self._file = _named(self._path, self._number).open("xb")

    def _put(self, compressed: bytes) -> None:
        if compressed:
            self._file.write(compressed)


def read(path: Path) -> Iterator[Line]:
    """Every line of a recording, from all its files; a truncated file is read up to there, and logged.

    Raises UsageError if there is no such file, MalformedFrame for a malformed line.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    for number in count():
        part = _named(path, number)
        if not part.exists():
            return
        for place, line in enumerate(_lines(part), 1):
            try:
                yield _DECODER.decode(line)
            except msgspec.MsgspecError as error:
                raise MalformedFrame(f"{part}: line {place} is not a line of a recording: {error}") from error


def _named(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _lines(part: Path) -> Iterator[bytes]:
    rest = b""
    for text in _inflated(part):
        *whole, rest = (rest + text).split(b"\n")
        yield from whole
    if rest:
        log.warning("%s: its last line is truncated, and skipped", part)


def _inflated(part: Path) -> Iterator[bytes]:
    gzip = zlib.decompressobj(GZIP)
    with part.open("rb") as file:
        while chunk := file.read(CHUNK):
            try:
                yield gzip.decompress(chunk)
            except zlib.error as error:
                log.warning("%s: broken, and skipped from there on: %s", part, error)
                return
    if not gzip.eof:
        log.warning("%s: it was not closed; what was not yet written is missing", part)
