"""The instruments that could take an order, each with its figures, and what excludes those that can't.

All comparison is in USD per unit of the market's base: the book's price, the live conversion of its quote, the fee.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import nan
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    Candidate,
    Cause,
    CommandKind,
    CommandLeg,
    ExchangeHealth,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    Microseconds,
    OrderCommand,
    OrderType,
    Side,
    TimeInForce,
)
from neuroflux.engine.markets.conversion import Conversions, Rate
from neuroflux.engine.markets.costs import Costs, costs, mid_of
from neuroflux.engine.markets.soundness import flaw
from neuroflux.engine.markets.walk import value
from neuroflux.engine.risk.limits import Limits

UNKNOWN_LATENCY_MS = 1_000.0
"""What counts as the latency of an exchange whose health is not known."""
PRICE_LIFE: Microseconds = 15_000_000
"""How old an aggregated price may be and still be the reference."""
MID_LIFE: Microseconds = 5_000_000
"""How old a book may be for its mid to say where the market is now."""
MID_SPREAD = 0.02
"""The same for its spread, as a fraction of the mid."""
TOO_GOOD = 0.1
"""A price so much better than the market's, as a fraction, is of something else: tickers are not unique everywhere."""


def usd_rate(
    asset: str, conversions: Conversions, prices: Mapping[str, AggregatedPrice], now: Microseconds
) -> Rate | None:
    """USD for one unit: a stablecoin's live rate, any other asset's aggregated price; None where none is fresh."""
    known = conversions.to_usd(asset, now)
    price = prices.get(f"{asset}/USD")
    if known is not None or price is None or now - price.event_time > PRICE_LIFE:
        return known
    return Rate(price.price, price.price, price.event_time)


class Prospect(Struct, frozen=True):
    """What is known of one instrument when the choice is made; ``cause`` is the record of the book.

    ``free`` is what the account can still spend on it (engine/risk/limits.py, ``spent_asset``), None if not known.
    ``blocked`` says why it can't be used whatever its book is like. ``reducible`` is how much of it, in wire units,
    only makes a position smaller and needs no funds (engine/risk/leverage.py).
    """

    instrument: Instrument
    book: BookSnapshot[float] | None = None
    cause: Cause | None = None
    rate: Rate | None = None
    health: ExchangeHealth | None = None
    free: Decimal | None = None
    blocked: str = ""
    reducible: Decimal = Decimal(0)

    @property
    def only_closes(self) -> bool:
        """Whether an order there can only make a position smaller: there is one, and nothing for more."""
        return self.reducible > 0 and self.free is not None and self.free <= 0


class Offer(Struct, frozen=True):
    """A candidate that may be chosen: ``levels`` are what of its book may be taken, in the wire's units.

    ``bound`` is the worst price at which it may trade, in its own quote; ``reference`` is the price that it was
    checked against, as ``reference_price`` has it.
    """

    candidate: Candidate
    prospect: Prospect
    rate: Rate
    levels: tuple[Level[float], ...]
    bound: float
    reference: float = 0.0


def closing_alone(command: OrderCommand, prospects: Sequence[Prospect], now: Microseconds) -> list[Prospect]:
    """The same, bounded to what makes their positions smaller, which needs neither funds nor a rate.

    Prices of one quote compare without a rate: where none is fresh they are counted in that quote. A limit price in USD
    can't be kept without one.
    """
    one_quote = len({one.instrument.quote for one in prospects}) == 1

    def closes(one: Prospect) -> Prospect:
        in_usd = command.type is OrderType.LIMIT and not is_in_quote(command, one.instrument)
        par = Rate(1.0, 1.0, now) if one_quote and not in_usd else None
        return replace(one, free=Decimal(0), rate=one.rate or par)

    return [closes(one) if one.reducible else one for one in prospects]


