"""A recording is served as it was made: the snapshot, and the frames of what a client subscribed to, in order."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from neuroflux.errors import UsageError
from neuroflux.sim.binance.replay import read
from neuroflux.sim.server import serve

WIRE = Path(__file__).parents[5] / "shared" / "wire"
SNAPSHOT = {"lastUpdateId": 10, "bids": [["1.50", "20"]], "asks": [["1.55", "3"]]}


def _frame(stream: str, number: int) -> dict[str, object]:
    return {"stream": stream, "data": {"u": number}}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    frames = [_frame("abcusdt@depth@100ms", 9), _frame("abcusdt@trade", 1), _frame("abcusdt@depth@100ms", 11)]
    lines: list[dict[str, object]] = [
        {"dir": "ws", "raw": json.dumps(frame), "ts_recv": 5 + at / 10} for at, frame in enumerate(frames)
    ]
    url = "https://api.binance.com/api/v3/depth?symbol=ABCUSDT&limit=1000"
    lines.insert(1, {"dir": "rest", "raw": json.dumps(SNAPSHOT), "url": url})
    path = tmp_path / "recording.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


async def test_the_recorded_symbol_replaces_the_market(recording: Path) -> None:
    async with serve(0, 1, replay=recording) as served, aiohttp.ClientSession(served.url) as http:
        async with http.get("/binance/api/v3/depth", params={"symbol": "ABCUSDT"}) as answer:
            assert await answer.json() == SNAPSHOT
        async with http.get("/binance/api/v3/depth", params={"symbol": "BTCUSDT", "limit": 5}) as answer:
            assert len((await answer.json())["bids"]) == 5
        for params in ({}, {"symbol": "ABCUSDT"}):
            async with http.get("/binance/api/v3/exchangeInfo", params=params) as answer:
                listed = {each["symbol"]: each for each in (await answer.json())["symbols"]}
            assert (listed["ABCUSDT"]["baseAsset"], listed["ABCUSDT"]["quoteAsset"]) == ("ABC", "USDT")
            filters = {each["filterType"]: each for each in listed["ABCUSDT"]["filters"]}
            assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.01", "1")


async def test_only_subscribed_streams_are_sent_wrapped_as_requested(recording: Path) -> None:
    async with serve(0, 1, replay=recording) as served, aiohttp.ClientSession(served.url) as http:
        async with http.ws_connect("/binance/stream?streams=abcusdt@depth@100ms/abcusdt@trade") as socket:
            got = [await socket.receive_json(timeout=5) for _ in range(3)]
        assert [(each["stream"], each["data"]["u"]) for each in got] == [
            ("abcusdt@depth@100ms", 9),
            ("abcusdt@trade", 1),
            ("abcusdt@depth@100ms", 11),
        ]
        async with http.ws_connect("/binance/stream/ws/0") as socket:
            await socket.send_json({"method": "SUBSCRIBE", "params": ["abcusdt@depth@100ms"], "id": 7})
            replies = [await socket.receive_json(timeout=5) for _ in range(3)]
        assert sorted(replies, key=lambda each: each.get("u", 0)) == [{"result": None, "id": 7}, {"u": 9}, {"u": 11}]


@pytest.mark.parametrize(
    "text", ["", "{", '{"dir":"ws","raw":"{}"}', '{"dir":"rest","raw":"{}","url":"https://x/depth"}']
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError):
        read(path)


def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read(tmp_path / "none.jsonl")


@pytest.mark.skipif(not WIRE.exists(), reason="the recordings of ../shared/wire are not here")
@pytest.mark.parametrize(
    ("name", "exchange_id", "symbol"),
    [
        ("binance_spot/seq_spot_NKNUSDT", "binance", "NKNUSDT"),
        ("binance_spot/seq_spot_BLZETH", "binance", "BLZETH"),
        ("binance_usdm/seq_usdm_SUSHIUSDT", "binanceusdm", "SUSHIUSDT"),
    ],
)
def test_real_recordings_are_read(name: str, exchange_id: str, symbol: str) -> None:
    recording = read(WIRE / f"{name}.jsonl")
    assert (recording.exchange_id, recording.symbol) == (exchange_id, symbol)
    assert all(frame.stream.startswith(symbol.lower()) for frame in recording.frames)
    assert [frame.after for frame in recording.frames] == sorted(frame.after for frame in recording.frames)
