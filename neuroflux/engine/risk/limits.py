"""Checks before an order is sent, and the funds that open orders reserve; every refusal begins with its rule.

Rules: ``kind``, ``strategy``, ``legs``, ``quantity``, ``price``, ``type``, ``time_in_force``, ``exchange``,
``expires_at``, ``min_profit``, ``requirements``, ``late``, ``halted``, ``symbol``, ``stale``, ``health``,
``conversion``, ``keys``, ``inactive``, ``fee``, ``liquidity``, ``slippage``, ``collar``, ``notional``, ``funds``,
``minimum``. Those of one instrument are in engine/routing/candidates.py, and exclude it; those of the whole order
are here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from math import inf, isfinite

from msgspec import Struct

from neuroflux.domain import (
    CommandKind,
    CommandLeg,
    Instrument,
    InstrumentKind,
    Microseconds,
    OrderCommand,
    OrderType,
    Side,
    TimeInForce,
)
from neuroflux.engine.orders.state import Order, Phase

STRATEGIES = ("optimal", "fastest", "cheapest", "balanced", "redundant")
MARGIN = Decimal("0.1")
"""The part of a perpetual's notional that must be free. Accounts differ in leverage, and the exchange decides in the
end; this refuses orders that it would almost surely reject."""
DECIMAL_DIGITS, DECIMAL_PLACES = 38, 18
"""The precision and scale of amounts: the Avro decimals of the topics."""
RESERVED_FOR: Microseconds = 60_000_000
"""After this time since an order was accepted, nothing is reserved for it, even if the balance is older."""
BALANCES_LIFE: Microseconds = 150_000_000
"""A balance is published at least every two minutes: an older one is not used."""

_PLAIN = OrderCommand(order_id="", kind=CommandKind.PLACE)
_OF_ONE = ("price", "type", "time_in_force", "strategy", "exchange")
_OF_A_PAIR = ("expires_at", "min_profit")
UNUSED = {
    CommandKind.PLACE: _OF_A_PAIR,
    CommandKind.PAIR: _OF_ONE,
    CommandKind.REBALANCE: (*_OF_ONE, *_OF_A_PAIR),
}
"""The fields of a command that its kind does not use."""
ROUNDING = 1e-9
"""The rounding error allowed in a ratio that is exactly at its bound."""
EVERYWHERE = "*"


class Limits(Struct, frozen=True):
    """The order limits; money is in USD, and ``price_collar`` is a fraction of the reference price.

    ``max_position_usd`` to ``max_daily_loss_usd`` are checked in totals.py. ``max_naked_usd`` and ``max_naked_seconds``
    are for a pair that is filled on one leg only, and checked in naked.py.
    """

    max_notional_usd: float
    price_collar: float
    max_book_age: Microseconds
    max_position_usd: float = float("inf")
    max_open_orders: float = float("inf")
    max_orders_per_second: float = float("inf")
    max_daily_loss_usd: float = float("inf")
    max_naked_usd: float = float("inf")
    max_naked_seconds: float = float("inf")
    max_command_age_seconds: float = float("inf")


def limits_of(config: Mapping[str, float]) -> Limits:
    """Read ``ORDER_LIMITS``."""
    return Limits(
        config["max_notional_usd"],
        config["price_collar"],
        int(config["max_book_age_seconds"] * 1_000_000),
        config["max_position_usd"],
        config["max_open_orders"],
        config["max_orders_per_second"],
        config["max_daily_loss_usd"],
        config["max_naked_usd"],
        config["max_naked_seconds"],
        config["max_command_age_seconds"],
    )


def command_fault(command: OrderCommand) -> str:
    """Why a command is invalid whatever the market, or "".

    A sender expects every field to have an effect: one that the kind does not use is refused.
    """
    for field in UNUSED.get(command.kind, ()):
        if getattr(command, field) != getattr(_PLAIN, field):
            return f"{field}: a command of kind {command.kind} has none"
    if command.kind is CommandKind.PAIR:
        return _pair_fault(command)
    if command.kind is CommandKind.REBALANCE:
        return _legs_fault(command)
    if command.legs:
        return f"legs: an order of kind {command.kind} has none"
    if command.strategy not in STRATEGIES:
        return f"strategy: {command.strategy!r} is not one of {', '.join(STRATEGIES)}"
    return _amount_fault("quantity", command.quantity) or _price_fault(command) or _bounds_fault(command)


def _pair_fault(command: OrderCommand) -> str:
    """A pair buys one instrument and sells the same quantity of another."""
    legs = command.legs
    if not isfinite(command.min_profit):
        return f"min_profit: {command.min_profit} is not a number"
    if len(legs) != 2 or legs[0].side is legs[1].side:
        return "legs: a pair has two, one bought and one sold"
    if (legs[0].exchange, legs[0].symbol) == (legs[1].exchange, legs[1].symbol):
        return "legs: both are of the same instrument"
    if any(leg.price for leg in legs):
        return "price: the legs of a pair have none; min_profit bounds the pair"
    uneven = {leg.quantity for leg in legs} != {command.quantity}
    fault = "legs: their quantities differ from the order's" if uneven else ""
    return _amount_fault("quantity", command.quantity) or fault or _bounds_fault(command)


def _legs_fault(command: OrderCommand) -> str:
    if not command.legs:
        return "legs: there are none"
    named = Counter((leg.exchange, leg.symbol, leg.side) for leg in command.legs)
    twice = next((name for name, times in named.items() if times > 1), None)
    if twice:
        return f"legs: {twice[1]} on {twice[0]} appears twice"
    return next(filter(None, map(_leg_fault, command.legs)), "") or _bounds_fault(command)


def _leg_fault(leg: CommandLeg) -> str:
    return _amount_fault("quantity", leg.quantity) or (_amount_fault("price", leg.price) if leg.price else "")


def _amount_fault(rule: str, amount: Decimal) -> str:
    if not amount.is_finite():
        return f"{rule}: {amount} is not a number"
    shown = f"{amount.normalize():f}" if amount.adjusted() < DECIMAL_DIGITS else f"{amount:e}"
    if amount <= 0:
        return f"{rule}: {shown} is not above 0"
    exponent = amount.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMAL_PLACES:
        return f"{rule}: {shown} has more than {DECIMAL_PLACES} decimal places"
    return f"{rule}: {shown} is too large" if amount.adjusted() >= DECIMAL_DIGITS - DECIMAL_PLACES else ""


def _price_fault(command: OrderCommand) -> str:
    if command.type is OrderType.LIMIT:
        return _amount_fault("price", command.price)
    if command.price:
        return "price: a market order has none; send a limit order to bound it"
    return "price: a market order can't wait" if command.time_in_force is TimeInForce.POST_ONLY else ""


def _bounds_fault(command: OrderCommand) -> str:
    wanted = command.requirements
    bounds = (wanted.max_slippage, wanted.max_fee, wanted.min_liquidity)
    if not all(map(isfinite, bounds)):
        return "requirements: a bound is not a number"
    return "requirements: a bound is below 0" if min(bounds) < 0 else ""


def age_fault(sent: Microseconds, now: Microseconds, limits: Limits) -> str:
    """Why a command is too old to be executed, or "". Kafka or every executor may have been down meanwhile.

    ``sent`` is by the sender's clock; one that is ahead of ours counts as now.
    """
    age, allowed = (now - sent) / 1e6, limits.max_command_age_seconds
    if age <= allowed:
        return ""
    return f"late: it was sent {age:,.1f} s ago; a command older than {allowed:g} s is not executed"


def notional_fault(notional_usd: float, limits: Limits) -> str:
    if notional_usd <= limits.max_notional_usd:
        return ""
    return f"notional: {notional_usd:,.2f} USD is above the limit of {limits.max_notional_usd:,.2f} USD"


def collar_fault(side: Side, price_usd: float, reference: float, limits: Limits) -> str:
    """Why a limit price is further from the reference than the collar allows, or "".

    Only on the side that costs: a bid far below the market just rests.
    """
    beyond = price_usd / reference - 1 if side is Side.BUY else 1 - price_usd / reference
    if beyond <= limits.price_collar + ROUNDING:
        return ""
    word = "above" if side is Side.BUY else "below"
    market = f"{price_usd:,.8g} USD is {beyond:.2%} {word} the market at {reference:,.8g} USD"
    return f"collar: {market}; {limits.price_collar:.2%} is allowed"


def halt_fault(halts: Mapping[str, str]) -> str:
    """Why everything is halted, or "". ``halts`` are the halted accounts with the reason; the key ``*`` is all."""
    if EVERYWHERE not in halts:
        return ""
    why = halts[EVERYWHERE]
    return f"halted: {why}" if why else "halted"


def halt_of(halts: Mapping[str, str], exchange: str) -> str:
    """Why no new order may be sent to an exchange, or ""."""
    return f"halted: {halts[exchange]}" if exchange in halts else halt_fault(halts)


def bounds_of(bounds: Mapping[str, dict[str, float]], exchange: str) -> dict[str, float]:
    """The bounds of an exchange by name: its own, and those for all (``*``); the lower one if both are set."""
    own, every = bounds.get(exchange, {}), bounds.get(EVERYWHERE)
    return own if every is None else {name: min(own.get(name, inf), every.get(name, inf)) for name in own | every}


# ── funds ────────────────────────────────────────────────────────────────────────────────────────────────────────


def spent_asset(instrument: Instrument, side: Side) -> str:
    """The asset that an order takes from the account: the sold one, the quote paid with, or the margin asset."""
    if instrument.kind is InstrumentKind.PERPETUAL:
        return instrument.settle
    return instrument.quote if side is Side.BUY else instrument.base


def spent_amount(instrument: Instrument, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
    """The most of ``spent_asset`` that an order of this (wire) quantity and price can take, without fees."""
    if instrument.kind is InstrumentKind.PERPETUAL:
        return quantity * price * MARGIN
    return quantity * price if side is Side.BUY else quantity


def at_margin(free: Decimal, instrument: Instrument, limits: Mapping[str, float]) -> Decimal:
    """Funds converted to ``MARGIN``: an account with another leverage on a perpetual can plan with more, or less."""
    return free * _at_leverage(instrument, limits)


def _at_leverage(instrument: Instrument, limits: Mapping[str, float]) -> Decimal:
    """The factor between the notional at the account's own leverage and that at ``MARGIN``."""
    leverage = limits.get("leverage", 0.0)
    if not leverage or instrument.kind is not InstrumentKind.PERPETUAL:
        return Decimal(1)
    return Decimal(str(leverage)) * MARGIN


