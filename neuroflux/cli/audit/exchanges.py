"""Readings of the exchanges over REST: which can be read, with which keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.cli.audit.reading import Own
from neuroflux.domain import ExchangeStatus, Microseconds
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.catalogue import own_answers
from neuroflux.exchanges.kit.own_answers import OwnAccount, OwnAnswers, OwnTop, following
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.http.client import Client
from neuroflux.http.clock_probe import exchange_time
from neuroflux.manager.initialise import find_simulated
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from neuroflux.stack.demo_keys import accounts
from neuroflux.stack.environment import simulated_address

LEFT_TO_TRADING: Final = 0.5
"""The share of each rate limit that an audit does not use: the stages share the limit, and stop for a minute when it
is used up. An audit waits instead."""
HISTORY_EVERY: Final = 3
"""The number of readings that share one answer about orders and fills."""
MOST_PAGES: Final = 40
"""Of one list. What is on further pages is not compared."""
OK: Final = 200
NO_KEYS: Final = "no keys: set NEUROFLUX_{}_API_KEY and _SECRET_KEY"


AUDIT: Final = "audit"
Requests = Callable[[Microseconds], Sequence[Request]]
"""Makes the requests, signed with that time of the exchange."""


class Access(Struct, frozen=True):
    """How one exchange is read. ``keys`` is None if there are none."""

    exchange: str
    address: str
    keys: Keys | None
    own: OwnAnswers


def accesses(settings: Settings) -> list[Access]:
    """Access to every exchange of the settings: the simulator's account if it runs, else the user's. Blocking."""
    simulated = find_simulated(settings).accounts
    demo = _demo_keys(settings) if simulated else {}
    return [
        Access(name, simulated_address(settings.sim, name), demo.get(name), own_answers(name))
        if name in simulated
        else Access(name, settings.rest_url(name), settings.keys(name), own_answers(name))
        for name in settings.exchanges
    ]


def _demo_keys(settings: Settings) -> dict[str, Keys]:
    """Keys of the first account of each exchange, which the stages trade with; an address replaces the key."""
    found: dict[str, Keys] = {}
    for one in accounts(settings.sim):
        key = one.get("address") or one["key"]
        found.setdefault(one["exchange"], Keys(key, one["secret"], passphrase=one.get("passphrase", "")))
    return found


class _Lists(Struct, frozen=True):
    """The answers about orders and fills, and when they were requested. ``cut_short``: what of them was not read."""

    reading: int
    listed_at: Microseconds
    answers: Sequence[Answer]
    cut_short: tuple[str, ...]


class ExchangeReadings(Struct, frozen=True):
    """One reading of all exchanges, and what could not be read, with the reason."""

    exchanges: Mapping[str, Own]
    unread: Mapping[tuple[str, str], str]


class ExchangeReader:
    """An async context manager. ``names`` of a reading are the exchange's own names of instruments, by exchange."""

    def __init__(self, accesses: Sequence[Access]) -> None:
        self._accesses = accesses
        self._histories: dict[str, _Lists] = {}
        self._readings = 0

    async def __aenter__(self) -> ExchangeReader:
        async with AsyncExitStack() as opened:
            self.clients = {
                one.exchange: await opened.enter_async_context(
                    Client(exchange_of(one.exchange), one.address, AUDIT, _log, LEFT_TO_TRADING)
                )
                for one in self._accesses
            }
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def read(
        self, traded: Mapping[str, Collection[str]], quoted: Mapping[str, Collection[str]], since: Microseconds
    ) -> ExchangeReadings:
        """Accounts with the fills and orders of the traded instruments since then, and the tops of the quoted ones."""
        self._readings += 1
        unread: dict[tuple[str, str], str] = {}
        parts = [self._read_exchange(one, traded, quoted, since, unread) for one in self._accesses]
        return ExchangeReadings(dict(await asyncio.gather(*parts)), unread)

    async def _read_exchange(
        self,
        access: Access,
        traded: Mapping[str, Collection[str]],
        quoted: Mapping[str, Collection[str]],
        since: Microseconds,
        unread: dict[tuple[str, str], str],
    ) -> tuple[str, Own]:
        name = access.exchange
        (account, lists), tops = await asyncio.gather(
            self._account(access, traded.get(name, ()), since, unread),
            self._tops(access, _traded_first(quoted.get(name, ()), traded.get(name, ())), unread),
        )
        listed_at, is_whole = (lists.listed_at, not lists.cut_short) if lists is not None else (0, True)
        return name, Own(account, tops, listed_at, wall(), is_whole)

    async def _account(
        self, access: Access, names: Collection[str], since: Microseconds, unread: dict[tuple[str, str], str]
    ) -> tuple[OwnAccount | None, _Lists | None]:
        """The account, with the lists of orders and fills that it was read from."""
        own, keys = access.own, access.keys
        if keys is None:
            unread[access.exchange, "account"] = NO_KEYS.format(access.exchange.upper())
            return None, None
        try:
            answers, _ = await self._paged(access, keys, lambda now: own.account_requests(keys, now))
            lists = await self._history(access, keys, lambda now: own.history_requests(keys, names, since, now))
            found = own.account([*answers, *lists.answers])
        except NeuroFluxError as error:
            unread[access.exchange, "account"] = str(error)
            return None, None
        lists = replace(lists, cut_short=(*lists.cut_short, *found.cut_short))
        unread.update({(access.exchange, what): "its list is longer than what is read" for what in lists.cut_short})
        return found, lists

    async def _history(self, access: Access, keys: Keys, requests: Requests) -> _Lists:
        """The lists of orders and fills: those of an earlier reading while they are recent."""
        kept = self._histories.pop(access.exchange, None)
        if kept is None or self._readings - kept.reading >= HISTORY_EVERY:
            listed_at = wall()
            kept = _Lists(self._readings, listed_at, *await self._paged(access, keys, requests))
        if all(answer.status == OK for answer in kept.answers):
            self._histories[access.exchange] = kept
        return kept

    async def _paged(self, access: Access, keys: Keys, requests: Requests) -> tuple[list[Answer], tuple[str, ...]]:
        """The answers with all their pages, and the lists that have more pages than are read."""
        last = await self._signed(access, requests)
        answers = list(last)
        for _ in range(MOST_PAGES):
            if not following(access.own, keys, last, wall()):
                return answers, ()
            last = await self._signed(access, partial(following, access.own, keys, last))
            answers += last
        return answers, tuple(sorted({one.tag for one in following(access.own, keys, last, wall())}))

    async def _tops(
        self, access: Access, names: Sequence[str], unread: dict[tuple[str, str], str]
    ) -> Mapping[str, OwnTop]:
        client = self.clients[access.exchange]
        try:
            return access.own.tops(await asyncio.gather(*(client.ask(one) for one in access.own.top_requests(names))))
        except NeuroFluxError as error:
            unread[access.exchange, "prices"] = str(error)
            return {}

    async def _signed(self, access: Access, requests: Requests) -> list[Answer]:
        """Each is signed with the exchange's time when its turn has come, and sent when the one before is answered.

        A signature expires, and the numbers in them must arrive in their order where an exchange checks it.
        """
        client, answers = self.clients[access.exchange], list[Answer]()
        unsigned = requests(wall())
        await client.turn(sum(one.weight for one in unsigned if not one.bucket))
        offset = await exchange_time(client.exchange, client.ask) - wall()
        for number, one in enumerate(unsigned):
            if one.bucket:
                await client.turn(one.weight, bucket=one.bucket)
            answers.append(await client.read(requests(wall() + offset)[number]))
        return answers


def _log(status: ExchangeStatus) -> None:
    logging.getLogger(__name__).info("%s: %s", status.exchange, status.detail)


def _traded_first(quoted: Collection[str], traded: Collection[str]) -> list[str]:
    return sorted(quoted, key=lambda name: (name not in traded, name))
