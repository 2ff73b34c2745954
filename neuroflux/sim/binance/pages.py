"""How Binance cuts lists into pages: a limit of rows, from the oldest where a start is named, else the newest.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints ("Account trade list") and
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/Account-Trade-List
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.binance.wire import ApiError, Params, integer_of
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.kit.pages import rows_of_a_page

Row = TypeVar("Row")
DEFAULT_ROWS, MOST_ROWS = 500, 1000
DAY_MS = 24 * 3600 * 1000
_LONGEST = {True: DAY_MS, False: 7 * DAY_MS}
"""Between the start and the end of a page: on spot, and on USDⓈ-M."""


class Pages:
    """Cuts the lists of one exchange. Rows are given oldest first; times in ms."""

    def __init__(self, faults: Faults, exchange_id: str) -> None:
        self._faults = faults
        self._exchange_id = exchange_id
        self._is_spot = exchange_id == BINANCE

    def page(
        self,
        rows: Sequence[Row],
        params: Params,
        number: Callable[[Row], int],
        time: Callable[[Row], int],
        first_name: str = "fromId",
    ) -> list[Row]:
        """The rows of one answer; ``first_name`` is the parameter that names the first number."""
        first, start, end = self._bounds(params, first_name)
        found = [row for row in rows if number(row) >= first and start <= time(row) <= end]
        limit = self.limit(params)
        is_forward = bool(params.get(first_name) or params.get("startTime"))
        return found[:limit] if is_forward else found[-limit:]

    def limit(self, params: Params) -> int:
        """The rows that an answer has at most."""
        limit = max(1, min(integer_of(params, "limit", DEFAULT_ROWS), MOST_ROWS))
        return rows_of_a_page(self._faults, self._exchange_id, limit)

    def _bounds(self, params: Params, first_name: str) -> tuple[int, int, int]:
        """First number, start and end; raises ApiError -1127 and -1128."""
        if params.get(first_name) and (params.get("startTime") or params.get("endTime")):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        longest = _LONGEST[self._is_spot]
        start, end = integer_of(params, "startTime", 0), integer_of(params, "endTime", 1 << 60)
        if params.get("startTime") and params.get("endTime") and end - start > longest:
            raise ApiError(-1127, "Lookup interval is too big.")
        if params.get("startTime") and not self._is_spot:
            end = min(end, start + longest)
        return integer_of(params, first_name, 0), start, end