class Seen(Struct, frozen=True):
    """When a balance or a position was written to Kafka (our clock), and its own time.

    Its own time is the exchange's if it was pushed, and ours if it was in an answer.
    """

    written: Microseconds
    event_time: Microseconds

    def shows(self, sent_at: Microseconds, heard_at: Microseconds, time: Microseconds) -> bool:
        """Whether it includes a result of an order, which was sent, and whose result was received, at these times.

        ``time`` is the exchange's time of the result. A push may arrive before the answer to the order: so a record
        that was written after the order was sent is compared by the exchange's time, and any later one by ours.
        """
        return self.written >= heard_at or (self.written >= sent_at and self.event_time >= time)


NEVER = Seen(0, 0)
"""Of a balance or position that was never reported."""


def reserved(
    orders: Iterable[Order],
    exchange: str,
    asset: str,
    balance: Seen,
    now: Microseconds,
    limits: Mapping[str, float],
) -> Decimal:
    """The amount of an asset that orders use and its balance can't include yet; for perpetuals at its leverage."""
    total = Decimal(0)
    for order in orders:
        for number, leg in enumerate(order.legs):
            here = leg.instrument.exchange == exchange and spent_asset(leg.instrument, leg.side) == asset
            if here and _unseen(order, number, balance, now):
                paid = max(Decimal(0), _taken(order, number) - leg.reducing)
                planned = spent_amount(leg.instrument, leg.side, paid, leg.price)
                total += planned / _at_leverage(leg.instrument, limits)
    return total


