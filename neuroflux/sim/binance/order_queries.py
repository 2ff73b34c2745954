"""What both of Binance's exchanges do alike with orders: find, query, list and cancel them, and list fills.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

from neuroflux.sim.binance.pages import Pages
from neuroflux.sim.binance.rest import MarketData
from neuroflux.sim.binance.wire import ApiError, Params, integer_of, required
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.matching import Side
from neuroflux.sim.core.orders import Ask, Fill, Order, Reason, Rejected
from neuroflux.sim.core.simulation import Simulation

UNKNOWN_STATUS = "PENDING_REVIEW"
Row = dict[str, object]


def state_of(simulation: Simulation, order: Order) -> str:
    return simulation.status(order, order.state.upper(), UNKNOWN_STATUS)


def side_of(params: Params) -> Side:
    """Raises ApiError -1117."""
    side = required(params, "side").lower()
    if side not in ("buy", "sell"):
        raise ApiError(-1117, "Invalid side.")
    return cast(Side, side)


def order_id_of(params: Params) -> int | None:
    return integer_of(params, "orderId") if params.get("orderId") else None


class OrderQueries(ABC):
    """Answers about the orders of one exchange; ``nameless`` is the error's text where a request names no order."""

    nameless: str

    def __init__(self, simulation: Simulation, market: MarketData, frames: Frames) -> None:
        self._simulation = simulation
        self._market = market
        self._frames = frames
        self._exchange_id = frames.exchange_id
        self._exchange = simulation.exchange(frames.exchange_id)
        self._pages = Pages(simulation.faults, frames.exchange_id)

    @abstractmethod
    def written(self, order: Order) -> Row:
        """An order as queries answer it."""

    @abstractmethod
    def _trade(self, fill: Fill) -> Row:
        """A fill as lists have it."""

    @abstractmethod
    def _ask(self, params: Params) -> Ask:
        """The order that is to be placed; raises ApiError."""

    def test(self, params: Params, now: int) -> object:
        self._ask(params)
        return {}

    def _symbol_or_all(self, params: Params) -> str:
        return self._market.symbol(params) if params.get("symbol") else ""

    def _find(self, params: Params) -> Order:
        symbol, order_id = self._market.symbol(params), order_id_of(params)
        client_id = params.get("origClientOrderId", "")
        if order_id is None and not client_id:
            raise ApiError(-1102, self.nameless)
        return self._exchange.find(order_id, client_id, symbol)

    def query(self, params: Params, now: int) -> object:
        return self.written(self._find(params))

    def _cancelled(self, params: Params, now: int, cancel_id: str = "") -> Order:
        """Cancel an order; raises ApiError -2011 for one that isn't open."""
        try:
            order = self._find(params)
            self._exchange.cancel(order, now, cancel_id)
        except Rejected as error:
            if error.reason is Reason.UNKNOWN_ORDER:
                raise ApiError(-2011, "Unknown order sent.") from error
            raise
        self._simulation.flush(self._exchange_id)
        return order

    def _open(self, params: Params) -> list[Order]:
        symbol = self._symbol_or_all(params)
        return [order for order in self._exchange.open_orders.values() if symbol in ("", order.listing.symbol)]

    def open_orders(self, params: Params, now: int) -> object:
        return [self.written(order) for order in self._open(params)]

    def all_orders(self, params: Params, now: int) -> object:
        symbol = self._market.symbol(params)
        orders = [order for order in self._exchange.orders.values() if order.listing.symbol == symbol]
        page = self._pages.page(orders, params, lambda row: row.order_id, lambda row: row.created // 1000, "orderId")
        return [self.written(order) for order in page]

    def _trades(self, params: Params, symbol: str) -> list[Row]:
        order_id = order_id_of(params)
        fills = [fill for fill in self._exchange.fills(symbol) if order_id in (None, fill.order_id)]
        page = self._pages.page(fills, params, lambda fill: fill.trade_id, lambda fill: fill.time // 1000)
        return [self._trade(fill) for fill in page]
