"""How best to execute an order: where, in how many slices over time, what that should cost, and how sure that is. Pure.

Where: by the marginal cost of all books together, engine/routing.py's ``optimal``, for one slice.

When: slices of equal size at a steady share of the volume that trades (percentage of volume). Almgren and Chriss
("Optimal Execution of Portfolio Transactions", 2000, sections 2.2 and 2.3) weigh the impact of trading fast against the
risk of trading slowly; without risk aversion the best schedule is even, and the more averse to risk, the shorter. Here
urgency stands for that aversion and sets the share of volume; the shares are conventions of ours, as are those of the
brokers' algorithms. It is assumed that a book refills between slices, so that each costs what the first does.

How sure: ``confidence = freshness x cover x record``, each from 0 to 1:

- freshness = exp(-age / the age at which a book is stale), of the oldest book that is used;
- cover = depth / (depth + slice), both in USD, depth of all books that could take it within the bounds;
- record = (``PRIOR`` x ``PRIOR_WEIGHT`` + sum of exp(-error / ``TYPICAL_ERROR``)) / (``PRIOR_WEIGHT`` + their number),
  over the errors of past estimates: halfway while there are none, less for each larger error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from math import ceil, exp, floor, fsum
from typing import Final, TypedDict

from msgspec.structs import replace

from neuroflux.domain import AggregatedPrice, Candidate, Microseconds, OrderCommand, Side
from neuroflux.engine.candidates import Prospect, reference_price, side_of
from neuroflux.engine.limits import Limits, command_fault
from neuroflux.engine.order_state import Leg
from neuroflux.engine.routing import Routed, decide
from neuroflux.engine.walk import walk
from neuroflux.errors import UsageError

PARTICIPATION: Final[Mapping[str, float]] = {"low": 0.05, "normal": 0.10, "high": 0.20, "critical": float("inf")}
"""The share of the recent volume that slices take by urgency; critical takes all at once."""
PRIOR, PRIOR_WEIGHT = 0.5, 5.0
TYPICAL_ERROR = 0.001
"""An error of estimated slippage (a fraction) that makes an estimate count for 1/e."""
MOST_SLICES = 1_440
"""What would take more than a day of minutes goes in as many slices, further apart."""
_NO_VOLUME = 1e-12
_FINEST = Decimal(1).scaleb(-8)
_ABOVE_MINIMUM = 1.05
"""How far above the exchanges' smallest order a slice stays, for what the price may fall while it waits."""


class Part(TypedDict):
    """What one instrument takes: ``quantity`` of the whole order and ``slice_quantity`` of each slice, in the base;
    ``share`` from 0 to 1."""

    exchange: str
    symbol: str
    quantity: Decimal
    share: float
    slice_quantity: Decimal
    slices: int


class Slices(TypedDict):
    """``quantity`` is in the base; the last slice may be smaller or, to keep a minimum, larger."""

    count: int
    quantity: Decimal
    last_quantity: Decimal
    interval_seconds: float
    participation: float


