"""An exchange's own answers about an account, read a second time for the audit.

The readers (``own_answers`` of each exchange) share the signing of requests with the adapters and nothing else: a wrong
signature is refused by the exchange and can't make two figures agree, while a shared parser would hide its own
faults. So they decode plain JSON, know none of the adapter's types, and keep the exchange's names of instruments.
Money is ``Decimal``, times are microseconds, quantities are in units of the exchange's contract.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

ZERO = Decimal(0)


class OwnBalance(Struct, frozen=True):
    """``wallet`` is without unrealised profit, ``free`` what can be spent now; None: the exchange does not name it."""

    wallet: Decimal
    free: Decimal | None = None
    in_orders: Decimal | None = None


class OwnPosition(Struct, frozen=True):
    """``quantity`` is negative when short; ``unrealised_pnl`` in the asset that it settles in."""

    quantity: Decimal
    entry_price: Decimal
    unrealised_pnl: Decimal


class OwnOrder(Struct, frozen=True):
    """``state`` is ``open``, ``filled``, ``ended`` (cancelled or expired), ``rejected``, or the exchange's own word.

    ``number`` is the exchange's own, which its fills name.
    """

    name: str
    number: str
    side: str
    quantity: Decimal
    filled: Decimal
    state: str


class OwnFill(Struct, frozen=True):
    """``order`` is the number of the order."""

    name: str
    order: str
    side: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    time: Microseconds


class OwnAccount(Struct, frozen=True):
    """One reading of an account. ``orders`` by client order id, positions by name, ``fills`` by name, trade id and
    side, since a trade of the account with itself has two.

    ``orders`` are those of the requested names, and every open one. ``cut_short`` names the lists that are as long as
    the exchange makes them and can't be continued: what they leave out is not known.
    """

    balances: Mapping[str, OwnBalance]
    positions: Mapping[str, OwnPosition]
    orders: Mapping[str, OwnOrder]
    fills: Mapping[tuple[str, str, str], OwnFill]
    cut_short: tuple[str, ...] = ()


class OwnTop(Struct, frozen=True):
    """The best bid and ask of one instrument."""

    bid: Decimal
    ask: Decimal


class OwnAnswers(Protocol):
    """One exchange's own answers. Reading raises MalformedFrame, or Refused for an error that the exchange names."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        """Balances and positions, which weigh little, and are requested at every reading."""
        ...

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        """Open orders, and of these instruments fills since then and all orders; the account's mode.

        They weigh much, and trading shares the rate limit, so one answer serves several readings.
        """
        ...

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Iterable[Request]:
        """What follows this answer to either: the next page of a list that continues, nothing at its end."""
        ...

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        """Read the answers to both, with every page."""
        ...

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        """The best prices, of the first of these where each is a request of its own."""
        ...

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        """By the exchange's name; an instrument with an empty side is left out."""
        ...


def following(own: OwnAnswers, keys: Keys, answers: Sequence[Answer], now: Microseconds) -> Sequence[Request]:
    """What follows these answers. Raises MalformedFrame for what is no list, Refused for an error of the exchange."""
    try:
        return [one for answer in answers for one in own.next_page(keys, answer, now)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise MalformedFrame(f"pages: {error!r}") from error


def plain(answer: Answer) -> Any:
    """The JSON of a good answer. Raises Refused for another status, MalformedFrame for no JSON."""
    fault = f"{answer.request.tag}: HTTP {answer.status}: {answer.body[:200]!r}"
    if answer.status != 200:
        raise Refused(fault)
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrame(fault) from error


def tagged(answers: Sequence[Answer], tag: str) -> list[Any]:
    """The JSON of every answer to requests of this tag."""
    return [plain(answer) for answer in answers if answer.request.tag == tag]


def rows(answers: Sequence[Answer], tag: str) -> list[dict[str, Any]]:
    """The rows of every list that answers a request of this tag."""
    return [row for listed in tagged(answers, tag) for row in listed]


def asked(answer: Answer) -> tuple[str, dict[str, str]]:
    """The path and the parameters of the request that was answered."""
    path, _, query = answer.request.path.partition("?")
    return path, dict(parse_qsl(query))
