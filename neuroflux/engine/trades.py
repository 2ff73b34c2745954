"""A rebalance as one order: each trade on the instrument it names, sales first, then purchases."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from neuroflux.domain import (
    Candidate,
    CommandLeg,
    Microseconds,
    OrderCommand,
    OrderType,
    Side,
    TimeInForce,
)
from neuroflux.engine.candidates import Offer, Prospect, of_leg, reference_price, weigh
from neuroflux.engine.conversion import is_conversion_market
from neuroflux.engine.limits import Limits, notional_fault
from neuroflux.engine.order_state import Leg
from neuroflux.engine.rounding import round_price, round_quantity, violation
from neuroflux.engine.routing import Routed, routed


def decide_rebalance(command: OrderCommand, prospects: Sequence[Prospect], limits: Limits, now: Microseconds) -> Routed:
    """Choose for a ``rebalance`` command, ``prospects`` in the order of its legs.

    Each trade is bounded by the command's ``max_slippage`` from the best price. A trade that can't be made is left out
    and named; the order is refused only where none can be.
    """
    weighed = [
        weigh(of_leg(command, leg), one, reference_price([one], None, now), limits, now)
        for leg, one in zip(command.legs, prospects, strict=True)
    ]
    candidates = tuple(one.candidate if isinstance(one, Offer) else one for one in weighed)
    legs: list[Leg] = []
    faults = [_name(one) for one in weighed if isinstance(one, Candidate)]
    for asked, offer in zip(command.legs, weighed, strict=True):
        if isinstance(offer, Offer):
            leg = _leg(asked, offer, now)
            fault = _fault(leg, limits)
            faults += [f"{asked.exchange} {asked.symbol}: {fault}"] if fault else []
            legs += [] if fault else [leg]
    told = "; ".join((f"rebalance: {len(legs)} of {len(command.legs)} trades", *faults))
    return routed(command, tuple(legs), told, candidates, prospects, now)


def _name(candidate: Candidate) -> str:
    return f"{candidate.exchange} {candidate.symbol}: {candidate.reason}"


def _leg(asked: CommandLeg, offer: Offer, now: Microseconds) -> Leg:
    """As much of it as the book holds within the bounds."""
    instrument = offer.prospect.instrument
    there = sum((Decimal(str(level.quantity)) for level in offer.levels), Decimal(0))
    wire = round_quantity(instrument, min(asked.quantity / instrument.multiplier, there), OrderType.LIMIT)
    sign = 1 if asked.side is Side.BUY else -1
    bounds = [Decimal(str(offer.bound)), *([asked.price] if asked.price else [])]
    price = round_price(instrument, sign * min(sign * each for each in bounds), asked.side, aggressive=False)
    reducing, stage = min(wire, offer.prospect.reducible), _stage(asked, offer)
    return Leg(instrument, asked.side, wire, price, TimeInForce.IOC, offer.rate.mid, now, stage, reducing)


def _stage(asked: CommandLeg, offer: Offer) -> int:
    """Sales, purchases, and what changes one stablecoin into another."""
    if is_conversion_market(offer.prospect.instrument.market):
        return 2
    return 0 if asked.side is Side.SELL else 1


def _fault(leg: Leg, limits: Limits) -> str:
    rule = violation(leg.instrument, leg.quantity, leg.price, OrderType.LIMIT, reduces=leg.reduces)
    return rule or ("" if leg.reduces else notional_fault(float(leg.quantity * leg.price) * leg.rate, limits))
