"""From a command to its request at the exchange: half and nearly all of them, in milliseconds.

Ours: the executor, from the moment its command is published. Peer: ccxt's create_order, called directly: it writes
nothing down, and chooses nothing. Limit: the hops that cannot be left out, one through Kafka, one acknowledged write,
and the bare HTTP request. The exchange is a server here that tells when a request has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks import local
from benchmarks.orderers import BARE, WRITTEN, Bare, Ccxt, Ours, Venue
from benchmarks.turns import Goal, Role, Row, delays
from neuroflux.settings import Settings

ORDERS = 30
PAUSE = 0.35
"""Seconds between two: the exchange lets 50 through in ten, and the executor a fifth less."""
CONTENDERS: dict[str, Role] = {"neuroflux": "ours", "ccxt": "peer", "hops": "limit"}


def rows(rounds: int) -> list[Row]:
    with local.stack() as settings:
        for topic in (BARE, WRITTEN):
            local.make_topic(settings, topic)
        figures = uvloop.run(_rounds(settings, rounds))
    return delays("order", figures, CONTENDERS, Goal("hops", 1 / 1.5))


async def _rounds(settings: Settings, rounds: int) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {name: [] for name in CONTENDERS}
    async with Venue() as venue, Ours(settings, venue) as ours, Ccxt(venue) as ccxt, Bare(settings, venue) as bare:
        sends: dict[str, Callable[[], Awaitable[None]]] = {"neuroflux": ours.send, "ccxt": ccxt.send, "hops": bare.send}
        for name in found:
            await _times(venue, sends[name])
        for number in range(rounds):
            order = list(found)
            for name in (*order[number % 3 :], *order[: number % 3]):
                found[name].append(await _times(venue, sends[name]))
    return found


async def _times(venue: Venue, send: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds from the call to the request's arrival, of each order."""
    times = []
    for _ in range(ORDERS):
        times.append(await venue.time_of(send))
        await asyncio.sleep(PAUSE)
    return times
