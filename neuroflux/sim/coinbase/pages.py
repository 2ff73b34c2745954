"""Coinbase's lists in pages: a cursor names the last row that was answered.

Source: https://docs.cdp.coinbase.com/coinbase-app/api-architecture/pagination
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from neuroflux.sim.coinbase.venue import COINBASE
from neuroflux.sim.coinbase.wire import Params, limit_of, malformed, text
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.kit.pages import rows_of_a_page

Row = TypeVar("Row")


def page(
    rows: Sequence[Row],
    name: Callable[[Row], str],
    params: Params,
    faults: Faults,
    limits: tuple[int, int],
    cursor: str = "cursor",
) -> tuple[Sequence[Row], str]:
    """The rows after the one that the parameter ``cursor`` names, and the next cursor; "" at the end.

    ``limits`` are the default and the greatest number of rows.
    """
    names, after = [name(row) for row in rows], text(params, cursor)
    if after and after not in names:
        raise malformed("invalid cursor")
    begin = names.index(after) + 1 if after else 0
    end = begin + rows_of_a_page(faults, COINBASE, limit_of(params, *limits))
    return rows[begin:end], names[end - 1] if end < len(rows) else ""
