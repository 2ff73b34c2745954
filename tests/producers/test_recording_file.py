"""A recording is read as it was written, even if the end of the file is damaged."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroflux.domain import StatusKind
from neuroflux.errors import MalformedFrame, UsageError
from neuroflux.exchanges.kit.requests import Answer, Request
from producers.recording_file import Line, Recording, SocketStatus, SymbolsFollowed, frame, read, rest_answer

START = 1_795_723_497_537_843
REQUEST = Request("POST", "/info", b'{"type":"l2Book"}', tag="book:BTC")
ANSWER = Answer(REQUEST, 200, b'{"levels":[]}', {"date": "now"})


def lines(count: int) -> list[Line]:
    """A second between two."""
    first: list[Line] = [
        rest_answer("binance", ANSWER, START, of=1),
        SymbolsFollowed("binance", START / 1e6, ["BTC/USDT"]),
        SocketStatus("binance", START / 1e6, 0, StatusKind.CONNECTED, 0.0, ""),
        frame("binance", 0, b'{"s":"\\u00e9"}', START + 1),
        frame("binance", 1, b"\xff\xfe", START + 2),
        rest_answer("binance", ANSWER, START + 3, "BTC/USDT"),
    ]
    return first + [frame("binance", 0, b"%d" % number, START + number * 1_000_000) for number in range(1, count)]


def write(path: Path, given: list[Line], rotate: int = 1 << 20) -> None:
    recording = Recording(path, rotate)
    for line in given:
        recording.write(line)
    recording.close()


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = lines(5)
    write(tmp_path / "a.gz", given)
    found = list(read(tmp_path / "a.gz"))
    assert found == given
    assert [line.time - START for line in found[:6]] == [0, 0, 0, 1, 2, 3]
    assert (found[4].content, found[5].answer) == (b"\xff\xfe", ANSWER)  # type: ignore[union-attr]


def test_it_continues_in_the_next_file_when_one_is_full(tmp_path: Path) -> None:
    given = lines(50)
    write(tmp_path / "a.gz", given, rotate=200)
    assert len(list(tmp_path.iterdir())) > 3
    assert list(read(tmp_path / "a.gz")) == given


def test_a_truncated_file_loses_what_was_cut_off_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Cut at any byte: what is left is the beginning, and at most a second is missing of what had been flushed."""
    given = lines(20)
    write(tmp_path / "whole.gz", given)
    whole = (tmp_path / "whole.gz").read_bytes()
    truncated, last = tmp_path / "torn.gz", 0
    for size in range(len(whole)):
        truncated.write_bytes(whole[:size])
        caplog.clear()
        found = list(read(truncated))
        assert found == given[: len(found)]
        assert len(found) >= last
        assert "was not closed" in caplog.text
        last = len(found)
    assert last == len(given)


def test_what_was_written_can_be_read_before_it_is_closed(tmp_path: Path) -> None:
    given = lines(20)
    recording = Recording(tmp_path / "a.gz")
    for line in given:
        recording.write(line)
    assert list(read(tmp_path / "a.gz")) == given
    recording.close()


def test_a_broken_middle_ends_its_file_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = lines(50)
    write(tmp_path / "a.gz", given)
    broken = bytearray((tmp_path / "a.gz").read_bytes())
    broken[len(broken) // 2] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(broken)
    assert len(list(read(tmp_path / "a.gz"))) < len(given)
    assert "broken" in caplog.text


@pytest.mark.parametrize(
    ("prepare", "act", "named"),
    [
        (lambda path: path.write_bytes(b""), Recording, "exists already"),
        (lambda path: None, lambda path: list(read(path)), "does not exist"),
    ],
)
def test_wrong_use_is_an_error(
    tmp_path: Path, prepare: Callable[[Path], object], act: Callable[[Path], object], named: str
) -> None:
    prepare(tmp_path / "a.gz")
    with pytest.raises(UsageError, match=named):
        act(tmp_path / "a.gz")


def test_a_malformed_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(json.dumps({"dir": "??"}).encode() + b"\n"))
    with pytest.raises(MalformedFrame, match="line 1"):
        list(read(tmp_path / "a.gz"))
