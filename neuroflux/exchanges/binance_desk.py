"""Binance's desk, spot and USDⓈ-M: signed orders of one account, and what the answers to them mean.

Sources: the pages "New order", "Cancel order" and "Query order" of each, and "Error codes".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from neuroflux.domain import Fill, Instrument, Microseconds, OrderReport, OrderType, TimeInForce
from neuroflux.errors import MalformedFrame, NeuroFluxError
from neuroflux.exchanges.base_exchange import (
    Ack,
    Answer,
    InDoubt,
    Keys,
    NotThere,
    Outcome,
    Placement,
    Reject,
    Request,
    Throttled,
)
from neuroflux.exchanges.binance_messages import UNREADABLE
from neuroflux.exchanges.binance_orders import order_of, part_fills_of, records_of, report_of
from neuroflux.exchanges.binance_rest import Failure, checked, failure, is_one_too_many, retry_after, signed

PLACE, CANCEL, QUERY = "place", "cancel", "query"

_UNTIMELY: Final = -1021
_DEFINITE: Final = frozenset(
    {
        -1013,  # filter failure
        -1014,  # unsupported order combination
        -1020,  # unsupported operation
        _UNTIMELY,  # timestamp outside of the recvWindow: nothing was done; the clock must be corrected
        -1022,  # signature
        *range(-1139, -1099),  # parameters
        -2010,  # new order rejected
        -2011,  # cancel rejected
        -2014,  # key format
        -2015,  # key, address or permission
        *range(-2028, -2017),  # balance, margin, reduce-only, limits of orders
        *range(-4200, -3999),  # USDⓈ-M: filters, modes
        -5021,  # fill-or-kill could not be filled
        -5022,  # post-only would have taken
    }
)
"""Codes after which nothing stands. Whatever is not here leaves the order in doubt."""
_THROTTLED: Final = frozenset({-1003, -1008})
ORDERS_AGAIN: Final = 1.0
"""Seconds until an order is tried again that was one too many; it then waits its turn by the exchange's order rates."""
_DUPLICATE: Final = "duplicate"
"""-2010 and -4116 with this word: an order of this id stands; that may be ours."""


class DeskPaths(Struct, frozen=True):
    """Where an exchange takes orders; ``post_only`` is how it says so: a type of spot, a time in force of USDⓈ-M."""

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


class BinanceDesk:
    """Orders of one account."""

    def __init__(self, paths: DeskPaths, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self.exchange = paths.exchange
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
            quantity=f"{placement.quantity:f}",
            newClientOrderId=placement.client_order_id,
            newOrderRespType="RESULT" if placement.instrument.settle else "FULL",
            reduceOnly="true" if placement.reduce_only else None,
        )

    def _terms(self, placement: Placement) -> dict[str, str]:
        if placement.type is OrderType.MARKET and placement.price == 0:
            return {"type": "MARKET"}
        price = f"{placement.price:f}"
        if placement.type is OrderType.MARKET:
            return {"type": "LIMIT", "timeInForce": "IOC", "price": price}
        if placement.time_in_force is TimeInForce.POST_ONLY:
            return {**self._paths.post_only, "price": price}
        return {"type": "LIMIT", "timeInForce": placement.time_in_force.value.upper(), "price": price}

    def cancel(self, instrument: Instrument, client_order_id: str, now: Microseconds) -> Request:
        asked = {"symbol": instrument.name, "origClientOrderId": client_order_id}
        return self._signed("DELETE", self._paths.order, now, 1, CANCEL, **asked)

    def query(self, instrument: Instrument, client_order_id: str, now: Microseconds) -> Request:
        asked = {"symbol": instrument.name, "origClientOrderId": client_order_id}
        return self._signed("GET", self._paths.order, now, self._paths.query_weight, QUERY, **asked)

    def open_orders(self, now: Microseconds) -> Request:
        return self._signed("GET", self._paths.open_orders, now, self._paths.open_orders_weight, "openOrders")

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        asked = {"symbol": instrument.name, "startTime": since // 1000, "limit": 1000}
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
        failed = failure(answer.body)
        if is_one_too_many(failed):
            return Throttled(ORDERS_AGAIN, f"HTTP {answer.status}: too many new orders", orders_only=True)
        if answer.status in (418, 429):
            return Throttled(retry_after(answer.headers), f"HTTP {answer.status}")
        if failed is None:
            return InDoubt(f"HTTP {answer.status}: {answer.body[:200]!r}")
        if failed.code in _THROTTLED:
            return Throttled(retry_after(answer.headers), f"{failed.code} {failed.msg}")
        return _refused(failed, answer)

    def _accepted(self, answer: Answer) -> Outcome:
        try:
            order = order_of(answer.body)
            report = report_of(self.exchange, order, self._symbols)
            return Ack(report, part_fills_of(self.exchange, order, self._symbols))
        except UNREADABLE as error:
            return InDoubt(f"an answer that can't be read: {error}")

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill]:
        """Raises what ``checked`` raises, and MalformedFrame: an answer that tells nothing is no empty list."""
        body = checked(answer)
        try:
            records = records_of(self.exchange, body, self._symbols)
        except UNREADABLE as error:
            raise MalformedFrame(f"{answer.request.tag}: {error}") from error
        if records is None and body.strip() != b"[]":
            raise MalformedFrame(f"{answer.request.tag}: no list of orders or fills")
        return records or []

    def _signed(
        self, method: str, path: str, now: Microseconds, weight: int, tag: str, **parameters: object
    ) -> Request:
        return signed(self._keys, method, path, now, weight, tag, **parameters)


def _refused(failed: Failure, answer: Answer) -> Outcome:
    reason = f"{failed.code} {failed.msg}"
    if answer.request.tag == QUERY and failed.code == -2013:
        return NotThere(reason)
    if answer.request.tag == CANCEL and failed.code == -2011:
        return NotThere(reason)
    if answer.status < 500 and failed.code in _DEFINITE and _DUPLICATE not in failed.msg.lower():
        return Reject(str(failed.code), failed.msg, is_untimely=failed.code == _UNTIMELY)
    return InDoubt(f"HTTP {answer.status}: {reason}")
