"""Routing strategies, as orderings of the same offers, and the legs that result from them. Pure.

``optimal`` merges the levels of all books, cheapest first after fee and conversion, so it splits exactly where that is
cheaper. ``fastest`` (lowest p95 from sending to acknowledgement), ``cheapest`` (lowest fee) and ``balanced`` (cost and
latency by weights) order the exchanges first, and take from the next one only what the previous can't fill.
``redundant`` gives no exchange more than half.

Every order is sent with a price: a market order is an immediate-or-cancel limit order at ``MARKET_COLLAR`` beyond the
worst level that it is meant to take, and never beyond the bounds of its offer. A limit order that rests is placed where
it is nearest to being filled, fee and conversion included, and is split only if it is ``redundant``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    Allocation,
    Candidate,
    CommandKind,
    Level,
    Microseconds,
    OrderCommand,
    OrderDecision,
    OrderType,
    Side,
    TimeInForce,
)
from neuroflux.engine.markets.costs import all_in, unit_price
from neuroflux.engine.markets.rounding import round_price, violation
from neuroflux.engine.markets.walk import walk
from neuroflux.engine.orders.state import Leg
from neuroflux.engine.risk.limits import Limits, collar_fault, notional_fault, spent_asset
from neuroflux.engine.routing.allocation import Amounts, Slice, affordable, asks_for_more, fit, lacking, take, there
from neuroflux.engine.routing.candidates import (
    Offer,
    Prospect,
    causes_of,
    costs_of,
    figures,
    price_in_quote,
    reference_price,
    rests,
    side_of,
    unit_cost,
    weigh,
    without_namesakes,
)

MARKET_COLLAR = Decimal("0.005")
"""How far beyond the walked price a market order may trade: the book may move until it arrives."""
EVEN: Final = {"cost": 0.5, "latency": 0.5}


class Routed(Struct, frozen=True):
    """The decision to publish, and the legs to send; none if the order was refused."""

    decision: OrderDecision
    legs: tuple[Leg, ...] = ()


def decide(
    command: OrderCommand,
    prospects: Sequence[Prospect],
    aggregated: AggregatedPrice | None,
    limits: Limits,
    now: Microseconds,
    others: Iterable[Prospect] = (),
    weights: Mapping[str, float] = EVEN,
) -> Routed:
    """Decide a ``place`` command; the same input gives the same decision.

    ``others`` are further instruments of the market, used for the reference price. ``weights`` are those of cost and
    latency in the strategy ``balanced``, each scaled from 0 (the best offer's) to 1 (the worst's).
    """
    reference = reference_price(prospects, aggregated, now, others)
    weighed = [weigh(command, prospect, reference, limits, now) for prospect in prospects]
    weighed = without_namesakes(command.side, weighed, reference)
    offers = [one for one in weighed if isinstance(one, Offer)]
    candidates = tuple(one.candidate if isinstance(one, Offer) else one for one in weighed)
    offers = [one for one in offers if not _beyond(command, one, limits)] or offers
    fault = _fault(command, prospects, candidates, offers, limits)
    if fault:
        return routed(command, (), fault, candidates, prospects, now)
    legs, reason = _place(command, offers, weights, now)
    candidates = tuple(_judged(command, one, legs, limits, now) if isinstance(one, Offer) else one for one in weighed)
    return routed(command, legs, reason, candidates, prospects, now)


def _judged(command: OrderCommand, offer: Offer, legs: Sequence[Leg], limits: Limits, now: Microseconds) -> Candidate:
    """The candidate: with the figures of its part if chosen, else with why it can't take the whole order."""
    leg = next((one for one in legs if one.instrument is offer.prospect.instrument), None)
    if leg is not None:
        costs = costs_of(command, offer.prospect, offer.rate, offer.levels, leg.quantity)
        return figures(offer.prospect, costs, command.side, "", now)
    reason = _beyond(command, offer, limits) or lacking(command, offer, _spend_price(command))
    return replace(offer.candidate, reason=reason)


