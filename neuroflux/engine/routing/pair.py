"""Pair orders, which buy on one exchange and sell on another: profitability, the bounds of both legs, and hedges.

Both legs are sent at once, each immediate-or-cancel with a limit price: the worst level that it is meant to take, and
half of the pair's profit beyond it, so that even at both bounds the pair loses nothing. If one book is thin, the harder
leg is sent first, and the other follows as its hedge. A difference between the sides is hedged where it costs less: on
the side that filled less, or back on the side that filled more, never beyond ``HEDGE_BOUND``.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import (
    Candidate,
    CommandLeg,
    Microseconds,
    OrderCommand,
    OrderType,
    Requirements,
    Side,
    TimeInForce,
)
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.markets.crossing import Leg as Crossed
from neuroflux.engine.markets.crossing import Taken, cross
from neuroflux.engine.markets.rounding import round_price, round_quantity, violation
from neuroflux.engine.markets.walk import walk
from neuroflux.engine.orders.inputs import Hedged
from neuroflux.engine.orders.state import Leg, Order, Phase
from neuroflux.engine.risk.limits import Limits, spent_amount, spent_asset
from neuroflux.engine.routing.allocation import affordable
from neuroflux.engine.routing.candidates import (
    Offer,
    Prospect,
    of_leg,
    reference_price,
    unit_cost,
    unless_namesake,
    weigh,
)
from neuroflux.engine.routing.strategies import Routed, routed

LIQUID: Final = 3
"""A leg is liquid if this many times its quantity can be taken within its bounds."""
HEDGE_BOUND: Final = 0.01
"""How far from the best price a hedge may trade, as a fraction: the maximum cost of a hedge."""
CLOSENESS: Final = Decimal("0.98")
"""The share of an account's funds that a leg may plan to spend: fees are added, and prices may move."""


class _Weighed(Struct, frozen=True):
    """Both offers of a pair that can be sent now."""

    buy: Offer
    sell: Offer


def decide_pair(
    command: OrderCommand,
    prospects: Sequence[Prospect],
    references: Sequence[float],
    limits: Limits,
    now: Microseconds,
) -> Routed:
    """Decide a ``pair`` command; the same input gives the same decision.

    ``prospects`` and their ``references`` (``reference_price``) are in the order of its legs.
    """
    known = zip(command.legs, prospects, references, strict=True)
    weighed = [
        unless_namesake(leg.side, weigh(of_leg(command, leg), one, reference, limits, now), reference)
        for leg, one, reference in known
    ]
    candidates = tuple(one.candidate if isinstance(one, Offer) else one for one in weighed)
    offers = {command.legs[number].side: one for number, one in enumerate(weighed) if isinstance(one, Offer)}
    legs: tuple[Leg, ...] = ()
    if len(bases := {one.instrument.base for one in prospects}) > 1:
        reason = f"legs: {' and '.join(sorted(bases))} are different assets"
    elif command.expires_at and now > command.expires_at:
        reason = f"expired: {(now - command.expires_at) / 1e3:.0f} ms ago"
    elif len(offers) < len(command.legs):
        reason = "; ".join(f"{one.exchange} {one.symbol}: {one.reason}" for one in candidates if one.reason)
    else:
        legs, reason = _legs(command, _Weighed(offers[Side.BUY], offers[Side.SELL]), limits, now)
    return routed(command, legs, reason, candidates, prospects, now)


def _legs(command: OrderCommand, both: _Weighed, limits: Limits, now: Microseconds) -> tuple[tuple[Leg, ...], str]:
    """The legs and their expected profit; none, with the reason, if the pair does not pay any more."""
    most = min(limits.max_notional_usd, limits.max_naked_usd)
    promised = _crossed(both, most, float(command.quantity))
    if promised is None:
        return (), "profit: the books no longer cross"
    quantity = _quantity(command, both, promised)
    if not quantity:
        return (), f"funds: not enough for one quantity step of both exchanges{_purses(both)}"
    wire = {side: _fitting(offer, quantity) for side, offer in _sides(both)}
    taken = _crossed(both, most, float(quantity)) or promised
    if taken.net <= 0 or taken.net < command.min_profit:
        return (), f"profit: {taken.net:,.4f} USD now, {command.min_profit:,.4f} USD required"
    slack = Decimal(str(taken.net / taken.notional / 4))
    legs = tuple(_leg(offer, side, wire[side], slack, now) for side, offer in _sides(both))
    broken = next(filter(None, map(_broken, legs)), "")
    if broken:
        return (), broken
    return _sequence(legs, both), f"pair: {taken.net:,.4f} USD on {quantity.normalize():f}, {_names(legs)}"


