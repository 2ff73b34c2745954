"""How OKX cuts lists into pages: newest first, those older than ``after`` and newer than ``before``.

Source: https://www.okx.com/docs-v5/en/#overview-general-info ("Pagination")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from neuroflux.sim.core.faults import Faults
from neuroflux.sim.kit.pages import rows_of_a_page
from neuroflux.sim.okx.venue import OKX
from neuroflux.sim.okx.wire import Params, whole

MOST_ROWS = 100
Row = TypeVar("Row")


class Pages:
    """Cuts lists."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def page(
        self, params: Params, rows: Iterable[Row], number: Callable[[Row], int], time: Callable[[Row], int]
    ) -> list[Row]:
        """``number`` is what ``after`` and ``before`` name; ``time`` in µs is cut by ``begin`` and ``end`` in ms."""
        values, far = params.values, 1 << 63
        after, before = whole(values, "after", far), whole(values, "before", -1)
        begin, end = whole(values, "begin", 0), whole(values, "end", far)
        found = [row for row in rows if before < number(row) < after and begin <= time(row) // 1000 <= end]
        limit = max(1, min(whole(values, "limit", MOST_ROWS), MOST_ROWS))
        return sorted(found, key=number, reverse=True)[: rows_of_a_page(self._faults, OKX, limit)]