def routed(
    command: OrderCommand,
    legs: tuple[Leg, ...],
    reason: str,
    candidates: tuple[Candidate, ...],
    prospects: Sequence[Prospect],
    now: Microseconds,
) -> Routed:
    """The decision for these legs, with every figure it is based on."""
    chosen = tuple(Allocation(x.instrument.exchange, x.instrument.symbol, x.quantity, x.price) for x in legs)
    strategy = command.strategy if command.kind is CommandKind.PLACE else command.kind.value
    causes = causes_of(prospects)
    return Routed(OrderDecision(command.order_id, strategy, chosen, reason, candidates, causes, now), legs)


def because(routed: Routed, why: str) -> Routed:
    """The same decision, with a prefix of its reason."""
    return replace(routed, decision=replace(routed.decision, reason=f"{why}; {routed.decision.reason}"))


def refused(command: OrderCommand, reason: str, now: Microseconds) -> Routed:
    """A refusal that was decided without market data."""
    return Routed(OrderDecision(command.order_id, command.strategy, (), reason, (), (), now))


def _fault(
    command: OrderCommand,
    prospects: Sequence[Prospect],
    candidates: Sequence[Candidate],
    offers: Sequence[Offer],
    limits: Limits,
) -> str:
    """Why no exchange can or may take the order, or ""."""
    if not prospects:
        where = f" on {command.exchange}" if command.exchange else ""
        return f"symbol: nothing trades {command.market!r}{where}"
    if not offers:
        return "; ".join(f"{one.exchange} {one.symbol}: {one.reason}" for one in candidates)
    price = max(_price_usd(command, offer) for offer in offers)
    return _beyond(command, offers[0], limits) or notional_fault(float(command.quantity) * price, limits)


def _beyond(command: OrderCommand, offer: Offer, limits: Limits) -> str:
    """Why a limit price is too far from the market to be sent there, or ""."""
    if command.type is OrderType.MARKET or not offer.reference:
        return ""
    return collar_fault(command.side, _price_usd(command, offer), offer.reference, limits)


def _price_usd(command: OrderCommand, offer: Offer) -> float:
    """The value of a unit of the base for the limits: the limit price, or the walked price."""
    if command.type is OrderType.MARKET:
        return max(offer.candidate.price, offer.reference)
    wire = float(price_in_quote(command, offer.prospect.instrument, offer.rate))
    return wire * offer.rate.mid / offer.prospect.instrument.multiplier


# ── strategies ───────────────────────────────────────────────────────────────────────────────────────────────────

Rank = Callable[[Offer], float]


def _rank(command: OrderCommand, offers: Sequence[Offer], weights: Mapping[str, float]) -> Rank:
    """The strategy's rank of an offer, which precedes the cost of its levels; books of equal rank are merged."""
    match command.strategy:
        case "fastest":
            return lambda offer: offer.candidate.latency_ms
        case "cheapest":
            return lambda offer: float(_fee(command, offer))
        case "balanced":
            cost = _scaled([unit_price(offer.candidate, command.side) for offer in offers])
            latency = _scaled([offer.candidate.latency_ms for offer in offers])
            return lambda offer: (
                weights["cost"] * cost(unit_price(offer.candidate, command.side))
                + weights["latency"] * latency(offer.candidate.latency_ms)
            )
    return lambda offer: 0.0


def _scaled(figures: Sequence[float]) -> Callable[[float], float]:
    low, high = min(figures), max(figures)
    return lambda figure: (figure - low) / (high - low) if high > low else 0.0


def _fee(command: OrderCommand, offer: Offer) -> Decimal:
    instrument = offer.prospect.instrument
    return instrument.maker_fee if rests(command) and not offer.levels else instrument.taker_fee


