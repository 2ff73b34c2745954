"""The fault ``malformed_row``: one row of a list has lost everything but its name."""

from __future__ import annotations

from typing import Any

from neuroflux.sim.core.faults import Faults

_LISTS = (
    *("data", "details", "symbols", "universe", "balances", "assets", "positions", "assetPositions", "statuses"),
    *("tokens", "products", "accounts", "orders", "list", "coin"),
)
_MAPS = ("result", "open", "closed", "trades", "ledger")
"""Rows by their names, of which an answer may have one within another."""
_NAMES = ("symbol", "asset", "coin", "name", "product_id", "currency", "instId", "ccy", "wsname")


def spoiled(body: Any, faults: Faults, exchange_id: str, name: str) -> Any:
    """The answer with one row spoilt where the fault strikes; ``name`` is the requested list.

    The fault's ``value`` chooses the answers by that name, its ``symbol`` the row; else it is the first row of any.
    """
    fault = faults.setting(exchange_id, "malformed_row")
    if fault is None or fault.value not in ("", name):
        return body
    changed = _changed(body, fault.symbol)
    if changed is None:
        return body
    faults.take(exchange_id, "malformed_row")
    return changed


def _changed(body: Any, wanted: str) -> Any:
    """None where there is no such row."""
    if isinstance(body, list):
        return _in_rows(body, wanted)
    if isinstance(body, dict):
        for key in _LISTS:
            if (rows := _changed(body.get(key), wanted)) is not None:
                return {**body, key: rows}
        for key in _MAPS:
            if isinstance(inner := body.get(key), dict) and (named := _in_map(inner, wanted)) is not None:
                return {**body, key: named}
    return None


def _in_map(rows: dict[str, Any], wanted: str) -> dict[str, Any] | None:
    inner: dict[str, Any] | None = _changed(rows, wanted)
    if inner is not None:
        return inner
    if rows.keys() & set(_MAPS) or not all(isinstance(row, dict) for row in rows.values()):
        return None
    for name, row in rows.items():
        if wanted in ("", name, *(str(row.get(each)) for each in _NAMES)):
            return {**rows, name: _without(row)}
    return None


def _in_rows(rows: list[Any], wanted: str) -> list[Any] | None:
    for place, row in enumerate(rows):
        if isinstance(row, dict) and not any(isinstance(row.get(key), list) for key in _LISTS):
            if wanted in ("", *(str(row.get(name)) for name in _NAMES)):
                return [*rows[:place], _without(row), *rows[place + 1 :]]
        elif (inner := _changed(row, wanted)) is not None:
            return [*rows[:place], inner, *rows[place + 1 :]]
    return None


def _without(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value if key in _NAMES else None for key, value in row.items()}
