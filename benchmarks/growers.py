"""``python -m benchmarks.growers SYMBOLS``: prints microseconds per tick and KiB per symbol."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks import frames, local
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.kit.events import PageNeeded, SnapshotNeeded
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.records.topics import Topic
from neuroflux.runtime.stage import spare_collector
from producers.normaliser import Normaliser

START = 1_700_000_000_000_000
LEVELS = 500
TICKS = 60_000
KINDS = 3
FIRST = 2
"""The update id of a book's first diff, after a snapshot that ends at 1."""


class Encoder:
    """Encodes records as a publisher does, and discards the bytes."""

    def __init__(self) -> None:
        self._codec = frames.codec()
        self.counted: Counter[str] = Counter()

    def publish(self, topic: Topic, record: Any) -> None:
        self.counted[topic.name] += 1
        topic.key(record).encode()
        self._codec.encode(topic, record)

    def publish_raw(self, *_: Any) -> None:
        raise AssertionError("every frame is sound")


def diff(name: str, update: int, chance: random.Random) -> bytes:
    place = min(int(chance.expovariate(1 / 8)), LEVELS - 1)
    level = [f"{30_000 - place / 100:.2f}", f"{chance.random():.8f}"]
    data = {
        "e": "depthUpdate",
        "E": 1,
        "s": f"{name}USDT",
        "U": 1 if update == FIRST else update,
        "u": update,
        "b": [level],
        "a": [],
    }
    return json.dumps({"stream": f"{name.lower()}usdt@depth@100ms", "data": data}).encode()


def snapshot(name: str) -> Answer:
    sides = {
        "bids": [[f"{30_000 - number / 100:.2f}", "1.00000000"] for number in range(LEVELS)],
        "asks": [[f"{30_000.01 + number / 100:.2f}", "1.00000000"] for number in range(LEVELS)],
    }
    body = json.dumps({"lastUpdateId": 1} | sides).encode()
    return Answer(Request("GET", f"/api/v3/depth?symbol={name}USDT&limit=1000", tag="depth"), 200, body)


def ticks(names: list[str]) -> Iterator[bytes]:
    """A quote, a trade and a diff of each symbol, one symbol after the other."""
    chance = random.Random(1)
    each = TICKS // KINDS
    quotes, trades = frames.quotes(names, each), frames.trades(names, each)
    for number in range(each):
        yield quotes[number]
        yield trades[number]
        yield diff(names[number % len(names)], FIRST + 1 + number // len(names), chance)


def main(symbols: int) -> None:
    names = frames.bases(symbols)
    given = list(ticks(names))
    spare_collector()
    requested: list[SnapshotNeeded | PageNeeded] = []
    encoder = Encoder()
    normaliser = Normaliser(Binance(), encoder, requested.append)
    before = local.resident()
    normaliser.instruments([frames.listing(names)], START)
    normaliser.follow([f"{name}/USDT" for name in names], START)
    chance = random.Random(2)
    for name in names:
        normaliser.frame(0, diff(name, FIRST, chance), START)
        normaliser.answer(f"{name}/USDT", snapshot(name), START)
    normaliser.passed(START)
    if encoder.counted["market.books"] != symbols:
        raise RuntimeError("not every book is proved")
    held = (local.resident() - before) / symbols
    began = time.perf_counter()
    for number, raw in enumerate(given):
        normaliser.frame(0, raw, START + number)
    print((time.perf_counter() - began) / len(given) * 1e6, held)


if __name__ == "__main__":
    main(int(sys.argv[1]))
