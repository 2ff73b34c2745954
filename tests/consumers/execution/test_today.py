"""The profit of the day: unknown before its fills are read, and by our clock."""

from __future__ import annotations

from decimal import Decimal

import pytest

from consumers.execution.view import Views
from neuroflux.domain import Fill, Liquidity, Side
from neuroflux.engine.risk.daily_loss import DAY
from neuroflux.records.entries import Entry
from neuroflux.records.topics import FILLS, INSTRUMENTS
from neuroflux.runtime.clock import wall
from tests.consumers.execution.order_client_model import SPOT


def lost(views: Views, event_time: int, written: int) -> None:
    """10 USD, in a purchase and a sale."""
    for number, (side, price) in enumerate(((Side.BUY, 100), (Side.SELL, 90))):
        made = Fill(
            "o", SPOT.exchange, SPOT.symbol, "c", "e", str(number), side, Decimal(price), Decimal(1), Decimal(0),
            SPOT.quote, Liquidity.TAKER, event_time,
        )  # fmt: skip
        views.take(Entry(FILLS, 0, number, "o", made, b"", "", written))


def test_before_the_fills_of_the_day_are_read_nothing_is_known() -> None:
    views = Views()
    assert views.profit_today(wall()) is None
    views.fills_read.set()
    assert views.profit_today(wall()) == 0.0


@pytest.mark.parametrize("event", [0, -DAY, DAY])
@pytest.mark.parametrize("ahead", [0, DAY])
def test_a_fill_counts_today_whatever_clock_it_was_dated_by(event: int, ahead: int) -> None:
    views = Views()
    views.fills_read.set()
    lost(views, wall() + event, wall() + ahead)
    assert views.profit_today(wall()) is None, "what was traded is not known yet"
    views.take(Entry(INSTRUMENTS, 0, 0, "k", SPOT, b"", "", wall()))
    assert views.profit_today(wall()) == -10
