"""A rebalance as one order: each trade on its named instrument, sales first, then purchases.

No account spends more than its funds and the proceeds of earlier stages; all purchases together are within the limit of
one order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby

from neuroflux.domain import (
    Candidate,
    CommandLeg,
    Instrument,
    InstrumentKind,
    Microseconds,
    OrderCommand,
    OrderType,
    Side,
    TimeInForce,
)
from neuroflux.domain.symbols import USD_CLASS
from neuroflux.engine.markets.rounding import round_price, round_quantity, violation
from neuroflux.engine.markets.walk import walk
from neuroflux.engine.orders.state import ZERO, Leg
from neuroflux.engine.risk.limits import Limits, notional_fault, spent_amount, spent_asset
from neuroflux.engine.risk.totals import shrinks
from neuroflux.engine.routing.allocation import affordable
from neuroflux.engine.routing.candidates import Offer, Prospect, of_leg, reference_price, weigh
from neuroflux.engine.routing.strategies import Routed, routed

RequestedTrade = tuple[int, CommandLeg, Offer]
"""A trade that can be made: its index in the command, the command's leg, and the offer."""
Purse = tuple[str, str]
"""An exchange and an asset."""


def decide_rebalance(command: OrderCommand, prospects: Sequence[Prospect], limits: Limits, now: Microseconds) -> Routed:
    """Decide a ``rebalance`` command; ``prospects`` are in the order of its legs.

    Each trade is bounded by the command's ``max_slippage`` from the best price. A trade that can't be made is left out
    and named in the reason; the order is refused only if none can be made.
    """
    weighed = [
        weigh(of_leg(command, leg), one, reference_price([one], None, now), limits, now)
        for leg, one in zip(command.legs, prospects, strict=True)
    ]
    candidates = tuple(one.candidate if isinstance(one, Offer) else one for one in weighed)
    faults = [_name(one) for one in weighed if isinstance(one, Candidate)]
    requested = [
        (number, leg, offer)
        for number, (leg, offer) in enumerate(zip(command.legs, weighed, strict=True))
        if isinstance(offer, Offer)
    ]
    legs, more = _legs(requested, limits, now)
    reason = "; ".join((f"rebalance: {len(legs)} of {len(command.legs)} trades", *faults, *more))
    return routed(command, legs, reason, candidates, prospects, now)


def _legs(requested: Sequence[RequestedTrade], limits: Limits, now: Microseconds) -> tuple[tuple[Leg, ...], list[str]]:
    """The legs in the order of the command, and the reasons why trades are left out or smaller."""
    purses, made, faults, opened = _Purses(), dict[int, Leg](), dict[int, str](), 0.0
    for stage, trades in groupby(sorted(requested, key=_execution_order), key=lambda one: _stage(*one[1:])):
        for number, trade, offer in trades:
            leg, short = _leg(trade, offer, purses, stage, now)
            worth = float(leg.quantity * leg.price) * leg.rate
            opens = 0.0 if shrinks(leg) else worth
            fault = _broken(leg, short) or ("" if leg.reduces else notional_fault(max(worth, opened + opens), limits))
            if fault or short:
                faults[number] = f"{trade.exchange} {trade.symbol}: {fault or short}"
            if not fault:
                made[number], opened = leg, opened + opens
                purses.pay(offer, leg)
        purses.end_stage()
    return tuple(made[number] for number in sorted(made)), [faults[number] for number in sorted(faults)]


def _execution_order(requested: RequestedTrade) -> tuple[int, int]:
    number, trade, offer = requested
    return _stage(trade, offer), number


def _name(candidate: Candidate) -> str:
    return f"{candidate.exchange} {candidate.symbol}: {candidate.reason}"


