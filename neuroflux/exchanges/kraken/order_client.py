"""Kraken's order client: signed orders and cancels, and what the answers to them mean.

Orders are looked for in lists, of the open ones and of those that have ended: only both together say that one is not
there, and one list answers for all orders that are in doubt. An order carries a ``deadline``, after which the engine
refuses it. A client id is unique among open orders alone: an order that is sent again after a fill would be a second
one. Source: https://docs.kraken.com/api/docs/rest-api/add-order
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    InDoubt,
    Instrument,
    Microseconds,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Side,
    Throttled,
)
from neuroflux.domain import TimeInForce as Tif
from neuroflux.errors import Refused
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_client import ClientIds, Codes, Failure, Page, TableOrderClient
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Keys, Request, of_instrument
from neuroflux.exchanges.kraken import rest
from neuroflux.exchanges.kraken.codes import (
    DEFINITE,
    DUPLICATE,
    INVALID_ORDER,
    OF_ALL,
    STALE_NONCE,
    THROTTLED,
    TOO_LATE,
    UNKNOWN_ORDER,
)
from neuroflux.exchanges.kraken.limits import HEAVY, QUERIES, cancel_weight
from neuroflux.exchanges.kraken.messages import ID, ZERO, written
from neuroflux.exchanges.kraken.names import Pairs
from neuroflux.exchanges.kraken.orders import fill_of, fills_in, orders_in, report_of
from neuroflux.exchanges.kraken.signing import private, start_at

ORDER_LIFE: Final[Microseconds] = 10_000_000
"""Until the deadline of an order, from when it was made; the exchange takes 2 to 60 seconds."""
VISIBLE: Final[Microseconds] = 20_000_000
"""The longest time from then on until the lists have an order that was taken; clocks differ by up to a second."""
REMEMBERED: Final = 10_000

_SENT: Final = frozenset({"pair", "type", "ordertype", "volume", "cl_ord_id"})
_TIFS: Final = {Tif.GTC: "GTC", Tif.POST_ONLY: "GTC", Tif.IOC: "IOC", Tif.FOK: "FOK"}


class _Placed(Struct, frozen=True):
    txid: tuple[str]


class _Cancelled(Struct, frozen=True):
    count: int


_PLACED: Final = Decoder(_Placed)
_CANCELLED: Final = Decoder(_Cancelled)


class KrakenOrderClient(TableOrderClient):
    """Orders of one account. It remembers when it made them: the sooner an order is cancelled, the more that counts."""

    exchange = ID
    settled_after = ORDER_LIFE + VISIBLE
    finds_by_number = True
    remembers_ended = True
    reads_lists = True
    client_ids = ClientIds("", 32)
    codes = Codes(definite=DEFINITE, untimely=(TOO_LATE, STALE_NONCE), throttled=THROTTLED)

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._keys, self._pairs = keys, Pairs(instruments)
        self._made: dict[str, Microseconds] = {}

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, placement: Placement, now: Microseconds) -> Request:
        self._made[placement.client_order_id] = now
        if len(self._made) > REMEMBERED:
            del self._made[next(iter(self._made))]
        return private(
            self._keys,
            "AddOrder",
            "place",
            of_instrument(ORDER_BUCKET, placement.instrument.name),
            _fields(placement, now),
        )

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        named = {"txid": exchange_order_id} if exchange_order_id else {"cl_ord_id": client_order_id}
        # The page of the limits names nothing that refuses a cancel. If one is refused, it is sent again.
        weight = cancel_weight(now - self._made.get(client_order_id, 0))
        tag = f"cancel {client_order_id} {instrument.name}"
        bucket = of_instrument(ORDER_BUCKET, instrument.name)
        return replace(private(self._keys, "CancelOrder", tag, bucket, named, weight), is_never_refused=True)

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        """By its client id among those that have ended, of any age: the open ones were read before."""
        if exchange_order_id:
            return self._query("QueryOrders", "query", {"txid": exchange_order_id})
        fields = {"cl_ord_id": client_order_id, "closetime": "both", "without_count": "true"}
        return self._query("ClosedOrders", "query", fields)

    def statuses(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        ended = {"start": start_at(since), "closetime": "close"}
        return self._query("OpenOrders", "orders"), self._query("ClosedOrders", "ended orders", ended)

    def open_orders(self, now: Microseconds) -> Request:
        return self._query("OpenOrders", "orders")

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        """The account's, of every pair: Kraken has no other query."""
        fields = {"type": "all", "start": start_at(since), "consolidate_taker": "false"}
        return self._query("TradesHistory", "fills", fields, HEAVY)

    def probe(self, now: Microseconds) -> Request:
        return self._query("BalanceEx", "probe")

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        raise Refused(f"{ID} lists no perpetuals here")

    def _query(self, name: str, tag: str, fields: Mapping[str, object] | None = None, weight: int = 1) -> Request:
        return private(self._keys, name, tag, QUERIES, fields, weight)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, answer: Answer) -> bytes:
        return rest.checked(answer)

    def failure(self, body: bytes) -> Failure | None:
        return rest.failure(body)

    def wait(self, answer: Answer) -> float:
        return rest.wait(answer)

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        path, code = answer.request.path, str(failed.code)
        return (path, code) in (
            (rest.CANCEL, UNKNOWN_ORDER),
            (rest.ORDERS, INVALID_ORDER),
            (rest.ORDERS, UNKNOWN_ORDER),
        )

    def is_duplicate(self, failed: Failure) -> bool:
        return DUPLICATE in failed.msg

    def held(self, failed: Failure | None, answer: Answer) -> Throttled | None:
        """A counter that is full is of orders or of requests, and neither must hold up the other."""
        held = super().held(failed, answer)
        if held is None or failed is None or failed.code in OF_ALL:
            return held
        return Throttled(held.retry_after, held.reason, orders_only=True)

    def accepted(self, answer: Answer) -> Outcome:
        result = rest.result_of(answer.body)
        match rest.kind(answer, result):
            case rest.ADD:
                return self._placed(answer, result)
            case rest.CANCEL:
                return self._cancelled(answer, result)
            case rest.ORDERS:
                return self._found(answer, result)
            case rest.CLOSED:
                return self._found(answer, rest.part(result, "closed"))
        raise ValueError("no answer about an order")

    def page(self, answer: Answer) -> Page | None:
        result = rest.result_of(answer.body)
        kind = rest.kind(answer, result)
        if kind == rest.OPEN:
            found = orders_in(rest.part(result, "open"))
            return Page([report_of(one, self._pairs) for one in found.good], found.faults)
        if kind == rest.CLOSED:
            found = orders_in(rest.part(result, "closed"))
            following = rest.next_page(self._keys, answer, result, found.count)
            return Page([report_of(one, self._pairs) for one in found.good], found.faults, following)
        if kind == rest.FILLS:
            fills = fills_in(rest.part(result, "trades"))
            following = rest.next_page(self._keys, answer, result, fills.count)
            return Page([fill_of(one, self._pairs) for one in fills.good], fills.faults, following)
        return None

    def _placed(self, answer: Answer, result: Raw) -> Outcome:
        """The order is taken, and nothing is known of its fills; the answer does not repeat it."""
        (order_id,) = _PLACED.decode(result).txid
        sent = rest.asked(answer.request)
        if not order_id or not sent.keys() >= _SENT:
            raise ValueError("an order without an id, or an answer without its request")
        kind = OrderType.MARKET if sent["ordertype"] == "market" else OrderType.LIMIT
        names = self._pairs.symbol(sent["pair"]), sent["cl_ord_id"], order_id
        amounts = Decimal(sent.get("price", "0")), Decimal(sent["volume"]), ZERO, ZERO
        side, state = Side(sent["type"]), OrderState.ACKNOWLEDGED
        return Ack(OrderReport(ID, *names, side, kind, *amounts, state, "", answer.received_at))

    def _cancelled(self, answer: Answer, result: Raw) -> Outcome:
        """A cancel that is taken may still be under way."""
        if _CANCELLED.decode(result).count < 1:
            return InDoubt("nothing was cancelled")
        _, client_id, name, *_ = f"{answer.request.tag}   ".split(" ")
        names = self._pairs.symbol(name), client_id, rest.asked(answer.request).get("txid", "")
        unsaid, state = (ZERO, ZERO, ZERO), OrderState.WORKING
        report = (*names, Side.BUY, OrderType.LIMIT, *unsaid, None, state, "the cancel was taken", answer.received_at)
        return Ack(OrderReport(ID, *report))

    def _found(self, answer: Answer, listed: Raw) -> Outcome:
        """The order that was asked after.

        Only an empty list of ended orders says that it is not there: one with other orders was not searched for the
        client id.
        """
        sent, orders = rest.asked(answer.request), orders_in(listed)
        number, client_id = sent.get("txid"), sent.get("cl_ord_id")
        found = [
            one for one in orders.good if (one.id == number if number else client_id and one.cl_ord_id == client_id)
        ]
        if found:
            return Ack(report_of(found[0], self._pairs))
        if answer.request.path != rest.CLOSED or not client_id or orders.good or orders.faults:
            return InDoubt(f"not in this list: {'; '.join(orders.faults)[:200] or 'it may be in another'}")
        return NotThere("no order of this client id is open or has ended")


def _fields(placement: Placement, now: Microseconds) -> Mapping[str, object]:
    """A market order with a price is immediate-or-cancel at that bound. ``fciq``: the fee is in the quote."""
    is_market = placement.type is OrderType.MARKET
    tif = Tif.IOC if is_market else placement.time_in_force
    bound = {"price": wire_number(placement.price), "timeinforce": _TIFS[tif]} if placement.price else {}
    return {
        "pair": placement.instrument.name,
        "type": placement.side.value,
        "ordertype": "limit" if bound else "market",
        "volume": wire_number(placement.quantity),
        **bound,
        "cl_ord_id": placement.client_order_id,
        "oflags": "fciq,post" if tif is Tif.POST_ONLY else "fciq",
        "deadline": written(now + ORDER_LIFE),
    }