def shown(order: Order, seen: Callable[[str, str], Seen], now: Microseconds) -> bool:
    """Whether balances, of the times given by ``seen`` by exchange and asset, include all that an order used."""
    return not any(
        _unseen(order, number, seen(leg.instrument.exchange, spent_asset(leg.instrument, leg.side)), now)
        for number, leg in enumerate(order.legs)
    )


def _taken(order: Order, number: int) -> Decimal:
    """The wire quantity that a leg uses: all of it while it may still fill, then its filled quantity."""
    last = order.last_of(number)
    return last.filled if last is not None and last.phase.final else order.legs[number].quantity


def _unseen(order: Order, leg: int, balance: Seen, now: Microseconds) -> bool:
    """Whether a leg's effect on the account may be missing from a balance of that time.

    The exchange reserves an order's funds when it accepts the order: a later fill turns reserved funds into spent ones,
    and a later report of the same state changes nothing.
    """
    last = order.last_of(leg)
    if last is None:
        return not order.state.final
    if last.phase in (Phase.ROUTED, Phase.SENDING, Phase.IN_DOUBT):
        return True
    if last.phase is Phase.ABSENT or (last.phase.final and not last.filled):
        return False
    accepted = last.accepted_at or last.heard_at
    return not balance.shows(last.sent_at, accepted, last.accepted_time) and now < accepted + RESERVED_FOR
