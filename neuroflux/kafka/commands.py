"""Publish commands, and follow an order to its end; used by the program and the façade."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

from uuid_utils import uuid7

from neuroflux.domain import CommandKind, ControlCommand, ControlKind, OrderCommand, OrderEvent
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec
from neuroflux.records.topics import COMMANDS, CONTROL, EVENTS
from neuroflux.runtime.settings import Settings

ISSUER = "cli"


def new_order_id() -> str:
    """A UUIDv7: unique, and sortable by creation time."""
    return str(uuid7())


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000


async def publish_command(settings: Settings, command: OrderCommand, codec: Codec | None = None) -> None:
    """Write one command to ``orders.commands``; returns when Kafka has it. Raises Unreachable if Kafka is down."""
    async with Publisher(settings, codec or await load_codec(settings), client_id=ISSUER) as publisher:
        await publisher.write(COMMANDS, command)


async def publish_control(settings: Settings, kind: ControlKind, why: str) -> None:
    """Write ``halt`` or ``resume`` for all accounts to ``control.commands``."""
    command = ControlCommand(kind=kind, why=why, issued_by=ISSUER, issued_at=now())
    async with Publisher(settings, await load_codec(settings), client_id=ISSUER) as publisher:
        await publisher.write(CONTROL, command)


async def cancel(settings: Settings, order_id: str) -> None:
    """Request the cancellation of an order."""
    command = OrderCommand(order_id=order_id, kind=CommandKind.CANCEL, issued_by=ISSUER, issued_at=now())
    await publish_command(settings, command)


async def place_and_follow(settings: Settings, command: OrderCommand) -> AsyncIterator[OrderEvent]:
    """Publish an order and yield its events, up to the one that ends it.

    Events without a ``client_order_id`` are of the order as a whole; those with one are of its legs.
    """
    codec = await load_codec(settings)
    async with Reader(settings, codec, (EVENTS,), start="end") as reader:
        await publish_command(settings, command, codec)
        async with aclosing(reader.batches(timeout=0.1)) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.key != command.order_id or entry.error:
                        continue
                    yield entry.record
                    if entry.record.state.final and not entry.record.client_order_id:
                        return