class _Purses:
    """The accounts' remaining funds, by exchange and asset: free funds, and proceeds of earlier stages.

    Free funds are given at the margin of each instrument, so an amount taken by one reduces another's by the same
    share. Proceeds pay for spot only.
    """

    def __init__(self) -> None:
        self._taken: dict[Purse, tuple[Decimal, Decimal]] = {}
        self._proceeds: dict[Purse, Decimal] = defaultdict(Decimal)
        self._next_proceeds: dict[Purse, Decimal] = defaultdict(Decimal)

    def left(self, offer: Offer, side: Side) -> Decimal:
        """The funds left for the offer, at its own margin."""
        instrument, free = offer.prospect.instrument, affordable(offer)
        purse = _purse(instrument, side)
        proceeds = self._proceeds[purse] if instrument.kind is InstrumentKind.SPOT else ZERO
        return max(ZERO, free - self._taken_of(purse, free)) + proceeds

    def pay(self, offer: Offer, leg: Leg) -> None:
        spot, purse, free = (
            leg.instrument.kind is InstrumentKind.SPOT,
            _purse(leg.instrument, leg.side),
            affordable(offer),
        )
        spent = spent_amount(leg.instrument, leg.side, leg.quantity - leg.reducing, leg.price)
        from_proceeds = min(spent, self._proceeds[purse]) if spot else ZERO
        self._proceeds[purse] -= from_proceeds
        self._taken[purse] = self._taken_of(purse, free) + spent - from_proceeds, free
        if spot:
            asset, amount = _received(offer, leg)
            self._next_proceeds[leg.instrument.exchange, asset] += amount

    def _taken_of(self, purse: Purse, free: Decimal) -> Decimal:
        """The amount taken of the free funds, at the margin at which they are ``free``."""
        taken, base = self._taken.get(purse, (ZERO, free))
        return taken if base == free or not base else taken * free / base

    def end_stage(self) -> None:
        for purse, amount in self._next_proceeds.items():
            self._proceeds[purse] += amount
        self._next_proceeds.clear()


def _purse(instrument: Instrument, side: Side) -> Purse:
    return instrument.exchange, spent_asset(instrument, side)


def _received(offer: Offer, leg: Leg) -> tuple[str, Decimal]:
    """The expected proceeds of a spot trade by the book, less the fee."""
    less = 1 - max(leg.instrument.taker_fee, ZERO)
    if leg.side is Side.BUY:
        return leg.instrument.base, leg.quantity * less
    average = walk(offer.levels, float(leg.quantity)).average_price
    return leg.instrument.quote, leg.quantity * Decimal(str(average)) * less


def _leg(requested: CommandLeg, offer: Offer, purses: _Purses, stage: int, now: Microseconds) -> tuple[Leg, str]:
    """The leg, as large as the book within the bounds and the funds allow, and which funds are missing, if any."""
    instrument, reducible = offer.prospect.instrument, offer.prospect.reducible
    there = sum((Decimal(str(level.quantity)) for level in offer.levels), ZERO)
    target = min(requested.quantity / instrument.multiplier, there)
    sign = 1 if requested.side is Side.BUY else -1
    bounds = [Decimal(str(offer.bound)), *([requested.price] if requested.price else [])]
    price = round_price(instrument, sign * min(sign * each for each in bounds), requested.side, aggressive=False)
    left, unit = purses.left(offer, requested.side), spent_amount(instrument, requested.side, Decimal(1), price)
    funded = left / unit + reducible if unit > 0 else target
    wire = round_quantity(instrument, min(target, funded), OrderType.LIMIT)
    short = f"funds: {left:,.8g} {spent_asset(instrument, requested.side)} for {target:,.8g}" if funded < target else ""
    reducing = min(wire, reducible)
    return Leg(instrument, requested.side, wire, price, TimeInForce.IOC, offer.rate.mid, now, stage, reducing), short


def _stage(requested: CommandLeg, offer: Offer) -> int:
    """0 for sales, 1 for purchases, 2 for conversions between stablecoins."""
    instrument = offer.prospect.instrument
    if instrument.base in USD_CLASS and instrument.quote in USD_CLASS:
        return 2
    return 0 if requested.side is Side.SELL else 1


def _broken(leg: Leg, short: str) -> str:
    """The rule that a leg violates, or the missing funds that make it too small."""
    rule = violation(leg.instrument, leg.quantity, leg.price, OrderType.LIMIT, reduces=leg.reduces)
    return short or rule if rule else ""