def _sides(both: _Weighed) -> tuple[tuple[Side, Offer], tuple[Side, Offer]]:
    return (Side.BUY, both.buy), (Side.SELL, both.sell)


def _purses(both: _Weighed) -> str:
    free = (f"{affordable(offer):,.8g} on {offer.prospect.instrument.exchange}" for _, offer in _sides(both))
    return f"; free: {' and '.join(free)}"


def _quantity(command: OrderCommand, both: _Weighed, promised: Taken) -> Decimal:
    """The largest quantity that is ordered, pays, is funded, and is a multiple of both steps; in units of the base."""
    quantity = min(command.quantity, Decimal(str(promised.quantity)), _payable(both))
    for _, offer in _sides(both):
        quantity = _fitting(offer, quantity) * offer.prospect.instrument.multiplier
    return quantity


class _Purse(Struct, frozen=True):
    """The funds of a leg: it needs ``unit`` per unit of the base, less ``saved`` for the part that only reduces."""

    name: tuple[str, str]
    free: Decimal
    unit: Decimal
    saved: Decimal


def _purse(offer: Offer, side: Side) -> _Purse:
    one, price = offer.prospect.instrument, Decimal(str(offer.levels[0].price))
    wire = spent_amount(one, side, Decimal(1), price)
    name = (one.exchange, spent_asset(one, side))
    return _Purse(name, affordable(offer), wire / one.multiplier, wire * offer.prospect.reducible)


def _payable(both: _Weighed) -> Decimal:
    """The largest funded quantity, in units of the base.

    Two legs of one account share its funds. The free amount may differ between them, because a perpetual is planned
    with a leverage.
    """
    buy, sell = (_purse(offer, side) for side, offer in _sides(both))
    alone = min((one.free * CLOSENESS + one.saved) / one.unit for one in (buy, sell))
    if buy.name != sell.name or not buy.free + sell.free:
        return alone
    together = buy.free * sell.free * CLOSENESS + buy.saved * sell.free + sell.saved * buy.free
    return min(alone, together / (buy.unit * sell.free + sell.unit * buy.free))


def _fitting(offer: Offer, quantity: Decimal) -> Decimal:
    """The quantity in wire units, rounded down to the instrument's step."""
    instrument = offer.prospect.instrument
    return round_quantity(instrument, quantity / instrument.multiplier, OrderType.LIMIT)


def _crossed(both: _Weighed, max_notional: float, quantity: float) -> Taken | None:
    """The trade that the two books allow now, for at most this quantity."""
    worth = quantity * both.buy.levels[-1].price * both.buy.rate.mid / both.buy.prospect.instrument.multiplier
    return cross(_side(both.buy, quantity), _side(both.sell, quantity), min(max_notional, worth))


def _side(offer: Offer, quantity: float) -> Crossed:
    one, left, levels = offer.prospect.instrument, quantity / offer.prospect.instrument.multiplier, []
    for level in offer.levels:
        if left <= 0:
            break
        levels.append(type(level)(level.price, min(level.quantity, left)))
        left -= level.quantity
    return Crossed(levels, one.quote, offer.rate, float(one.taker_fee), float(one.multiplier))


def _leg(offer: Offer, side: Side, wire: Decimal, slack: Decimal, now: Microseconds) -> Leg:
    """A leg limited to the worst level it is meant to take plus the slack; never beyond the bounds of the offer."""
    sign = 1 if side is Side.BUY else -1
    worst = Decimal(str(walk(offer.levels, float(wire)).worst_price))
    price = sign * min(sign * worst * (1 + sign * slack), sign * Decimal(str(offer.bound)))
    instrument = offer.prospect.instrument
    rounded = round_price(instrument, price, side, aggressive=False)
    reducing = min(wire, offer.prospect.reducible)
    return Leg(instrument, side, wire, rounded, TimeInForce.IOC, offer.rate.mid, now, reducing=reducing)


