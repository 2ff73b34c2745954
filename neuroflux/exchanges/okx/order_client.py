"""OKX's order client: signed orders of one account, and what the answers to them mean.

An order carries a time after which the exchange does not take it any more (``expTime``), so that one that was given up
for lost can't be executed late. Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    Instrument,
    Microseconds,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.errors import Refused
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_client import ClientIds, Failure, Page, TableOrderClient, error_text
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Keys, Request, of_instrument
from neuroflux.exchanges.kit.shapes import Shapes, kind_of
from neuroflux.exchanges.okx import codes, rest
from neuroflux.exchanges.okx.numbers import ONE, ZERO, amount, coins, time_of
from neuroflux.exchanges.okx.orders import fills_in, orders_in, symbol_of
from neuroflux.exchanges.okx.pages import PAGE, more
from neuroflux.exchanges.okx.rest import ID, iso, signed

PLACE, CANCEL, QUERY = "place", "cancel", "query"
EXPIRES_MS: Final = 5_000
RECENT: Final[Microseconds] = 2 * 86_400_000_000
"""Fills of three days are in the quicker of two lists; what is older, up to three months, in the other."""

SHAPES: Final = Shapes(
    objects=(),
    rows=(("sCode ordId", "results"), ("billId fillSz", "fills"), ("ordId instId state accFillSz", "orders")),
)
_TYPES: Final = {
    TimeInForce.GTC: "limit",
    TimeInForce.IOC: "ioc",
    TimeInForce.FOK: "fok",
    TimeInForce.POST_ONLY: "post_only",
}


class _Sent(Struct, frozen=True):
    """The body of an order or a cancel: the answer names the ids alone."""

    instId: str
    side: Side = Side.BUY
    ordType: str = ""
    sz: str = ""
    px: str = ""
    clOrdId: str = ""


class _Result(Struct, frozen=True):
    ordId: str
    sCode: str
    clOrdId: str = ""
    ts: str = ""


_SENT: Final = Decoder(_Sent)
_RESULTS: Final = Decoder(list[_Result])


class OkxOrderClient(TableOrderClient):
    """Orders of one account, in net mode: spot with its own money, perpetuals on cross margin."""

    exchange = ID
    settled_after = (EXPIRES_MS + 5_000) * 1_000
    codes = codes.CODES
    client_ids = ClientIds("nf", 32)  # letters and digits alone

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._keys = keys
        self._listed = {one.name: one for one in instruments}

    def place(self, placement: Placement, now: Microseconds) -> Request:
        """A market order with a price is sent as immediate-or-cancel at that bound."""
        one = placement.instrument
        order: dict[str, Any] = {
            "instId": one.name,
            "tdMode": "cross" if one.settle else "cash",
            "clOrdId": placement.client_order_id,
            "side": placement.side,
            "sz": wire_number(placement.quantity / one.contract_size),
            **_terms(placement),
        }
        if placement.reduce_only and one.settle:
            order["reduceOnly"] = True
        request = self._signed("POST", "/trade/order", now, PLACE, of_instrument(ORDER_BUCKET, one.name), order)
        return replace(request, headers={**request.headers, "expTime": str(now // 1000 + EXPIRES_MS)})

    def cancel(self, instrument: Instrument, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        named = _named(instrument, client_order_id, exchange_order_id)
        return self._signed(
            "POST", "/trade/cancel-order", now, CANCEL, of_instrument("cancels", instrument.name), named
        )

    def query(self, instrument: Instrument, client_order_id: str, now: int, exchange_order_id: str = "") -> Request:
        named = _named(instrument, client_order_id, exchange_order_id)
        return self._signed("GET", "/trade/order", now, QUERY, "queries", **named)

    def open_orders(self, now: Microseconds) -> Request:
        return self._signed("GET", "/trade/orders-pending", now, "orders", "orders-pending", limit=PAGE)

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request:
        recent = now - since < RECENT
        path, bucket = ("/trade/fills", "fills") if recent else ("/trade/fills-history", "fills-history")
        kind = "SWAP" if instrument.settle else "SPOT"
        asked = {"instType": kind, "instId": instrument.name, "begin": since // 1000, "limit": PAGE}
        return self._signed("GET", path, now, "fills", bucket, **asked)

    def probe(self, now: Microseconds) -> Request:
        return self._signed("GET", "/account/config", now, "config", "config")

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        """Raises Refused for spot."""
        if not instrument.settle:
            raise Refused(f"{ID}: {instrument.symbol} is no perpetual")
        wanted = {"instId": instrument.name, "lever": str(leverage), "mgnMode": "cross"}
        return self._signed("POST", "/account/set-leverage", now, "leverage", "leverage", wanted)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, answer: Answer) -> bytes:
        """The rows alone."""
        return bytes(rest.checked(answer))

    def failure(self, body: bytes) -> Failure | None:
        return rest.failure(body)

    def wait(self, answer: Answer) -> float:
        return rest.wait(answer)

    def accepted(self, answer: Answer) -> Outcome:
        data = rest.data_of(answer.body)
        if kind_of(bytes(data), SHAPES) == "results":
            return Ack(self._placed(answer, _RESULTS.decode(data)[0]))
        found, read = orders_in(data, self._listed)
        if not found:
            raise ValueError("; ".join(read.faults) or "no order in the answer")
        return Ack(found[0])

    def _placed(self, answer: Answer, result: _Result) -> OrderReport:
        """An order that was taken, or whose cancellation was: what became of it is reported by the socket.

        Raises ``UNREADABLE`` for an answer without its request.
        """
        sent, is_cancel = _SENT.decode(answer.request.body), answer.request.tag == CANCEL
        one = self._listed.get(sent.instId)
        return OrderReport(
            exchange=ID,
            symbol=symbol_of(sent.instId, self._listed),
            client_order_id=result.clOrdId or sent.clOrdId,
            exchange_order_id=result.ordId,
            side=sent.side,
            type=OrderType.MARKET if sent.ordType == "market" else OrderType.LIMIT,
            price=amount(sent.px),
            quantity=coins(sent.sz, one.contract_size if one is not None else ONE),
            filled_quantity=ZERO,
            average_price=ZERO,
            state=OrderState.WORKING if is_cancel else OrderState.ACKNOWLEDGED,
            reason="the cancellation was accepted" if is_cancel else "",
            event_time=time_of(result.ts),
        )

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        if answer.request.tag == CANCEL:
            return failed.code in codes.NOT_CANCELLED
        return answer.request.tag == QUERY and failed.code == codes.NO_ORDER

    def is_duplicate(self, failed: Failure) -> bool:
        is_of_the_id = failed.code == codes.BAD_PARAMETER and "clordid" in failed.msg.lower()
        return is_of_the_id or super().is_duplicate(failed)

    def held(self, failed: Failure | None, answer: Answer) -> Throttled | None:
        """The limits are counted by endpoint, so that one of new orders lets cancels and queries pass.

        HTTP 429 with another code is none: 50013, ``busy``, does not say whether the order was taken.
        """
        if not rest.is_throttled(answer):
            return None
        orders_only = failed is not None and answer.request.tag == PLACE
        return Throttled(self.wait(answer), error_text(failed, answer), orders_only=orders_only)

    def page(self, answer: Answer) -> Page | None:
        data = self.checked(answer)
        kind = kind_of(data, SHAPES)
        if kind == "fills":
            fills, read = fills_in(data, self._listed)
            return Page(fills, read.faults, more(self._keys, answer, read))
        if kind == "orders":
            orders, listed = orders_in(data, self._listed)
            return Page(orders, listed.faults, more(self._keys, answer, listed))
        return None

    def _signed(
        self, method: str, path: str, now: Microseconds, tag: str, bucket: str, sent: Any = None, **query: object
    ) -> Request:
        return signed(self._keys, method, path, iso(now), tag, bucket, sent, **query)


def _named(instrument: Instrument, client_order_id: str, exchange_order_id: str) -> dict[str, str]:
    known = {"ordId": exchange_order_id} if exchange_order_id else {"clOrdId": client_order_id}
    return {"instId": instrument.name, **known}


def _terms(placement: Placement) -> dict[str, Any]:
    """A spot order at any price is counted in the base, and refused where there is too little money, not cut."""
    if placement.type is OrderType.MARKET and placement.price == 0:
        whole = {} if placement.instrument.settle else {"tgtCcy": "base_ccy", "banAmend": True}
        return {"ordType": "market", **whole}
    kind = "ioc" if placement.type is OrderType.MARKET else _TYPES[placement.time_in_force]
    return {"ordType": kind, "px": wire_number(placement.price)}
