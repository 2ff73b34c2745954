"""USDⓈ-M's history of an account's income: transfers, funding, and what trades realised and cost.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/Get-Income-History
"""

from __future__ import annotations

from collections.abc import Iterator

from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.binance.wire import Params, amount, integer_of
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.core.orders import Fill, FundingEvent, TransferEvent
from neuroflux.sim.kit.pages import rows_of_a_page

WEIGHT = 30
DEFAULT_ROWS, MOST_ROWS = 100, 1000
WEEK_MS = 7 * 24 * 3600 * 1000
FIRST_ID = 131_001_573_000

Row = dict[str, object]


class Incomes:
    """Answers for one account, in pages, the oldest first."""

    def __init__(self, exchange: SimExchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults

    def income(self, params: Params, now: int) -> object:
        named = params.get("startTime") or params.get("endTime")
        start = integer_of(params, "startTime", 0 if named else now // 1000 - WEEK_MS)
        end, kind = integer_of(params, "endTime", now // 1000), params.get("incomeType", "")
        found = [(time, row) for time, row in self._rows() if start <= time <= end]
        found = [(time, row) for time, row in found if kind in ("", row["incomeType"])]
        rows = [row for _, row in sorted(found, key=lambda each: each[0])]
        limit = self._limit(params)
        first = (max(1, integer_of(params, "page", 1)) - 1) * limit
        return rows[first : first + limit]

    def _limit(self, params: Params) -> int:
        limit = max(1, min(integer_of(params, "limit", DEFAULT_ROWS), MOST_ROWS))
        return rows_of_a_page(self._faults, BINANCE_USDM, limit)

    def _rows(self) -> Iterator[tuple[int, Row]]:
        """With their times in ms. A transfer's is of the whole second."""
        for number, event in enumerate(self._exchange.moved, start=FIRST_ID):
            if isinstance(event, FundingEvent):
                yield self._row("FUNDING_FEE", event, event.listing.quote, number, event.listing.symbol)
            else:
                yield self._row("TRANSFER", event, event.asset, number, "")
        for fill in self._exchange.fills():
            yield from self._of_trade(fill)

    @staticmethod
    def _row(kind: str, event: FundingEvent | TransferEvent, asset: str, number: int, symbol: str) -> tuple[int, Row]:
        whole = 1000 if kind == "TRANSFER" else 1
        time, names = event.time // 1000 // whole * whole, {"incomeType": kind, "info": kind}
        row = {"symbol": symbol, **names, "income": amount(event.amount), "asset": asset, "time": time}
        return time, {**row, "tranId": number, "tradeId": ""}

    @staticmethod
    def _of_trade(fill: Fill) -> Iterator[tuple[int, Row]]:
        time, symbol = fill.time // 1000, fill.listing.symbol
        for kind, asset, value in (
            ("REALIZED_PNL", fill.listing.quote, fill.profit),
            ("COMMISSION", fill.fee_asset, -fill.fee),
        ):
            if value:
                row = {"symbol": symbol, "incomeType": kind, "income": amount(value), "asset": asset, "info": kind}
                yield time, {**row, "time": time, "tranId": fill.trade_id, "tradeId": str(fill.trade_id)}
