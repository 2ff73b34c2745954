"""How long an executor takes to restore every order: the journal read from its beginning.

``NEUROFLUX_RECOVERY`` sets how many orders; the bound is 5 s for 100,000, and in proportion for fewer.
"""

from __future__ import annotations

import asyncio
import os
import time
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from consumers.execution.journal import DONE, OPEN, Journal, Saved
from neuroflux.domain import (
    Cause,
    CommandKind,
    Fill,
    JournalEntry,
    Liquidity,
    OrderCommand,
    OrderState,
    Side,
    TimeInForce,
)
from neuroflux.engine.orders.state import Attempt, Leg, Order, Phase
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import JOURNAL
from tests.consumers.execution.order_client_model import SPOT

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(300)]

ORDERS = int(os.environ.get("NEUROFLUX_RECOVERY", "10000"))
OPEN_EVERY = 100
COUNTS = 1 << 60
"""A generation that is later than every claim."""
SECONDS_EACH = 5.0 / 100_000
START = 2.0
"""Seconds for connecting, however few orders there are."""


def kept(number: int) -> Saved:
    """An order with one fill, as most are."""
    order_id, one = f"recovery-{number}", Decimal(1)
    fill = Fill(
        order_id, "binance", "NFX/USDC", f"nf{number}", str(number), f"t{number}", Side.BUY, Decimal(100), one,
        Decimal("0.1"), "USDC", Liquidity.TAKER, number,
    )  # fmt: skip
    command = OrderCommand(order_id=order_id, kind=CommandKind.PLACE, market="NFX/USD", quantity=one)
    leg = Leg(SPOT, Side.BUY, one, Decimal(101), TimeInForce.IOC, 1.0, number)
    attempt = Attempt(0, 0, Phase.FILLED, f"nf{number}", str(number), reported=one, fills=(fill,))
    source = Cause("orders.commands", number % 4, number)
    return Saved(
        Order(
            command=command,
            source=source,
            received_at=number,
            state=OrderState.FILLED,
            legs=(leg,),
            attempts=(attempt,),
        )
    )


def write(publisher: Publisher, number: int, kind: str) -> None:
    saved = kept(number)
    entry = JournalEntry(saved.order.id, kind, COUNTS, msgspec.msgpack.encode(saved), number)
    publisher.publish(JOURNAL, entry, partition=number % 4)


async def test_the_journal_is_read_again_quickly(stack: Any) -> None:
    settings = stack.settings
    codec = await load_codec(settings)
    async with Publisher(settings, codec) as publisher:
        for number in range(ORDERS):
            write(publisher, number, OPEN if number % OPEN_EVERY == 0 else DONE)
            await publisher.drain()
        await publisher.flush()
        began = time.monotonic()
        async with Reader(settings, codec, (JOURNAL,), start="beginning") as reader:
            journal, loaded = Journal(publisher, reader), asyncio.Event()
            following = asyncio.create_task(journal.follow(loaded))
            await loaded.wait()
            took = time.monotonic() - began
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        for number in range(0, ORDERS, OPEN_EVERY):
            write(publisher, number, DONE)  # the stack is shared: no other test is to restore them
    print(f"{ORDERS} orders restored after {took:.2f} s")
    assert journal.partition_of("recovery-0") == 0
    assert sum(one.order.id.startswith("recovery-") for one in journal.open()) == ORDERS // OPEN_EVERY
    assert took < START + ORDERS * SECONDS_EACH
