"""Binance's desk, spot and USDⓈ-M: signed orders of one account, and what the answers to them mean.

Sources: the pages "New order", "Cancel order" and "Query order" of each, and "Error codes".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from neuroflux.domain import (
    UNREADABLE_ANSWER,
    Ack,
    Fill,
    InDoubt,
    Instrument,
    Microseconds,
    NotThere,
    OrderReport,
    OrderType,
    Outcome,
    Placement,
    Reject,
    Throttled,
    TimeInForce,
)
from neuroflux.errors import MalformedFrame, NeuroFluxError
from neuroflux.exchanges.binance.codes import (
    ARCHIVED,
    DEFINITE,
    DUPLICATES,
    NO_ORDER,
    OVERLOADED,
    THROTTLED,
    UNKNOWN_ORDER,
    UNTIMELY,
)
from neuroflux.exchanges.binance.orders import Records, order_of, part_fills_of, records_of, report_of
from neuroflux.exchanges.binance.pages import PAGE, next_page, window
from neuroflux.exchanges.binance.rest import (
    ORDERS_AGAIN,
    Failure,
    checked,
    failure,
    is_one_too_many,
    orders_again,
    retry_after,
    signed,
)
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.shapes import UNREADABLE

PLACE, CANCEL, QUERY = "place", "cancel", "query"

OVERLOADED_SECONDS: Final = 10.0
"""How long new risk is held after an overload, whose answer names no time: it passes within seconds or minutes."""
_DUPLICATE: Final = "duplicate"
"""-1010 and -2010 with this word: an order of this id stands; that may be ours."""
_NOT_FOUND: Final = "unknown order"
"""-2011 with this text: there is no such order. With any other the cancel was refused, and the order may stand."""
UNAVAILABLE: Final = "service unavailable"
"""With HTTP 503: the request failed, so it may be sent again."""
_NOT_SERVED_HERE: Final = 451
"""Turned away at the door, for the country that it came from: it never reaches the exchange."""


class OrderPaths(Struct, frozen=True):
    """Where an exchange takes orders; ``post_only`` is how it says so: a type of spot, a time in force of USDⓈ-M.

    Fills are asked for ``fills_window`` ms at once, and are kept for ``fills_kept`` ms; 0 where neither is bounded.
    """

    exchange: str
    order: str
    open_orders: str
    open_orders_weight: int
    query_weight: int
    fills: str
    fills_weight: int
    account: str
    account_weight: int
    post_only: dict[str, str]
    settled_after: Microseconds
    fills_window: int = 0
    fills_kept: int = 0
    not_executed: frozenset[str] = frozenset({UNAVAILABLE})
    """Texts of HTTP 503, in small letters without the full stop, that say that the request failed."""


class BinanceOrderClient:
    """Orders of one account."""

    def __init__(self, paths: OrderPaths, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self.exchange, self.settled_after = paths.exchange, paths.settled_after
        self._paths, self._keys = paths, keys
        self._symbols = {one.name: one.symbol for one in instruments}

    def place(self, placement: Placement, now: Microseconds) -> Request:
        """A market order with a price goes out as immediate-or-cancel at that bound."""
        return self._signed(
            "POST",
            self._paths.order,
            now,
            1,
            PLACE,
            symbol=placement.instrument.name,
            side=placement.side.value.upper(),
            **self._terms(placement),
            quantity=wire_number(placement.quantity),
            newClientOrderId=placement.client_order_id,
            newOrderRespType="RESULT" if placement.instrument.settle else "FULL",
            reduceOnly="true" if placement.reduce_only else None,
        )

    def _terms(self, placement: Placement) -> dict[str, str]:
        if placement.type is OrderType.MARKET and placement.price == 0:
            return {"type": "MARKET"}
        price = wire_number(placement.price)
        if placement.type is OrderType.MARKET:
            return {"type": "LIMIT", "timeInForce": "IOC", "price": price}
        if placement.time_in_force is TimeInForce.POST_ONLY:
            return {**self._paths.post_only, "price": price}
        return {"type": "LIMIT", "timeInForce": placement.time_in_force.value.upper(), "price": price}

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        asked = _named(instrument, client_order_id, exchange_order_id)
        return self._signed("DELETE", self._paths.order, now, 1, CANCEL, **asked)

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        asked = _named(instrument, client_order_id, exchange_order_id)
        return self._signed("GET", self._paths.order, now, self._paths.query_weight, QUERY, **asked)

    def open_orders(self, now: Microseconds) -> Request:
        return self._signed("GET", self._paths.open_orders, now, self._paths.open_orders_weight, "openOrders")

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        kept = self._paths.fills_kept
        start = max(since // 1000, now // 1000 - kept) if kept else since // 1000
        asked = {"symbol": instrument.name, **window(start, self._paths.fills_window, now), "limit": PAGE}
        return self._signed("GET", self._paths.fills, now, self._paths.fills_weight, "fills", **asked)

    def probe(self, now: Microseconds) -> Request:
        return self._signed("GET", self._paths.account, now, self._paths.account_weight, "account")

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        """Of USDⓈ-M alone: nothing else here has perpetuals."""
        asked = {"symbol": instrument.name, "leverage": leverage}
        return self._signed("POST", "/fapi/v1/leverage", now, 1, "leverage", **asked)

    def refusal(self, answer: Answer) -> str:
        try:
            checked(answer)
        except NeuroFluxError as error:
            return str(error)
        return ""

    def client_order_id(self, order_id: str, leg: int, attempt: int) -> str:
        """128 bits of BLAKE2b in hex behind ``nf``: 34 of the 36 characters that are allowed."""
        return "nf" + blake2b(f"{order_id}/{leg}/{attempt}".encode(), digest_size=16).hexdigest()

    def outcome(self, answer: Answer) -> Outcome:
        """What came of ``place``, ``cancel`` or ``query``; what can't be told is InDoubt."""
        if answer.status == 200:
            return self._accepted(answer)
        return self._denied(failure(answer.body), answer)

    def _accepted(self, answer: Answer) -> Outcome:
        try:
            order = order_of(answer.body)
            report = report_of(self.exchange, order, self._symbols)
            return Ack(report, part_fills_of(self.exchange, order, self._symbols))
        except UNREADABLE as error:
            failed = failure(answer.body)
            if failed is not None and failed.code < 0:  # what a code says holds whatever HTTP status it came with
                return self._denied(failed, answer)
            said = f"{failed.code} {failed.msg}" if failed is not None else str(error)
            return InDoubt(f"{UNREADABLE_ANSWER}: {said}")

    def _denied(self, failed: Failure | None, answer: Answer) -> Outcome:
        if failed is not None and answer.status == 503 and failed.msg.lower().strip(". ") in self._paths.not_executed:
            return Throttled(ORDERS_AGAIN, f"HTTP {answer.status}: {failed.code} {failed.msg}")
        return _held(failed, answer) or _refused(failed, answer)

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded]:
        """Raises what ``checked`` raises, and MalformedFrame: an answer that says nothing is no empty list.

        A row that can't be read costs itself, and the whole list only where no row can.
        """
        body, tag = checked(answer), answer.request.tag
        try:
            found = records_of(self.exchange, body, self._symbols)
        except UNREADABLE as error:
            raise MalformedFrame(f"{tag}: {error}") from error
        if found is None and body.strip() != b"[]":
            raise MalformedFrame(f"{tag}: no list of orders or fills")
        found = found if found is not None else Records(())
        if found.faults and not found.records:
            raise MalformedFrame(f"{tag}: {found.faults[0]}")
        more = next_page(self._keys, answer, found, self._paths.fills, self._paths.fills_weight, 0)
        return [*found.records, *more]

    def _signed(
        self, method: str, path: str, now: Microseconds, weight: int, tag: str, **parameters: object
    ) -> Request:
        return signed(self._keys, method, path, now, weight, tag, **parameters)


