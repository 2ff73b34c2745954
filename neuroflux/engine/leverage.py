"""How much more an account may hold before its leverage passes what was set: what is open, against what it is worth.

Leverage is the worth of all positions that share a margin asset, whatever their side, by the account's equity in it. An
order against a position makes it smaller first. Orders that rest and do not hold a position yet are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from neuroflux.domain import Balance, Instrument, InstrumentKind, Position, Side
from neuroflux.engine.limits import MARGIN
from neuroflux.exchanges.catalogue import exchange


def worth(position: Position) -> Decimal:
    """Signed, in the margin asset, at the mark price that its profit was reckoned with."""
    return position.quantity * position.entry_price + position.unrealised_pnl


def room(symbol: str, side: Side, positions: Mapping[str, Position], equity: Decimal, most: Decimal) -> Decimal:
    """The notional that an order may have; closing may go on. ``positions`` by symbol are those with this margin."""
    others = sum((abs(worth(one)) for name, one in positions.items() if name != symbol), Decimal(0))
    held = worth(positions[symbol]) if symbol in positions else Decimal(0)
    opposite = -held if side is Side.BUY else held
    return max(Decimal(0), opposite, equity * most - others + opposite)


def bounded(
    planned: Decimal,
    under_way: Decimal,
    instrument: Instrument,
    side: Side,
    limits: Mapping[str, float],
    balance: Balance | None,
    positions: Mapping[str, Position],
) -> Decimal:
    """Funds as they are planned with, at ``MARGIN``; no more than ``max_leverage`` allows beside what is under way."""
    most = limits.get("max_leverage", 0.0)
    if not most or instrument.kind is not InstrumentKind.PERPETUAL:
        return planned
    allowed = room(instrument.symbol, side, positions, _equity(instrument, balance, positions), Decimal(str(most)))
    return min(planned, allowed * MARGIN - under_way)


def _equity(instrument: Instrument, balance: Balance | None, positions: Mapping[str, Position]) -> Decimal:
    total = balance.total if balance else Decimal(0)
    if exchange(instrument.exchange).BALANCE_HAS_PNL:
        return total
    return total + sum((one.unrealised_pnl for one in positions.values()), Decimal(0))
