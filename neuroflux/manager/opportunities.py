"""``scan_arbitrage_opportunities``: the open signals that the accounts can fund, the best first."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isnan, nan

from neuroflux.domain import ArbitrageSignal, Level, Microseconds, OrderType, Side
from neuroflux.engine.markets.crossing import Leg, cross
from neuroflux.engine.markets.rounding import round_quantity
from neuroflux.engine.risk.limits import spent_amount
from neuroflux.engine.routing.candidates import side_of
from neuroflux.engine.routing.pair import CLOSENESS
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS
from neuroflux.manager.answers import Opportunity, causes_answer, iso
from neuroflux.manager.view import View


def opportunities(
    view: View, now: Microseconds, thresholds: Mapping[str, float] = ARBITRAGE_THRESHOLDS
) -> list[Opportunity]:
    """Signals that are not expired, whose exchanges are not halted, and that meet the thresholds with the quantity that
    the accounts can fund. If their funds are not known, the signal's own quantity is used."""
    found = [
        (one, _opportunity(view, one, now))
        for one in view.open_signals(now)
        if one.expected_profit >= thresholds["min_profit_usd"]  # the part that can be funded can't earn more
        and not view.halt_of(one.buy_exchange)
        and not view.halt_of(one.sell_exchange)
    ]
    worth = [one for signal, one in found if pays(one, _unit_usd(view, signal, now), thresholds)]
    worth.sort(key=lambda one: (-one["expected_profit"], one["expires_at"], one["signal_id"]))
    return worth


def pays(found: Opportunity, unit_usd: float, thresholds: Mapping[str, float]) -> bool:
    """Whether the expected profit is enough, in USD and as a fraction of what is bought."""
    funded = found["fundable_quantity"]
    notional = (found["quantity"] if isnan(funded) else funded) * unit_usd
    return found["expected_profit"] >= max(thresholds["min_profit_usd"], thresholds["min_profit_fraction"] * notional)


def _unit_usd(view: View, signal: ArbitrageSignal, now: Microseconds) -> float:
    """USD per unit of the base, at the book's price; without a rate for its quote, as if that were USD."""
    bought = view.instrument(signal.buy_exchange, signal.buy_symbol)
    if bought is None:
        return signal.buy_price
    rate = view.rate(bought.quote, now)
    return signal.buy_price / bought.multiplier * (rate.ask if rate else 1.0)


def _per_base(view: View, exchange: str, symbol: str, price: float) -> float:
    """A price per unit of the wire as one per unit of the base; ``nan`` if the instrument is not listed."""
    instrument = view.instrument(exchange, symbol)
    return price / instrument.multiplier if instrument is not None else nan


# ── what the accounts can fund ─────────────────────────────────────────────────────────────────────────────────────


def fundable(view: View, signal: ArbitrageSignal, now: Microseconds) -> float:
    """Units of the base that both accounts can fund, computed as the execution stage does; ``nan`` if not known."""
    quantity = Decimal(str(signal.quantity))
    sides = (
        (Side.BUY, view.instrument(signal.buy_exchange, signal.buy_symbol), signal.buy_price),
        (Side.SELL, view.instrument(signal.sell_exchange, signal.sell_symbol), signal.sell_price),
    )
    for side, instrument, price in sides:
        prospect = view.prospect(instrument, side, now) if instrument is not None else None
        if instrument is None or prospect is None or prospect.free is None:
            return nan
        unit = spent_amount(instrument, side, Decimal(1), Decimal(str(price)))
        funded = max(prospect.free, Decimal(0)) * CLOSENESS / unit + prospect.reducible
        quantity = min(quantity, funded * instrument.multiplier)
    for _, instrument, _ in sides:
        if instrument is not None:
            step = round_quantity(instrument, quantity / instrument.multiplier, OrderType.LIMIT)
            quantity = step * instrument.multiplier
    return float(quantity)


def _profit(view: View, signal: ArbitrageSignal, quantity: float, now: Microseconds) -> float:
    """Net USD of the first ``quantity`` units at the current books, at most the signal's expected profit.

    Without both books it is the signal's average, which the first units exceed.
    """
    share = quantity / signal.quantity
    if not quantity or share >= 1:
        return share * signal.expected_profit
    legs = [_leg(view, signal, side, quantity, now) for side in Side]
    taken = cross(legs[0], legs[1], float("inf")) if legs[0] and legs[1] else None
    net = taken.net - share * signal.exit_cost if taken and taken.quantity >= quantity * 0.999 else 0.0
    return min(max(net, share * signal.expected_profit), signal.expected_profit)


def _leg(view: View, signal: ArbitrageSignal, side: Side, quantity: float, now: Microseconds) -> Leg | None:
    """A side of the newest book, cut to the quantity."""
    buys = side is Side.BUY
    exchange, symbol = (signal.buy_exchange, signal.buy_symbol) if buys else (signal.sell_exchange, signal.sell_symbol)
    instrument = view.instrument(exchange, symbol)
    rate = view.rate(instrument.quote, now) if instrument else None
    book = view.book(instrument) if instrument else None
    if instrument is None or rate is None or book is None:
        return None
    levels, left = list[Level[float]](), quantity / instrument.multiplier
    for level in side_of(book, side):
        levels.append(Level(level.price, min(level.quantity, left)))
        left -= level.quantity
        if left <= 0:
            break
    return Leg(levels, instrument.quote, rate, float(instrument.taker_fee), float(instrument.multiplier))


def _opportunity(view: View, signal: ArbitrageSignal, now: Microseconds) -> Opportunity:
    funded = fundable(view, signal, now)
    return {
        "symbol": signal.market,
        "expected_profit": signal.expected_profit if isnan(funded) else _profit(view, signal, funded, now),
        "fundable_quantity": funded,
        "market_profit": signal.expected_profit,
        "signal_id": signal.signal_id,
        "market": signal.market,
        "kind": signal.kind.value,
        "buy_exchange": signal.buy_exchange,
        "buy_symbol": signal.buy_symbol,
        "buy_price": _per_base(view, signal.buy_exchange, signal.buy_symbol, signal.buy_price),
        "sell_exchange": signal.sell_exchange,
        "sell_symbol": signal.sell_symbol,
        "sell_price": _per_base(view, signal.sell_exchange, signal.sell_symbol, signal.sell_price),
        "quantity": signal.quantity,
        "gross_profit": signal.gross_profit,
        "fees": signal.fees,
        "conversion_cost": signal.conversion_cost,
        "entry_edge": signal.gross_profit - signal.fees - signal.conversion_cost,
        "exit_cost": signal.exit_cost,
        "created_at": iso(signal.event_time),
        "expires_at": iso(signal.expires_at),
        "causes": causes_answer(signal.causes),
    }
