"""The cases of Hyperliquid from public reports, through ``decode``; each was answered wrongly before."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from neuroflux.exchanges.decode import decode_lines

CASES = Path(__file__).parents[5] / "shared" / "cases"


def answered(name: str) -> list[dict[str, Any]]:
    path = CASES / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here: the cases are other people's, and not part of the project")
    lines = path.read_text().splitlines()
    events = [json.loads(one) for one in decode_lines("hyperliquid", lines)]
    assert {one["line"] for one in events} == set(range(1, len(lines) + 1))
    return events


def test_a_unified_account_is_counted_once() -> None:
    balances = [one for one in answered("hl_unified_account_double_count") if one["type"] == "balance"]
    assert {Decimal(one["total"]) for one in balances} == {Decimal(1000)}
    parts = [Decimal(balances[-1][part]) for part in ("free", "in_orders", "in_positions", "unrealised_pnl")]
    assert parts == [Decimal(800), Decimal(0), Decimal(200), Decimal(0)]


def test_an_unknown_cancel_is_a_cancel() -> None:
    (order,) = answered("hl_internal_cancel")
    assert (order["type"], order["state"], order["reason"]) == ("order", "cancelled", "internalCancel")


def test_a_position_of_another_dex_is_reported() -> None:
    position, status = answered("hl_hip3_position_ignored")
    assert (position["type"], position["symbol"], position["quantity"]) == ("position", "xyz:XYZ100", "0.5")
    assert (status["type"], status["kind"]) == ("status", "unknown")


def test_the_address_limit_pauses_orders_only() -> None:
    (status,) = answered("hl_address_limit_holds_cancels")
    assert (status["kind"], status["orders_only"], status["retry_after"]) == ("limited", True, 10.0)


def test_a_slow_book_is_still_a_book() -> None:
    assert [one["type"] for one in answered("hl_l2book_every_5s")] == ["book"] * 3


def test_a_confirmed_book_is_never_old_enough_to_be_refused() -> None:
    """``hl_l2book_every_5s`` with the quotes in between: at no time is the newest book 3 s old."""
    path = CASES / "hl_l2book_every_5s.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here: the cases are other people's, and not part of the project")
    lines = path.read_text().splitlines()
    first = json.loads(lines[0])["ts_recv"]
    sides = [{"px": "150.1", "sz": "3", "n": 1}, {"px": "150.2", "sz": "3", "n": 1}]
    for second in range(1, 10):
        bbo = {"coin": "SOL", "time": int((first + second) * 1000), "bbo": sides}
        raw = json.dumps({"channel": "bbo", "data": bbo})
        lines.append(json.dumps({"dir": "ws", "ts_recv": first + second, "raw": raw}))
    lines.sort(key=lambda line: float(json.loads(line)["ts_recv"]))
    events = [json.loads(one) for one in decode_lines("hyperliquid", lines)]
    times = [one["received_time"] for one in events if one["type"] == "book"]
    assert max(later - earlier for earlier, later in pairwise(times)) < 3_000_000


def test_a_page_that_is_no_list_is_an_error() -> None:
    assert [one["type"] for one in answered("hl_fills_2000_no_second_page")] == ["error"]
