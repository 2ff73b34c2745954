"""The queries of ``track_portfolio_performance``: for a trade whose fill is missing, and then stored."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import (
    AccountTransfer,
    Fill,
    Instrument,
    Liquidity,
    OrderEvent,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    TransferKind,
)
from neuroflux.engine.portfolio.flows import settled
from neuroflux.engine.portfolio.performance import PerformanceAnswer, performance
from neuroflux.manager.performance import (
    SELECT_FILLS,
    SELECT_HOLDINGS,
    SELECT_POSITIONS,
    SELECT_STORED,
    SELECT_TRANSFERS,
    SELECT_UNFILLED,
    exposures,
    flows_and_income,
    holdings,
    movements_of,
    settled_until,
)
from neuroflux.records.topics import (
    ACCOUNT_ORDERS,
    BALANCES,
    EVENTS,
    FILLS,
    FUNDING,
    POSITIONS,
    PRICES,
    QUOTES,
    TRANSFERS,
)
from tests.neuroflux.clickhouse.views.records import (
    MINUTE,
    SECOND,
    START,
    balance,
    insert,
    instrument,
    mark,
    position,
    price,
    quote,
)

pytestmark = pytest.mark.stack
AT = START + 2 * MINUTE + SECOND
"""The time at which two bitcoins are bought."""
FILL = Fill(
    "o",
    "binance",
    "BTC/USDC",
    "c",
    "x",
    "t",
    Side.BUY,
    Decimal(100),
    Decimal(2),
    Decimal(1),
    "USDC",
    Liquidity.TAKER,
    AT,
)


def named(exchange: str, symbol: str) -> Instrument:
    return instrument(exchange, symbol)


def answer(database: ClickHouse, known: Sequence[str] = ("binance",)) -> PerformanceAnswer:
    """The performance as the façade computes it."""
    queries = (SELECT_UNFILLED, SELECT_STORED, SELECT_HOLDINGS, SELECT_FILLS, SELECT_POSITIONS, SELECT_TRANSFERS)
    unfilled, stored, rows, filled, opened, named_flows = [database.execute(one) for one in queries]
    held = settled(holdings(rows, known), settled_until(stored, unfilled, known))
    flowed, earned = flows_and_income(named_flows)
    return performance(held, {}, [*movements_of(filled, named), *earned], exposures(opened, named), flowed)


def report(client_order_id: str, filled: str) -> OrderReport:
    shown = (Side.BUY, OrderType.MARKET, Decimal(0), Decimal(2), Decimal(filled), None, OrderState.FILLED, "", AT)
    return OrderReport("binance", "BTC/USDC", client_order_id, "x", *shown)


def event(client_order_id: str) -> OrderEvent:
    amounts: tuple[Any, ...] = (Side.BUY, Decimal(2), Decimal(0), Decimal(0), (), "", AT - SECOND)
    return OrderEvent("o", OrderState.SENDING, "binance", "BTC/USDC", client_order_id, "", *amounts)


@pytest.fixture
def bought(database: ClickHouse) -> ClickHouse:
    """All records of the purchase except its fill, and later prices."""
    start = [balance("USDC", "1000", START), balance("BTC", "1", START)]
    insert(database, BALANCES, *start, balance("USDC", "799", AT), balance("BTC", "3", AT))
    insert(database, PRICES, *(price(100 + minute, START + minute * MINUTE) for minute in range(4)))
    insert(database, EVENTS, event("c"))
    insert(database, ACCOUNT_ORDERS, report("c", "2"), report("by-hand", "7"))
    return database


def test_a_trade_whose_fill_is_not_stored_yet_is_no_flow(bought: ClickHouse) -> None:
    figures = answer(bought)["performance_metrics"]
    assert (figures["flows_usd"], figures["profit_usd"]) == (0, pytest.approx(3))


def test_a_trade_whose_fill_is_stored_is_profit_of_what_was_traded(bought: ClickHouse) -> None:
    insert(bought, FILLS, FILL)
    result = answer(bought)
    figures = result["performance_metrics"]
    assert (figures["flows_usd"], figures["profit_usd"]) == (0, pytest.approx(1 + 1 + 3 + 2 * 2 - 1))
    assert result["attribution_analysis"]["by_asset"] == {"BTC": pytest.approx(8), "USDC": pytest.approx(0)}


def test_a_transfer_reported_twice_counts_once(database: ClickHouse) -> None:
    """50 were deposited and 10 were earned, and both are reported twice."""
    insert(database, BALANCES, balance("USDC", "1000", START), balance("USDC", "1060", AT))
    insert(database, PRICES, *(price(100, START + minute * MINUTE) for minute in range(4)))
    deposit = AccountTransfer("binance", "USDC", Decimal(50), TransferKind.TRANSFER, "TRANSFER", "1", AT - SECOND)
    earned = replace(deposit, quantity=Decimal(10), kind=TransferKind.RESULT, reason="API_REBATE")
    insert(database, TRANSFERS, deposit, earned, deposit, earned)
    figures = answer(database)["performance_metrics"]
    assert (figures["flows_usd"], figures["profit_usd"]) == (pytest.approx(50), pytest.approx(10))


def test_minutes_in_which_nothing_was_stored_are_missing_and_no_samples(bought: ClickHouse) -> None:
    insert(bought, PRICES, price(100, START + 30 * MINUTE))
    assert answer(bought)["history"]["samples"] == 4
    assert answer(bought)["history"]["missing_minutes"] == 26


def test_of_positions_with_one_time_the_offset_decides_which_is_open(database: ClickHouse) -> None:
    states = ["1", "2", "3", "4", "0"]
    insert(database, POSITIONS, *(position("BTC/USDC:USDC", (one, "100", "0"), START) for one in states))
    assert database.execute(SELECT_POSITIONS) == [(START // SECOND, "binanceusdm", "BTC/USDC:USDC", 1, 0)]


def test_equity_is_the_views(bought: ClickHouse) -> None:
    """The newest minute, with an asset that converts at a quote."""
    insert(bought, BALANCES, replace(balance("USDT", "100", START), exchange="binance"))
    insert(bought, QUOTES, *(quote(START + minute * MINUTE, 1.24, 1.26, "USDC/USDT") for minute in range(4)))
    insert(bought, FILLS, FILL)
    (newest,) = bought.execute(
        "SELECT sum(value_usd + unrealised_pnl_usd) FROM equity GROUP BY minute ORDER BY minute DESC LIMIT 1"
    )
    assert answer(bought)["performance_metrics"]["equity_usd"] == pytest.approx(newest[0]) == pytest.approx(1188)


def test_unrealised_profit_of_every_exchange_is_equity_and_profit(database: ClickHouse) -> None:
    """Hyperliquid's +119 counted, since its balance holds it, and the -120 of the same pair on USDⓈ-M did not."""
    usdm, hyperliquid, symbol, end = "binanceusdm", "hyperliquid", "BTC/USDC:USDC", START + 3 * MINUTE
    wallets = balance("USDC", "1000", START, usdm), balance("USDC", "1020", START, hyperliquid, profit="20")
    pair = position(symbol, ("-3", "100", "-1"), START, usdm), position(symbol, ("2", "90", "20"), START, hyperliquid)
    insert(database, BALANCES, *wallets)
    insert(database, POSITIONS, *pair)
    insert(database, FUNDING, mark(symbol, 104, end, usdm), mark(symbol, 103, end, hyperliquid))
    insert(database, PRICES, *(price(100 + minute, START + minute * MINUTE) for minute in range(4)))
    (newest,) = database.execute(
        "SELECT sum(value_usd + unrealised_pnl_usd) FROM equity GROUP BY minute ORDER BY minute DESC LIMIT 1"
    )
    figures = answer(database, (usdm, hyperliquid))["performance_metrics"]
    assert figures["start_equity_usd"] == pytest.approx(1000 - 1 + 1000 + 20)
    assert figures["equity_usd"] == pytest.approx(newest[0]) == pytest.approx(1000 - 3 * 4 + 1000 + 2 * 13)
    assert (figures["flows_usd"], figures["profit_usd"]) == (pytest.approx(0), pytest.approx(-12 + 26 - (20 - 1)))
