"""What every order client does alike: the meaning of refusals by table, lists of orders and fills, client order ids.

An adapter's order client derives from ``TableOrderClient``, gives the tables and fills in the hooks. The rule behind
the tables: an order counts as refused only with a code of the table ``definite``. Everything else leaves it in doubt,
and an order in doubt is queried, never sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    UNREADABLE_ANSWER,
    Fill,
    InDoubt,
    Microseconds,
    NotThere,
    OrderReport,
    Outcome,
    Reject,
    Throttled,
)
from neuroflux.errors import MalformedFrame, NeuroFluxError
from neuroflux.exchanges.kit.events import PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.exchanges.kit.rest import LIMITED, OK, checked, retry_after
from neuroflux.exchanges.kit.shapes import UNREADABLE

REQUEST_TIMEOUT: Final = 408
"""The request may have been executed."""
NOT_SERVED_HERE: Final = 451
"""Refused in front of the exchange, for the country of the caller: it never reaches the exchange."""

Code = int | str


class Failure(Struct, frozen=True):
    """An error as an exchange writes it."""

    code: Code
    msg: str = ""

    @property
    def reason(self) -> str:
        return f"{self.code} {self.msg}"


_FAILURE: Final = Decoder(Failure)


class Codes(Struct, frozen=True, kw_only=True):
    """What an exchange's codes say of an order: nothing was done (``definite``), for its time alone (``untimely``); it
    may be sent again (``throttled``); an order of this client id is there already, perhaps ours (``duplicates``).
    """

    definite: Collection[Code]
    untimely: Collection[Code] = ()
    throttled: Collection[Code] = ()
    duplicates: Collection[Code] = ()


class ClientIds(Struct, frozen=True):
    """``prefix`` and hex digits: as many of BLAKE2b's as there is room for in ``length`` characters."""

    prefix: str
    length: int

    def of(self, order_id: str, leg: int, attempt: int) -> str:
        size = (self.length - len(self.prefix)) // 2
        return self.prefix + blake2b(f"{order_id}/{leg}/{attempt}".encode(), digest_size=size).hexdigest()


class Page(Struct, frozen=True):
    """A list of orders or fills: what could be read, what could not, and the request for what follows."""

    records: Sequence[OrderReport | Fill]
    faults: Sequence[str] = ()
    more: Sequence[PageNeeded] = ()


class TableOrderClient:
    """``codes`` and ``client_ids`` are the exchange's tables."""

    codes: Codes
    client_ids: ClientIds
    finds_by_number = False
    remembers_ended = False
    reads_lists = False

    # ── hooks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, answer: Answer) -> bytes:
        """The body of an answer that the exchange did not refuse; raises what ``kit.rest.checked`` raises."""
        return checked(answer, answer.request.tag, self.wait, lambda body: self.failure(body) is not None)

    def page(self, answer: Answer) -> Page | None:
        """Read a list of orders or fills, None where it is neither. Raises ``UNREADABLE``."""
        raise NotImplementedError

    def accepted(self, answer: Answer) -> Outcome:
        """Read an answer with status 200. Raises ``UNREADABLE``."""
        raise NotImplementedError

    def statuses(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """The lists of orders, where one query per order would exceed the limits."""
        return ()

    def failure(self, body: bytes) -> Failure | None:
        """The error in a body, by default an object with ``code`` and ``msg``; None where it is none."""
        try:
            return _FAILURE.decode(body)
        except UNREADABLE:
            return None

    def wait(self, answer: Answer) -> float:
        """Seconds after which a request that was refused for its rate may be sent again."""
        return retry_after(answer)

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        """Whether an error says that there is no such order."""
        return False

    def is_duplicate(self, failed: Failure) -> bool:
        """Whether an error says that an order of this client id is there already."""
        return failed.code in self.codes.duplicates

    def held(self, failed: Failure | None, answer: Answer) -> Throttled | None:
        """Refused for its rate, before anything was done; None for any other answer."""
        if answer.status in LIMITED or (failed is not None and failed.code in self.codes.throttled):
            return Throttled(self.wait(answer), error_text(failed, answer))
        return None

    # ── what they make ───────────────────────────────────────────────────────────────────────────────────────────

    def client_order_id(self, order_id: str, leg: int, attempt: int) -> str:
        return self.client_ids.of(order_id, leg, attempt)

    def refusal(self, answer: Answer) -> str:
        try:
            self.checked(answer)
        except NeuroFluxError as error:
            return str(error)
        return ""

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded | Undecodable]:
        """Raises what ``checked`` raises, and MalformedFrame: an answer that can't be read is no empty list.

        A row that can't be read costs itself, one ``Undecodable``, and the whole list only where no row can.
        """
        body, tag = self.checked(answer), answer.request.tag
        try:
            page = self.page(answer)
        except UNREADABLE as error:
            raise MalformedFrame(f"{tag}: {error}") from error
        if page is None:
            if body.strip() != b"[]":
                raise MalformedFrame(f"{tag}: no list of orders or fills")
            return []
        if page.faults and not page.records:
            raise MalformedFrame(f"{tag}: {page.faults[0]}")
        return [*page.records, *map(Undecodable, page.faults), *page.more]

    def outcome(self, answer: Answer) -> Outcome:
        """The result of ``place``, ``cancel`` or ``query``; InDoubt where the answer does not say it."""
        if answer.status != OK:
            return self.denied(self.failure(answer.body), answer)
        try:
            return self.accepted(answer)
        except UNREADABLE as error:
            failed = self.failure(answer.body)
            if failed is not None and self.is_error(failed):  # what a code says holds with any HTTP status
                return self.denied(failed, answer)
            return InDoubt(f"{UNREADABLE_ANSWER}: {failed.reason if failed is not None else error}")

    def is_error(self, failed: Failure) -> bool:
        """Whether this code with status 200 is an error, and no success."""
        return True

    def denied(self, failed: Failure | None, answer: Answer) -> Outcome:
        return self.held(failed, answer) or self._refused(failed, answer)

    def _refused(self, failed: Failure | None, answer: Answer) -> Outcome:
        """Definite only for HTTP 451 and, below HTTP 500, a code of the table: those and 408 may have been executed."""
        if answer.status == NOT_SERVED_HERE:
            return Reject(str(answer.status), failed.msg if failed is not None else "not served from this location")
        if failed is None:
            return InDoubt(f"HTTP {answer.status}: {answer.body[:200]!r}")
        if self.is_not_there(failed, answer):
            return NotThere(failed.reason)
        may_be_done = answer.status >= 500 or answer.status == REQUEST_TIMEOUT or self.is_duplicate(failed)
        if failed.code in self.codes.definite and not may_be_done:
            return Reject(str(failed.code), failed.msg, is_untimely=failed.code in self.codes.untimely)
        return InDoubt(error_text(failed, answer))


def error_text(failed: Failure | None, answer: Answer) -> str:
    """The HTTP status, and the exchange's own words where there are any."""
    return f"HTTP {answer.status}: {failed.reason}" if failed is not None else f"HTTP {answer.status}"
