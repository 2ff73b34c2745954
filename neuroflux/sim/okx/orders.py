"""OKX's orders: placed, cancelled, amended and queried, by REST and over the private socket.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.orders import Order, Reason, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.okx.account import AccountRows, OkxAsk
from neuroflux.sim.okx.asks import Asks
from neuroflux.sim.okx.instruments import Instruments
from neuroflux.sim.okx.limits import Limits
from neuroflux.sim.okx.pages import Pages
from neuroflux.sim.okx.venue import OKX, kind_of
from neuroflux.sim.okx.wire import REASONS, ApiError, Json, Params, ms, needed, parameter_error, text_of, whole

MOST_AT_ONCE = 20
GONE = ("51400", "Cancellation failed as the order has been filled, canceled or does not exist.")
UNAMENDED = ("51503", "Order modification failed as the order has been filled, canceled or does not exist.")
Row = Mapping[str, Any]
Operation = Callable[[Row, int, bool], Json]
"""Of one order, at this time, alone or among others: these have a limit of their own."""


class Orders:
    """Answers for the account's orders. A function for one order returns its row, also where it is refused."""

    def __init__(
        self, simulation: Simulation, instruments: Instruments, asks: Asks, rows: AccountRows, limits: Limits
    ) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange(OKX)
        self._instruments, self._asks, self._rows, self._limits = instruments, asks, rows, limits
        self._pages = Pages(simulation.faults)

    # --- one order

    def place(self, row: Row, now: int, is_among: bool = False) -> Json:
        names = {"clOrdId": text_of(row, "clOrdId"), "ordId": "", "tag": text_of(row, "tag"), "ts": ms(now)}
        try:
            listing = self._listing(row)
            self._limits.count("trade/batch-orders" if is_among else "trade/order", listing.symbol, now)
            order = self._exchange.place(self._asks.read(row, listing), now)
        except (ApiError, Rejected) as error:
            return {**names, **_refusal(error)}
        self._simulation.flush(OKX)
        return {**names, "ordId": str(order.order_id), "sCode": "0", "sMsg": "Order placed", "subCode": ""}

    def cancel(self, row: Row, now: int, is_among: bool = False) -> Json:
        """That it is accepted does not mean that it is cancelled; here it is."""
        names = {"clOrdId": text_of(row, "clOrdId"), "ordId": text_of(row, "ordId"), "ts": ms(now)}
        try:
            listing = self._listing(row)
            self._limits.count("trade/cancel-batch-orders" if is_among else "trade/cancel-order", listing.symbol, now)
            order = self._find(row, listing)
            self._exchange.cancel(order, now)
        except Rejected:
            return {**names, "sCode": GONE[0], "sMsg": GONE[1]}
        except ApiError as error:
            return {**names, **_refusal(error)}
        self._simulation.flush(OKX)
        return {**names, "ordId": str(order.order_id), "clOrdId": order.ask.client_order_id, "sCode": "0", "sMsg": ""}

    def amend(self, row: Row, now: int, is_among: bool = False) -> Json:
        """It keeps its number."""
        names = {"clOrdId": text_of(row, "clOrdId"), "ordId": text_of(row, "ordId"), "ts": ms(now)}
        names["reqId"] = text_of(row, "reqId")
        try:
            listing = self._listing(row)
            self._limits.count("trade/amend-batch-orders" if is_among else "trade/amend-order", listing.symbol, now)
            order = self._find(row, listing)
            self._amend(order, self._asks.amended(row, order), now)
        except (ApiError, Rejected) as error:
            is_gone = isinstance(error, Rejected) and error.reason is Reason.UNKNOWN_ORDER
            return {**names, **({"sCode": UNAMENDED[0], "sMsg": UNAMENDED[1]} if is_gone else _refusal(error))}
        self._simulation.flush(OKX)
        return {**names, "ordId": str(order.order_id), "clOrdId": order.ask.client_order_id, "sCode": "0", "sMsg": ""}

    def _amend(self, order: Order, wanted: OkxAsk, now: int) -> None:
        self._exchange.amend(order, wanted.quantity, wanted.price or ZERO, now)
        order.ask = replace(wanted, quantity=order.quantity)

    def _listing(self, row: Row) -> Listing:
        code = text_of(row, "instIdCode")
        return self._instruments.listing("" if code else needed(row, "instId"), code)

    def _find(self, row: Row, listing: Listing) -> Order:
        """By the exchange's number, or where it is not named by the client's; raises ApiError and Rejected."""
        if text_of(row, "ordId"):
            return self._exchange.find(whole(row, "ordId", 0), symbol=listing.symbol)
        if not text_of(row, "clOrdId"):
            raise ApiError("51003", "Either client order ID or order ID is required.")
        return self._exchange.find(None, text_of(row, "clOrdId"), listing.symbol)

    # --- requests

    def one(self, do: Operation) -> Callable[[Params, int], list[Json]]:
        """A request for one order: a parameter that is missing refuses the whole."""

        def answer(params: Params, now: int) -> list[Json]:
            self._check_time(params, now)
            return [_whole(do(params.values, now, False))]

        return answer

    def many(self, do: Operation) -> Callable[[Params, int], list[Json]]:
        def answer(params: Params, now: int) -> list[Json]:
            self._check_time(params, now)
            return self.batch(do, params.rows, now)

        return answer

    def batch(self, do: Operation, rows: Sequence[Any], now: int) -> list[Json]:
        """Raises ApiError for none and for too many."""
        if not rows:
            raise ApiError("50000", "Body for POST request cannot be empty.", 400)
        if len(rows) > MOST_AT_ONCE:
            raise ApiError("51111", f"Maximum {MOST_AT_ONCE} orders can be placed in bulk.", 400)
        return [do(row if isinstance(row, dict) else {}, now, len(rows) > 1) for row in rows]

    @staticmethod
    def _check_time(params: Params, now: int) -> None:
        """An order that comes after its ``expTime`` is not placed."""
        if params.expires and not params.expires.isdigit():
            raise parameter_error("expTime")
        if params.expires and now // 1000 > int(params.expires):
            raise ApiError("50036", "The expTime can't be earlier than the current system time.", 400)

    # --- questions

    def query(self, params: Params, now: int) -> object:
        return [self._rows.order(self._find(params.values, self._listing(params.values)))]

    def pending(self, params: Params, now: int) -> object:
        found = [order for order in self._exchange.open_orders.values() if self._fits(params, order)]
        return self._page(params, found)

    def history(self, params: Params, now: int) -> object:
        """The orders that are not open any more."""
        params.needed("instType")
        ended = [order for order in self._exchange.orders.values() if not order.is_open and self._fits(params, order)]
        return self._page(params, ended)

    def _fits(self, params: Params, order: Order) -> bool:
        wanted = params.text("state")
        is_filled = order.state == "filled"
        return self._is_of(params, order.listing) and wanted in ("", "filled" if is_filled else "canceled", order.state)

    @staticmethod
    def _is_of(params: Params, listing: Listing) -> bool:
        kind, name = params.text("instType"), params.text("instId")
        return kind in ("", kind_of(listing)) and name in ("", listing.symbol)

    def _page(self, params: Params, orders: list[Order]) -> list[Json]:
        page = self._pages.page(params, orders, lambda order: order.order_id, lambda order: order.created)
        return [self._rows.order(order) for order in page]

    def fills(self, params: Params, now: int) -> object:
        number = whole(params.values, "ordId", 0)
        known = [fill for fill in self._exchange.fills() if self._is_of(params, fill.listing)]
        found = [self._rows.fill(fill) for fill in known if number in (0, fill.order_id)]
        return self._pages.page(params, found, lambda row: int(row["billId"]), lambda row: int(row["ts"]) * 1000)

    def old_fills(self, params: Params, now: int) -> object:
        params.needed("instType")
        return self.fills(params, now)


def _refusal(error: ApiError | Rejected) -> Json:
    if isinstance(error, ApiError):
        return {"sCode": error.code, "sMsg": error.text, "subCode": ""}
    code, text = REASONS[error.reason]
    is_short = error.reason in (Reason.BALANCE, Reason.MARGIN)
    return {"sCode": code, "sMsg": text, "subCode": "1000" if is_short else ""}


def _whole(row: Json) -> Json:
    """A missing parameter and a limit refuse the request, not the order."""
    if row["sCode"] == "50014":
        raise ApiError("50014", row["sMsg"], 400)
    if row["sCode"] in ("50011", "50061"):
        raise ApiError(row["sCode"], row["sMsg"], 429)
    return row
