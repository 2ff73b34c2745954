"""``get_unified_balance``: exactly the sum of what the exchanges reported."""

from decimal import Decimal
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import StatusKind
from neuroflux.errors import UsageError
from neuroflux.manager.balances import sync_status, unified_balance
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import (
    NOW,
    SECOND,
    balance,
    book,
    funding,
    healthy_view,
    instrument,
    position,
    price,
    publish,
    source,
    status,
)

ALL = ("binance", "binanceusdm", "hyperliquid")
amounts = st.decimals(0, 10**9, allow_nan=False, places=8)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(ALL), st.sampled_from(["BTC", "USDC"])), st.tuples(amounts, amounts, amounts)
    )
)
def test_total_is_the_sum_over_the_exchanges(held: dict[tuple[str, str], tuple[Decimal, Decimal, Decimal]]) -> None:
    view = healthy_view()
    view.balances.clear()
    for (exchange, asset), parts in held.items():
        publish(view, topics.BALANCES, balance(exchange, asset, *map(str, parts)))
    answer = unified_balance(view, ALL, None, NOW)
    for asset, shown in answer["asset_breakdown"].items():
        total = sum((sum(parts) for (_, name), parts in held.items() if name == asset), Decimal(0))
        assert shown["total"] == float(total)
        assert shown["available"] + shown["in_positions"] + shown["in_orders"] == pytest.approx(shown["total"])
        assert answer["available_balance"][asset] + answer["locked_balance"][asset] == pytest.approx(shown["total"])
    values = sum(one["value_usd"] for one in answer["asset_breakdown"].values())
    assert answer["total_balance_usd"] == pytest.approx(values)
    accounts = answer["exchange_breakdown"]
    assert accounts["binance"]["total_usd"] + accounts["hyperliquid"]["total_usd"] == pytest.approx(values)
    both = accounts["binance"]["parts"]
    assert accounts["binance"]["total_usd"] == pytest.approx(sum(part["total_usd"] for part in both.values()))


def test_a_stablecoin_counts_at_its_live_rate() -> None:
    view = healthy_view()
    publish(view, topics.BOOKS, book("binance", "USDC/USDT", 1.25, half=0.05))
    publish(view, topics.BALANCES, balance("binance", "USDT", "120"))
    value = unified_balance(view, ALL, ["USDT"], NOW)["total_balance_usd"]
    assert value == pytest.approx(120 * (1 / 1.3 + 1 / 1.2) / 2)


def test_unpriced_assets_are_listed_and_not_counted_as_zero() -> None:
    view = healthy_view()
    publish(view, topics.BALANCES, balance("binance", "DUST", "5"))
    publish(view, topics.BALANCES, balance("binance", "GONE", "0"))
    answer = unified_balance(view, ALL, None, NOW)
    assert answer["unpriced"] == ["DUST"]
    assert isnan(answer["asset_breakdown"]["DUST"]["value_usd"])
    assert answer["asset_breakdown"]["GONE"]["value_usd"] == 0
    assert answer["total_balance_usd"] == 300
    assert unified_balance(view, ALL, None, NOW + 60 * SECOND)["unpriced"] == ["DUST"], "USDC is the unit of account"


def test_a_stale_price_is_not_used() -> None:
    view = healthy_view()
    publish(view, topics.BALANCES, balance("binance", "BTC", "1"))
    assert unified_balance(view, ALL, None, NOW + 60 * SECOND)["unpriced"] == ["BTC"]


def test_unrealised_profit_counts_once() -> None:
    view = healthy_view()
    publish(view, topics.POSITIONS, position("binanceusdm", "BTC/USDC:USDC", "-30"))
    publish(view, topics.POSITIONS, position("hyperliquid", "BTC/USDC:USDC", "7"))
    publish(view, topics.BALANCES, replace(balance("hyperliquid"), unrealised_pnl=Decimal(7)))
    answer = unified_balance(view, ALL, None, NOW)
    assert answer["unrealised_pnl_usd"] == -23
    assert answer["total_balance_usd"] == 300 - 30, "the total of this balance holds the profit already"
    assert answer["exchange_breakdown"]["binance"]["total_usd"] == 170
    held = answer["asset_breakdown"]["USDC"]
    assert (held["total"], held["unrealised_pnl"], held["value_usd"]) == (300, 7, 293)


def test_a_position_is_valued_at_the_newest_mark_price() -> None:
    """Positions of USDⓈ-M are reported each minute: the figure was up to 25 USD off, and ``synced``."""
    view = healthy_view()
    publish(view, topics.POSITIONS, replace(position("binanceusdm", "BTC/USDC:USDC", "14"), quantity=Decimal(-2)))
    assert unified_balance(view, ALL, None, NOW)["unrealised_pnl_usd"] == pytest.approx(-28), "the mid of its book"
    publish(view, topics.FUNDING, funding("binanceusdm", "BTC/USDC:USDC", 101.5))
    reports = unified_balance(view, ALL, None, NOW)
    assert reports["unrealised_pnl_usd"] == pytest.approx(-2 * (101.5 - 86))
    assert reports["total_balance_usd"] == pytest.approx(300 - 31)
    old = unified_balance(view, ALL, None, NOW + 20 * SECOND)
    assert old["unrealised_pnl_usd"] == 14, "no fresh mark: what was reported"


