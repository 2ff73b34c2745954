"""Bybit's dialect: its paths, its sockets, and the demo account.

Source: https://bybit-exchange.github.io/docs/v5/intro
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aiohttp import web

from neuroflux.errors import UsageError
from neuroflux.sim.bybit.account import Account
from neuroflux.sim.bybit.books import Books
from neuroflux.sim.bybit.credentials import Call, Limits, Signer, banned, limit_headers, too_many
from neuroflux.sim.bybit.ledger import Ledger
from neuroflux.sim.bybit.market import Market
from neuroflux.sim.bybit.modes import Modes
from neuroflux.sim.bybit.names import CATEGORIES, Names
from neuroflux.sim.bybit.orders import Orders
from neuroflux.sim.bybit.private import Private
from neuroflux.sim.bybit.public import Public
from neuroflux.sim.bybit.queries import Queries
from neuroflux.sim.bybit.rest import PREFIX, BybitRules
from neuroflux.sim.bybit.rights import Rights
from neuroflux.sim.bybit.rows import Rows
from neuroflux.sim.bybit.sockets import Sockets
from neuroflux.sim.bybit.tickers import Tickers
from neuroflux.sim.bybit.trade import Trade
from neuroflux.sim.bybit.venue import BYBIT, VENUE
from neuroflux.sim.bybit.wire import ApiError, error_answer
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.api import Api, Endpoint
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.streams import Hub


class Bybit:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = (PREFIX,)

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(BYBIT)
        self._signer, limits, hub = Signer(simulation.seed), Limits(), Hub(self._exchange)
        names, texts = Names(self._exchange), BookTexts(self._exchange, Numbers)
        tickers, rows = Tickers(simulation, texts), Rows(simulation, texts)
        books = Books(self._exchange, texts, hub, partial(simulation.now, BYBIT))
        self._hub, self._sockets = hub, Sockets(simulation, hub, limits)
        self._market = Market(simulation, names, texts, tickers, books.number)
        self._public = Public(simulation, hub, names, texts, tickers, books)
        self._orders, self._modes = Orders(simulation, names, rows), Modes(simulation, names)
        self._account, self._ledger = Account(simulation, names, texts), Ledger(simulation)
        self._rights = Rights(simulation, names, self._signer.key)
        self._queries = Queries(simulation, self._orders, rows)
        self._private = Private(simulation, hub, self._signer, rows, self._account)
        self._trade = Trade(simulation, self._signer, limits, self._orders)
        self._orders.on_dead = self._private.ordered
        self._rules = BybitRules(simulation, self._signer, limits, self._orders)
        self._api = Api(simulation, BYBIT, self._rules)
        self.changes: Mapping[str, Callable[[Fault], None]] = {"hedge_mode": self._hedge}

    def _hedge(self, fault: Fault) -> None:
        """Change the account's mode as its owner would; raises UsageError where the exchange refuses it now."""
        try:
            self._modes.set_hedged(is_hedged=fault.value != "false")
        except ApiError as error:
            raise UsageError(error.text) from error

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._market.remember(changes, now)
        self._hub.publish(changes, now)
        self._sockets.close_quiet(now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        """Too many requests of an account are answered with HTTP 200 and a code, those of an address with 403."""
        now = self._simulation.now(BYBIT)
        if status == 429:
            reset = now + 1_000_000 * (1 if retry_after is None else retry_after)
            return error_answer(too_many(limit_headers(10, 0, reset)), now)
        if status == 418:
            return error_answer(banned(retry_after), now)
        return web.Response(
            status=status, text="<html><body>Service Unavailable</body></html>", content_type="text/html"
        )

    def account(self) -> DemoAccount:
        totals = {asset: f"{balance.total:f}" for asset, balance in self._exchange.spot.balances.items()}
        return DemoAccount(BYBIT, self._signer.key, self._signer.secret, "", totals)

    def routes(self) -> list[web.RouteDef]:
        public = [
            web.get(f"{PREFIX}public/{category}", partial(self._public.serve, self._sockets, category))
            for category in CATEGORIES
        ]
        return [
            *(self._api.route(endpoint) for endpoint in (*self._open(), *self._signed())),
            *public,
            web.get(f"{PREFIX}private", partial(self._private.serve, self._sockets)),
            web.get(f"{PREFIX}trade", partial(self._trade.serve, self._sockets)),
        ]

    def _open(self) -> list[Endpoint[Call]]:
        market = self._market
        functions = {
            "market/time": market.time,
            "market/instruments-info": market.instruments,
            "market/orderbook": market.book,
            "market/tickers": market.tickers,
            "market/recent-trade": market.trades,
            "market/kline": market.candles,
            "market/funding/history": market.funding,
            "system/status": market.status,
        }
        return [self._rules.endpoint(path, function, is_open=True) for path, function in functions.items()]

    def _signed(self) -> list[Endpoint[Call]]:
        orders, account, modes, ledger = self._orders, self._account, self._modes, self._ledger
        rights, queries = self._rights, self._queries
        asked = {
            "order/realtime": queries.realtime,
            "order/history": queries.history,
            "execution/list": queries.executions,
            "position/list": account.positions,
            "account/wallet-balance": account.wallet,
            "account/fee-rate": rights.fees,
            "account/info": modes.info,
            "account/transaction-log": ledger.log,
            "user/query-api": rights.key,
            "asset/coin/query-info": ledger.coins,
            "asset/transfer/query-account-coins-balance": ledger.saved,
            "asset/transfer/query-inter-transfer-list": ledger.transfers,
            "asset/deposit/query-record": ledger.deposits,
            "asset/withdraw/query-record": ledger.withdrawals,
        }
        done = {
            "order/create": orders.place,
            "order/cancel": orders.cancel,
            "order/cancel-all": orders.cancel_all,
            "position/set-leverage": modes.set_leverage,
            "position/switch-mode": modes.switch,
            "asset/transfer/inter-transfer": ledger.transfer,
        }
        return [
            *(self._rules.endpoint(path, function) for path, function in asked.items()),
            *(self._rules.endpoint(path, function, "POST") for path, function in done.items()),
        ]
