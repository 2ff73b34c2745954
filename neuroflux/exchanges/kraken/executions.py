"""Kraken's channel ``executions``: reports of orders, put together, and fills.

The first report of an order, or a row of the snapshot, has all of it; a later one has its id and what has changed, and
no symbol. A fill is a row of its own, and an order that a fill completes is reported once more, as filled. Source:
https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder
from msgspec.structs import asdict, replace

from neuroflux.domain import Fill, Liquidity, OrderReport, OrderState, OrderType
from neuroflux.exchanges.kit.rows import sane
from neuroflux.exchanges.kraken.messages import ID, ZERO, Execution, microseconds, side_of, type_of
from neuroflux.exchanges.kraken.names import Pairs
from neuroflux.exchanges.kraken.orders import STATES, reason_of

FILLED: Final = "trade"
_LASTING: Final = ("symbol", "side", "order_type", "cl_ord_id", "order_qty", "limit_price", "cum_qty", "avg_price")
"""What a report that leaves it out does not change."""

_ROW: Final = Decoder(Execution)


def row(raw: Raw) -> Execution:
    """Raises ``UNREADABLE``, also for a fill of nothing."""
    wire = _ROW.decode(raw)
    for fee in wire.fees:
        sane(fee)
    if wire.exec_type == FILLED and not (wire.last_qty > 0 and wire.last_price > 0 and wire.exec_id):
        raise ValueError(f"a fill of nothing: {wire.last_qty:.40} at {wire.last_price:.40}")
    return wire


class Orders:
    """The orders that are open, as their last report has left them, by the exchange's id."""

    def __init__(self) -> None:
        self._open: dict[str, Execution] = {}

    @property
    def ids(self) -> set[str]:
        return set(self._open)

    def forget(self, order_id: str) -> None:
        self._open.pop(order_id, None)

    def merged(self, wire: Execution) -> Execution:
        """The report with what earlier ones said, which ends with the order."""
        before = self._open.get(wire.order_id)
        if before is not None:
            known = asdict(before)
            wire = replace(wire, **{name: known[name] for name in _LASTING if getattr(wire, name) is None})
        state = STATES.get(wire.order_status, OrderState.ACKNOWLEDGED)
        if state.final:
            self.forget(wire.order_id)
        elif wire.symbol is not None:
            self._open[wire.order_id] = wire
        return wire


def report_of(wire: Execution, pairs: Pairs) -> OrderReport | None:
    """None for an order whose beginning is not known."""
    if wire.symbol is None or wire.side is None:
        return None
    kind, filled = type_of(wire.order_type or ""), wire.cum_qty or ZERO
    state = STATES.get(wire.order_status, OrderState.ACKNOWLEDGED)
    return OrderReport(
        ID,
        pairs.symbol(wire.symbol),
        wire.cl_ord_id or "",
        wire.order_id,
        side_of(wire.side),
        kind,
        ZERO if kind is OrderType.MARKET else wire.limit_price or ZERO,
        wire.order_qty or filled,
        filled,
        (wire.avg_price or None) if filled else ZERO,
        OrderState.WORKING if state is OrderState.ACKNOWLEDGED and filled else state,
        reason_of(wire.order_status, wire.reason, wire.cancel_reason),
        microseconds(wire.timestamp),
    )


def fill_of(wire: Execution, pairs: Pairs) -> Fill | None:
    """None for a row that is no fill, or whose pair is not known. A fee of several assets has the first one's part."""
    if wire.exec_type != FILLED or wire.symbol is None or wire.side is None:
        return None
    asset = wire.fees[0].asset if wire.fees else pairs.quote(wire.symbol)
    return Fill(
        "",
        ID,
        pairs.symbol(wire.symbol),
        wire.cl_ord_id or "",
        wire.order_id,
        wire.exec_id,
        side_of(wire.side),
        wire.last_price,
        wire.last_qty,
        sum((one.qty for one in wire.fees if one.asset == asset), ZERO),
        asset,
        Liquidity.MAKER if wire.liquidity_ind == "m" else Liquidity.TAKER,
        microseconds(wire.timestamp),
        name=pairs.key(wire.symbol),
    )