def _named(instrument: Instrument, client_order_id: str, exchange_order_id: str) -> dict[str, str]:
    """By the exchange's id once it is known: an amendment by somebody else gives a spot order another client id.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority
    """
    known = {"orderId": exchange_order_id} if exchange_order_id else {"origClientOrderId": client_order_id}
    return {"symbol": instrument.name, **known}


def _held(failed: Failure | None, answer: Answer) -> Throttled | None:
    """Refused before anything was done, and may be sent again: for its rate, or while the exchange is overloaded."""
    code, reason = (failed.code, f"{failed.code} {failed.msg}") if failed is not None else (0, "")
    told = f"HTTP {answer.status}: {reason}" if reason else f"HTTP {answer.status}"
    if code == OVERLOADED:
        wait = retry_after(answer) if "retry-after" in answer.headers else OVERLOADED_SECONDS
        return Throttled(wait, reason, risk_only=True)
    if is_one_too_many(failed):
        return Throttled(orders_again(answer), told, orders_only=True)
    is_walled_off = answer.status == 403 and failed is None  # by the firewall in front of the exchange
    if answer.status in (418, 429) or is_walled_off or code in THROTTLED:
        return Throttled(retry_after(answer), told)
    return None


def _refused(failed: Failure | None, answer: Answer) -> Outcome:
    """Definite only for HTTP 451 and, below HTTP 500, a code of the lists: those and 408 leave open what was done."""
    if answer.status == _NOT_SERVED_HERE:
        return Reject(str(answer.status), failed.msg if failed is not None else "not served from this location")
    if failed is None:
        return InDoubt(f"HTTP {answer.status}: {answer.body[:200]!r}")
    reason = f"{failed.code} {failed.msg}"
    if _is_no_such_order(failed, answer.request.tag):
        return NotThere(reason)
    stands = failed.code in DUPLICATES or _DUPLICATE in failed.msg.lower()
    if answer.status < 500 and answer.status != 408 and failed.code in DEFINITE and not stands:
        return Reject(str(failed.code), failed.msg, is_untimely=failed.code in UNTIMELY)
    return InDoubt(f"HTTP {answer.status}: {reason}")


def _is_no_such_order(failed: Failure, tag: str) -> bool:
    """By code and, of a cancel, by text too: -2011 is the code of every cancel that is refused.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/errors ("Messages for -1010, -2010, -2011").
    """
    if tag == QUERY:
        return failed.code in (NO_ORDER, ARCHIVED)
    is_said = failed.code == NO_ORDER or _NOT_FOUND in failed.msg.lower()
    return tag == CANCEL and failed.code in UNKNOWN_ORDER and is_said
