"""Orders and fills of the tables, compared with the exchanges' own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from neuroflux.cli.audit.accounts import Pair
from neuroflux.cli.audit.figures import ZERO, Figure, Key
from neuroflux.cli.audit.reading import Exchanges, Leg, Reported
from neuroflux.domain import Fill, Microseconds
from neuroflux.exchanges.kit.own_answers import OwnAccount, OwnFill

_STATES = {
    "acknowledged": "open",
    "working": "open",
    "filled": "filled",
    "cancelled": "ended",
    "expired": "ended",
    "rejected": "rejected",
}
UNDER_WAY = {
    "sending": "the order is being sent",
    "in_doubt": "it is not known yet whether the order exists: it is being queried",
    "routed": "the order was not sent yet",
}
NOT_LISTED = "the exchange's list is older"
NOT_READ = "the exchange's list is longer than what is read of it"
NOT_TAKEN = "rejected"
"""An exchange keeps no record of an order it rejected, so a missing order agrees; likewise for an order that ended
without a fill because it never reached the exchange."""


class Listed(Struct, frozen=True):
    """When an exchange's lists were requested, and whether they were read to their end."""

    at: Microseconds
    is_whole: bool

    def pending(self, time: Microseconds, is_listed: bool) -> str:
        """Why what we recorded then may differ from the lists, if it may."""
        if time > self.at:
            return NOT_LISTED
        return "" if is_listed or self.is_whole else NOT_READ


def orders(reported: Reported, before: Exchanges, after: Exchanges) -> Iterator[Pair]:
    """States and filled quantities of our orders, and their fills."""
    for exchange, own in before.items():
        later = after[exchange].account if exchange in after else None
        if own.account is not None and later is not None:
            listed = Listed(after[exchange].listed_at, own.is_whole and after[exchange].is_whole)
            yield from _orders(reported, exchange, own.account, later, listed)
            yield from _fills(reported, exchange, own.account, later, listed)


def _orders(reported: Reported, exchange: str, before: OwnAccount, after: OwnAccount, listed: Listed) -> Iterator[Pair]:
    ours = {leg.client_order_id: leg for leg in reported.legs if leg.exchange == exchange}
    for client_id, leg in ours.items():
        yield from _order(client_id, leg, before, after, listed)


def _order(client_id: str, leg: Leg, before: OwnAccount, after: OwnAccount, listed: Listed) -> Iterator[Pair]:
    first, last = before.orders.get(client_id), after.orders.get(client_id)
    state = _STATES.get(leg.state, leg.state)
    pending = UNDER_WAY.get(leg.state, "") or listed.pending(leg.time, first is not None and last is not None)
    never = state if state == "ended" and not leg.filled else NOT_TAKEN
    was, now = first.state if first else never, last.state if last else never
    had, has = first.filled if first else ZERO, last.filled if last else ZERO
    subject = f"{leg.symbol} {client_id}"
    yield Key("order state", leg.exchange, subject, "order_events"), Figure(state, was, now, pending=pending)
    yield (
        Key("filled quantity", leg.exchange, subject, "order_events"),
        Figure(leg.filled, had, has, pending=pending),
    )


def _fills(reported: Reported, exchange: str, before: OwnAccount, after: OwnAccount, listed: Listed) -> Iterator[Pair]:
    """Every fill of our orders: one that is only here was invented, one that is only at the exchange was lost."""
    here = [one for one in reported.fills if one.exchange == exchange]
    ours = {_place(reported, one): one for one in here}
    counts = Counter(_place(reported, one) for one in here)
    placed = _numbers(reported, exchange, before) | _numbers(reported, exchange, after)
    theirs = {place: one for place, one in {**before.fills, **after.fills}.items() if one.order in placed}
    for place in {**theirs, **ours}:
        stored, key = ours.get(place), Key("fill", exchange, f"{place[0]} trade {place[1]} {place[2]}", "fills")
        pending = listed.pending(stored.event_time, place in theirs) if stored is not None else ""
        yield key, Figure(_text(stored), _text(before.fills.get(place)), _text(after.fills.get(place)), pending=pending)
        yield key._replace(what="fill counted"), Figure(Decimal(counts[place]), Decimal(1), Decimal(1))


def _place(reported: Reported, fill: Fill) -> tuple[str, str, str]:
    return _named(reported, fill), fill.trade_id, fill.side.value


def _numbers(reported: Reported, exchange: str, own: OwnAccount) -> set[str]:
    """The exchange's order ids of the orders that the pipeline placed."""
    legs = (leg.client_order_id for leg in reported.legs if leg.exchange == exchange)
    return {own.orders[client_id].number for client_id in legs if client_id in own.orders}


def _named(reported: Reported, fill: Fill) -> str:
    instrument = reported.instruments.get((fill.exchange, fill.symbol))
    return fill.name or (instrument.name if instrument else fill.symbol)


def _text(fill: Fill | OwnFill | None) -> str | None:
    """All that must be equal, as one value: side, quantity, price, fee and fee asset."""
    if fill is None:
        return None
    quantity, price, fee = (f"{one.normalize():f}" for one in (fill.quantity, fill.price, fill.fee))
    return f"{fill.side} {quantity} @ {price} fee {fee} {fill.fee_asset}"


def open_elsewhere(reported: Reported, exchanges: Exchanges) -> Mapping[str, int]:
    """The number of open orders of each account that the pipeline did not place."""
    ours = {leg.client_order_id for leg in reported.legs}
    return {
        exchange: sum(one.state == "open" and client_id not in ours for client_id, one in own.account.orders.items())
        for exchange, own in exchanges.items()
        if own.account is not None
    }
