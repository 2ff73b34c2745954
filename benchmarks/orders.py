"""From a command to its request at the exchange, or to both of a pair: median and 99th percentile in milliseconds.

Ours: the executor, from the moment its command is published. Peer: ccxt's create_order, called directly: it has
no journal and no routing. Limit: the necessary hops, one through Kafka, one acknowledged write, and the bare HTTP
request. The exchange is a server in this process that records when a request arrives.
"""

from __future__ import annotations

import asyncio
import gc

import uvloop

from benchmarks import local
from benchmarks.orderers import BARE, WRITTEN, Bare, Ccxt, Ours, Send, Venue
from benchmarks.turns import Goal, Role, Row, delays
from neuroflux.runtime.settings import Settings

ORDERS = 30
PAUSES = {1: 0.35, 2: 0.6}
"""Seconds between two orders, by requests: the exchange accepts 50 in ten seconds, and the executor uses 80 %."""
NAMES = {1: "order", 2: "pair"}
CONTENDERS: dict[str, Role] = {"neuroflux": "ours", "ccxt": "peer", "hops": "limit"}


def rows(rounds: int) -> list[Row]:
    with local.stack() as settings:
        for topic in (BARE, WRITTEN):
            local.make_topic(settings, topic)
        figures = uvloop.run(_rounds(settings, rounds))
    goal = Goal("hops", 1 / 1.5)
    return [row for number, found in figures.items() for row in delays(NAMES[number], found, CONTENDERS, goal)]


async def _rounds(settings: Settings, rounds: int) -> dict[int, dict[str, list[list[float]]]]:
    found: dict[int, dict[str, list[list[float]]]] = {one: {name: [] for name in CONTENDERS} for one in NAMES}
    async with Venue() as venue, Ours(settings, venue) as ours, Ccxt(venue) as ccxt, Bare(settings, venue) as bare:
        await ours.warm()
        await bare.warm()
        gc.freeze()  # ccxt is so large that a full garbage collection would add 40 ms to an order
        sends: dict[str, Send] = {"neuroflux": ours.send, "ccxt": ccxt.send, "hops": bare.send}
        for requests, times in found.items():
            for name in times:
                await _times(venue, sends[name], requests)
            for number in range(rounds):
                order = list(times)
                for name in (*order[number % 3 :], *order[: number % 3]):
                    times[name].append(await _times(venue, sends[name], requests))
    return found


async def _times(venue: Venue, send: Send, requests: int) -> list[float]:
    """Milliseconds from the call to the arrival of the last request, by order."""
    times = []
    for _ in range(ORDERS):
        times.append(await venue.time_of(send, requests))
        await asyncio.sleep(PAUSES[requests])
    return times
