"""An order that an exchange does not know (any more) may be filled: its fills are queried before it is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from neuroflux.domain import Ack, Fill, InDoubt, NotThere, OrderReport, OrderState, OrderType, Outcome
from neuroflux.errors import Unreachable
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.consumers.execution.order_client_model import FakeOrderClient, Gate, bench, cancel, filled, place, report
from tests.consumers.execution.test_pages import execution


class Forgetful(FakeOrderClient):
    """Knows no order, and has the four fills of the first."""

    settled_after = 0

    def fills_since(self, instrument: object, since: int, now: int) -> Request:
        return Request("GET", "/fills")

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded]:
        return [execution("o/0/0", number) for number in range(4)]


class Unreadable(Forgetful):
    """Its fills can be read at the third try."""

    tries = 0

    def fills_since(self, instrument: object, since: int, now: int) -> Request:
        self.tries += 1
        if self.tries < 3:
            raise Unreachable("no answer")
        return super().fills_since(instrument, since, now)


def lost(named: str) -> Outcome:
    return InDoubt("timeout")


def unknown(named: str) -> Outcome:
    return NotThere("unknownOid")


@pytest.mark.parametrize("order_client", [Forgetful(), Unreadable()])
async def test_an_order_that_was_filled_and_forgotten_is_not_sent_again(order_client: Forgetful) -> None:
    gate = Gate()
    gate._order_client, gate.answers = order_client, {"POST": lost, "GET": unknown}
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        end = await stage.ends("o")
        assert (end.state, end.filled_quantity) == (OrderState.FILLED, Decimal(1))
    assert len(gate.placed) == 1


class Amended(FakeOrderClient):
    """Knows its orders by the exchange's ids alone, as Binance does after an amendment."""

    def query(self, instrument: object, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        return Request("GET", exchange_order_id or "unknown")

    def cancel(self, instrument: object, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        return Request("DELETE", exchange_order_id or "unknown")


class Numbered(Amended):
    finds_by_number = True


@pytest.mark.parametrize(
    ("order_client", "named"), [(Amended(), ["unknown", "xo/0/0"]), (Numbered(), ["xo/0/0"])], ids=["by both", "by one"]
)
async def test_an_order_that_was_amended_elsewhere_is_cancelled_and_queried_by_the_exchanges_id(
    order_client: Amended, named: list[str]
) -> None:
    gate, cancelled = Gate(), list[str]()

    def cancels(named: str) -> Outcome:
        cancelled.append(named)
        return unknown(named) if named == "unknown" else Ack(report("o/0/0", OrderState.CANCELLED))

    def answered(named: str) -> Outcome:
        return unknown(named) if named == "unknown" else Ack(report("o/0/0", OrderState.CANCELLED))

    gate._order_client = order_client
    gate.answers = {
        "POST": lambda named: Ack(report(named, OrderState.ACKNOWLEDGED)),
        "DELETE": cancels,
        "GET": answered,
    }
    async with bench(gate=gate) as stage:
        await stage.take(place("o", type=OrderType.LIMIT, price=Decimal(90)))
        await stage.take(cancel("o"))
        assert (await stage.ends("o")).state is OrderState.CANCELLED
    assert cancelled == named


class Empty(Forgetful):
    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded]:
        return ()


class Remembering(Forgetful):
    remembers_ended = True


@pytest.mark.parametrize("order_client", [Empty(), Remembering()], ids=["no fill", "fills are not queried"])
async def test_an_order_without_a_fill_is_sent_again(order_client: Forgetful) -> None:
    gate = Gate()
    answers = iter((lost, filled))
    gate._order_client, gate.answers = order_client, {"POST": lambda named: next(answers)(named), "GET": unknown}
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        assert (await stage.ends("o")).state is OrderState.FILLED
    assert [one.client_order_id for one in gate.placed] == ["o/0/0", "o/0/1"]
