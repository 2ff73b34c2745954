"""From quotes on Kafka to aggregated prices and the state of arbitrage: records per second of one worker.

Peers: an agent of stock Faust and quixstreams. Limit: a loop of aiokafka's getmany. All run the same engine steps
and publish their results.
"""

from __future__ import annotations

import asyncio

from benchmarks import local
from benchmarks.steppers import START, quotes
from benchmarks.turns import Contender, Goal, Role, Row, in_turns
from neuroflux.domain import Microseconds
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import QUOTES
from neuroflux.runtime.settings import Settings
from neuroflux.stack import environment

COUNT = 60_000
CONTENDERS: tuple[tuple[str, Role], ...] = (
    ("ours", "ours"),
    ("faust", "peer"),
    ("quixstreams", "peer"),
    ("bare", "limit"),
)


def rows(rounds: int) -> list[Row]:
    with local.stack() as settings:
        local.make_topic(settings, "bench.quixstreams")
        fill(settings, COUNT)
        contenders = [
            Contender(name, role, lambda name=name: _rate(settings, name))  # type: ignore[misc]
            for name, role in CONTENDERS
        ]
        measured = in_turns(contenders, rounds)
    goals = (Goal("faust", 10.0), Goal("quixstreams", 1.3), Goal("bare", 0.6))
    return [Row("streams", "records/s", True, measured, goals)]


def fill(settings: Settings, count: int, start: Microseconds = START) -> None:
    """Publish ``count`` quotes to their topic."""

    async def publish() -> None:
        async with Publisher(settings, await load_codec(settings)) as publisher:
            for quote in quotes(count, start):
                publisher.publish(QUOTES, quote)
                await publisher.drain()

    asyncio.run(publish())


def _rate(settings: Settings, contender: str) -> float:
    return local.figures_of("benchmarks.steppers", contender, str(COUNT), env=environment.base(settings))[0]
