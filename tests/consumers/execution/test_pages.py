"""Queried fills are returned in pages: all of them are read, and a list without an end is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from consumers.execution import lists
from neuroflux.domain import Ack, Fill, Liquidity, OrderReport, OrderState, Outcome, Side
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.consumers.execution.order_client_model import FakeOrderClient, Gate, bench, now, place, report

PAGES = 4


def execution(named: str, number: int) -> Fill:
    part = Decimal(1) / PAGES
    return Fill(
        "", "binance", "NFX/USDC", named, f"x{named}", f"t{number}", Side.BUY, Decimal(100), part,
        Decimal("0.1"), "USDC", Liquidity.TAKER, now(), "NFXUSDC",
    )  # fmt: skip


class Paged(FakeOrderClient):
    """A fill a page."""

    def fills_since(self, instrument: object, since: int, now: int) -> Request:
        return Request("GET", "/fills?page=0")

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded]:
        number = int(answer.request.path.partition("=")[2])
        following = PageNeeded(Request("GET", f"/fills?page={number + 1}"))
        return (execution("o/0/0", number % PAGES), *((following,) if self.has_next(number) else ()))

    def has_next(self, number: int) -> bool:
        return number + 1 < PAGES


class Endless(Paged):
    def has_next(self, number: int) -> bool:
        return True


class Silent(Paged):
    """Its list of fills is empty, and returned after the stream has reported them all."""

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded]:
        return ()


def without_fills(named: str) -> Outcome:
    return Ack(report(named, OrderState.FILLED, "1"))


@pytest.mark.parametrize(("order_client", "most"), [(Paged(), PAGES), (Endless(), 10)])
async def test_every_page_is_read(order_client: Paged, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_FILL_PAGES", 10)
    gate = Gate()
    gate._order_client, gate.answers["POST"] = order_client, without_fills
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        end = await stage.ends("o")
        assert (end.state, end.filled_quantity) == (OrderState.FILLED, Decimal(1))
    assert len([one for one in gate.requests if one.path.startswith("/fills")]) <= most


async def test_an_order_is_done_when_its_last_request_returns_nothing() -> None:
    """It stayed open in the journal for ever: it was not checked again once the request had ended."""
    gate, release = Gate(), asyncio.Event()
    gate._order_client, gate.answers["POST"] = Silent(), without_fills
    call = gate.call

    async def late(exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        await release.wait()
        return await call(exchange, build)

    gate.call = late  # type: ignore[method-assign]
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        (runner,) = stage.executor.orders.runners.values()
        async with asyncio.timeout(10):
            while not any("query_fills" in repr(one) for one in runner._tasks):  # noqa: ASYNC110
                await asyncio.sleep(0)
            for number in range(PAGES):
                stage.executor.matching.take(execution("o/0/0", number))
            await stage.ends("o")
            release.set()
            while stage.executor.orders.runners:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not list(stage.log.readers[0].open())