def instruments_for(command: OrderCommand, known: Iterable[Instrument]) -> list[Instrument]:
    """What a command may be filled with.

    A symbol means that instrument, on any exchange. A market means its spot instruments, or if there are none its
    perpetuals: a plain order never turns into the other kind of thing. ``exchange`` narrows either.
    """
    here = [one for one in known if command.exchange in ("", one.exchange)]
    named = [one for one in here if one.symbol == command.market]
    comparable = [one for one in here if one.market == command.market]
    spot = [one for one in comparable if one.kind is InstrumentKind.SPOT]
    return (spot or comparable) if comparable else named


def of_leg(command: OrderCommand, leg: CommandLeg) -> OrderCommand:
    """One leg of a pair or a rebalance as a market order of its own, within the bounds of the whole."""
    return OrderCommand(
        order_id=command.order_id,
        kind=CommandKind.PLACE,
        market=leg.symbol,
        side=leg.side,
        quantity=leg.quantity,
        exchange=leg.exchange,
        requirements=command.requirements,
    )


def price_in_quote(command: OrderCommand, instrument: Instrument, rate: Rate) -> Decimal:
    """The command's limit price as the instrument's exchange counts it: per wire unit, in its quote.

    With a symbol the price is in the symbol's quote; with a market it is in USD and converts so that the bound holds
    after conversion. Either is per unit of the market's base.
    """
    if is_in_quote(command, instrument):
        return command.price * instrument.multiplier
    usd_for_quote = rate.ask if command.side is Side.BUY else rate.bid
    return command.price * instrument.multiplier / Decimal(str(usd_for_quote))


def unit_cost(offer: Offer, side: Side, price: float) -> float:
    """USD for one unit of base at this price of the book, all in; negative for what a sale brings. Less is better."""
    fee = float(offer.prospect.instrument.taker_fee)
    per_base = price / offer.prospect.instrument.multiplier
    return per_base * offer.rate.ask * (1 + fee) if side is Side.BUY else -per_base * offer.rate.bid * (1 - fee)


def is_in_quote(command: OrderCommand, instrument: Instrument) -> bool:
    """Whether the command's price is in the instrument's quote, and not in USD."""
    return command.market == instrument.symbol and command.market != instrument.market


def reference_price(
    prospects: Sequence[Prospect],
    aggregated: AggregatedPrice | None,
    now: Microseconds,
    others: Iterable[Prospect] = (),
) -> float:
    """Where the market is, in USD per unit of the base: what bounds are checked against; 0 where nothing says it.

    The median of the current mids, where fewer than two of the prospects have one also those of the market's
    ``others``. The aggregated price is an average over the last minute, so it decides only where the mids can't outvote
    a single wrong one: beside one mid, or an even number of them.
    """
    mids = _mids(prospects, now)
    if len(mids) < 2:
        known = {_name(one) for one in prospects}
        mids += _mids((one for one in others if _name(one) not in known), now)
    if aggregated is None or not aggregated.price > 0 or now - aggregated.event_time > PRICE_LIFE:
        mids = mids or [mid for mid in map(_mid, prospects) if mid]
        return median(mids) if mids else 0.0
    if len(mids) < 2:
        return aggregated.price
    return median(mids if len(mids) % 2 else [*mids, aggregated.price])


def _name(prospect: Prospect) -> tuple[str, str]:
    return prospect.instrument.exchange, prospect.instrument.symbol


def _mids(prospects: Iterable[Prospect], now: Microseconds) -> list[float]:
    """The mids that are of now."""
    return [mid for mid in (_mid(one) for one in prospects if _is_current(one, now)) if mid]


def _is_current(prospect: Prospect, now: Microseconds) -> bool:
    """Whether the book is of now, and close enough for its mid to be a price."""
    book = prospect.book
    if book is None or not book.has_both_sides or abs(now - book.received_time) > MID_LIFE:
        return False
    bid, ask = book.bids[0].price, book.asks[0].price
    return 0 < bid < ask and (ask - bid) / ((ask + bid) / 2) <= MID_SPREAD


