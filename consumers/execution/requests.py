"""The requests about one order: each is sent to the exchange of its leg, and its outcome becomes an input."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from consumers.execution.gateway import Gateway
from consumers.execution.lists import Enough, Lists, Reading
from neuroflux.domain import (
    Ack,
    InDoubt,
    Instrument,
    Microseconds,
    NotThere,
    OrderReport,
    Outcome,
    Placement,
    Reject,
    Throttled,
)
from neuroflux.engine.orders.attempts import find
from neuroflux.engine.orders.inputs import Answered, Operation, OrderInput
from neuroflux.engine.orders.state import Attempt, Order
from neuroflux.errors import NeuroFluxError, Refused, Unreachable
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.client import Unsent
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

SIGNED_FOR = 2.0
"""Seconds within which a signed request is sent; a later one is signed again, long before its exchange refuses it."""
CLOCK_OFF = 500_000
"""Microseconds by which a clock must have been off for a request that was refused for its time to be sent again."""
UNSENT_RETRY = 1.0
"""Seconds until a request that was never sent is tried again."""


class Recipient(Protocol):
    """Whose order the requests are about: it is read as it is now, and receives their outcomes."""

    order: Order

    async def put(self, given: OrderInput) -> None:
        """Append an input of the order."""
        ...


class Requests:
    """``lists`` are shared with all other orders."""

    def __init__(self, gateway: Gateway, recipient: Recipient, lists: Lists) -> None:
        self._gateway, self._recipient, self._lists = gateway, recipient, lists

    def signed(self, placement: Placement) -> Callable[[], Coroutine[Any, Any, None]]:
        """Sign before the journal is written: the exchange itself then refuses a request that is sent too late."""
        exchange, named = placement.instrument.exchange, placement.client_order_id
        gateway = self._gateway
        try:
            request = gateway.order_client(exchange).place(placement, gateway.now(exchange))
        except Refused as error:
            refusal, at = Reject("", str(error)), wall()
            return lambda: self._answered(named, Operation.PLACE, refusal, at)
        until, offset = time.monotonic() + SIGNED_FOR, gateway.offset(exchange)
        return lambda: self._send(exchange, request, named, until, offset)

    async def query(self, instrument: Instrument, client_order_id: str) -> None:
        listed, requested_at = await self._listed(instrument.exchange, client_order_id)
        outcome = listed or await self._by_either_id(
            instrument, client_order_id, lambda d, now, known: d.query(instrument, client_order_id, now, known)
        )
        if isinstance(outcome, NotThere):
            outcome = await self._without_fills(instrument, client_order_id, outcome, requested_at)
        await self._answered(client_order_id, Operation.QUERY, outcome, requested_at)

    async def cancel(self, instrument: Instrument, client_order_id: str) -> None:
        requested_at = wall()
        outcome = await self.cancelled(instrument, client_order_id)
        await self._answered(client_order_id, Operation.CANCEL, outcome, requested_at)

    async def query_fills(self, instrument: Instrument, since: Microseconds) -> None:
        """Read the account's fills until those of the order's ended attempts are known, from the list or a stream."""
        await self._read_fills(instrument, since, lambda _: self._has_fills(instrument))

    def _has_fills(self, instrument: Instrument) -> bool:
        order = self._recipient.order
        return all(
            one.settled for one in order.attempts if one.phase.final and order.legs[one.leg].instrument == instrument
        )

    async def _read_fills(self, instrument: Instrument, since: Microseconds, is_enough: Enough) -> bool:
        """Read the account's fills; returns whether as many as are enough were read."""
        order_id = self._recipient.order.id
        try:
            why = await self._lists.unread_fills(instrument, since, is_enough)
        except NeuroFluxError as error:
            log.warning("order %s: fills of %s: %s", order_id, instrument.symbol, error)
            return False
        if why:
            log.warning("order %s: fills of %s: %s", order_id, instrument.symbol, why)
        return not why

    async def cancelled(self, instrument: Instrument, client_order_id: str) -> Outcome:
        return await self._by_either_id(
            instrument, client_order_id, lambda d, now, known: d.cancel(instrument, client_order_id, now, known)
        )

    async def _send(self, exchange: str, request: Request, client_order_id: str, until: float, offset: int) -> None:
        """Send what was signed when the exchange's clock was estimated to be off by ``offset``."""
        outcome: Outcome
        requested_at = wall()
        if time.monotonic() > until:
            outcome = Throttled(0.0, "it took too long to write the journal")
        else:
            outcome = await self._placed(exchange, request)
        moved = abs(self._gateway.offset(exchange) - offset)
        if isinstance(outcome, Reject) and outcome.is_untimely and moved > CLOCK_OFF:
            outcome = Throttled(0.0, f"{outcome.reason} (signed with a clock that was {moved / 1e6:.1f} s off)")
        await self._answered(client_order_id, Operation.PLACE, outcome, requested_at)

    async def _placed(self, exchange: str, request: Request) -> Outcome:
        gateway, started = self._gateway, time.monotonic()
        try:
            answer = await gateway.place(exchange, request)
        except Unsent as error:
            return Throttled(UNSENT_RETRY, str(error))
        except Unreachable as error:
            return InDoubt(str(error))
        return await self._read(exchange, answer, started)

    async def _without_fills(
        self, instrument: Instrument, client_order_id: str, outcome: NotThere, requested_at: int
    ) -> Outcome:
        """Query the fills of an order before it counts as absent: an exchange may have forgotten a filled one.

        They are put into the inbox before this answer, and prove that the exchange had the order. One that remembers
        what has ended has not forgotten it: its lists of fills are long, and its limits of queries low.
        """
        if self._gateway.order_client(instrument.exchange).remembers_ended:
            return outcome
        attempt = find(self._recipient.order, client_order_id)
        if attempt is None or not attempt.can_be_absent(requested_at):
            return outcome
        if await self._read_fills(instrument, attempt.sent_at, lambda _: False):
            return outcome
        return InDoubt(f"{outcome.reason}; its fills could not be read")

    async def _listed(self, exchange: str, client_order_id: str) -> tuple[Outcome | None, Microseconds]:
        """What the exchange's lists say of an order, and when they were requested; None where they leave it open.

        A list can lag behind: an order that has a number counts as absent only where that number is unknown.
        """
        attempt, requested_at = find(self._recipient.order, client_order_id), wall()
        if attempt is None or not self._gateway.order_client(exchange).reads_lists:
            return None, requested_at
        try:
            reading = await self._lists.orders(
                exchange, attempt.sent_at, lambda found: self._is_known(client_order_id, found)
            )
        except NeuroFluxError as error:
            return InDoubt(str(error)), requested_at
        if found := next((one for one in reading.reports if _is_of(one, attempt)), None):
            return Ack(found), reading.requested_at
        if self._is_known(client_order_id, []):
            return InDoubt("it ended meanwhile"), reading.requested_at
        return _left_out(reading, attempt), reading.requested_at

    def _is_known(self, client_order_id: str, found: Sequence[OrderReport]) -> bool:
        """Whether a list has the order, or a stream has reported its end meanwhile."""
        attempt = find(self._recipient.order, client_order_id)
        return attempt is not None and (attempt.phase.final or any(_is_of(one, attempt) for one in found))

    async def _by_either_id(
        self, instrument: Instrument, client_order_id: str, build: Callable[[OrderClient, int, str], Request]
    ) -> Outcome:
        """By the client id, and by the exchange's own id if that is unknown there: others can amend an order.

        Where the exchange finds by its own id alone, by that at once.
        """
        attempt = find(self._recipient.order, client_order_id)
        known = attempt.exchange_order_id if attempt is not None else ""
        first = known if self._gateway.order_client(instrument.exchange).finds_by_number else ""
        outcome = await self._outcome(instrument, lambda d, now: build(d, now, first))
        if not isinstance(outcome, NotThere) or not known or first:
            return outcome
        return await self._outcome(instrument, lambda d, now: build(d, now, known))

    async def _outcome(self, instrument: Instrument, build: Callable[[OrderClient, int], Request]) -> Outcome:
        exchange, started = instrument.exchange, time.monotonic()
        try:
            answer = await self._gateway.call(exchange, build)
        except Unreachable as error:
            return InDoubt(str(error))
        return await self._read(exchange, answer, started)

    async def _read(self, exchange: str, answer: Answer, started: float) -> Outcome:
        gateway = self._gateway
        outcome = gateway.order_client(exchange).outcome(answer)
        match outcome:
            case Throttled(retry_after, reason, risk_only=True):
                gateway.hold_risk(exchange, retry_after, reason)
            case Throttled(retry_after, reason, orders_only=False):
                gateway.hold(exchange, retry_after, reason)
            case Reject(is_untimely=untimely):  # a clock that is off is one reason
                await gateway.measure(exchange, started if untimely else None)
        return outcome

    async def _answered(self, client_order_id: str, operation: Operation, outcome: Outcome, requested_at: int) -> None:
        await self._recipient.put(Answered(client_order_id, operation, outcome, requested_at))


def _left_out(reading: Reading, attempt: Attempt) -> Outcome | None:
    """What it means that the lists don't have this order; None where it has to be queried itself."""
    if attempt.exchange_order_id:
        return None
    if reading.fault:
        return InDoubt(f"a row of a list of orders can't be read: {reading.fault}")
    return NotThere("no order of this client id is open or has ended") if reading.is_at_end else None


def _is_of(report: OrderReport, attempt: Attempt) -> bool:
    """Whether a report is of this attempt, by the id that is known of it."""
    return attempt.client_order_id == report.client_order_id or bool(
        attempt.exchange_order_id and attempt.exchange_order_id == report.exchange_order_id
    )
