"""mintex in the simulator, written independently of the adapter: it measures how many lines the kit leaves to one."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.core.coins import PRICES, Listing
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.keys import secret_bytes
from neuroflux.sim.core.orders import AccountEvent, Ask, Fill, Order, OrderEvent, Reason, Rejected
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_answer, json_text
from neuroflux.sim.kit.api import Access, Api, Asked, Endpoint, JsonRules
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.limits import Recent
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.streams import Channel, Hub, Unsent

MINTEX = "mintex"
CONTRACT = Decimal("0.01")
SECOND = 1_000_000
_CODES = {
    Reason.PRICE_STEP: "1001",
    Reason.QUANTITY_STEP: "1002",
    Reason.QUANTITY_LIMIT: "1003",
    Reason.NOTIONAL: "1004",
    Reason.BALANCE: "1005",
    Reason.DUPLICATE: "1006",
    Reason.WOULD_MATCH: "1007",
    Reason.UNKNOWN_ORDER: "1008",
    Reason.HALTED: "1009",
    Reason.FAULT: "1010",
    Reason.UNKNOWN_CODE: "9999",
}
Params = dict[str, str]
Function = Callable[[Params, int], object]


def _listing(base: str, tick: str, lot: str) -> Listing:
    fees = Decimal("0.001"), Decimal("0.0008")
    steps = Decimal(tick), Decimal(lot)
    return Listing(MINTEX, f"{base}-USDT", "spot", base, base, "USDT", *steps, PRICES[base], *fees, Decimal(5))


VENUE = Venue(
    id=MINTEX,
    path="/mintex",
    listings=(_listing("BTC", "0.1", "0.001"), _listing("ETH", "0.01", "0.01")),
    price_lag=0.2,
    spot_balances={"USDT": Decimal(20_000), "BTC": Decimal("0.5")},
)


class ApiError(Refused):
    """An error of mintex; ``status`` is HTTP's."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


def _error(code: str, status: int = 400, retry_after: int | None = None) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return json_answer({"code": code, "msg": f"error {code}"}, status, headers)


class Signer:
    """Checks key, passphrase, time and signature."""

    def __init__(self, seed: int) -> None:
        self.key, self.secret, self.passphrase = (
            secret_bytes(seed, MINTEX, name).hex() for name in ("key", "secret", "passphrase")
        )

    def check(self, given: Params, signed: str, now: int) -> None:
        sign = hmac.new(self.secret.encode(), f"{given['time']}{signed}".encode(), "sha256").hexdigest()
        if (given["key"], given["passphrase"], given["sign"]) != (self.key, self.passphrase, sign):
            raise ApiError("2001", 401)
        if abs(now - int(given["time"])) > 5 * SECOND:
            raise ApiError("2002")


