"""Kraken's dialect: its paths and its demo account.

Source: https://docs.kraken.com/api/docs/guides/global-intro
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.api import Api, Endpoint
from neuroflux.sim.kit.streams import Hub
from neuroflux.sim.kraken.account import AccountApi
from neuroflux.sim.kraken.executions import Executions
from neuroflux.sim.kraken.frames import Frames
from neuroflux.sim.kraken.keys import Keys
from neuroflux.sim.kraken.ledger import Ledger
from neuroflux.sim.kraken.lists import Lists
from neuroflux.sim.kraken.market import Market
from neuroflux.sim.kraken.order_api import OrderApi
from neuroflux.sim.kraken.order_messages import OrderMessages
from neuroflux.sim.kraken.order_texts import OrderTexts
from neuroflux.sim.kraken.orders import Desk
from neuroflux.sim.kraken.pairs import Pairs
from neuroflux.sim.kraken.rules import KrakenRules
from neuroflux.sim.kraken.sockets import Sockets
from neuroflux.sim.kraken.venue import KRAKEN, VENUE
from neuroflux.sim.kraken.wire import Json, Params, answered, failure, fixed

Function = Callable[[Params, int], object]
_BASES = ("/kraken", "")
"""Some clients know no path before ``/0``."""
_SOCKETS = ("/kraken", "/kraken/", "/kraken/v2", "/kraken-auth/v2")


class Kraken:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = ("/kraken/0/", "/0/")
    changes: Mapping[str, Callable[[Fault], None]] = {}

    def __init__(self, simulation: Simulation) -> None:
        self._exchange = simulation.exchange(KRAKEN)
        self._keys, self._pairs = Keys(simulation), Pairs(self._exchange)
        texts, hub = OrderTexts(simulation), Hub(self._exchange)
        self._market, self._ledger = Market(simulation, self._pairs), Ledger(simulation)
        self._account, self._lists = AccountApi(simulation, self._keys, self._pairs), Lists(simulation, texts)
        self._desk = Desk(simulation, self._keys, self._pairs, texts)
        self._orders = OrderApi(self._desk)
        executions = Executions(simulation, texts, self._ledger, hub)
        self._sockets = Sockets(simulation, self._keys, Frames(self._market), hub, executions)
        self._sockets.orders, self._sockets.account = OrderMessages(simulation, self._desk, self._orders), self._account
        self._api = Api(simulation, KRAKEN, KrakenRules(self._keys, self._account.may_trade))

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._market.remember(changes, now)
        self._sockets.publish(changes, now)
        self._desk.end(now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return failure(status, retry_after)

    def account(self) -> DemoAccount:
        """The first key is that of the stages; two others are for clients with nonces of other lengths."""
        first, *others = self._keys.demo
        totals = {asset: fixed(balance.total, 0) for asset, balance in self._exchange.spot.balances.items()}
        more = tuple((one.key, one.secret) for one in others)
        return DemoAccount(KRAKEN, first.key, first.secret, "", totals, more_keys=more)

    def routes(self) -> list[web.RouteDef]:
        return [
            *(route for base in _BASES for route in self._rest(base)),
            *(web.get(path, self._sockets.serve) for path in _SOCKETS),
        ]

    def _rest(self, base: str) -> list[web.RouteDef]:
        public = [
            self._api.route(Endpoint(method, f"{base}/0/public/{name}", _result(function)))
            for name, function in self._public().items()
            for method in ("GET", "POST")
        ]
        private = [
            self._api.route(Endpoint("POST", f"{base}/0/private/{name}", _result(function), 1, "signed", is_order))
            for name, (function, is_order) in self._private().items()
        ]
        return public + private

    def _public(self) -> dict[str, Function]:
        market = self._market
        return {
            "Time": market.time,
            "SystemStatus": market.status,
            "Assets": self._pairs.assets,
            "AssetPairs": self._pairs.pairs,
            "Ticker": market.tickers,
            "Depth": market.depth,
            "Trades": market.trades,
            "OHLC": market.candles,
            "Spread": market.spreads,
        }

    def _private(self) -> dict[str, tuple[Function, bool]]:
        """With whether it places orders."""
        orders, lists, account = self._orders, self._lists, self._account
        placing: dict[str, Function] = {"AddOrder": orders.add, "AddOrderBatch": orders.add_batch}
        others: dict[str, Function] = {
            "AmendOrder": orders.amend,
            "EditOrder": orders.edit,
            "CancelOrder": orders.cancel,
            "CancelOrderBatch": orders.cancel_batch,
            "CancelAll": orders.cancel_all,
            "CancelAllOrdersAfter": orders.cancel_all_after,
            "OpenOrders": lists.open_orders,
            "ClosedOrders": lists.closed_orders,
            "QueryOrders": lists.query_orders,
            "TradesHistory": lists.trades,
            "QueryTrades": lists.query_trades,
            "Ledgers": self._ledger.ledgers,
            "QueryLedgers": self._ledger.query_ledgers,
            "Balance": account.balance,
            "BalanceEx": account.balance_ex,
            "TradeBalance": account.trade_balance,
            "TradeVolume": account.trade_volume,
            "GetApiKeyInfo": account.key_info,
            "GetWebSocketsToken": account.token,
        }
        return {name: (function, name in placing) for name, function in (placing | others).items()}


def _result(function: Function) -> Function:
    """The answer around what the function returns."""

    def answer(params: Params, now: int) -> Json:
        return answered(function(params, now))

    return answer