def _slices(command: OrderCommand, offers: Sequence[Offer], weights: Mapping[str, float]) -> list[Slice]:
    """All available levels, in the order in which they are to be taken."""
    rank = _rank(command, offers, weights)
    slices = []
    for number, offer in enumerate(offers):
        first, unit = rank(offer), _cost(command, offer, 1.0)  # the cost of a unit is proportional to the price
        slices += [
            Slice((first, unit * level.price), number, level.price, Decimal(str(level.quantity)))
            for level in _to_take(command, offer)
        ]
    return sorted(slices, key=lambda one: one.order)


def _to_take(command: OrderCommand, offer: Offer) -> Sequence[Level[float]]:
    """The levels to take; a resting order is one level at the price it waits for: the other side's best."""
    if not rests(command):
        return offer.levels
    best = side_of(offer.prospect.book, command.side)[0].price
    wire = float(command.quantity) / offer.prospect.instrument.multiplier
    return (Level(best, wire),)


def _cost(command: OrderCommand, offer: Offer, price: float) -> float:
    instrument = offer.prospect.instrument
    saved = float(instrument.taker_fee - _fee(command, offer))
    return unit_cost(offer, command.side, price) - saved * price * offer.rate.mid / instrument.multiplier


def _place(
    command: OrderCommand, offers: Sequence[Offer], weights: Mapping[str, float], now: Microseconds
) -> tuple[tuple[Leg, ...], str]:
    """Legs and the reason; no legs if the quantity is not available, not funded, or violates the exchanges' rules."""
    exchanges = {offer.prospect.instrument.exchange for offer in offers}
    if command.strategy == "redundant" and len(exchanges) < 2:
        return (), "redundant: only one exchange can take the order"
    reasons: dict[str, None] = {}
    for group in _groups(command, _slices(command, offers, weights)):
        legs, reason = _fill(command, offers, group, now)
        if legs:
            return legs, reason
        reasons[reason] = None
    return (), "; ".join(reasons)


