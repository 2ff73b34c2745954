"""OKX's dialect: its paths, and how it reads, checks and answers requests.

Source: https://www.okx.com/docs-v5/en/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.matching import Sequence as Numbers
from neuroflux.sim.core.orders import Rejected
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_answer
from neuroflux.sim.kit.api import Access, Api, Asked, Endpoint, JsonRules
from neuroflux.sim.kit.streams import Hub
from neuroflux.sim.okx.account import AccountMode, AccountRows
from neuroflux.sim.okx.asks import Asks
from neuroflux.sim.okx.bills import Bills
from neuroflux.sim.okx.instruments import Instruments
from neuroflux.sim.okx.limits import Limits
from neuroflux.sim.okx.market import Market
from neuroflux.sim.okx.orders import Orders
from neuroflux.sim.okx.private import PrivateChannels
from neuroflux.sim.okx.public import PublicChannels
from neuroflux.sim.okx.settings import Settings
from neuroflux.sim.okx.signing import Signer
from neuroflux.sim.okx.socket import Sockets
from neuroflux.sim.okx.venue import OKX, VENUE
from neuroflux.sim.okx.wire import REASONS, ApiError, Credentials, Params, envelope, ms, number, outcome

PREFIX = f"{VENUE.path}/api/v5/"
_ORDERS = ("trade/order", "trade/batch-orders")
_OPERATIONS = (
    *_ORDERS,
    *(f"trade/{name}" for name in ("cancel-order", "cancel-batch-orders", "amend-order", "amend-batch-orders")),
)
Function = Callable[[Params, int], object]
Way = tuple[str, str, Function, Access]


class OkxRules(JsonRules[Params]):
    """Implements ``Rules``. Orders are counted by instrument where they are placed."""

    def __init__(self, simulation: Simulation, signer: Signer, limits: Limits) -> None:
        self._simulation, self._signer, self._limits = simulation, signer, limits

    async def read(self, request: web.Request) -> Asked[Params]:
        body, headers = await request.text(), request.headers
        names = ("KEY", "SIGN", "TIMESTAMP", "PASSPHRASE")
        key, sign, timestamp, passphrase = (headers.get(f"OK-ACCESS-{name}", "") for name in names)
        credentials = Credentials(key, sign, timestamp, passphrase, headers.get("x-simulated-trading", ""))
        signed = f"{request.method}{request.raw_path.removeprefix(VENUE.path)}{body}"
        decoded = _body(request, body) if request.method == "POST" else dict(request.query)
        values, rows = (decoded, ()) if isinstance(decoded, dict) else ({}, decoded)
        return Asked(Params(values, rows, credentials, headers.get("expTime", "")), signed=signed)

    def check(self, endpoint: Endpoint[Params], asked: Asked[Params], now: int) -> None:
        name = endpoint.path.removeprefix(PREFIX)
        if endpoint.access == "signed":
            self._signer.check(asked.params.credentials, asked.signed, now)
        if endpoint.method == "GET" or name not in _OPERATIONS:
            part = asked.params.text("instType") if name.endswith("instruments") else ""
            self._limits.count(f"{name} query" if name in _OPERATIONS else name, part, now)

    def is_placed(self, body: Any) -> bool:
        return any(row["sCode"] == "0" for row in body)

    def answer(self, endpoint: Endpoint[Params], body: Any) -> web.Response:
        if endpoint.method == "POST" and endpoint.path.removeprefix(PREFIX) in _OPERATIONS:
            return json_answer(outcome(body, self._simulation.now(OKX)))
        return json_answer(envelope(body))

    def refuse(self, error: Refused) -> web.Response:
        if isinstance(error, Rejected):
            return json_answer(envelope([], *REASONS[error.reason]))
        if not isinstance(error, ApiError):
            raise error
        return json_answer(envelope([], error.code, error.text), error.status)


def _body(request: web.Request, body: str) -> dict[str, Any] | list[Any]:
    """Raises ApiError."""
    if request.content_type != "application/json":
        raise ApiError("50006", 'Invalid Content-Type. Please use "application/JSON".', 400)
    try:
        return msgspec.json.decode(body or "{}", type=dict[str, Any] | list[Any])
    except msgspec.DecodeError as error:
        raise ApiError("50002", "JSON syntax error", 400) from error


def failure(status: int, retry_after: int | None = None) -> web.Response:
    """One that is banned meets Cloudflare, which writes no JSON."""
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    if status == 418:
        page = "<html><title>Access denied | Cloudflare</title>error code: 1015</html>"
        return web.Response(status=403, text=page, content_type="text/html", headers=headers)
    code, text = ("50011", "Too Many Requests") if status == 429 else ("50001", "Service temporarily unavailable.")
    return json_answer(envelope([], code, text), status, headers)


class Okx:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = (PREFIX,)

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(OKX)
        self._signer, self._hub, limits = Signer(simulation.seed), Hub(self._exchange), Limits()
        mode = AccountMode(simulation.faults)
        instruments, self._bills = Instruments(self._exchange), Bills(self._exchange)
        self._market = Market(simulation, instruments)
        rows = AccountRows(simulation, self._bills, mode)
        self._orders = Orders(simulation, instruments, Asks(self._exchange, self._market, mode), rows, limits)
        self._settings = Settings(simulation, instruments, rows, self._bills, mode)
        channels = (
            PublicChannels(simulation, self._market),
            PrivateChannels(simulation, self._hub, rows, self._bills),
        )
        self._sockets = Sockets(simulation, self._hub, channels, self._orders, self._signer)
        self._api = Api(simulation, OKX, OkxRules(simulation, self._signer, limits))
        self.changes: Mapping[str, Callable[[Fault], None]] = {
            "hedge_mode": self._settings.hedge,
            "sequence_reset": self._reset,
        }

    def _reset(self, fault: Fault) -> None:
        """The numbers of a book begin anew, as after maintenance."""
        book = self._exchange.books[self._market.instruments.listing(fault.symbol).symbol]
        book.updates = Numbers(1_000)

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._market.remember(changes, now)
        self._hub.publish(changes, now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return failure(status, retry_after)

    def account(self) -> DemoAccount:
        totals = {asset: number(self._bills.cash(asset)) for asset in sorted(self._exchange.spot.balances)}
        return DemoAccount(OKX, self._signer.key, self._signer.secret, "", totals, self._signer.passphrase)

    def routes(self) -> list[web.RouteDef]:
        endpoints = [*self._public(), *self._trading(), *self._account()]
        return [*(self._api.route(_endpoint(*one)) for one in endpoints), *self._sockets.routes()]

    def _public(self) -> list[Way]:
        market, instruments = self._market, self._market.instruments
        questions: dict[str, Function] = {
            "public/time": lambda params, now: [{"ts": ms(now)}],
            "public/instruments": lambda asked, now: instruments.rows(asked.needed("instType"), asked.text("instId")),
            "public/funding-rate": market.funding_rates,
            "public/mark-price": market.marks,
            "public/price-limit": market.price_limit,
            "market/books": market.books,
            "market/ticker": market.one_ticker,
            "market/tickers": market.tickers,
            "market/trades": market.trades,
            "market/candles": market.candles,
            "market/history-candles": market.candles,
            "market/index-tickers": market.indexes,
            "system/status": lambda params, now: [],
        }
        return [("GET", name, function, "open") for name, function in questions.items()]

    def _trading(self) -> list[Way]:
        orders = self._orders
        operations: dict[str, Function] = {
            "trade/order": orders.one(orders.place),
            "trade/batch-orders": orders.many(orders.place),
            "trade/cancel-order": orders.one(orders.cancel),
            "trade/cancel-batch-orders": orders.many(orders.cancel),
            "trade/amend-order": orders.one(orders.amend),
            "trade/amend-batch-orders": orders.many(orders.amend),
        }
        questions: dict[str, Function] = {
            "trade/order": orders.query,
            "trade/orders-pending": orders.pending,
            "trade/orders-history": orders.history,
            "trade/orders-history-archive": orders.history,
            "trade/fills": orders.fills,
            "trade/fills-history": orders.old_fills,
        }
        return [
            *(("POST", name, function, "signed") for name, function in operations.items()),
            *(("GET", name, function, "signed") for name, function in questions.items()),
        ]

    def _account(self) -> list[Way]:
        settings = self._settings
        questions: dict[str, Function] = {
            "account/balance": settings.balance,
            "account/positions": settings.positions,
            "account/bills": settings.bills,
            "account/bills-archive": settings.bills,
            "account/config": settings.config,
            "account/instruments": settings.instruments,
            "account/leverage-info": settings.leverage,
            "account/trade-fee": settings.trade_fee,
            "asset/balances": settings.funding,
            "asset/currencies": settings.currencies,
            "asset/transfer-state": settings.transfer_state,
            "asset/deposit-history": lambda params, now: [],
            "asset/withdrawal-history": lambda params, now: [],
            "trade/account-rate-limit": settings.rate_limit,
        }
        commands: dict[str, Function] = {
            "account/set-leverage": settings.set_leverage,
            "account/set-position-mode": settings.set_position_mode,
            "asset/transfer": settings.transfer,
        }
        return [
            *(("GET", name, function, "signed") for name, function in questions.items()),
            *(("POST", name, function, "signed") for name, function in commands.items()),
        ]


def _endpoint(method: str, name: str, function: Function, access: Access) -> Endpoint[Params]:
    return Endpoint(method, f"{PREFIX}{name}", function, access=access, is_order=method == "POST" and name in _ORDERS)
