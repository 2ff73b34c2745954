"""Bybit's order client: signed orders and cancels of one account, and what the answers to them mean.

An order is created asynchronously: the answer to its request says that the gateway took it, and the matching engine may
still refuse it. So that answer leaves the order in doubt; a row of the order, pushed or queried, is the proof. Source:
https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import (
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
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.errors import NeuroFluxError, Refused
from neuroflux.exchanges.bybit import codes, rest
from neuroflux.exchanges.bybit.instruments import SETTLE
from neuroflux.exchanges.bybit.messages import ENVELOPE, LISTED, Envelope
from neuroflux.exchanges.bybit.names import ID, LINEAR, SPOT, category_of, wire_name
from neuroflux.exchanges.bybit.orders import DUPLICATE
from neuroflux.exchanges.bybit.records import FILLS, ORDERS, Context, kind_of_list, records
from neuroflux.exchanges.bybit.symbols import Symbols
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_client import ClientIds, Failure, Page, TableOrderClient, error_text
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

PLACE, CANCEL, QUERY, LEVERAGE = "place", "cancel", "query", "leverage"
CREATE: Final = "/v5/order/create"
REALTIME: Final = "/v5/order/realtime"
"""Open orders, and the last 500 that have ended."""

_ARRIVES_WITHIN_MS: Final = 10_000
"""How long after the gateway took it an order may appear."""
_TIFS: Final = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "PostOnly",
}
_SIDES: Final = {Side.BUY: "Buy", Side.SELL: "Sell"}


class _Taken(Struct, frozen=True):
    """Of a request that the gateway took."""

    orderId: str


_TAKEN: Final = Decoder(_Taken)


class BybitOrderClient(TableOrderClient):
    exchange = ID
    codes = codes.CODES
    client_ids = ClientIds("nf", 36)
    settled_after = (rest.RECV_WINDOW_MS + _ARRIVES_WITHIN_MS) * 1000

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._keys = keys
        self._symbols = Symbols()
        self._symbols.learn(instruments)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, placement: Placement, now: Microseconds) -> Request:
        """A market order with a price is sent as immediate-or-cancel at that bound. Quantities are in the base."""
        body = {
            **_of(placement.instrument),
            "side": _SIDES[placement.side],
            "qty": wire_number(placement.quantity),
            **_terms(placement),
            "orderLinkId": placement.client_order_id,
        }
        if category_of(placement.instrument) == SPOT:
            body["isLeverage"] = 0
        elif placement.reduce_only:
            body["reduceOnly"] = True
        return rest.signed_post(self._keys, CREATE, now, PLACE, body)

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        body = {**_of(instrument), **_named(client_order_id, exchange_order_id)}
        return rest.signed_post(self._keys, "/v5/order/cancel", now, CANCEL, body)

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        named = _named(client_order_id, exchange_order_id)
        return rest.asked(self._keys, REALTIME, now, QUERY, **_of(instrument), **named)

    def open_orders(self, now: Microseconds) -> Request:
        """Of spot; the page after its last is the first one of the perpetuals."""
        return self._open(now, category=SPOT)

    def _open(self, now: Microseconds, **of: object) -> Request:
        return rest.asked(self._keys, REALTIME, now, ORDERS, **of, limit=50)

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        """Kept for two years, and answered a week at once."""
        span = rest.window(since // 1000, now)
        return rest.asked(self._keys, "/v5/execution/list", now, FILLS, **_of(instrument), **span, limit=100)

    def probe(self, now: Microseconds) -> Request:
        return rest.asked(self._keys, "/v5/account/info", now, "probe")

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        """Raises Refused for spot."""
        if category_of(instrument) == SPOT:
            raise Refused(f"{instrument.symbol} has no leverage")
        body = {**_of(instrument), "buyLeverage": str(leverage), "sellLeverage": str(leverage)}
        return rest.signed_post(self._keys, "/v5/position/set-leverage", now, LEVERAGE, body)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, answer: Answer) -> bytes:
        rest.checked(answer)
        return answer.body

    def refusal(self, answer: Answer) -> str:
        failed = rest.failure(answer.body) if answer.request.tag == LEVERAGE else None
        if answer.status == 200 and failed is not None and failed.code == codes.SAME_LEVERAGE:
            return ""
        try:
            rest.checked(answer)
        except NeuroFluxError as error:
            return str(error)
        return ""

    def failure(self, body: bytes) -> Failure | None:
        return rest.failure(body)

    def wait(self, answer: Answer) -> float:
        return rest.wait(answer)

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        return answer.request.tag == CANCEL and failed.code in codes.GONE

    def held(self, failed: Failure | None, answer: Answer) -> Throttled | None:
        """Too many new orders of a second do not limit cancels and queries."""
        if rest.is_banned(answer):
            return Throttled(self.wait(answer), error_text(failed, answer))
        held = super().held(failed, answer)
        if held is None or answer.status != 200 or answer.request.tag != PLACE:
            return held
        return Throttled(held.retry_after, held.reason, orders_only=True)

    def accepted(self, answer: Answer) -> Outcome:
        envelope = ENVELOPE.decode(answer.body)
        if envelope.retCode:
            raise ValueError(f"{envelope.retCode} {envelope.retMsg}")
        if answer.request.tag == QUERY:
            return self._found(answer, envelope)
        taken = _TAKEN.decode(envelope.result)
        return InDoubt(f"the gateway took the request; order {taken.orderId[:80]} is not decided on", is_taken=True)

    def _found(self, answer: Answer, envelope: Envelope) -> Outcome:
        """An order is proved by its row. Raises ``UNREADABLE``."""
        listed = LISTED.decode(envelope.result)
        category = listed.category or rest.query_of(answer).get("category", "")
        found = records(ORDERS, listed.list, Context(self._symbols, category, envelope.time * 1000))
        report = next((one for one in found.events if isinstance(one, OrderReport)), None)
        if report is not None:
            return Ack(report)
        if found.rows.good or found.rows.faults or b'"list"' not in bytes(envelope.result):
            return InDoubt(f"no order in the answer: {DUPLICATE if found.rows.good else found.rows.faults[:1]}")
        return NotThere("the exchange lists no such order")

    def page(self, answer: Answer) -> Page | None:
        envelope = ENVELOPE.decode(answer.body)
        listed, tag = LISTED.decode(envelope.result), answer.request.tag
        kind = kind_of_list(listed) or (tag if tag in (ORDERS, FILLS) else "")
        if kind not in (ORDERS, FILLS):
            return None
        asked, time = rest.query_of(answer), envelope.time * 1000
        category = listed.category or asked.get("category", "")
        found = records(kind, listed.list, Context(self._symbols, category, time))
        more = rest.next_page(self._keys, answer, listed.nextPageCursor or "", time)
        if not more and tag == ORDERS and asked.get("category") == SPOT:
            more = [PageNeeded(self._open(time, category=LINEAR, settleCoin=SETTLE))]
        return Page([one for one in found.events if isinstance(one, OrderReport | Fill)], found.rows.faults, more)


def _of(instrument: Instrument) -> dict[str, object]:
    return {"category": category_of(instrument), "symbol": wire_name(instrument)}


def _named(client_order_id: str, exchange_order_id: str) -> dict[str, object]:
    """By one of the ids: where both are sent, the exchange's counts."""
    return {"orderId": exchange_order_id} if exchange_order_id else {"orderLinkId": client_order_id}


def _terms(placement: Placement) -> dict[str, object]:
    if placement.type is OrderType.MARKET and placement.price == 0:
        is_spot = category_of(placement.instrument) == SPOT
        return {"orderType": "Market", **({"marketUnit": "baseCoin"} if is_spot else {})}
    is_market = placement.type is OrderType.MARKET
    tif = "IOC" if is_market else _TIFS[placement.time_in_force]
    return {"orderType": "Limit", "price": wire_number(placement.price), "timeInForce": tif}
