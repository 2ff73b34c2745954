"""From a WebSocket that sends as fast as it is read to records that Kafka has acknowledged, one process each.

The three share two cores with the WebSocket and with Kafka, each in its turn.
"""

from __future__ import annotations

import socket

from benchmarks import local
from benchmarks.feeders import BRIDGE, CRYPTOFEED
from benchmarks.turns import Contender, Goal, Row, in_turns
from neuroflux.settings import Settings
from neuroflux.topics import QUOTES


def rows(rounds: int) -> list[Row]:
    with local.stack() as settings, socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        bound.close()
        for topic in (BRIDGE, CRYPTOFEED):
            local.make_topic(settings, topic)
        with local.process(settings, "benchmarks.fountain", str(port)):
            address = f"ws://127.0.0.1:{port}"
            contenders = [
                Contender(
                    "neuroflux", "ours", lambda: _rate(settings, "ours", address, QUOTES.name, QUOTES.partitions)
                ),
                Contender("cryptofeed", "peer", lambda: _rate(settings, "cryptofeed", address, CRYPTOFEED, 1)),
                Contender("bridge", "limit", lambda: _rate(settings, "bridge", address, BRIDGE, 1)),
            ]
            measured = in_turns(contenders, rounds)
    return [Row("feed", "ticks/s", True, measured, (Goal("cryptofeed", 20.0), Goal("bridge", 0.5)))]


def _rate(settings: Settings, contender: str, address: str, topic: str, partitions: int) -> float:
    with local.process(settings, "benchmarks.feeders", contender, address):
        return local.growth(settings, topic, partitions)
