"""An order that was not sent before a restart is decided again by the books of the time it is sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from consumers.execution.journal import OPEN, decoded, saved
from neuroflux.domain import OrderState
from neuroflux.engine.orders.state import Phase
from tests.consumers.execution.order_client_model import Bench, Gate, Log, bench, now, place


class Waiting(Gate):
    """The rate limits allow no order."""

    def try_order(self, instrument: object, urgency: object) -> bool:
        return False

    async def order_turn(self, instrument: object, urgency: object) -> None:
        await asyncio.Event().wait()


async def waited() -> Log:
    """The log of an executor that ended with an order that was decided a minute ago, at 100.5 at most, and not sent."""
    async with bench(gate=Waiting()) as stage:
        await stage.take(place("o"))
    (entry,) = [one for one in stage.log.journal if one.order_id == "o" and one.kind == OPEN]
    order = decoded(entry.body).order
    assert [one.phase for one in order.attempts] == [Phase.ROUTED]
    assert not stage.gate.placed
    old = tuple(replace(leg, decided_at=leg.decided_at - 60_000_000) for leg in order.legs)
    body = msgspec.msgpack.encode(saved(replace(order, legs=old), [], now()))
    stage.log.journal[stage.log.journal.index(entry)] = replace(entry, body=body)
    return stage.log


async def test_it_is_decided_again_by_the_book_of_now() -> None:
    async with bench(await waited(), ask=110.0) as stage:
        end = await stage.ends("o")
        assert (end.state, [one.price for one in stage.gate.placed]) == (OrderState.FILLED, [Decimal("110.55")])


async def test_it_is_refused_where_there_is_no_book_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    log = await waited()
    monkeypatch.setattr(Bench, "book", lambda *_: None)
    async with bench(log) as stage:
        end = await stage.ends("o")
        assert (end.state, end.reason) == (OrderState.REFUSED, "binance NFX/USDC: stale: no book")
        assert not stage.gate.placed