def test_the_values_of_the_exchanges_add_up_to_the_account() -> None:
    """``binanceusdm`` was listed beside ``binance`` and in it: the values added up to 254,295 of 199,481."""
    reports = unified_balance(healthy_view(), ALL, None, NOW)
    accounts = reports["exchange_breakdown"]
    assert set(accounts) == {"binance", "hyperliquid"}
    assert set(accounts["binance"]["parts"]) == {"binance", "binanceusdm"}
    assert sum(one["total_usd"] for one in accounts.values()) == pytest.approx(reports["total_balance_usd"])
    alone = unified_balance(healthy_view(), ("binanceusdm", "hyperliquid"), None, NOW)["exchange_breakdown"]
    assert set(alone) == {"binanceusdm", "hyperliquid"}


def test_synced_means_that_every_part_is_fresh() -> None:
    view, later = healthy_view(), NOW + 200 * SECOND
    publish(view, topics.BALANCES, balance("binance", "BTC", "1"), later)
    assert sync_status(view, "binance", later)["status"] == "stale", "USDC was last reported 200 s ago"
    publish(view, topics.BALANCES, balance("binance"), later)
    publish(view, topics.BALANCES, balance("binance", "GONE", "0"), NOW)
    assert sync_status(view, "binance", later)["status"] == "synced", "nothing is held of what is older"
    publish(view, topics.POSITIONS, position("binanceusdm", "BTC/USDC:USDC", "1"))
    publish(view, topics.BALANCES, balance("binanceusdm"), later)
    stale = sync_status(view, "binanceusdm", later)
    assert (stale["status"], stale["age_seconds"]) == ("stale", 200.0)


def test_an_account_in_an_unsupported_mode_is_not_synced() -> None:
    view = healthy_view()
    publish(view, topics.STATUS, status("binanceusdm", StatusKind.MODE, "hedge mode: change it", value=1.0))
    reports = sync_status(view, "binanceusdm", NOW)
    assert (reports["status"], reports["agrees"], reports["detail"]) == ("differs", None, "mode: hedge mode: change it")
    publish(view, topics.STATUS, status("binanceusdm", StatusKind.MODE, ""))
    assert sync_status(view, "binanceusdm", NOW)["status"] == "synced"


def test_the_filter_selects_assets() -> None:
    view = healthy_view()
    publish(view, topics.BALANCES, balance("binance", "BTC", "1"))
    assert list(unified_balance(view, ALL, ["BTC"], NOW)["asset_breakdown"]) == ["BTC"]
    assert list(unified_balance(view, ("hyperliquid",), None, NOW)["exchange_breakdown"]) == ["hyperliquid"]
    assert unified_balance(view, ALL, [], NOW)["total_balance_usd"] == 0


def test_an_invalid_filter_names_the_argument() -> None:
    with pytest.raises(UsageError, match="asset_filter"):
        unified_balance(healthy_view(), ALL, "BTC", NOW)


def test_sync_status_has_age_and_agreement() -> None:
    view = healthy_view()
    assert sync_status(view, "binance", NOW + 3 * SECOND) == {
        "status": "synced",
        "age_seconds": 3.0,
        "agrees": True,
        "detail": "",
    }
    text = "USDC: the stream said 1, the exchange says 2"
    publish(view, topics.STATUS, status("binance", StatusKind.DIFFERENCE, text, value=1.0))
    differs = sync_status(view, "binance", NOW + 3 * SECOND)
    assert (differs["status"], differs["agrees"]) == ("differs", False)
    assert "the exchange says 2" in differs["detail"]
    assert sync_status(view, "binance", NOW + 200 * SECOND)["status"] == "stale"
    assert sync_status(View(), "binance", NOW)["status"] == "missing"
    publish(view, topics.STATUS, status("binance", StatusKind.DIFFERENCE, "they agree again", value=0.0))
    assert sync_status(view, "binance", NOW + 3 * SECOND)["status"] == "synced"


def test_a_position_of_an_unlisted_instrument_is_unpriced() -> None:
    view = healthy_view()
    publish(view, topics.POSITIONS, position("binanceusdm", "NEW/USDC:USDC", "5"))
    answer = unified_balance(view, ALL, None, NOW)
    assert (answer["unrealised_pnl_usd"], answer["unpriced"]) == (0, ["binanceusdm:NEW/USDC:USDC"])
    publish(view, topics.INSTRUMENTS, instrument("binanceusdm", "NEW/USDC:USDC"))
    assert unified_balance(view, ALL, None, NOW)["unrealised_pnl_usd"] == 5


def test_empty_accounts_give_an_empty_answer() -> None:
    answer = unified_balance(View(), ALL, None, NOW)
    assert answer["total_balance_usd"] == 0
    assert answer["last_updated"] == ""
    assert {one["status"] for one in answer["sync_status"].values()} == {"missing"}


def test_btc_is_worth_its_aggregated_price() -> None:
    view = healthy_view()
    publish(view, topics.BALANCES, balance("hyperliquid", "BTC", "2"))
    publish(view, topics.PRICES, price(sources=(source(price=50.0),)))
    assert unified_balance(view, ALL, ["BTC"], NOW)["total_balance_usd"] == 100
