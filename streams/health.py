"""exchange.status → exchange.health, on every change and every few seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from neuroflux.clock import wall
from neuroflux.codec import Codec
from neuroflux.domain import ExchangeHealth, ExchangeStatus
from neuroflux.engine.health import Health
from neuroflux.kafka import Entry, Publisher, Reader
from neuroflux.settings import Settings
from neuroflux.topics import HEALTH, STATUS

TOPICS = (STATUS,)
TICK_SECONDS = 1.0


async def restored(settings: Settings, codec: Codec) -> Health:
    """Health that knows the uptime told before this worker began."""
    last: dict[str, ExchangeHealth] = {}
    async with Reader(settings, codec, (HEALTH,), start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                last.update({entry.key: entry.record for entry in batch if not entry.error})
                if await reader.caught_up():
                    break
    health = Health()
    for told in last.values():
        health.restore(told)
    return health


def step(health: Health) -> Callable[[list[Entry], Publisher], None]:
    def take(batch: list[Entry], publisher: Publisher) -> None:
        for entry in batch:
            if isinstance(entry.record, ExchangeStatus):
                told = health.happened(entry.record, max(entry.record.event_time, entry.timestamp))
                if told is not None:
                    publisher.publish(HEALTH, told)

    return take


def ticker(health: Health, publisher: Publisher) -> Callable[[], Awaitable[None]]:
    async def tick() -> None:
        for told in health.tick(wall()):
            publisher.publish(HEALTH, told)

    return tick