def _groups(command: OrderCommand, slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices that may be combined. An order that rests, or is fill-or-kill, is sent to one exchange only."""
    if command.strategy == "redundant" or not (rests(command) or command.time_in_force is TimeInForce.FOK):
        return [list(slices)]
    groups: dict[int, list[Slice]] = {}
    for one in slices:
        groups.setdefault(one.offer, []).append(one)
    return list(groups.values())


def _fill(
    command: OrderCommand, offers: Sequence[Offer], slices: Sequence[Slice], now: Microseconds
) -> tuple[tuple[Leg, ...], str]:
    """Allocate the quantity; an offer whose part violates its exchange's rules is excluded, and the rest repeated."""
    excluded: dict[int, str] = {}
    while True:
        usable = [one for one in slices if one.offer not in excluded]
        amounts = take(command, offers, usable, _spend_price(command))
        short = _short(command, offers, usable, amounts)
        if short:
            return (), "; ".join(excluded.values()) or short
        wire, left_out = fit(command, offers, amounts)
        legs = {number: _leg(command, offers[number], wire[number], amounts.worst[number], now) for number in wire}
        broken = _broken(legs)
        if not broken:
            return tuple(legs.values()), _reason(command, offers, legs, left_out)
        excluded[broken[0]] = broken[1]


def _spend_price(command: OrderCommand) -> Callable[[Offer, float], Decimal]:
    """The price at which an order reserves funds: its limit, or the level's price plus the collar."""

    def price(offer: Offer, level: float) -> Decimal:
        if command.type is OrderType.LIMIT:
            return price_in_quote(command, offer.prospect.instrument, offer.rate)
        return Decimal(str(level)) * (1 + MARKET_COLLAR)

    return price


def _short(command: OrderCommand, offers: Sequence[Offer], slices: Sequence[Slice], amounts: Amounts) -> str:
    """Why the whole quantity is not available, or "" if it is, or if the order accepts less."""
    missing = command.quantity - sum(amounts.quantities.values(), Decimal(0))
    if missing <= 0:
        return ""
    had = command.quantity if asks_for_more(command) else there(offers, slices)
    if command.strategy == "redundant" and had >= command.quantity:
        return f"redundant: no second exchange for {missing.normalize():f}"
    if had < command.quantity:
        return f"liquidity: {had.normalize():f} of {command.quantity:f} is available within the bounds"
    held = {_purse(command, offer): affordable(offer) for offer in offers}
    funds = ", ".join(f"{free:,.8g} {asset} on {exchange}" for (exchange, asset), free in held.items())
    return f"funds: {missing:.8g} of {command.quantity:f} is not covered; free: {funds}"


def _purse(command: OrderCommand, offer: Offer) -> tuple[str, str]:
    return offer.prospect.instrument.exchange, spent_asset(offer.prospect.instrument, command.side)


def _leg(command: OrderCommand, offer: Offer, wire: Decimal, worst: float, now: Microseconds) -> Leg:
    instrument = offer.prospect.instrument
    if command.type is OrderType.LIMIT:
        price = price_in_quote(command, instrument, offer.rate)
        when = command.time_in_force
    else:
        sign = 1 if command.side is Side.BUY else -1
        price = sign * min(sign * Decimal(str(worst)) * (1 + sign * MARKET_COLLAR), sign * Decimal(str(offer.bound)))
        when = TimeInForce.FOK if command.time_in_force is TimeInForce.FOK else TimeInForce.IOC
    rounded = round_price(instrument, price, command.side, aggressive=False)
    reducing = min(wire, offer.prospect.reducible)
    return Leg(instrument, command.side, wire, rounded, when, offer.rate.mid, now, reducing=reducing)


def _broken(legs: Mapping[int, Leg]) -> tuple[int, str] | None:
    """The smallest leg that violates a rule of its exchange, and the rule."""
    for number, leg in sorted(legs.items(), key=lambda item: item[1].quantity * item[1].price):
        rule = violation(leg.instrument, leg.quantity, leg.price, OrderType.LIMIT, reduces=leg.reduces)
        if rule:
            return number, f"minimum: {leg.instrument.exchange} {leg.instrument.symbol}: {rule}"
    return None


def _reason(command: OrderCommand, offers: Sequence[Offer], legs: Mapping[int, Leg], left_out: Decimal) -> str:
    """In words: what was chosen, and its cost compared with the next best."""
    parts = [
        f"{leg.quantity.normalize():f} {leg.instrument.symbol} on {leg.instrument.exchange}" for leg in legs.values()
    ]
    reason = f"{command.strategy}: {' and '.join(parts)}"
    taken = [
        costs_of(command, offers[number].prospect, offers[number].rate, offers[number].levels, leg.quantity)
        for number, leg in legs.items()
    ]
    reason += f"; all-in cost {all_in(taken):,.4f} USD"
    able = [number for number, offer in enumerate(offers) if not lacking(command, offer, _spend_price(command))]
    others = [offers[number] for number in able if number not in legs]
    if others and len(legs) == 1:
        reason += _against(command, offers[next(iter(legs))], others)
    return reason + (f"; {left_out:f} left out by rounding" if left_out else "")


def _against(command: OrderCommand, chosen: Offer, others: Sequence[Offer]) -> str:
    """The chosen compared with the next best, in USD: the price per unit with fee and conversion."""
    nearest = min(others, key=lambda offer: _unit(command, offer))
    name = f"{nearest.candidate.exchange} {nearest.candidate.symbol}"
    what = "nearest to being filled" if rests(command) and not chosen.levels else "all in"
    return f"; {what} {abs(_unit(command, chosen)):,.8g} USD per unit, {name} {abs(_unit(command, nearest)):,.8g}"


def _unit(command: OrderCommand, offer: Offer) -> float:
    """The USD cost per unit there, with fee and conversion; negative for the proceeds of a sale."""
    return _cost(command, offer, _average(command, offer))


def _average(command: OrderCommand, offer: Offer) -> float:
    levels = _to_take(command, offer)
    return walk(levels, float(command.quantity) / offer.prospect.instrument.multiplier).average_price
