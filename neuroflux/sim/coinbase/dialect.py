"""Coinbase's dialect: its paths, its aliases, and its demo account.

Source: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/rest-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from aiohttp import web

from neuroflux.sim.coinbase.account import AccountApi
from neuroflux.sim.coinbase.aliases import add_aliases
from neuroflux.sim.coinbase.app_api import AppApi
from neuroflux.sim.coinbase.frames import Frames
from neuroflux.sim.coinbase.keys import Signer
from neuroflux.sim.coinbase.market import Market
from neuroflux.sim.coinbase.order_lists import OrderLists
from neuroflux.sim.coinbase.order_texts import OrderTexts
from neuroflux.sim.coinbase.orders import OrderApi
from neuroflux.sim.coinbase.sockets import Sockets
from neuroflux.sim.coinbase.venue import COINBASE, VENUE
from neuroflux.sim.coinbase.wire import API, APP, PUBLIC, CoinbaseRules, Params, failure, number
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.api import Access, Api, Endpoint

Function = Callable[[Params, int], object]
Row = tuple[Literal["GET", "POST"], str, Function]


class Coinbase:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = ("/coinbase/api/", "/coinbase/v2/")
    changes: Mapping[str, Callable[[Fault], None]] = {}

    def __init__(self, simulation: Simulation) -> None:
        self._exchange = simulation.exchange(COINBASE)
        add_aliases(self._exchange)
        self._signer = Signer(simulation.seed)
        written = OrderTexts(simulation, self._signer)
        self._market, self._orders = Market(simulation), OrderApi(simulation, written)
        self._account, self._app = AccountApi(simulation, self._signer), AppApi(simulation)
        self._lists = OrderLists(simulation, written)
        self._sockets = Sockets(simulation, self._signer, Frames(self._market), written)
        self._api = Api(simulation, COINBASE, CoinbaseRules(self._signer, self._account.may_trade))

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._market.remember(changes, now)
        self._sockets.publish(changes, now)
        self._orders.end(now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return failure(status, retry_after)

    def account(self) -> DemoAccount:
        """The key that is offered is for ES256: the sockets of some clients can't sign with Ed25519."""
        key = self._signer.published
        totals = {asset: number(balance.total) for asset, balance in self._exchange.spot.balances.items()}
        return DemoAccount(COINBASE, key.name, key.secret, "", totals)

    def routes(self) -> list[web.RouteDef]:
        tables: tuple[tuple[str, Access, list[Row]], ...] = (
            (PUBLIC, "open", self._market_rows()),
            (API, "open", [("GET", "time", self._market.time)]),
            (API, "signed", [*self._market_rows(), ("GET", "best_bid_ask", self._market.tops)]),
            (API, "signed", self._account_rows()),
            (API, "signed", self._order_rows()),
            (APP, "open", self._app_rows()),
            (APP, "signed", self._wallet_rows()),
        )
        return [
            *(
                self._api.route(Endpoint(method, f"{base}/{path}", function, 1, access, path == "orders"))
                for base, access, rows in tables
                for method, path, function in rows
            ),
            web.get("/coinbase/", self._sockets.serve),
            web.get("/coinbase/ws", self._sockets.serve),
            web.get("/coinbase/ws-user", self._sockets.serve),
        ]

    def _market_rows(self) -> list[Row]:
        """With and without a key."""
        market = self._market
        return [
            ("GET", "products", market.products),
            ("GET", "products/{product_id}", market.product),
            ("GET", "products/{product_id}/ticker", market.ticker),
            ("GET", "products/{product_id}/candles", market.candles),
            ("GET", "product_book", market.book),
        ]

    def _account_rows(self) -> list[Row]:
        account = self._account
        return [
            ("GET", "accounts", account.accounts),
            ("GET", "accounts/{account_id}", account.account),
            ("GET", "key_permissions", account.key_permissions),
            ("GET", "portfolios", account.portfolios),
            ("GET", "transaction_summary", account.transaction_summary),
        ]

    def _order_rows(self) -> list[Row]:
        orders, lists = self._orders, self._lists
        return [
            ("POST", "orders", orders.place),
            ("POST", "orders/preview", orders.preview),
            ("POST", "orders/edit", orders.edit),
            ("POST", "orders/edit_preview", orders.edit_preview),
            ("POST", "orders/batch_cancel", orders.cancel),
            ("GET", "orders/historical/batch", lists.orders),
            ("GET", "orders/historical/fills", lists.fills),
            ("GET", "orders/historical/{order_id:.*}", lists.query),
        ]

    def _app_rows(self) -> list[Row]:
        app = self._app
        return [
            ("GET", "time", app.time),
            ("GET", "currencies", app.currencies),
            ("GET", "currencies/crypto", app.coins),
            ("GET", "exchange-rates", app.rates),
        ]

    def _wallet_rows(self) -> list[Row]:
        app = self._app
        return [
            ("GET", "accounts", app.wallets),
            ("GET", "accounts/{account_id}/transactions", app.transactions),
        ]