def _mid(prospect: Prospect) -> float:
    """USD per unit of the base; 0 where it is not known."""
    book, rate = prospect.book, prospect.rate
    if book is None or rate is None or not book.has_both_sides:
        return 0.0
    return (book.bids[0].price + book.asks[0].price) / 2 * rate.mid / prospect.instrument.multiplier


def weigh(
    command: OrderCommand, prospect: Prospect, reference: float, limits: Limits, now: Microseconds
) -> Offer | Candidate:
    """The figures of one instrument: an offer, or the bare candidate with the reason why it can't be chosen.

    What only closes is checked against the mid of its own book: that is where the position can be closed now.
    """
    book, rate = prospect.book, prospect.rate
    reference = reference_price([prospect], None, now) if prospect.only_closes else reference
    unsound = flaw(book, now) if book is not None else ""
    reason = _unusable(command, prospect, limits, now) or (f"unsound: {unsound}" if unsound else "")
    if book is None or rate is None or unsound:
        return figures(prospect, None, command.side, reason, now)
    levels = _usable(command, prospect, rate, reference, limits)
    walked = levels[0] if command.type is OrderType.LIMIT else side_of(book, command.side)
    candidate = figures(prospect, costs_of(command, prospect, rate, walked), command.side, "", now)
    reason = reason or _unwanted(command, prospect, candidate, rate, bool(levels[0]))
    if reason:
        return replace(candidate, reason=reason)
    return Offer(candidate, prospect, rate, *levels, reference)


def _unusable(command: OrderCommand, prospect: Prospect, limits: Limits, now: Microseconds) -> str:
    instrument, book = prospect.instrument, prospect.book
    if prospect.blocked:
        return prospect.blocked
    if not instrument.active:
        return f"inactive: {instrument.exchange} does not trade {instrument.symbol}"
    if instrument.closing_only and not prospect.reducible:
        return f"inactive: {instrument.exchange} settles {instrument.symbol} within a day: it is only closed"
    if prospect.health is not None and prospect.health.status is HealthStatus.OFFLINE and not prospect.only_closes:
        return f"health: {instrument.exchange} is offline"
    if book is None or not book.has_both_sides:
        return "stale: no book"
    if now - book.received_time > limits.max_book_age:
        return f"stale: the book is {(now - book.received_time) / 1e6:.1f} s old"
    if book.received_time - now > limits.max_book_age:
        return f"stale: the book is dated {(book.received_time - now) / 1e6:.1f} s ahead"
    if prospect.rate is None:
        return f"conversion: no fresh rate for {instrument.quote}"
    if prospect.free is None:
        return f"funds: the balances of {instrument.exchange} are not known"
    return ""


def without_namesakes(side: Side, weighed: Sequence[Offer | Candidate], reference: float) -> list[Offer | Candidate]:
    """Of several offers none whose price is too good for the market: the collar bounds the worse side alone.

    A position can be closed at any price that is offered for it.
    """
    several = sum(isinstance(one, Offer) for one in weighed) > 1
    return [unless_namesake(side, one, reference) if several else one for one in weighed]


def unless_namesake(side: Side, offer: Offer | Candidate, reference: float) -> Offer | Candidate:
    """The offer, or its candidate where the price is too good."""
    if isinstance(offer, Candidate) or not reference or offer.prospect.reducible:
        return offer
    best = side_of(offer.prospect.book, side)[0].price * offer.rate.mid / offer.prospect.instrument.multiplier
    better = 1 - best / reference if side is Side.BUY else best / reference - 1
    if better <= TOO_GOOD:
        return offer
    why = f"price: {better:.0%} better than the market's: not the same thing"
    return replace(offer.candidate, reason=why)


def _unwanted(command: OrderCommand, prospect: Prospect, candidate: Candidate, rate: Rate, usable: bool) -> str:
    wanted, instrument = command.requirements, prospect.instrument
    fee = instrument.maker_fee if rests(command) and not _crosses(command, prospect, rate) else instrument.taker_fee
    if wanted.max_fee and float(fee) > wanted.max_fee:
        return f"fee: {float(fee):.4%} is above {wanted.max_fee:.4%}"
    if wanted.min_liquidity and candidate.liquidity < wanted.min_liquidity:
        return f"liquidity: {candidate.liquidity:,.0f} USD is below {wanted.min_liquidity:,.0f} USD"
    if command.time_in_force is TimeInForce.POST_ONLY and _crosses(command, prospect, rate):
        return "price: a post-only order would trade at once"
    if not usable and not rests(command):
        return "price: nothing to take within the bounds"
    return ""


