"""Advice on executing an order: where, in how many slices over time, at what cost, and with what confidence. Pure.

Where: by the marginal cost of all books together, engine/routing/strategies.py's ``optimal``, for one slice.

When: slices of equal size at a constant share of the traded volume (percentage of volume). Almgren and Chriss ("Optimal
Execution of Portfolio Transactions", 2000, sections 2.2 and 2.3) weigh the impact of fast trading against the risk of
slow trading; without risk aversion the best schedule is even, and the higher the aversion, the shorter. Here urgency
represents the aversion and sets the share of volume; the shares are our conventions, like those of brokers' algorithms.
Books are assumed to refill between slices, so that each slice costs the same. No slice exceeds the limit of one order;
a larger size that is needed at once is split into several orders without a pause.

Confidence: ``confidence = freshness x cover x record``, each from 0 to 1:

- freshness = exp(-age / the age at which a book is stale), of the oldest book that is used;
- cover = depth / (depth + slice), both in USD, with the depth of all books that could take it within their bounds;
- record = (``PRIOR`` x ``PRIOR_WEIGHT`` + sum of exp(-error / ``TYPICAL_ERROR``)) / (``PRIOR_WEIGHT`` + their number),
  over the errors of past estimates: ``PRIOR`` without any, and lower for larger errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from math import ceil, exp, floor, fsum, inf, nan
from typing import Final, TypedDict

from msgspec.structs import replace

from neuroflux.domain import AggregatedPrice, Candidate, Microseconds, OrderCommand, Side
from neuroflux.engine.markets.costs import all_in
from neuroflux.engine.orders.state import Leg
from neuroflux.engine.risk.limits import Limits, command_fault
from neuroflux.engine.routing.candidates import Prospect, reference_price
from neuroflux.engine.routing.strategies import Routed, decide
from neuroflux.errors import UsageError

PARTICIPATION: Final[Mapping[str, float]] = {"low": 0.05, "normal": 0.10, "high": 0.20, "critical": float("inf")}
"""The share of the recent volume that slices take, by urgency; critical takes everything at once."""
PRIOR, PRIOR_WEIGHT = 0.5, 5.0
TYPICAL_ERROR = 0.001
"""The error of estimated slippage (a fraction) at which an estimate counts 1/e."""
MOST_SLICES = 1_440
"""The minutes of a day. A longer schedule has this many slices, further apart."""
_NO_VOLUME = 1e-12
_FINEST = Decimal(1).scaleb(-8)
_ABOVE_MINIMUM = 1.05
"""The margin above the exchanges' smallest order, as the price may fall until a slice is sent."""


class Part(TypedDict):
    """The part of one instrument: ``quantity`` of the whole order and ``slice_quantity`` of each slice, in the base;
    ``share`` from 0 to 1.
    """

    exchange: str
    symbol: str
    quantity: Decimal
    share: float
    slice_quantity: Decimal
    slices: int


class Slices(TypedDict):
    """The schedule; ``quantity`` is in the base. The last slice may be smaller or, to reach a minimum, larger."""

    count: int
    quantity: Decimal
    last_quantity: Decimal
    interval_seconds: float
    participation: float


class OptimisedExecution(TypedDict):
    """The reference interface's answer, extended. ``order_splitting`` is by ``exchange/symbol``. ``expected_slippage``
    is a fraction of the mid prices of the used books, without fees; ``expected_cost`` is the total cost of the whole
    order in USD against those prices (engine/markets/costs.py).

    If no exchange can take the order, ``recommended_exchange`` is empty, both figures are ``nan``, and ``reasons``
    holds the reasons.
    """

    recommended_exchange: str
    order_splitting: dict[str, Part]
    timing_strategy: str
    expected_slippage: float
    expected_cost: float
    confidence_score: float
    slices: Slices
    reasons: list[str]


def optimise(
    command: OrderCommand,
    prospects: Sequence[Prospect],
    aggregated: AggregatedPrice | None,
    limits: Limits,
    urgency: str,
    volume_per_minute: float,
    past_errors: Sequence[float],
    now: Microseconds,
) -> OptimisedExecution:
    """Recommend an execution of a market order.

    ``volume_per_minute`` is the market's recent volume, in its base; ``past_errors`` are the |realised - estimated|
    slippages of earlier estimates, as fractions. Limits bound each slice. Raises UsageError for an unknown urgency.
    """
    if urgency not in PARTICIPATION:
        raise UsageError(f"urgency: {urgency!r} is not one of {', '.join(PARTICIPATION)}")
    fault = command_fault(command)
    if fault:
        return _nothing(fault)
    reference = reference_price(prospects, aggregated, now)
    least, most = _least(prospects, reference), _most(limits, reference)
    slices = schedule(command.quantity, PARTICIPATION[urgency], volume_per_minute, least, most)
    part = replace(command, quantity=_at_once(command, slices), strategy="optimal")
    found = decide(part, prospects, aggregated, replace(limits, max_notional_usd=inf), now)
    if not found.legs:
        return _nothing(found.decision.reason)
    slippage, cost = _costs(part.side, found)
    splitting = _splitting(command, found.legs, slices)
    return OptimisedExecution(
        recommended_exchange=max(splitting.values(), key=lambda one: one["share"])["exchange"],
        order_splitting=splitting,
        timing_strategy=_timing(slices, volume_per_minute, limits),
        expected_slippage=slippage,
        expected_cost=cost * float(command.quantity),
        confidence_score=_confidence(found, float(part.quantity) * reference, limits, past_errors),
        slices=slices,
        reasons=[found.decision.reason],
    )


