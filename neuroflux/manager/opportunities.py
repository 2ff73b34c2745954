"""``scan_arbitrage_opportunities``: the signals that are open now, the most profitable first."""

from __future__ import annotations

from collections.abc import Mapping

from neuroflux.domain import ArbitrageSignal, Microseconds
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS
from neuroflux.manager.answers import Opportunity, causes_answer, iso
from neuroflux.manager.mirror import Mirror


def opportunities(
    mirror: Mirror, now: Microseconds, thresholds: Mapping[str, float] = ARBITRAGE_THRESHOLDS
) -> list[Opportunity]:
    """Every signal that has not expired, promises what the thresholds ask, and whose exchanges are not halted."""
    worth = [
        one
        for one in mirror.open_signals(now)
        if pays(mirror, one, now, thresholds)
        and not mirror.halt_of(one.buy_exchange)
        and not mirror.halt_of(one.sell_exchange)
    ]
    worth.sort(key=lambda one: (-one.expected_profit, one.expires_at, one.signal_id))
    return [_opportunity(one) for one in worth]


def pays(mirror: Mirror, signal: ArbitrageSignal, now: Microseconds, thresholds: Mapping[str, float]) -> bool:
    """Whether a signal promises enough, in USD and as a fraction of what is bought."""
    notional = _notional(mirror, signal, now)
    return signal.expected_profit >= max(thresholds["min_profit_usd"], thresholds["min_profit_fraction"] * notional)


def _notional(mirror: Mirror, signal: ArbitrageSignal, now: Microseconds) -> float:
    """USD of what is bought, at the price of its book; without a rate of its quote, as if that were USD."""
    bought = mirror.instrument(signal.buy_exchange, signal.buy_symbol)
    if bought is None:
        return signal.quantity * signal.buy_price
    rate = mirror.rate(bought.quote, now)
    return signal.quantity * signal.buy_price / bought.multiplier * (rate.ask if rate else 1.0)


def _opportunity(signal: ArbitrageSignal) -> Opportunity:
    return {
        "symbol": signal.market,
        "expected_profit": signal.expected_profit,
        "signal_id": signal.signal_id,
        "market": signal.market,
        "kind": signal.kind.value,
        "buy_exchange": signal.buy_exchange,
        "buy_symbol": signal.buy_symbol,
        "buy_price": signal.buy_price,
        "sell_exchange": signal.sell_exchange,
        "sell_symbol": signal.sell_symbol,
        "sell_price": signal.sell_price,
        "quantity": signal.quantity,
        "gross_profit": signal.gross_profit,
        "fees": signal.fees,
        "conversion_cost": signal.conversion_cost,
        "created_at": iso(signal.event_time),
        "expires_at": iso(signal.expires_at),
        "causes": causes_answer(signal.causes),
    }
