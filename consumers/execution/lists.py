"""Lists of orders and fills, read once for all orders of this process that need them at the same time.

After a restart with twenty open orders, or after a minute without answers, twenty orders are unknown at once. Kraken
allows an account of the lowest tier one query in three seconds, of which the execution has a part: one query for each
order would take minutes, and a list has all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from consumers.execution.gateway import Gateway
from neuroflux.domain import Fill, Instrument, Microseconds, OrderReport
from neuroflux.exchanges.kit.events import PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.runtime.clock import wall

CLOCK_SKEW: Final[Microseconds] = 60_000_000
"""Lists begin so much earlier: the exchange's clock may differ, and what is known already does no harm."""
MAX_STATUS_PAGES: Final = 4
"""Of lists of orders: one that is not among the newest of those that have ended is queried itself."""
MAX_FILL_PAGES: Final = 100
"""Of a list of fills; those after them are queried again later."""

Build = Callable[[OrderClient, Microseconds, Microseconds], Sequence[Request]]
"""Makes the requests from the order client, since when, and now."""
Enough = Callable[[Sequence[OrderReport]], bool]
"""Whether what was read of a list, or has become known meanwhile, is enough for who asked for it."""
TakeFill = Callable[[Fill], None]


class Reading(Struct):
    """What was read of a list: its orders, and whether that was all. ``fault`` names a row that can't be read, "" if
    all could. ``requested_at`` is when the list was requested.
    """

    reports: list[OrderReport]
    requested_at: Microseconds = 0
    is_at_end: bool = False
    fault: str = ""


class _Waiting(Struct, frozen=True, eq=False):
    since: Microseconds
    is_enough: Enough
    reading: asyncio.Future[Reading]


class _Round:
    """One reading, for those who wait when its first request is sent."""

    def __init__(self, lists: SharedList) -> None:
        self._lists, self.served = lists, list(lists.waiting)
        self.reading = Reading([])
        self._pages = self._requests = 0

    async def read(self) -> None:
        """Request one page after the other, until the end or until it is enough for all."""
        pending = deque([self._first])
        while pending and self._pages < self._lists.most and not self._is_enough():
            answer = await self._lists.gateway.call(self._lists.exchange, pending.popleft())
            if not self._pages:
                self._lists.release(self.served)
                pending.extend(partial(self._at, number) for number in range(1, self._requests))
            pending.extendleft(partial(_as_it_is, one) for one in self._following(answer))
        self.reading.is_at_end = not pending

    def _first(self, client: OrderClient, now: Microseconds) -> Request:
        """Called again if it had to wait for the rate limits: more may wait then."""
        self.served, self.reading.requested_at = list(self._lists.waiting), wall()
        return self._at(0, client, now)

    def _at(self, number: int, client: OrderClient, now: Microseconds) -> Request:
        since = min(one.since for one in self.served) - CLOCK_SKEW
        requests = self._lists.build(client, since, now)
        self._requests = len(requests)
        return requests[number]

    def _following(self, answer: Answer) -> Sequence[Request]:
        """Take in a page; returns the requests for the next. Raises what ``OrderClient.reports`` raises."""
        self._pages += 1
        following: list[Request] = []
        for one in self._lists.gateway.order_client(self._lists.exchange).reports(answer):
            match one:
                case OrderReport():
                    self.reading.reports.append(one)
                case Fill():
                    self._lists.take_fill(one)
                case PageNeeded(request):
                    following.append(request)
                case Undecodable(reason):
                    self.reading.fault = reason
        return following

    def _is_enough(self) -> bool:
        return all(one.reading.done() or one.is_enough(self.reading.reports) for one in self.served)


class SharedList:
    """One list of an exchange. Each fill of it is passed to ``take_fill``, of whatever order."""

    def __init__(self, gateway: Gateway, exchange: str, build: Build, most: int, take_fill: TakeFill) -> None:
        self.gateway, self.exchange, self.build, self.most, self.take_fill = gateway, exchange, build, most, take_fill
        self.waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def read(self, since: Microseconds, is_enough: Enough) -> Reading:
        """What the list has since then. Raises what sending and ``OrderClient.reports`` raise."""
        one = _Waiting(since, is_enough, asyncio.get_running_loop().create_future())
        self.waiting.append(one)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_for_all())
        return await one.reading

    def release(self, served: Sequence[_Waiting]) -> None:
        """These are served by a request that was sent; who asks from now on needs another."""
        self.waiting = [one for one in self.waiting if one not in served]

    def close(self) -> None:
        """Stop reading; nobody waits for it any more."""
        if self._task is not None:
            self._task.cancel()

    async def _read_for_all(self) -> None:
        while self.waiting:
            one = _Round(self)
            try:
                await one.read()
            except Exception as error:  # noqa: BLE001  # all who asked for it receive it
                for each in self._still_waiting(one.served):
                    each.reading.set_exception(error)
            else:
                for each in self._still_waiting(one.served):
                    each.reading.set_result(one.reading)

    def _still_waiting(self, served: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Those of a round who wait: the order of another may have been left meanwhile."""
        self.release(served)
        return [one for one in served if not one.reading.done()]


class Lists:
    """The shared lists of all exchanges."""

    def __init__(self, gateway: Gateway, take_fill: TakeFill) -> None:
        self._gateway, self._take_fill = gateway, take_fill
        self._orders: dict[str, SharedList] = {}
        self._fills: dict[tuple[str, str], SharedList] = {}

    async def orders(self, exchange: str, since: Microseconds, is_enough: Enough) -> Reading:
        """The orders that are open or have ended since then. Raises as ``SharedList.read``."""
        if exchange not in self._orders:
            self._orders[exchange] = self._list(exchange, _statuses, MAX_STATUS_PAGES)
        return await self._orders[exchange].read(since, is_enough)

    async def unread_fills(self, instrument: Instrument, since: Microseconds, is_enough: Enough) -> str:
        """Take the fills of an instrument since then. Returns why not all were read, "" if they were.

        Raises as ``SharedList.read``.
        """
        exchange = instrument.exchange
        key = exchange, "" if self._gateway.order_client(exchange).reads_lists else instrument.symbol
        if key not in self._fills:
            self._fills[key] = self._list(exchange, partial(_fills, instrument), MAX_FILL_PAGES)
        reading = await self._fills[key].read(since, is_enough)
        if reading.fault:
            return f"a row can't be read: {reading.fault}"
        is_done = reading.is_at_end or is_enough(reading.reports)
        return "" if is_done else f"there are more than {MAX_FILL_PAGES} pages"

    def close(self) -> None:
        """Stop all readings."""
        for one in (*self._orders.values(), *self._fills.values()):
            one.close()

    def _list(self, exchange: str, build: Build, most: int) -> SharedList:
        return SharedList(self._gateway, exchange, build, most, self._take_fill)


def _statuses(client: OrderClient, since: Microseconds, now: Microseconds) -> Sequence[Request]:
    return client.statuses(since, now)


def _fills(instrument: Instrument, client: OrderClient, since: Microseconds, now: Microseconds) -> Sequence[Request]:
    return (client.fills_since(instrument, since, now),)


def _as_it_is(request: Request, _: OrderClient, __: Microseconds) -> Request:
    """What ``Gateway.call`` builds of a request that is built already."""
    return request