def rests(command: OrderCommand) -> bool:
    """Whether what can't be traded at once stays in the book."""
    waits = command.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
    return command.type is OrderType.LIMIT and waits


def _crosses(command: OrderCommand, prospect: Prospect, rate: Rate) -> bool:
    best = side_of(prospect.book, command.side)[0].price
    limit = float(price_in_quote(command, prospect.instrument, rate))
    return limit >= best if command.side is Side.BUY else limit <= best


def side_of(book: BookSnapshot[float] | None, side: Side) -> tuple[Level[float], ...]:
    """The side of the book that an order of this side takes from."""
    if book is None:
        return ()
    return book.asks if side is Side.BUY else book.bids


def _usable(
    command: OrderCommand, prospect: Prospect, rate: Rate, reference: float, limits: Limits
) -> tuple[tuple[Level[float], ...], float]:
    """The levels that may be taken, and the bound: the limit price, the collar, the slippage that is allowed."""
    sign = 1 if command.side is Side.BUY else -1
    levels = side_of(prospect.book, command.side)
    bounds = []
    if reference:
        bounds.append(reference * (1 + sign * limits.price_collar) * prospect.instrument.multiplier / rate.mid)
    if command.type is OrderType.LIMIT:
        bounds.append(float(price_in_quote(command, prospect.instrument, rate)))
    if command.requirements.max_slippage:
        bounds.append(levels[0].price * (1 + sign * command.requirements.max_slippage))
    bound = sign * min(sign * each for each in bounds) if bounds else levels[-1].price
    return tuple(level for level in levels if sign * level.price <= sign * bound), bound


def costs_of(
    command: OrderCommand,
    prospect: Prospect,
    rate: Rate,
    levels: Sequence[Level[float]],
    wire: Decimal | None = None,
) -> Costs:
    """What ``wire`` units cost there, or the whole order where that is None."""
    instrument, book = prospect.instrument, prospect.book
    assert book is not None, "an instrument without a book has no costs"
    quantity = float(command.quantity) / instrument.multiplier if wire is None else float(wire)
    rests_at = float(price_in_quote(command, instrument, rate)) if rests(command) else None
    return costs(instrument, mid_of(book), rate, levels, quantity, rests_at)


def figures(prospect: Prospect, of: Costs | None, side: Side, reason: str, now: Microseconds) -> Candidate:
    """A candidate with these costs; what is not known of it is ``nan``."""
    one, book, rate = prospect.instrument, prospect.book, prospect.rate
    return Candidate(
        one.exchange,
        one.symbol,
        of.price if of else nan,
        of.quantity if of else nan,
        of.fee if of else nan,
        of.spread if of else nan,
        of.slippage if of else nan,
        of.conversion if of else nan,
        of.total if of else nan,
        latency_of(prospect),
        value(side_of(book, side)) * rate.mid if of and rate else nan,
        _health_of(prospect),
        (now - book.received_time) / 1e3 if book else nan,
        reason,
    )


def latency_of(prospect: Prospect) -> float:
    """Milliseconds from an order's sending to its acknowledgement (p95), or the mean answer time before the first."""
    if prospect.health is None:
        return UNKNOWN_LATENCY_MS
    return prospect.health.order_latency_ms or prospect.health.latency_ms


def _health_of(prospect: Prospect) -> str:
    return prospect.health.status.value if prospect.health is not None else "unknown"


def causes_of(prospects: Sequence[Prospect]) -> tuple[Cause, ...]:
    """The records that the figures were made from."""
    return tuple(prospect.cause for prospect in prospects if prospect.cause is not None)