class MintexRules(JsonRules[Params]):
    """Implements ``Rules``. New orders, other signed requests and public ones have a bucket each."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._orders, self._account, self._public = (Recent(most, 2 * SECOND) for most in (60, 20, 20))

    async def read(self, request: web.Request) -> Asked[Params]:
        body = await request.text()
        names = ("key", "passphrase", "time", "sign")
        given = {name: request.headers.get(f"MINTEX-{name}", "0") for name in names}
        try:
            params = msgspec.json.decode(body, type=Params) if body else dict(request.query)
        except msgspec.MsgspecError as error:
            raise ApiError("2003") from error
        return Asked({**params, **given}, signed=f"{request.method}{request.raw_path.removeprefix(VENUE.path)}{body}")

    def check(self, endpoint: Endpoint[Params], asked: Asked[Params], now: int) -> None:
        signed = self._orders if endpoint.is_order else self._account
        if not (signed if endpoint.access == "signed" else self._public).add(now):
            raise ApiError("2429", 429)
        if endpoint.access == "signed":
            self._signer.check(asked.params, asked.signed, now)

    def refuse(self, error: Refused) -> web.Response:
        if isinstance(error, Rejected):
            return _error(_CODES[error.reason])
        if not isinstance(error, ApiError):
            raise error
        return _error(error.code, error.status, 2 if error.status == 429 else None)


class MintexDialect:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = (f"{VENUE.path}/v1/",)
    changes: Mapping[str, Callable[[Fault], None]] = {}

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(MINTEX)
        self._signer, self._hub = Signer(simulation.seed), Hub(self._exchange)
        self._api = Api(simulation, MINTEX, MintexRules(self._signer))
        self._texts = BookTexts(self._exchange, _in_contracts)
        self._sent = Counter[str]()
        self._exchange.listeners.append(self._on_event)
        self._channels = {
            "quotes": Channel(top=self._quote),
            "trades": Channel(trades=self._trades),
            "books": Channel(first=self._snapshot, levels=self._update, is_depth=True),
        }

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._hub.publish(changes, now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return _error("2429" if status == 429 else "5000", status, retry_after)

    def account(self) -> DemoAccount:
        totals = {asset: f"{balance.total:f}" for asset, balance in self._exchange.spot.balances.items()}
        return DemoAccount(MINTEX, self._signer.key, self._signer.secret, "", totals, self._signer.passphrase)

    def routes(self) -> list[web.RouteDef]:
        return [
            *(self._api.route(_endpoint(*one)) for one in self._endpoints()),
            web.get(f"{VENUE.path}/public", partial(self._serve, self._subscribe)),
            web.get(f"{VENUE.path}/private", partial(self._serve, self._login)),
        ]

    def _endpoints(self) -> list[tuple[str, str, Function, Access]]:
        return [
            ("GET", "time", lambda params, now: {"time": now // 1000}, "open"),
            ("GET", "instruments", lambda params, now: [*map(_row, self._exchange.listings.values())], "open"),
            ("GET", "balances", lambda params, now: self._balances(now), "signed"),
            ("GET", "orders", self._orders, "signed"),
            ("GET", "fills", self._fills, "signed"),
            ("GET", "order", lambda params, now: self._order(self._find(params)), "signed"),
            ("DELETE", "order", self._cancel, "signed"),
            ("POST", "order", self._place, "signed"),
        ]

    # --- orders

    def _find(self, params: Params) -> Order:
        number = int(params["id"]) if "id" in params else None
        return self._exchange.find(number, params.get("client_id", ""), params["name"])

    def _place(self, params: Params, now: int) -> object:
        side: Any = {"buy": "buy", "sell": "sell"}[params["side"]]
        tif: Any = {"gtc": "GTC", "ioc": "IOC", "fok": "FOK", "post_only": "POST"}[params["tif"]]
        size, price = Decimal(params["size"]) * CONTRACT, Decimal(params["price"]) or None
        ask = Ask(params["name"], side, size, price, tif, params["client_id"])
        order = self._exchange.place(ask, now)
        self._simulation.flush(MINTEX)
        return self._order(order)

    def _cancel(self, params: Params, now: int) -> object:
        order = self._find(params)
        self._exchange.cancel(order, now)
        self._simulation.flush(MINTEX)
        return self._order(order)

    def _orders(self, params: Params, now: int) -> object:
        return [self._order(order) for order in self._exchange.open_orders.values()]

    def _fills(self, params: Params, now: int) -> object:
        fills = self._exchange.fills(params.get("name", ""))
        return [self._fill(fill) for fill in fills if fill.time >= int(params["since"])]

    def _balances(self, now: int) -> object:
        held = self._exchange.spot.balances.items()
        return [{"asset": one, "free": f"{it.free:f}", "locked": f"{it.locked:f}", "time": now} for one, it in held]

    def _order(self, order: Order) -> object:
        return {
            "name": order.listing.symbol,
            "id": str(order.order_id),
            "client_id": order.client_order_id,
            "side": order.ask.side,
            "type": order.kind,
            "price": f"{order.ask.price or 0:f}",
            "size": f"{order.quantity / CONTRACT:f}",
            "filled": f"{order.filled / CONTRACT:f}",
            "average": f"{order.average_price:.8f}",
            "status": self._simulation.status(order, order.state, "suspended"),
            "time": order.updated,
        }

    def _fill(self, fill: Fill) -> object:
        return {
            "name": fill.listing.symbol,
            "id": str(fill.trade_id),
            "order_id": str(fill.order_id),
            "client_id": self._exchange.orders[fill.order_id].client_order_id,
            "side": fill.side,
            "price": f"{fill.price:f}",
            "size": f"{fill.quantity / CONTRACT:f}",
            "fee": f"{fill.fee:f}",
            "fee_asset": fill.fee_asset,
            "role": "maker" if fill.is_maker else "taker",
            "time": fill.time,
        }

    # --- sockets

    async def _serve(self, receive: Callable[[Connection, Any], object], request: web.Request) -> web.StreamResponse:
        connection = self._simulation.connection(MINTEX)

        async def on_text(text: str) -> None:
            try:
                answer = receive(connection, msgspec.json.decode(text))
            except (msgspec.MsgspecError, KeyError, TypeError, ValueError, ApiError) as error:
                answer = {"event": "error", "msg": str(error)}
            connection.reply(json_text(answer))

        try:
            return await connection.run(request, on_text)
        finally:
            self._hub.leave(connection)
            self._simulation.leave(connection)

    def _subscribe(self, connection: Connection, asked: Any) -> object:
        for name in asked["args"]:
            channel, _, symbol = name.partition(":")
            if asked["op"] == "subscribe":
                self._hub.follow(connection, name, symbol, self._channels[channel])
            else:
                self._hub.unfollow(connection, name)
        return {"event": asked["op"]}

    def _login(self, connection: Connection, asked: Any) -> object:
        self._signer.check(asked, "GET/private", self._simulation.now(MINTEX))
        self._hub.follow(connection, "account", "account", Channel(is_private=True))
        return {"event": "login"}

    def _on_event(self, event: AccountEvent) -> None:
        channels = {"balances": self._balances(event.time)}
        if isinstance(event, OrderEvent):
            channels |= {"orders": [self._order(event.order)], "fills": [self._fill(event.fill)] if event.fill else []}
        for channel, rows in channels.items():
            self._hub.send("account", partial(json_text, {"channel": channel, "rows": rows}))

    # --- frames

    def _frame(self, channel: str, symbol: str, last: int, sides: tuple[Any, Any], now: int) -> str:
        body = {"name": symbol, "last": last, "time": now, "bids": sides[0], "asks": sides[1]}
        return json_text({"channel": channel, **body})

    def _quote(self, symbol: str, now: int) -> str:
        sides = self._texts.levels(symbol, 1)
        return self._frame("quotes", symbol, self._exchange.books[symbol].sequence, sides, now)

    def _trades(self, change: Change, now: int) -> Iterable[str]:
        numbers = self._texts.numbers[change.listing.symbol]
        for match in change.matches:
            sizes = {"price": numbers.price(match.price), "size": numbers.quantity(match.quantity)}
            whose = {"name": change.listing.symbol, "time": now, "id": str(match.trade_id), "side": match.side}
            yield json_text({"channel": "trades", **whose, **sizes})

    def _snapshot(self, symbol: str) -> str:
        sides, now = self._texts.levels(symbol, 200), self._simulation.now(MINTEX)
        return self._frame("snapshots", symbol, self._sent[symbol], sides, now)

    def _update(self, symbol: str, unsent: Unsent, now: int) -> str:
        """Numbered without a hole."""
        self._sent[symbol] += 1
        return self._frame("books", symbol, self._sent[symbol], self._texts.changed(symbol, unsent.levels), now)


def _in_contracts(listing: Listing) -> Numbers:
    return Numbers(msgspec.structs.replace(listing, lot=listing.lot / CONTRACT))


def _endpoint(method: str, name: str, function: Function, access: Access) -> Endpoint[Params]:
    """A parameter that is missing or malformed is refused."""

    def answer(params: Params, now: int) -> object:
        try:
            return function(params, now)
        except (KeyError, ValueError, ArithmeticError) as error:
            raise ApiError("2003") from error

    return Endpoint(method, f"{VENUE.path}/v1/{name}", answer, access=access, is_order=method == "POST")


def _row(listing: Listing) -> object:
    return {
        "name": listing.symbol,
        "base": listing.base_asset,
        "quote": listing.quote,
        "tick": f"{listing.tick:f}",
        "lot": f"{listing.lot / CONTRACT:f}",
        "min_notional": f"{listing.min_notional:f}",
        "taker": f"{listing.taker_fee:f}",
        "maker": f"{listing.maker_fee:f}",
        "open": True,
    }