def _nothing(reason: str) -> OptimisedExecution:
    none = Slices(count=0, quantity=Decimal(0), last_quantity=Decimal(0), interval_seconds=0.0, participation=0.0)
    return OptimisedExecution(
        recommended_exchange="",
        order_splitting={},
        timing_strategy="",
        expected_slippage=nan,
        expected_cost=nan,
        confidence_score=0.0,
        slices=none,
        reasons=[reason],
    )


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def schedule(
    quantity: Decimal, participation: float, volume_per_minute: float, least: float, most: float = inf
) -> Slices:
    """Equal slices, one per minute or, if those would be smaller than ``least`` or too many, fewer and further apart.

    Without volume there is one slice. No slice is larger than ``most`` (units of the base).
    """
    pace = participation * volume_per_minute if volume_per_minute > _NO_VOLUME else float("inf")
    whole = float(quantity)
    count = ceil(min(whole / pace, MOST_SLICES)) if pace < float("inf") else 1
    count = max(1, floor(min(whole / least, count)) if least > 0 else count)
    count = max(count, ceil(whole / most))
    size = min((quantity / count).quantize(_FINEST, ROUND_CEILING), quantity)
    count = max(1, ceil(quantity / size))
    last = quantity - size * (count - 1)
    if count > 1 and float(last) < least and float(last + size) <= most:
        count, last = count - 1, last + size
    interval = 60 * float(size) / pace if count > 1 else 0.0  # without a pace: one after another
    return Slices(
        count=count,
        quantity=size,
        last_quantity=last,
        interval_seconds=interval,
        participation=participation if interval else 0.0,
    )


def _least(prospects: Sequence[Prospect], reference: float) -> float:
    """The smallest slice that any exchange accepts, in the base."""
    found = []
    for one in prospects:
        if one.rate is not None and reference > 0:
            rules = one.instrument
            smallest = float(max(rules.min_quantity, rules.quantity_step)) * rules.multiplier
            found.append(max(smallest, float(rules.min_notional) * one.rate.mid / reference * _ABOVE_MINIMUM))
    return min(found, default=0.0)


def _most(limits: Limits, reference: float) -> float:
    """The largest slice, in the base, that is within the limit of one order at any price allowed for it."""
    return limits.max_notional_usd / (reference * (1 + limits.price_collar)) if reference > 0 else inf


def _at_once(command: OrderCommand, slices: Slices) -> Decimal:
    """The quantity that the books must hold at one moment: a slice, or everything if slices follow without a pause."""
    return max(slices["quantity"], slices["last_quantity"]) if slices["interval_seconds"] else command.quantity


def _timing(slices: Slices, volume_per_minute: float, limits: Limits) -> str:
    if slices["count"] == 1:
        return "immediate: one order now"
    if not slices["interval_seconds"]:
        most = f"each within the limit of {limits.max_notional_usd:,.0f} USD for one order"
        return f"immediate: {slices['count']} orders now, one after another, {most}"
    size, interval = slices["quantity"].normalize(), slices["interval_seconds"]
    share = f"{slices['participation']:.0%} of the {volume_per_minute:g} traded per minute"
    return f"participation: {slices['count']} slices of {size:f}, one every {interval:.0f} s, {share}"


# ── where, and what it costs ─────────────────────────────────────────────────────────────────────────────────────


def _splitting(command: OrderCommand, legs: Sequence[Leg], slices: Slices) -> dict[str, Part]:
    whole = sum((leg.quantity * leg.instrument.multiplier for leg in legs), Decimal(0))
    found: dict[str, Part] = {}
    for leg in legs:
        share = leg.quantity * leg.instrument.multiplier / whole
        found[f"{leg.instrument.exchange}/{leg.instrument.symbol}"] = Part(
            exchange=leg.instrument.exchange,
            symbol=leg.instrument.symbol,
            quantity=command.quantity * share,
            share=float(share),
            slice_quantity=slices["quantity"] * share,
            slices=slices["count"],
        )
    return found


def _costs(side: Side, found: Routed) -> tuple[float, float]:
    """Slippage as a fraction of the mid prices, and the total cost in USD per unit of the base."""
    used = {(leg.instrument.exchange, leg.instrument.symbol) for leg in found.legs}
    taken = [one for one in found.decision.candidates if _name(one) in used]
    lost = fsum(one.spread + one.slippage for one in taken)
    paid = fsum(one.price * one.quantity for one in taken)
    fair = paid - lost if side is Side.BUY else paid + lost
    return lost / fair, all_in(taken) / fsum(one.quantity for one in taken)


# ── confidence ───────────────────────────────────────────────────────────────────────────────────────────────────


def _confidence(found: Routed, slice_usd: float, limits: Limits, past_errors: Sequence[float]) -> float:
    able = [one for one in found.decision.candidates if not one.reason]
    used = {(leg.instrument.exchange, leg.instrument.symbol) for leg in found.legs}
    age = max(one.book_age_ms for one in able if _name(one) in used) * 1e3
    depth = fsum(one.liquidity for one in able)
    return confidence(age / limits.max_book_age, depth, slice_usd, past_errors)


def _name(candidate: Candidate) -> tuple[str, str]:
    return candidate.exchange, candidate.symbol


def confidence(age: float, depth_usd: float, slice_usd: float, past_errors: Sequence[float]) -> float:
    """0 to 1; falls with the age (1 is stale), the slice and each error, and rises with the depth."""
    if depth_usd <= 0:
        return 0.0
    freshness = exp(-max(age, 0.0))
    cover = depth_usd / (depth_usd + slice_usd)
    right = fsum(exp(-abs(error) / TYPICAL_ERROR) for error in past_errors)
    record = (PRIOR * PRIOR_WEIGHT + right) / (PRIOR_WEIGHT + len(past_errors))
    return freshness * cover * record
