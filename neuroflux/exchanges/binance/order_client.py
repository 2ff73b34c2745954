"""Binance's order client, spot and USDⓈ-M: signed orders of one account, and what the answers to them mean.

Sources: the pages "New order", "Cancel order" and "Query order" of each, and "Error codes".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from neuroflux.domain import Ack, Instrument, Microseconds, OrderType, Outcome, Placement, Throttled, TimeInForce
from neuroflux.exchanges.binance import codes, rest
from neuroflux.exchanges.binance.order_paths import OrderPaths
from neuroflux.exchanges.binance.orders import Records, order_of, part_fills_of, records_of, report_of
from neuroflux.exchanges.binance.pages import PAGE, next_page, window
from neuroflux.exchanges.binance.rest import ORDERS_AGAIN, is_one_too_many, orders_again, signed
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_client import ClientIds, Failure, Page, TableOrderClient, error_text
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

PLACE, CANCEL, QUERY = "place", "cancel", "query"

OVERLOADED_SECONDS: Final = 10.0
"""How long new risk is paused after an overload, whose answer names no time: it passes within seconds or minutes."""
_DUPLICATE: Final = "duplicate"
"""-1010 and -2010 with this word: an order of this client id is open; it may be ours."""
_NOT_FOUND: Final = "unknown order"
"""-2011 with this text: there is no such order. With any other the cancel was refused, and the order may be open."""
_FIREWALL: Final = 403
"""Without an error of the exchange: refused by the firewall in front of it, for its rate."""


class BinanceOrderClient(TableOrderClient):
    """Orders of one account."""

    codes = codes.CODES
    client_ids = ClientIds("nf", 34)  # of the 36 characters that are allowed

    def __init__(self, paths: OrderPaths, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self.exchange, self.settled_after = paths.exchange, paths.settled_after
        self._paths, self._keys = paths, keys
        self._symbols = {one.name: one.symbol for one in instruments}

    def place(self, placement: Placement, now: Microseconds) -> Request:
        """A market order with a price is sent as immediate-or-cancel at that bound."""
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

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, answer: Answer) -> bytes:
        return rest.checked(answer)

    def wait(self, answer: Answer) -> float:
        return rest.retry_after(answer)

    def failure(self, body: bytes) -> Failure | None:
        return rest.failure(body)

    def is_error(self, failed: Failure) -> bool:
        return isinstance(failed.code, int) and failed.code < 0

    def accepted(self, answer: Answer) -> Outcome:
        order = order_of(answer.body)
        report = report_of(self.exchange, order, self._symbols)
        return Ack(report, part_fills_of(self.exchange, order, self._symbols))

    def is_not_there(self, failed: Failure, answer: Answer) -> bool:
        """By code and, of a cancel, by text too: -2011 is the code of every cancel that is refused.

        Source: https://developers.binance.com/docs/binance-spot-api-docs/errors ("Messages for -1010, -2010, -2011").
        """
        if answer.request.tag == QUERY:
            return failed.code in (codes.NO_ORDER, codes.ARCHIVED)
        is_said = failed.code == codes.NO_ORDER or _NOT_FOUND in failed.msg.lower()
        return answer.request.tag == CANCEL and failed.code in codes.UNKNOWN_ORDER and is_said

    def is_duplicate(self, failed: Failure) -> bool:
        return super().is_duplicate(failed) or _DUPLICATE in failed.msg.lower()

    def held(self, failed: Failure | None, answer: Answer) -> Throttled | None:
        """Also where the exchange is overloaded, failed, or takes no more orders for a while."""
        if failed is None:
            is_walled_off = answer.status == _FIREWALL
            return (
                Throttled(self.wait(answer), error_text(None, answer))
                if is_walled_off
                else super().held(failed, answer)
            )
        if answer.status == 503 and failed.msg.lower().strip(". ") in self._paths.not_executed:
            return Throttled(ORDERS_AGAIN, error_text(failed, answer))
        if failed.code == codes.OVERLOADED:
            wait = self.wait(answer) if "retry-after" in answer.headers else OVERLOADED_SECONDS
            return Throttled(wait, failed.reason, risk_only=True)
        if is_one_too_many(failed):
            return Throttled(orders_again(answer), error_text(failed, answer), orders_only=True)
        return super().held(failed, answer)

    def page(self, answer: Answer) -> Page | None:
        found = records_of(self.exchange, answer.body, self._symbols)
        if found is None:
            if answer.body.strip() != b"[]":
                return None
            found = Records(())
        more = next_page(self._keys, answer, found, self._paths.fills, self._paths.fills_weight, 0)
        return Page(found.records, found.faults, more)

    def _signed(
        self, method: str, path: str, now: Microseconds, weight: int, tag: str, **parameters: object
    ) -> Request:
        return signed(self._keys, method, path, now, weight, tag, **parameters)


def _named(instrument: Instrument, client_order_id: str, exchange_order_id: str) -> dict[str, str]:
    """By the exchange's id once it is known: an amendment by another client gives a spot order another client id.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority
    """
    known = {"orderId": exchange_order_id} if exchange_order_id else {"origClientOrderId": client_order_id}
    return {"symbol": instrument.name, **known}
