"""``get_unified_balance``: what is held is the sum of what the exchanges say, and nothing else."""

from decimal import Decimal
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux import topics
from neuroflux.domain import StatusKind
from neuroflux.errors import UsageError
from neuroflux.manager.balances import sync_status, unified_balance
from neuroflux.manager.mirror import Mirror
from tests.neuroflux.manager.told import (
    NOW,
    SECOND,
    all_well,
    balance,
    book,
    instrument,
    position,
    price,
    source,
    status,
    tell,
)

ALL = ("binance", "binanceusdm", "hyperliquid")
amounts = st.decimals(0, 10**9, allow_nan=False, places=8)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(ALL), st.sampled_from(["BTC", "USDC"])), st.tuples(amounts, amounts, amounts)
    )
)
def test_it_is_the_sum_of_what_the_exchanges_say(held: dict[tuple[str, str], tuple[Decimal, Decimal, Decimal]]) -> None:
    mirror = all_well()
    mirror.balances.clear()
    for (exchange, asset), parts in held.items():
        tell(mirror, topics.BALANCES, balance(exchange, asset, *map(str, parts)))
    answer = unified_balance(mirror, ALL, None, NOW)
    for asset, shown in answer["asset_breakdown"].items():
        said = sum((sum(parts) for (_, name), parts in held.items() if name == asset), Decimal(0))
        assert shown["total"] == float(said)
        assert shown["available"] + shown["in_positions"] + shown["in_orders"] == pytest.approx(shown["total"])
        assert answer["available_balance"][asset] + answer["locked_balance"][asset] == pytest.approx(shown["total"])
    values = sum(one["value_usd"] for one in answer["asset_breakdown"].values())
    assert answer["total_balance_usd"] == pytest.approx(values)
    accounts = answer["exchange_breakdown"]
    assert accounts["binance"]["total_usd"] + accounts["hyperliquid"]["total_usd"] == pytest.approx(values)
    both = accounts["binance"]["parts"]
    assert accounts["binance"]["total_usd"] == pytest.approx(sum(part["total_usd"] for part in both.values()))


def test_a_stablecoin_counts_at_its_live_rate() -> None:
    mirror = all_well()
    tell(mirror, topics.BOOKS, book("binance", "USDC/USDT", 1.25, half=0.05))
    tell(mirror, topics.BALANCES, balance("binance", "USDT", "120"))
    value = unified_balance(mirror, ALL, ["USDT"], NOW)["total_balance_usd"]
    assert value == pytest.approx(120 * (1 / 1.3 + 1 / 1.2) / 2)


def test_what_has_no_price_is_named_and_not_counted_as_zero() -> None:
    mirror = all_well()
    tell(mirror, topics.BALANCES, balance("binance", "DUST", "5"))
    tell(mirror, topics.BALANCES, balance("binance", "GONE", "0"))
    answer = unified_balance(mirror, ALL, None, NOW)
    assert answer["unpriced"] == ["DUST"]
    assert isnan(answer["asset_breakdown"]["DUST"]["value_usd"])
    assert answer["asset_breakdown"]["GONE"]["value_usd"] == 0
    assert answer["total_balance_usd"] == 300
    assert unified_balance(mirror, ALL, None, NOW + 60 * SECOND)["unpriced"] == ["DUST"], "USDC is the unit of account"


def test_an_old_price_is_none() -> None:
    mirror = all_well()
    tell(mirror, topics.BALANCES, balance("binance", "BTC", "1"))
    assert unified_balance(mirror, ALL, None, NOW + 60 * SECOND)["unpriced"] == ["BTC"]


def test_unrealised_profit_counts_once() -> None:
    mirror = all_well()
    tell(mirror, topics.POSITIONS, position("binanceusdm", "BTC/USDC:USDC", "-30"))
    tell(mirror, topics.POSITIONS, position("hyperliquid", "BTC/USDC:USDC", "7"))
    answer = unified_balance(mirror, ALL, None, NOW)
    assert answer["unrealised_pnl_usd"] == -23
    assert answer["total_balance_usd"] == 300 - 30, "Hyperliquid's account value holds it already"
    assert answer["exchange_breakdown"]["binance"]["total_usd"] == 170


def test_only_what_was_asked_for() -> None:
    mirror = all_well()
    tell(mirror, topics.BALANCES, balance("binance", "BTC", "1"))
    assert list(unified_balance(mirror, ALL, ["BTC"], NOW)["asset_breakdown"]) == ["BTC"]
    assert list(unified_balance(mirror, ("hyperliquid",), None, NOW)["exchange_breakdown"]) == ["hyperliquid"]
    assert unified_balance(mirror, ALL, [], NOW)["total_balance_usd"] == 0


def test_a_filter_that_is_no_list_names_the_argument() -> None:
    with pytest.raises(UsageError, match="asset_filter"):
        unified_balance(all_well(), ALL, "BTC", NOW)


def test_sync_status_tells_age_and_agreement() -> None:
    mirror = all_well()
    assert sync_status(mirror, "binance", NOW + 3 * SECOND) == {
        "status": "synced",
        "age_seconds": 3.0,
        "agrees": True,
        "detail": "",
    }
    tell(
        mirror, topics.STATUS, status("binance", StatusKind.DIFFERENCE, "USDC: the stream said 1, the exchange says 2")
    )
    differs = sync_status(mirror, "binance", NOW + 3 * SECOND)
    assert (differs["status"], differs["agrees"]) == ("differs", False)
    assert "the exchange says 2" in differs["detail"]
    assert sync_status(mirror, "binance", NOW + 200 * SECOND)["status"] == "stale"
    assert sync_status(Mirror(), "binance", NOW)["status"] == "missing"


def test_a_position_in_what_nobody_listed_is_named() -> None:
    mirror = all_well()
    tell(mirror, topics.POSITIONS, position("binanceusdm", "NEW/USDC:USDC", "5"))
    answer = unified_balance(mirror, ALL, None, NOW)
    assert (answer["unrealised_pnl_usd"], answer["unpriced"]) == (0, ["binanceusdm:NEW/USDC:USDC"])
    tell(mirror, topics.INSTRUMENTS, instrument("binanceusdm", "NEW/USDC:USDC"))
    assert unified_balance(mirror, ALL, None, NOW)["unrealised_pnl_usd"] == 5


def test_nothing_there_is_an_answer_too() -> None:
    answer = unified_balance(Mirror(), ALL, None, NOW)
    assert answer["total_balance_usd"] == 0
    assert answer["last_updated"] == ""
    assert {one["status"] for one in answer["sync_status"].values()} == {"missing"}


def test_btc_is_worth_its_aggregated_price() -> None:
    mirror = all_well()
    tell(mirror, topics.BALANCES, balance("hyperliquid", "BTC", "2"))
    tell(mirror, topics.PRICES, price(sources=(source(price=50.0),)))
    assert unified_balance(mirror, ALL, ["BTC"], NOW)["total_balance_usd"] == 100