def _broken(leg: Leg) -> str:
    rule = violation(leg.instrument, leg.quantity, leg.price, OrderType.LIMIT, reduces=leg.reduces)
    return f"minimum: {leg.instrument.exchange} {leg.instrument.symbol}: {rule}" if rule else ""


def _names(legs: Sequence[Leg]) -> str:
    return " and ".join(f"{leg.side} {leg.instrument.symbol} on {leg.instrument.exchange}" for leg in legs)


def _sequence(legs: tuple[Leg, ...], both: _Weighed) -> tuple[Leg, ...]:
    """Both legs if both are liquid; else the harder one alone, with the other as its later hedge."""
    ease = {
        side: sum(level.quantity for level in offer.levels) / float(leg.quantity)
        for (side, offer), leg in zip(_sides(both), legs, strict=True)
    }
    harder = min(legs, key=lambda leg: ease[leg.side])
    return legs if ease[harder.side] >= LIQUID else (harder,)


# ── hedges ───────────────────────────────────────────────────────────────────────────────────────────────────────


def decide_hedge(order: Order, prospects: Sequence[Prospect], limits: Limits, now: Microseconds) -> Hedged:
    """The hedge of a pair; ``prospects`` are in the order of the command's legs, for the side that is needed.

    Without a fresh rate of a quote, costs are compared at the rate of the pair's decision; no bound depends on it.
    """
    side, rates = needed(order), {leg.instrument.quote: Rate(leg.rate, leg.rate, leg.decided_at) for leg in order.legs}
    rated = [replace(one, rate=one.rate or rates.get(one.instrument.quote)) for one in prospects]
    weighed = [_weigh_hedge(order, side, one, limits, now) for one in rated]
    offers = [one for one in weighed if isinstance(one, Offer)]
    legs = [leg for leg in (_hedge(order, side, offer, now) for offer in offers) if leg is not None]
    if legs:
        refused = _refused(order)
        return Hedged((min(legs, key=lambda pair: (_name(pair[1]) in refused, pair[0]))[1],))
    reasons = [one.reason for one in weighed if isinstance(one, Candidate)]
    if not reasons:
        return Hedged((), "too small to be traded on either exchange", over=True)
    return Hedged((), "; ".join(dict.fromkeys(reasons)))


def _refused(order: Order) -> set[tuple[str, str]]:
    """Where the last try was not accepted: rejected, throttled, or not sent in time.

    A hedge elsewhere is preferred even at a higher cost, as it is more likely to fill.
    """
    last = {_name(order.legs[attempt.leg]): attempt for attempt in order.attempts}
    return {name for name, one in last.items() if one.phase is Phase.REJECTED or not one.accepted_at}


def _name(leg: Leg) -> tuple[str, str]:
    return leg.instrument.exchange, leg.instrument.symbol


def needed(order: Order) -> Side:
    """The side of the hedge: a sale if more was bought than sold, else a purchase."""
    return Side.SELL if order.net > 0 else Side.BUY


def _weigh_hedge(order: Order, side: Side, prospect: Prospect, limits: Limits, now: Microseconds) -> Offer | Candidate:
    leg = CommandLeg(prospect.instrument.exchange, prospect.instrument.symbol, side, abs(order.net))
    bounded = replace(order.command, requirements=Requirements(max_slippage=HEDGE_BOUND))
    return weigh(of_leg(bounded, leg), prospect, reference_price([prospect], None, now), limits, now)


def _hedge(order: Order, side: Side, offer: Offer, now: Microseconds) -> tuple[float, Leg] | None:
    """The USD cost per unit there, and the leg; None if the rest is too small for the exchange."""
    wire = _fitting(offer, abs(order.net))
    instrument = offer.prospect.instrument
    bound = round_price(instrument, Decimal(str(offer.bound)), side, aggressive=False)
    reducing = min(wire, offer.prospect.reducible)
    leg = Leg(instrument, side, wire, bound, TimeInForce.IOC, offer.rate.mid, now, reducing=reducing)
    if _broken(leg):
        return None
    return unit_cost(offer, side, walk(offer.levels, float(wire)).average_price), leg
