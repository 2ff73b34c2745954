"""What an order may do to an account's positions: reduce one without funds, or enlarge one within a leverage limit.

Leverage is the value of all positions with the same margin asset, whatever their side, divided by the account's equity
in it. An order against a position reduces it first. Resting orders without a position yet are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from neuroflux.domain import Balance, Instrument, InstrumentKind, Position, Side
from neuroflux.engine.orders.state import ZERO, Attempt, Order
from neuroflux.engine.risk.limits import MARGIN, Seen, at_margin


def reducible(
    instrument: Instrument, side: Side, position: Position | None, orders: Iterable[Order], seen: Seen
) -> Decimal:
    """How much of an order of this side, in wire units, only reduces the position.

    Other orders' shares are subtracted: open ones, and fills that a position ``seen`` then can't include yet.
    """
    if position is None or instrument.kind is not InstrumentKind.PERPETUAL:
        return ZERO
    held = position.quantity if side is Side.SELL else -position.quantity
    taken = (_reducing(order, instrument, side, seen) for order in orders)
    return max(ZERO, held - sum(taken, ZERO))


def _reducing(order: Order, instrument: Instrument, side: Side, seen: Seen) -> Decimal:
    """The reduction by an order that the position may not include yet."""
    here = (instrument.exchange, instrument.symbol, side)
    total = ZERO
    for number, leg in enumerate(order.legs):
        if leg.reducing and (leg.instrument.exchange, leg.instrument.symbol, leg.side) == here:
            total += min(leg.reducing, outstanding(order, number, seen))
    return total


def outstanding(order: Order, number: int, seen: Seen) -> Decimal:
    """The quantity of a leg, in wire units, that may still fill, or that a holding ``seen`` then can't include yet."""
    leg, last = order.legs[number], order.last_of(number)
    if last is None:
        return ZERO if order.state.final else leg.quantity
    missing = ZERO if _shows(seen, last) else last.filled
    return missing if last.phase.final else leg.quantity - last.filled + missing


def held(order: Order, seen: Callable[[Instrument], Seen]) -> bool:
    """Whether the holdings, of the times given by ``seen``, include all fills of an order."""
    lasts = [(leg.instrument, order.last_of(number)) for number, leg in enumerate(order.legs)]
    return all(last is None or not last.filled or _shows(seen(one), last) for one, last in lasts)


def _shows(seen: Seen, last: Attempt) -> bool:
    return seen.shows(last.sent_at, last.filled_at, last.filled_time)


def worth(position: Position) -> Decimal:
    """The signed value in the margin asset, at the mark price of its unrealised profit."""
    return position.quantity * position.entry_price + position.unrealised_pnl


def room(symbol: str, side: Side, positions: Mapping[str, Position], equity: Decimal, most: Decimal) -> Decimal:
    """The allowed notional of an order; closing is always allowed. ``positions`` are those with its margin asset."""
    others = sum((abs(worth(one)) for name, one in positions.items() if name != symbol), ZERO)
    held = worth(positions[symbol]) if symbol in positions else ZERO
    against = -held if side is Side.BUY else held
    return max(ZERO, against, equity * most - others + against)


def _opposite(symbol: str, side: Side, positions: Mapping[str, Position]) -> Decimal:
    """The value of the position that an order of this side reduces; 0 if there is none."""
    held = worth(positions[symbol]) if symbol in positions else ZERO
    return max(ZERO, -held if side is Side.BUY else held)


def bounded(
    planned: Decimal,
    under_way: Decimal,
    instrument: Instrument,
    side: Side,
    limits: Mapping[str, float],
    balance: Balance | None,
    positions: Mapping[str, Position],
) -> Decimal:
    """The funds, at ``MARGIN``, with which a position may be enlarged.

    At most what ``max_leverage`` allows, less what is ``under_way``; a reduction (``reducible``) needs no funds.
    """
    most = limits.get("max_leverage", 0.0)
    if not most or instrument.kind is not InstrumentKind.PERPETUAL:
        return planned
    symbol, equity = instrument.symbol, _equity(balance, positions)
    allowed = room(symbol, side, positions, equity, Decimal(str(most))) - _opposite(symbol, side, positions)
    return min(planned, allowed * MARGIN - under_way)


def free_for(
    instrument: Instrument,
    side: Side,
    limits: Mapping[str, float],
    balance: Balance | None,
    positions: Mapping[str, Position],
    under_way: Decimal = ZERO,
) -> Decimal:
    """The funds of a balance that an order may plan with, less what is ``under_way`` in its asset.

    0 for an instrument on which positions may only be reduced.
    """
    if instrument.closing_only:
        return ZERO
    free = balance.free if balance else ZERO
    planned, holding = (at_margin(one, instrument, limits) for one in (free - under_way, under_way))
    return bounded(planned, holding, instrument, side, limits, balance, positions)


def _equity(balance: Balance | None, positions: Mapping[str, Position]) -> Decimal:
    wallet = balance.total - balance.unrealised_pnl if balance else Decimal(0)
    return wallet + sum((one.unrealised_pnl for one in positions.values()), ZERO)
