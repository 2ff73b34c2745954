"""Coinbase's order client: signed orders and cancels, and what the answers to them mean.

An order is found by the exchange's id alone, and no list can be searched for a client id. So the client id begins with
the time at which the order was made, from which on the orders of its product are listed; an order that such a list,
which is newest first and complete, leaves out is not there. A second POST with the same client id would also tell (it
is answered with the first order), but it places an order where the first never arrived. Source:
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.json import Decoder

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
)
from neuroflux.errors import Refused
from neuroflux.exchanges.coinbase.codes import DEFINITE, UNAUTHORIZED, UNKNOWN_CANCEL
from neuroflux.exchanges.coinbase.messages import (
    ID,
    ZERO,
    Pages,
    is_spot,
    written,
)
from neuroflux.exchanges.coinbase.orders import fill_of, fills_in, order_in, orders_in, report_of
from neuroflux.exchanges.coinbase.permissions import TRADE_MISSING, permissions_of, permissions_request
from neuroflux.exchanges.coinbase.placing import client_order_id, listed_from, order_body, placed
from neuroflux.exchanges.coinbase.rest import (
    FILLS,
    ORDER_LIST,
    ORDERS,
    ROWS,
    SHAPES,
    encoded,
    failure,
    next_page,
    order_path,
    signed,
    signed_at,
    wait,
)
from neuroflux.exchanges.kit.order_client import Codes, Failure, Page, TableOrderClient
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.shapes import UNREADABLE, kind_of

ORDER_LIFE: Final = 15
"""Seconds for which the token of an order is valid: one that was given up for lost is refused when it arrives later."""
REMEMBERED: Final = 10_000

T = TypeVar("T")


class _Cancelled(Struct, frozen=True):
    order_id: str
    success: bool
    failure_reason: str = ""


class _Results(Struct, frozen=True):
    results: tuple[_Cancelled]


_RESULTS: Final = Decoder(_Results)
_PAGES: Final = Decoder(Pages)


class CoinbaseOrderClient(TableOrderClient):
    """Orders of one portfolio, the key's.

    It remembers when it signed an order, and the exchange's ids of those that it has read of. What it has forgotten
    takes a longer list to find.
    """

    exchange = ID
    settled_after = (ORDER_LIFE + 15) * 1_000_000
    finds_by_number = True
    codes = Codes(definite=DEFINITE, untimely=(UNAUTHORIZED,), throttled=("RESOURCE_EXHAUSTED",))

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._keys = keys
        self._symbols = {one.name: one.symbol for one in instruments}
        self._numbers: dict[str, str] = {}
        self._placed: dict[str, Microseconds] = {}

    def client_order_id(self, order_id: str, leg: int, attempt: int) -> str:
        return client_order_id(order_id, leg, attempt)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, placement: Placement, now: Microseconds) -> Request:
        """Raises Refused for a market order to buy without a bound, which is sized by money here."""
        body = encoded(order_body(placement))
        _remember(self._placed, placement.client_order_id, now)
        return signed(self._keys, "POST", ORDERS, now, "place", body=body, life=ORDER_LIFE)

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        """Where the exchange's id is not known it is looked for, and the answer is not the one of a cancel."""
        number = exchange_order_id or self._numbers.get(client_order_id, "")
        if not number:
            return self._listed("cancel", instrument, client_order_id, now)
        tag, body = f"cancel {client_order_id} {instrument.name}", encoded({"order_ids": [number]})
        return signed(self._keys, "POST", f"{ORDERS}/batch_cancel", now, tag, body=body)

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        number = exchange_order_id or self._numbers.get(client_order_id, "")
        if not number:
            return self._listed("query", instrument, client_order_id, now)
        return signed(self._keys, "GET", order_path(number), now, "query")

    def _listed(self, action: str, instrument: Instrument, client_order_id: str, now: Microseconds) -> Request:
        """All orders of the product since this one was made, in any status: ``OPEN`` leaves out PENDING ones."""
        since = listed_from(client_order_id, now, self._placed.get(client_order_id, 0))
        dated = [("start_date", written(since))] if since else []
        query = [("product_ids", instrument.name), *dated, ("limit", str(ROWS))]
        return signed(self._keys, "GET", ORDER_LIST, now, f"{action} {client_order_id} {instrument.name}", query)

    def open_orders(self, now: Microseconds) -> Request:
        return signed(self._keys, "GET", ORDER_LIST, now, "orders", [("order_status", "OPEN"), ("limit", ROWS)])

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        after = [("start_sequence_timestamp", written(since)), ("limit", ROWS)]
        return signed(self._keys, "GET", FILLS, now, "fills", [("product_ids", instrument.name), *after])

    def probe(self, now: Microseconds) -> Request:
        return permissions_request(self._keys, now)

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        raise Refused(f"{ID} lists no perpetuals here")

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def failure(self, body: bytes) -> Failure | None:
        return failure(body)

    def wait(self, answer: Answer) -> float:
        return wait(answer)

    def refusal(self, answer: Answer) -> str:
        """The probe is answered with what the key may do."""
        refused = super().refusal(answer)
        try:
            return refused or ("" if permissions_of(answer.body).can_trade else TRADE_MISSING)
        except UNREADABLE as error:
            return f"permissions: {error}"

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        """404 of the path of one order, or the reason of a cancel; a list has no such answer."""
        is_list = answer.request.path.startswith(ORDER_LIST)
        is_asked = answer.request.tag.partition(" ")[0] == "query" and not is_list
        return failed.code == UNKNOWN_CANCEL or (answer.status == 404 and is_asked)

    def accepted(self, answer: Answer) -> Outcome:
        match kind_of(answer.body, SHAPES):
            case "placed":
                return self._learned(placed(answer, self._symbols))
            case "cancelled":
                return self._cancelled(answer)
            case "order":
                order = order_in(answer.body)
                return self._learned(Ack(report_of(order, self._symbols)))
            case "orders" if " " in answer.request.tag:
                return self._found(answer)
        raise ValueError("no answer about an order")

    def page(self, answer: Answer) -> Page | None:
        kind = kind_of(answer.body, SHAPES)
        if kind not in ("orders", "fills"):
            return None
        following = next_page(self._keys, answer, signed_at(answer.request))
        if kind == "fills":
            fills = fills_in(answer.body)
            made = [fill_of(one, self._symbols) for one in fills.good if is_spot(one.product_id)]
            return Page(made, fills.faults, following)
        orders = orders_in(answer.body)
        reports = [report_of(one, self._symbols) for one in orders.good if is_spot(one.product_id)]
        for one in reports:
            self._learned(Ack(one))
        return Page(reports, orders.faults, following)

    def _found(self, answer: Answer) -> Outcome:
        """Whether a list has the order. To be absent means that the list is complete, and was read in full."""
        action, client_id, _ = answer.request.tag.split(" ")
        orders, goes_on = orders_in(answer.body), _PAGES.decode(answer.body).goes_on
        order = next((one for one in orders.good if one.client_order_id == client_id), None)
        if order is None:
            if orders.faults or goes_on:
                return InDoubt(f"not in this part of the list: {'; '.join(orders.faults)[:200] or 'it goes on'}")
            return NotThere("no order of this client id in the list of its product")
        report = report_of(order, self._symbols)
        self._learned(Ack(report))
        if action == "query":
            return Ack(report)
        if report.state.final:
            return NotThere(f"the order has ended: {order.status:.80}")
        return InDoubt(f"not cancelled yet: its id, {order.order_id:.80}, is known from now on")

    def _cancelled(self, answer: Answer) -> Outcome:
        """A cancel that is taken may still be under way."""
        (result,) = _RESULTS.decode(answer.body).results
        if not result.success:
            return self.denied(Failure(result.failure_reason), answer)
        _, client_id, name, *_ = f"{answer.request.tag}   ".split(" ")
        symbol, time = self._symbols.get(name, name), signed_at(answer.request)
        unsaid = (ZERO, ZERO, ZERO)
        side, kind, state, reason = Side.BUY, OrderType.LIMIT, OrderState.WORKING, "the cancel was taken"
        return Ack(OrderReport(ID, symbol, client_id, result.order_id, side, kind, *unsaid, None, state, reason, time))

    def _learned(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Ack) and outcome.report.client_order_id and outcome.report.exchange_order_id:
            _remember(self._numbers, outcome.report.client_order_id, outcome.report.exchange_order_id)
        return outcome


def _remember(known: dict[str, T], client_order_id: str, what: T) -> None:
    known[client_order_id] = what
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
