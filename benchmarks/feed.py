"""From a WebSocket that sends as fast as it is read to records that Kafka has acknowledged, one process each.

The three run one after the other, and share two cores with the WebSocket and Kafka.
"""

from __future__ import annotations

from benchmarks import local
from benchmarks.feeders import BRIDGE, CRYPTOFEED
from benchmarks.turns import Contender, Goal, Row, in_turns
from neuroflux.records.topics import QUOTES
from neuroflux.runtime.settings import Settings
from tests.ports import free_port

MANY, FEW = 200_000, 20_000
"""Ticks per round; few for cryptofeed, which buffers what it reads in memory until Kafka can be scheduled."""


def rows(rounds: int) -> list[Row]:
    with local.stack() as settings:
        for topic in (BRIDGE, CRYPTOFEED):
            local.make_topic(settings, topic)
        port = str(free_port())
        with local.process(settings, "benchmarks.fountain", port):
            contenders = [
                Contender("neuroflux", "ours", lambda: _rate(settings, "ours", port, QUOTES.name, MANY)),
                Contender("cryptofeed", "peer", lambda: _rate(settings, "cryptofeed", port, CRYPTOFEED, FEW)),
                Contender("bridge", "limit", lambda: _rate(settings, "bridge", port, BRIDGE, MANY)),
            ]
            measured = in_turns(contenders, rounds)
    return [Row("feed", "ticks/s", True, measured, (Goal("cryptofeed", 20.0), Goal("bridge", 0.5)))]


def _rate(settings: Settings, contender: str, port: str, topic: str, count: int) -> float:
    """The rate of the first nine tenths: the last batch of the bridge is never full."""
    partitions = QUOTES.partitions if topic == QUOTES.name else 1
    with local.process(settings, "benchmarks.feeders", contender, f"ws://127.0.0.1:{port}/{count}"):
        return local.growth(settings, topic, partitions, count * 9 // 10)
