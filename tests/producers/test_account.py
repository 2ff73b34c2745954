"""What is asked of an account is told once, and whole."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.domain import Balance, ExchangeStatus, Position, StatusKind
from neuroflux.exchanges.base_exchange import FeedEvent
from producers.account import _last_figures


def balance(asset: str, total: int) -> Balance:
    return Balance("hyperliquid", asset, Decimal(total), Decimal(0), Decimal(0), Decimal(total), 1)


def test_of_a_figure_that_several_answers_add_to_only_the_sum_is_told() -> None:
    said = ExchangeStatus("hyperliquid", "account", StatusKind.CONNECTED, 0.0, "", 1)
    position = Position("hyperliquid", "USDC", Decimal(1), Decimal(1), Decimal(0), 1)
    events: list[FeedEvent] = [balance("USDC", 8_000), balance("HYPE", 100), said, balance("USDC", 53_000), position]
    assert _last_figures(events) == [balance("HYPE", 100), said, balance("USDC", 53_000), position]
