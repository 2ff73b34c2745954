"""The margin of an account whose assets are pooled."""

from __future__ import annotations

from decimal import Decimal

import pytest

from neuroflux.domain import Balance, Position
from neuroflux.engine.risk.limits import Seen
from neuroflux.engine.risk.pool import Pools, amount_in, positions_in

D = Decimal
PRICES = {"USDC": 1.0, "USDT": 0.5, "BNFCR": 1.0, "BTC": 50_000.0}


def row(asset: str, total: str, free: str, time: int = 5, pooled: bool = True) -> Balance:
    rest = D(total) - D(free)
    return Balance("usdm", asset, D(free), D(0), rest, D(total), time, pooled=pooled)


def pools(*rows: Balance) -> Pools:
    found = Pools()
    for written, one in enumerate(rows, start=10):
        found.take(one, written)
    return found


def test_the_account_is_one_balance_in_units_of_what_a_perpetual_settles_in() -> None:
    found = pools(row("BNFCR", "-10", "-60"), row("USDC", "500", "500")).balance("usdm", "USDT", PRICES.get)
    assert found is not None
    assert (found.total, found.free, found.in_positions) == (D(980), D(880), D(100))


@pytest.mark.parametrize(("total", "known"), [("3", True), ("-3", False)])
def test_an_unpriced_asset_adds_nothing_and_makes_a_debt_unknown(total: str, known: bool) -> None:
    found = pools(row("XYZ", total, total), row("USDC", "500", "500")).balance("usdm", "USDC", PRICES.get)
    assert (found.free if found else None) == (D(500) if known else None)
    assert pools(row("USDC", "500", "500")).balance("usdm", "XYZ", PRICES.get) is None


def test_an_empty_or_unpooled_balance_is_removed_from_the_pool() -> None:
    both = pools(row("BNFCR", "1", "1"), row("USDC", "500", "500"), row("BNFCR", "0", "0"))
    assert both.written("usdm") == 11
    assert "usdm" in both
    both.take(row("USDC", "500", "500", pooled=False), 20)
    assert "usdm" not in both


def test_a_pool_is_as_old_as_its_oldest_part_and_shows_what_its_newest_shows() -> None:
    both = pools(row("BNFCR", "1", "1", 7), row("USDC", "500", "500", 6))
    assert both.written("usdm") == 10
    assert both.seen("usdm") == Seen(11, 6)


def test_positions_are_compared_in_one_unit() -> None:
    held = Position("usdm", "BTC/USDC:USDC", D(2), D(100), D(-5), 0)
    found = positions_in("USDT", [(held, "USDC")], PRICES.get)
    assert found is not None
    assert (found[held.symbol].entry_price, found[held.symbol].unrealised_pnl) == (D(200), D(-10))
    assert positions_in("USDT", [(held, "XYZ")], PRICES.get) is None


def test_zero_amounts_need_no_price() -> None:
    assert amount_in("USDC", {"XYZ": D(0), "BTC": D(2)}, PRICES.get) == 100_000