class OptimisedExecution(TypedDict):
    """The reference's answer, and more. ``order_splitting`` is by ``exchange/symbol``; ``expected_slippage`` a fraction
    of the market's price, fees aside; ``expected_cost`` all costs of the whole order in USD against that price.

    Where nothing can take the order ``recommended_exchange`` is empty and ``reasons`` says why.
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

    ``volume_per_minute`` is what traded of the market lately, in its base; ``past_errors`` are |realised - estimated|
    slippage of earlier estimates, as fractions. Limits bound each slice. Raises UsageError for an unknown urgency.
    """
    if urgency not in PARTICIPATION:
        raise UsageError(f"urgency: {urgency!r} is none of {', '.join(PARTICIPATION)}")
    fault = command_fault(command)
    if fault:
        return _nothing(fault)
    reference = reference_price(prospects, aggregated, now)
    slices = schedule(command.quantity, PARTICIPATION[urgency], volume_per_minute, _least(prospects, reference))
    part = replace(command, quantity=max(slices["quantity"], slices["last_quantity"]), strategy="optimal")
    found = decide(part, prospects, aggregated, limits, now)
    if not found.legs:
        return _nothing(found.decision.reason)
    books = {(one.instrument.exchange, one.instrument.symbol): one for one in prospects}
    slippage, cost = _costs(part.side, found.legs, books, reference)
    splitting = _splitting(command, found.legs, slices)
    told = _timing(slices, volume_per_minute)
    return OptimisedExecution(
        recommended_exchange=max(splitting.values(), key=lambda one: one["share"])["exchange"],
        order_splitting=splitting,
        timing_strategy=told,
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
        expected_slippage=0.0,
        expected_cost=0.0,
        confidence_score=0.0,
        slices=none,
        reasons=[reason],
    )


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def schedule(quantity: Decimal, participation: float, volume_per_minute: float, least: float) -> Slices:
    """Even slices, one a minute or, where those would be less than ``least`` or too many, fewer and further apart.

    Without volume nothing can be paced by it, so that is one slice.
    """
    pace = participation * volume_per_minute if volume_per_minute > _NO_VOLUME else float("inf")
    whole = float(quantity)
    count = ceil(min(whole / pace, MOST_SLICES)) if pace < float("inf") else 1
    count = max(1, floor(min(whole / least, count)) if least > 0 else count)
    size = min((quantity / count).quantize(_FINEST, ROUND_CEILING), quantity)
    count = max(1, ceil(quantity / size))
    last = quantity - size * (count - 1)
    if count > 1 and float(last) < least:
        count, last = count - 1, last + size
    interval = 60 * float(size) / pace if count > 1 else 0.0
    return Slices(
        count=count,
        quantity=size,
        last_quantity=last,
        interval_seconds=interval,
        participation=participation if count > 1 else 0.0,
    )


def _least(prospects: Sequence[Prospect], reference: float) -> float:
    """The smallest slice that some exchange takes, in the base."""
    found = []
    for one in prospects:
        if one.rate is not None and reference > 0:
            rules = one.instrument
            smallest = float(max(rules.min_quantity, rules.quantity_step)) * rules.multiplier
            found.append(max(smallest, float(rules.min_notional) * one.rate.mid / reference * _ABOVE_MINIMUM))
    return min(found, default=0.0)


def _timing(slices: Slices, volume_per_minute: float) -> str:
    if slices["count"] == 1:
        return "immediate: one order now"
    size, interval = slices["quantity"].normalize(), slices["interval_seconds"]
    share = f"{slices['participation']:.0%} of the {volume_per_minute:g} traded a minute"
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


def _costs(
    side: Side, legs: Sequence[Leg], books: Mapping[tuple[str, str], Prospect], reference: float
) -> tuple[float, float]:
    """Slippage as a fraction of the reference, and all costs in USD for a unit of the base."""
    sign = 1 if side is Side.BUY else -1
    quantity = paid = extra = 0.0
    for leg in legs:
        one = books[leg.instrument.exchange, leg.instrument.symbol]
        walked = walk(side_of(one.book, side), float(leg.quantity))
        value = walked.quantity * walked.average_price
        rate = one.rate
        if rate is not None:
            fair, real = rate.mid, rate.ask if side is Side.BUY else rate.bid
            quantity += walked.quantity * leg.instrument.multiplier
            paid += value * fair
            extra += value * (real * (1 + sign * float(leg.instrument.taker_fee)) - fair)
    slipped = sign * (paid / quantity - reference)
    return slipped / reference, slipped + sign * extra / quantity


# ── how sure ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _confidence(found: Routed, slice_usd: float, limits: Limits, past_errors: Sequence[float]) -> float:
    able = [one for one in found.decision.candidates if not one.reason]
    used = {(leg.instrument.exchange, leg.instrument.symbol) for leg in found.legs}
    age = max(one.book_age_ms for one in able if _name(one) in used) * 1e3
    depth = fsum(one.liquidity for one in able)
    return confidence(age / limits.max_book_age, depth, slice_usd, past_errors)


def _name(candidate: Candidate) -> tuple[str, str]:
    return candidate.exchange, candidate.symbol


def confidence(age: float, depth_usd: float, slice_usd: float, past_errors: Sequence[float]) -> float:
    """0 to 1: falls with the age (1 is stale), the slice and each error, rises with the depth."""
    if depth_usd <= 0:
        return 0.0
    freshness = exp(-max(age, 0.0))
    cover = depth_usd / (depth_usd + slice_usd)
    right = fsum(exp(-abs(error) / TYPICAL_ERROR) for error in past_errors)
    record = (PRIOR * PRIOR_WEIGHT + right) / (PRIOR_WEIGHT + len(past_errors))
    return freshness * cover * record
