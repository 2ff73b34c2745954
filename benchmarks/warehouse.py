"""From quotes on Kafka to rows in ClickHouse. Limit: clickhouse-driver with the same columns ready in memory."""

from __future__ import annotations

from benchmarks import local
from benchmarks.streams import fill
from benchmarks.turns import Contender, Goal, Row, in_turns
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from neuroflux.stack import environment

COUNT = 800_000
"""Large enough that the first fetch, which waits for 0.1 s, does not matter."""


def rows(rounds: int) -> list[Row]:
    with local.stack() as settings:
        fill(settings, COUNT, wall())  # records older than a month would be dropped by the TTL
        contenders = [
            Contender("neuroflux", "ours", lambda: _rate(settings, "ours")),
            Contender("clickhouse-driver", "limit", lambda: _rate(settings, "bare")),
        ]
        measured = in_turns(contenders, rounds)
    return [Row("warehouse", "rows/s", True, measured, (Goal("clickhouse-driver", 0.6),))]


def _rate(settings: Settings, contender: str) -> float:
    return local.figures_of("benchmarks.storers", contender, str(COUNT), env=environment.base(settings))[0]
