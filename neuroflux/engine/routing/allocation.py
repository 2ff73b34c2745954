"""Allocation of a quantity to offers: taken in order, within each account's funds, rounded to the exchanges' steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import OrderCommand, OrderType, TimeInForce
from neuroflux.engine.markets.rounding import round_quantity
from neuroflux.engine.markets.walk import walk
from neuroflux.engine.risk.limits import spent_amount, spent_asset
from neuroflux.engine.routing.candidates import Offer

ZERO = Decimal(0)


class Slice(Struct, frozen=True):
    """A level of the offer with this number; ``quantity`` is in wire units. Slices are taken sorted by ``order``."""

    order: tuple[float, float]
    offer: int
    price: float
    quantity: Decimal


class Amounts(Struct, frozen=True):
    """By the offer's number: its quantity in units of the base, the worst price of the levels taken, and the funds that
    one wire unit reserves.
    """

    quantities: dict[int, Decimal]
    worst: dict[int, float]
    unit: dict[int, Decimal]


def affordable(offer: Offer) -> Decimal:
    """The funds that the account can spend on the offer, in the asset it is paid with."""
    return max(offer.prospect.free or ZERO, ZERO)


def opening(offer: Offer, wire: Decimal) -> Decimal:
    """The part of a (wire) quantity that needs funds: all of it except what only reduces a position."""
    return max(ZERO, wire - offer.prospect.reducible)


def lacking(command: OrderCommand, offer: Offer, spend_price: Callable[[Offer, float], Decimal]) -> str:
    """Why the account can't pay for the whole order there, or ""."""
    instrument = offer.prospect.instrument
    wire = command.quantity / instrument.multiplier
    worst = walk(offer.levels, float(wire)).worst_price or offer.bound
    needed = spent_amount(instrument, command.side, opening(offer, wire), spend_price(offer, worst))
    free = affordable(offer)
    if needed <= free:
        return ""
    return f"funds: {free:,.8g} of {needed:,.8g} {spent_asset(instrument, command.side)}"


def take(
    command: OrderCommand,
    offers: Sequence[Offer],
    slices: Sequence[Slice],
    spend_price: Callable[[Offer, float], Decimal],
) -> Amounts:
    """Take slices in order until the quantity is reached, within each account's funds and each exchange's share.

    The part of an immediate limit order that the books do not hold is sent to the first offers whose accounts can pay.
    """
    purses = {_purse(command, offer): affordable(offer) for offer in offers}
    shares = _shares(command, offers)
    amounts, left = Amounts({}, {}, {}), command.quantity
    for one in (*slices, *_beyond_the_books(command, offers, slices)):
        if left <= 0:
            break
        offer, before = offers[one.offer], amounts.quantities.get(one.offer, ZERO)
        purse, exchange = _purse(command, offer), offer.prospect.instrument.exchange
        multiplier = offer.prospect.instrument.multiplier
        unit = spent_amount(offer.prospect.instrument, command.side, Decimal(1), spend_price(offer, one.price))
        # The whole leg is sent at its worst price, so funds are reserved at that price.
        held = opening(offer, before / multiplier) * amounts.unit.get(one.offer, ZERO)
        funded = ((purses[purse] + held) / unit + offer.prospect.reducible) * multiplier - before
        part = min(left, one.quantity * multiplier, funded, shares[exchange])
        if part > 0:
            amounts.quantities[one.offer] = before + part
            amounts.worst[one.offer], amounts.unit[one.offer] = one.price, unit
            purses[purse] += held - opening(offer, (before + part) / multiplier) * unit
            shares[exchange] -= part
            left -= part
    return amounts


def _purse(command: OrderCommand, offer: Offer) -> tuple[str, str]:
    return offer.prospect.instrument.exchange, spent_asset(offer.prospect.instrument, command.side)


def _shares(command: OrderCommand, offers: Sequence[Offer]) -> dict[str, Decimal]:
    """The most that each exchange may take."""
    most = command.quantity / 2 if command.strategy == "redundant" else command.quantity
    return {offer.prospect.instrument.exchange: most for offer in offers}


def there(offers: Sequence[Offer], slices: Sequence[Slice]) -> Decimal:
    """The quantity that the books hold, in units of the base."""
    return sum((one.quantity * offers[one.offer].prospect.instrument.multiplier for one in slices), ZERO)


def asks_for_more(command: OrderCommand) -> bool:
    """Whether the order is sent for its whole quantity, and fills what the book holds on arrival."""
    return command.type is OrderType.LIMIT and command.time_in_force is TimeInForce.IOC


def _beyond_the_books(command: OrderCommand, offers: Sequence[Offer], slices: Sequence[Slice]) -> list[Slice]:
    """The quantity beyond the books, as one slice per offer, in the order of the offers' first slices."""
    lacking = command.quantity - there(offers, slices) if asks_for_more(command) else ZERO
    if lacking <= 0:
        return []
    last = {one.offer: one for one in slices}
    return [
        Slice(one.order, number, one.price, lacking / offers[number].prospect.instrument.multiplier)
        for number, one in last.items()
    ]


def fit(command: OrderCommand, offers: Sequence[Offer], amounts: Amounts) -> tuple[dict[int, Decimal], Decimal]:
    """Round each part down to its instrument's step, and add the remainders to the last offers that can take and pay
    them. Returns the wire quantities, and the remainder that none can take (in units of the base).
    """
    wire: dict[int, Decimal] = {}
    for number, quantity in amounts.quantities.items():
        instrument = offers[number].prospect.instrument
        wire[number] = round_quantity(instrument, quantity / instrument.multiplier, OrderType.LIMIT)
    left = command.quantity - sum((wire[n] * offers[n].prospect.instrument.multiplier for n in wire), ZERO)
    for number in reversed(wire):
        instrument = offers[number].prospect.instrument
        more = round_quantity(instrument, wire[number] + left / instrument.multiplier, OrderType.LIMIT)
        if opening(offers[number], more) * amounts.unit[number] <= affordable(offers[number]):
            left -= (more - wire[number]) * instrument.multiplier
            wire[number] = more
    return {number: quantity for number, quantity in wire.items() if quantity or len(wire) == 1}, left
