"""Decisions: routes a command by what the views know of its instruments."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from math import inf

from msgspec.structs import replace

from consumers.execution.gateway import Gateway
from consumers.execution.journal import Journal
from consumers.execution.view import Views, complete
from neuroflux.domain import CommandKind, CommandLeg, Instrument, Microseconds, OrderCommand
from neuroflux.engine.health.failover import CONDITIONS, moved, unable
from neuroflux.engine.orders.inputs import Hedged, Rerouted
from neuroflux.engine.orders.rerouting import REDUNDANT, failed, rest, untaken
from neuroflux.engine.orders.state import Order, Phase
from neuroflux.engine.orders.table import SECOND
from neuroflux.engine.risk.limits import Limits, age_fault, command_fault
from neuroflux.engine.risk.naked import naked_fault
from neuroflux.engine.risk.totals import Totals, is_holding, position_fault, shrinks, totals_fault
from neuroflux.engine.routing.candidates import Prospect, closing_alone, instruments_for, reference_price
from neuroflux.engine.routing.pair import decide_hedge, decide_pair, needed
from neuroflux.engine.routing.rebalance_legs import decide_rebalance
from neuroflux.engine.routing.strategies import Routed, because, decide, refused
from neuroflux.exchanges.config import BALANCED_WEIGHTS, DEFAULT_ROUTING_STRATEGY
from neuroflux.http.budget import Urgency
from neuroflux.runtime.clock import wall

WARM_UP: Microseconds = 10_000_000
"""How long after the start an order waits for the books and balances it needs, instead of being refused."""
PATIENCE = 0.2
"""Seconds that a leg of a pair may wait for the rate limit."""


class Decider:
    """Decides for one executor; other executors' orders, which hold funds too, are read from the journal."""

    def __init__(self, views: Views, gateway: Gateway, journal: Journal, limits: Limits) -> None:
        self._views, self._gateway, self._journal, self._limits = views, gateway, journal, limits
        self._warm_until = wall() + WARM_UP
        self._taken: deque[Microseconds] = deque()

    async def warm(self, command: OrderCommand) -> None:
        """Just after the start: wait until what the decision needs has been read."""
        if wall() >= self._warm_until:
            return
        try:
            async with asyncio.timeout((self._warm_until - wall()) / 1e6):
                while not self._complete(command):
                    self._views.moved.clear()
                    await self._views.moved.wait()
        except TimeoutError:
            return  # decide by what is known

    def _complete(self, command: OrderCommand) -> bool:
        barred = self._barred
        prospects = self._of_legs(command.legs, (), barred) if command.legs else self._prospects(command, (), barred)
        known = self._views.knows_instruments and self._views.profit_today(wall()) is not None
        return known and complete(prospects)

    def fault(self, command: OrderCommand, sent: Microseconds) -> str:
        """Why a command is refused whatever its instruments are; ``sent`` is its time in the log."""
        return command_fault(command) or age_fault(sent, wall(), self._limits) or self._views.halted()

    def age_fault(self, at: Microseconds) -> str:
        """Why a command sent at that time is too old to be carried out; "" if it is not."""
        return age_fault(at, wall(), self._limits)

    def decide(self, command: OrderCommand, ours: Sequence[Order]) -> Routed:
        """Choose from what is known now, within the limits of all orders; ``ours`` are those that may hold funds.

        An order that the limits refuse is carried out all the same if all of it only reduces what is held.
        """
        if fault := self._views.halted():
            return refused(command, fault, wall())
        routed = self._allowed(command, ours, self._totals(command, ours))
        if routed.legs:
            self._taken.append(wall())
        return routed

    def _allowed(
        self, command: OrderCommand, ours: Sequence[Order], totals: Totals, tried: Collection[str] = ()
    ) -> Routed:
        """The order within the limits, or else as one that only closes; without the exchanges that have tried it."""
        routed = self._within_limits(command, ours, totals, tried)
        closing = None if routed.legs else self._closing(command, ours, tried)
        return closing or routed

    def _within_limits(
        self, command: OrderCommand, ours: Sequence[Order], totals: Totals, tried: Collection[str]
    ) -> Routed:
        fault = totals_fault(totals, self._limits)
        if is_pair(command):
            fault = fault or naked_fault(self._holding(ours), self._limits, wall())
        if fault:
            return refused(command, fault, wall())
        routed = self._choose(command, ours, tried)
        fault = position_fault(routed.legs, totals, self._holding(ours), self._limits)
        return refused(command, fault, wall()) if fault else routed

    def _closing(self, command: OrderCommand, ours: Sequence[Order], tried: Collection[str]) -> Routed | None:
        """The order where it only reduces what is held, on whatever exchange; None if it does not."""
        lenient = replace(self._limits, max_notional_usd=inf, max_naked_usd=inf)
        if command.legs:
            known = closing_alone(command, self._of_legs(command.legs, ours, self._unable), wall())
            routed = self._decide_legs(command, known, lenient)
        else:
            known = self._prospects(command, ours, self._unable, tried)
            prospects = [one for one in known if one.reducible or is_holding(one.instrument, command.side)]
            closes = all(one.reducible for one in prospects)
            prospects = closing_alone(command, prospects, wall())
            routed = self._route(command, prospects, lenient if closes else self._limits)
        found = bool(routed.legs) and all(map(shrinks, routed.legs))
        return because(routed, "only makes smaller what is held") if found else None

    def _totals(self, command: OrderCommand, ours: Sequence[Order]) -> Totals:
        """The totals without this order, which is itself open when it is decided again."""
        now = wall()
        while self._taken and self._taken[0] <= now - SECOND:
            self._taken.popleft()
        others = (order for order in self._holding(ours) if order.id != command.order_id)
        open_orders = sum(not order.state.final for order in others)
        profit, held = self._views.profit_today(now), self._views.held()
        return Totals(open_orders, len(self._taken), profit, held, self._views.seen)

    def _choose(self, command: OrderCommand, ours: Sequence[Order], tried: Collection[str]) -> Routed:
        if command.legs:
            prospects = self._of_pair(command, ours) if is_pair(command) else self._of_rebalance(command, ours)
            return self._decide_legs(command, prospects, self._limits)
        to, why = moved(command, self._views.failovers.get(command.exchange), self._inability)
        if not why or self._reduces(command, ours):
            return self._route(command, self._prospects(command, ours, self._barred, tried), self._limits)
        return because(self._route(to, self._prospects(to, ours, self._barred, tried), self._limits), why)

    def _reduces(self, command: OrderCommand, ours: Sequence[Order]) -> bool:
        """Whether it reduces a position on the exchange it was meant for: elsewhere it would open one."""
        return any(one.reducible for one in self._prospects(command, ours, self._unable))

    def _route(self, command: OrderCommand, prospects: Sequence[Prospect], limits: Limits) -> Routed:
        market, now = prospects[0].instrument.market if prospects else command.market, wall()
        price, others = self._views.prices.get(market), self._views.quoted(market, now)
        return decide(command, prospects, price, limits, now, others, BALANCED_WEIGHTS)

    def _inability(self, exchange: str) -> str:
        """Why an exchange can't take orders, by our own requests and by the conditions that its failover names."""
        if why := self._blocked(exchange) or self._gateway.failing(exchange):
            return why
        known = self._views.failovers.get(exchange)
        conditions = known.conditions if known is not None else CONDITIONS
        return unable(conditions, self._views.health.get(exchange), self._gateway.error_rate(exchange), wall())

    def _decide_legs(self, command: OrderCommand, prospects: Sequence[Prospect], limits: Limits) -> Routed:
        if len(prospects) < len(command.legs):
            known = {(one.instrument.exchange, one.instrument.symbol) for one in prospects}
            unlisted = [one for one in command.legs if (one.exchange, one.symbol) not in known]
            return refused(command, f"symbol: nothing trades {unlisted[0].symbol!r} on {unlisted[0].exchange}", wall())
        if command.kind is CommandKind.REBALANCE:
            return decide_rebalance(command, prospects, limits, wall())
        return decide_pair(command, prospects, self._references(prospects), limits, wall())

    def _references(self, prospects: Sequence[Prospect]) -> list[float]:
        """The reference price of each market, by all exchanges that trade it."""
        now, found = wall(), dict[str, float]()
        for market in {one.instrument.market for one in prospects}:
            here = [one for one in prospects if one.instrument.market == market]
            found[market] = reference_price(here, self._views.prices.get(market), now, self._views.quoted(market, now))
        return [found[one.instrument.market] for one in prospects]

    def reroute(self, order: Order, ours: Sequence[Order]) -> Rerouted:
        """Route what was not taken to exchanges not tried yet, within the bounds of the command and of all orders.

        A halt stops it.
        """
        tried = failed(order)
        kept = self._kept(order, untaken(order))
        command = replace(kept, quantity=rest(order), strategy=_again(order.command))
        if fault := self._views.halted() or self._stays(command, tried):
            return Rerouted(refused(command, fault, wall()).decision, ())
        totals = replace(self._totals(command, ours), recent_orders=0)  # it was counted when it arrived
        routed = self._allowed(command, ours, totals, tried)
        return Rerouted(because(routed, f"not taken by {', '.join(sorted(tried))}").decision, routed.legs)

    def given_up(self, order: Order, leg: int, ours: Sequence[Order]) -> str:
        """Why a leg that waits is to be sent elsewhere: its exchange fails, and another may take it.

        The legs of a pair are sent together or not at all; once one was sent, a leg that would wait is given up if a
        hedge elsewhere can be sent at once.
        """
        exchange = order.legs[leg].instrument.exchange
        if is_pair(order.command):
            if all(one.phase is Phase.ROUTED or not one.client_order_id for one in order.attempts):
                legs = (attempt.leg for attempt in order.attempts)
                return next(filter(None, (self._leg_must_wait(order, one) for one in legs)), "")
            why = self._leg_must_wait(order, leg)
            elsewhere = why and order.net != 0 and self._hedge_at_once(order, ours).legs
            return why if elsewhere else ""
        why = self._gateway.failing(exchange)
        stays = order.command.kind is not CommandKind.PLACE or self._stays(self._kept(order, [leg]), {exchange})
        return "" if stays else why

    def _leg_must_wait(self, order: Order, leg: int) -> str:
        one, urgency = order.legs[leg], Urgency.FIRST if order.hedges else Urgency.ORDER
        return self._must_wait(one.instrument, urgency, reduces=one.reduces)

    def abandons(self, order: Order) -> str:
        """The exchange that an order must leave, because its failover is active; "" for none."""
        if order.command.kind is not CommandKind.PLACE:
            return ""
        found = (name for name in sorted(_movable(order)) if self._is_left(order.command, name))
        return next(found, "")

    def _is_left(self, command: OrderCommand, exchange: str) -> bool:
        """Whether a failover sends this exchange's orders elsewhere now."""
        return self._moved(replace(command, exchange=exchange)).exchange != exchange

    def _moved(self, command: OrderCommand) -> OrderCommand:
        return moved(command, self._views.failovers.get(command.exchange), self._inability)[0]

    def _kept(self, order: Order, legs: Iterable[int]) -> OrderCommand:
        """The command as a failover moves it; unchanged if one of these legs reduces a position."""
        stays = any(order.legs[leg].reducing for leg in legs)
        return order.command if stays else self._moved(order.command)

    def _stays(self, command: OrderCommand, tried: Collection[str]) -> str:
        """Why no other exchange may be tried: the command names its exchange, and no failover moves it."""
        return f"only {command.exchange} may take it" if command.exchange in tried else ""

    def hedge(self, order: Order, ours: Sequence[Order]) -> Hedged:
        """What evens a pair out now, if possible without waiting; a halt stops new orders, never this.

        A health report that may be old does not stop it either: it is ignored if nothing better is found.
        """
        at_once = self._hedge_at_once(order, ours)
        if at_once.legs:
            return at_once
        return self._hedge(order, [replace(one, health=None) for one in self._for_hedge(order, ours)])

    def _hedge_at_once(self, order: Order, ours: Sequence[Order]) -> Hedged:
        return self._hedge(order, self._at_once(self._for_hedge(order, ours), abs(order.net), Urgency.FIRST))

    def _hedge(self, order: Order, prospects: Sequence[Prospect]) -> Hedged:
        known = [one if one.free is not None else replace(one, free=Decimal(0)) for one in prospects]
        return decide_hedge(order, known, self._limits, wall())

    def _for_hedge(self, order: Order, ours: Sequence[Order]) -> list[Prospect]:
        legs = [replace(leg, side=needed(order)) for leg in order.command.legs]
        return self._of_legs(legs, ours, self._blocked)

    def _of_legs(
        self, legs: Sequence[CommandLeg], ours: Sequence[Order], blocked: Callable[[str], str]
    ) -> list[Prospect]:
        """What is known of each leg's instrument; without those that are not listed."""
        now, orders = wall(), self._holding(ours)
        named = [(self._views.instrument(leg.exchange, leg.symbol), leg.side) for leg in legs]
        return [
            self._views.prospect(one, side, now, orders, blocked(one.exchange))
            for one, side in named
            if one is not None
        ]

    def _of_pair(self, command: OrderCommand, ours: Sequence[Order]) -> list[Prospect]:
        """Barred where a leg would have to wait: both are sent at once."""
        return self._at_once(self._of_legs(command.legs, ours, self._shut), command.quantity, Urgency.ORDER)

    def _of_rebalance(self, command: OrderCommand, ours: Sequence[Order]) -> list[Prospect]:
        """Barred where the exchange takes no new risk, except for what reduces a position."""
        known = self._of_legs(command.legs, ours, self._unable)
        return [
            one if one.blocked or _reduces_all(one, leg.quantity) else replace(one, blocked=self._barred(leg.exchange))
            for one, leg in zip(known, command.legs, strict=False)
        ]

    def _prospects(
        self, command: OrderCommand, ours: Sequence[Order], barred: Callable[[str], str], tried: Collection[str] = ()
    ) -> list[Prospect]:
        now, orders = wall(), self._holding(ours)
        return [
            self._views.prospect(one, command.side, now, orders, barred(one.exchange))
            for one in instruments_for(command, self._views.called(command.market))
            if one.exchange not in tried
        ]

    def _barred(self, exchange: str) -> str:
        """Why no new order may go to an exchange."""
        return self._shut(exchange) or self._risk_held(exchange)

    def _shut(self, exchange: str) -> str:
        """The same, except for temporary reasons."""
        return self._unable(exchange) or self._views.mode_of(exchange)

    def _unable(self, exchange: str) -> str:
        """Why nothing may go to an exchange, not even what reduces a position."""
        return self._blocked(exchange) or self._views.halt_of(exchange)

    def _risk_held(self, exchange: str) -> str:
        held = self._gateway.risk_held(exchange)
        return f"health: {exchange} takes no new risk for {held:.1f} s" if held else ""

    def _at_once(self, prospects: Sequence[Prospect], quantity: Decimal, urgency: Urgency) -> list[Prospect]:
        """The same, each barred where an order of so many units of the base would have to wait."""
        return [
            replace(one, blocked=why) if not one.blocked and (why := self._would_wait(one, quantity, urgency)) else one
            for one in prospects
        ]

    def _would_wait(self, prospect: Prospect, quantity: Decimal, urgency: Urgency) -> str:
        return self._must_wait(prospect.instrument, urgency, reduces=_reduces_all(prospect, quantity))

    def _must_wait(self, instrument: Instrument, urgency: Urgency, *, reduces: bool) -> str:
        """Why an order can't be sent at once: the exchange asked us to wait, takes no new risk, or has no room."""
        risk = "" if reduces else self._risk_held(instrument.exchange)
        return self._blocked(instrument.exchange) or risk or self._crowded(instrument, urgency)

    def _crowded(self, instrument: Instrument, urgency: Urgency) -> str:
        """Why an order can't be sent at once: the rate limits of the exchange leave no room for it now."""
        wait = self._gateway.order_wait(instrument, urgency)
        return f"rate: {instrument.exchange} has no room for an order for {wait:.1f} s" if wait > PATIENCE else ""

    def _blocked(self, exchange: str) -> str:
        if exchange not in self._gateway.exchanges:
            return f"keys: none are set for {exchange}"
        held = self._gateway.held(exchange)
        return f"health: {exchange} asked us to wait {held:.1f} s" if held else ""

    def _holding(self, ours: Sequence[Order]) -> list[Order]:
        """Ours as they are now, others' as in the journal."""
        others = {kept.order.id: kept.order for kept in self._journal.open()}
        return list((others | {order.id: order for order in ours}).values())


def _reduces_all(prospect: Prospect, quantity: Decimal) -> bool:
    """Whether an order of so many units of the base only reduces a position."""
    return prospect.reducible * prospect.instrument.multiplier >= quantity


def is_pair(command: OrderCommand) -> bool:
    return command.kind is CommandKind.PAIR


def _again(command: OrderCommand) -> str:
    """The rest of a redundant order may all go to the one exchange that is left."""
    return DEFAULT_ROUTING_STRATEGY if command.strategy == REDUNDANT else command.strategy


def _movable(order: Order) -> set[str]:
    """Exchanges with live attempts of an order, without those where it reduces a position: that stays."""
    legs = {one.leg for one in order.attempts if not one.phase.final} - set(order.abandoned)
    reducing = {order.legs[leg].instrument.exchange for leg in legs if order.legs[leg].reducing}
    return {order.legs[leg].instrument.exchange for leg in legs} - reducing
