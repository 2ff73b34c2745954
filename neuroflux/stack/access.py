"""Authorization on a secure Kafka (ACLs): a principal per stage, one for traders, one for readers.

What is not listed is refused. Every principal may read every topic, write its own topics and join its own group.
``setup`` and ``broker`` may do anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from neuroflux.records import topics as t
from neuroflux.records.topics import Topic

BROKER, SETUP, WAREHOUSE, TRADER, READER = "broker", "setup", "warehouse", "trader", "reader"
SUPER_USERS: Final = (BROKER, SETUP)

WRITES: Final[Mapping[str, tuple[Topic, ...]]] = {
    "market": (t.QUOTES, t.TRADES, t.BOOKS, t.FUNDING, t.INSTRUMENTS, t.STATUS, t.MARKET_DEAD_LETTERS),
    "account": (t.BALANCES, t.POSITIONS, t.ACCOUNT_ORDERS, t.ACCOUNT_FILLS, t.TRANSFERS, t.INSTRUMENTS, t.STATUS),
    "streams": (t.PRICES, t.SIGNALS, t.HEALTH, t.STATUS, t.MARKET_DEAD_LETTERS),
    "execution": (t.JOURNAL, t.DECISIONS, t.EVENTS, t.FILLS, t.ORDER_DEAD_LETTERS, t.STATUS),
    WAREHOUSE: (t.MARKET_DEAD_LETTERS, t.ORDER_DEAD_LETTERS),
    "sim": (),
    TRADER: (t.COMMANDS, t.CONTROL, t.FAILOVER),
    READER: (),
}
GROUPS: Final[Mapping[str, str]] = {
    "streams": "neuroflux-streams",
    "execution": "execution",
    WAREHOUSE: WAREHOUSE,
    TRADER: TRADER,
    READER: READER,
}
"""The one group that a principal may join. A member of a group takes partitions from the others and may commit their
offsets, so a right to every group would let a reader stop the executor."""
PRINCIPALS: Final = (*SUPER_USERS, *WRITES)


class Right(Struct, frozen=True):
    """A principal may perform an operation (``READ`` or ``WRITE``) on a ``TOPIC`` or ``GROUP`` of this name."""

    principal: str
    operation: str
    resource: str
    name: str


def rights() -> Iterator[Right]:
    """All rights except those of the super users."""
    for principal, written in WRITES.items():
        yield Right(principal, "READ", "TOPIC", "*")
        for topic in written:
            yield Right(principal, "WRITE", "TOPIC", topic.name)
    for principal, group in GROUPS.items():
        yield Right(principal, "READ", "GROUP", group)
