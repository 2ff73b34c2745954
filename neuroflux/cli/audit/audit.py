"""``neuroflux audit``: several readings of the pipeline, each between two readings of the exchanges, and a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from neuroflux.cli.audit.accounts import Pair, accounts
from neuroflux.cli.audit.causes import recent_signals
from neuroflux.cli.audit.exchanges import ExchangeReader, ExchangeReadings, accesses
from neuroflux.cli.audit.figures import Finding, Round, all_agreed, judge
from neuroflux.cli.audit.orders import open_elsewhere, orders
from neuroflux.cli.audit.pipeline import Tables, dead_letters, names_of, newest_extents, reported
from neuroflux.cli.audit.prices import prices
from neuroflux.cli.audit.reading import Exchanges, Reported
from neuroflux.cli.audit.signals import signals
from neuroflux.cli.audit.stored import equity, tables
from neuroflux.domain import Microseconds
from neuroflux.errors import Unreachable
from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.manager.own_stack import answers
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings

READINGS: Final = 6
"""The most: once every figure has agreed, there are no more."""
PAUSE_SECONDS: Final = 2.5
"""Pause between two readings: what was in flight at the first has arrived by the last, and positions, which are polled
every 10 s, were read again."""
RECENT: Final[Microseconds] = 15 * 60 * 1_000_000
"""Orders and fills of this period are compared."""
MARGIN: Final[Microseconds] = 60 * 1_000_000
"""The exchange is queried from this much earlier: clocks differ, and an order is older than its last event."""


class Audit(Struct, frozen=True):
    """The result. ``unchecked``: what could not be compared, and why; ``notes``: facts outside of the pipeline."""

    findings: list[Finding]
    unchecked: list[str]
    notes: list[str]


async def audit(settings: Settings) -> Audit:
    """Compare everything. Raises Unreachable if no stack runs: an audit does not start one."""
    if not answers(settings):
        raise Unreachable(f"Kafka at {settings.kafka} does not answer; `neuroflux up` starts everything")
    accessed = await asyncio.to_thread(accesses, settings)
    log = await newest_extents(settings)
    stored = Tables(settings, log, await dead_letters(settings))
    try:
        async with AsyncExchangeManager(settings) as manager, ExchangeReader(accessed) as reader:
            return await _audit(settings, manager, stored, reader)
    finally:
        stored.close()


async def _audit(settings: Settings, manager: AsyncExchangeManager, stored: Tables, reader: ExchangeReader) -> Audit:
    since = wall() - RECENT
    own = [await _ask(reader, await reported(manager, stored, since), since)]
    rounds: list[Round] = []
    while len(rounds) < READINGS and not (rounds and all_agreed(rounds) and not own[-1].unread):
        if rounds:
            await asyncio.sleep(PAUSE_SECONDS)
        reading = await reported(manager, stored, since)
        own.append(await _ask(reader, reading, since))
        rounds.append(dict(figures(reading, own[-2].exchanges, own[-1].exchanges)))
    recomputed = dict(signals(reading, await asyncio.to_thread(recent_signals, settings)))
    findings = judged(rounds, [one.exchanges for one in own]) + judge([recomputed])
    return Audit(findings, unchecked(own), _notes(reading, own[-1]))


async def _ask(reader: ExchangeReader, reading: Reported, since: Microseconds) -> ExchangeReadings:
    used = {(one.exchange, one.symbol) for one in reading.legs} | {(one.exchange, one.symbol) for one in reading.fills}
    traded, quoted = (
        names_of(reading.instruments, used),
        names_of(reading.instruments, {*reading.quotes, *reading.books}),
    )
    return await reader.read(traded, quoted, since - MARGIN)


def figures(reading: Reported, before: Exchanges, after: Exchanges) -> list[Pair]:
    parts = (
        accounts(reading, before, after),
        orders(reading, before, after),
        prices(reading, before, after),
        equity(reading, before, after),
        tables(reading),
    )
    return [pair for part in parts for pair in part]


def judged(rounds: Sequence[Round], own: Sequence[Exchanges]) -> list[Finding]:
    """Judge the figures of each exchange by the readings around which most of it could be read."""
    findings = judge([{key: one for key, one in figures.items() if key.exchange == "all"} for figures in rounds])
    for exchange in own[-1]:
        levels = [min(_level(first, exchange), _level(last, exchange)) for first, last in pairwise(own)]
        best = [figures for figures, level in zip(rounds, levels, strict=True) if level == max(levels)]
        findings += judge([{key: one for key, one in figures.items() if key.exchange == exchange} for figures in best])
    return findings


def _level(own: Exchanges, exchange: str) -> tuple[bool, bool]:
    """Which parts of an exchange could be read: the account, the prices."""
    return own[exchange].account is not None, bool(own[exchange].tops)


def unchecked(own: Sequence[ExchangeReadings]) -> list[str]:
    """What could not be read around any reading, with the last reason."""
    places = dict.fromkeys(place for one in own for place in one.unread)
    around = [one.unread.keys() | two.unread.keys() for one, two in pairwise(own)]
    missed = [place for place in places if all(place in one for one in around)]
    reasons = {place: one.unread[place] for place in missed for one in own if place in one.unread}
    return [f"{exchange} {what}: {why}" for (exchange, what), why in sorted(reasons.items())]


def _notes(reading: Reported, own: ExchangeReadings) -> list[str]:
    counts = open_elsewhere(reading, own.exchanges)
    return [f"{name}: {count} open orders that the pipeline did not place" for name, count in counts.items() if count]
