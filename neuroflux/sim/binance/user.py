"""Binance spot's WebSocket API: requests by socket, and the account's events for those who subscribed with a signature.

Source: https://developers.binance.com/docs/binance-spot-api-docs/websocket-api and …/user-data-stream
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
from aiohttp import web
from msgspec import Struct

from neuroflux.sim.binance.order_queries import state_of
from neuroflux.sim.binance.rest import Function, MarketData
from neuroflux.sim.binance.spot_orders import SpotOrderApi, order_type, time_in_force
from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.binance.wire import ApiError, Limits, Params, Signer, amount, fault_error, integer_of
from neuroflux.sim.core.connection import PRIVATE, Connection
from neuroflux.sim.core.faults import HTTP_FAULTS
from neuroflux.sim.core.orders import AccountEvent, OrderEvent, Reason, Rejected, TransferEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text

_KINDS = {"new": "NEW", "trade": "TRADE", "canceled": "CANCELED", "expired": "EXPIRED"}


class Method(Struct, frozen=True):
    """One method of the WebSocket API."""

    function: Function
    weight: int
    is_signed: bool = False
    is_order: bool = False


class UserApi:
    """Serves ``/ws-api/v3``."""

    def __init__(
        self,
        simulation: Simulation,
        signer: Signer,
        limits: Limits,
        order_api: SpotOrderApi,
        market: MarketData,
        refusals: Callable[[Reason], ApiError],
    ) -> None:
        self._simulation = simulation
        self._signer = signer
        self._limits = limits
        self._refusals = refusals
        self._followers: dict[Connection, list[int]] = {}
        self._executions = 0
        simulation.exchange(BINANCE).listeners.append(self._on_event)
        self._methods = {
            "ping": Method(market.ping, 1),
            "time": Method(market.time, 1),
            "depth": Method(market.depth, 5),
            "ticker.book": Method(market.book_ticker, 2),
            "order.place": Method(order_api.place, 1, is_signed=True, is_order=True),
            "order.test": Method(order_api.test, 1, is_signed=True),
            "order.status": Method(order_api.query, 4, is_signed=True),
            "order.cancel": Method(order_api.cancel, 1, is_signed=True),
            "openOrders.status": Method(order_api.open_orders, 6, is_signed=True),
            "openOrders.cancelAll": Method(order_api.cancel_all, 1, is_signed=True),
            "account.status": Method(order_api.account, 20, is_signed=True),
            "myTrades": Method(order_api.my_trades, 20, is_signed=True),
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One client's socket."""
        connection = self._simulation.connection(BINANCE)
        connection.wrap = lambda name, text: f'{{"event":{text}}}'

        async def on_text(text: str) -> None:
            reply = self._handle(connection, text)
            if reply is not None:
                connection.reply(json_text(reply))

        try:
            return await connection.run(request, on_text)
        finally:
            self._followers.pop(connection, None)
            self._simulation.leave(connection)

    def _handle(self, connection: Connection, text: str) -> dict[str, object] | None:
        number: object = None
        try:
            message = msgspec.json.decode(text, type=dict[str, object])
            number = message.get("id")
            given = message.get("params") or {}
            params = {name: _text(value) for name, value in given.items()} if isinstance(given, dict) else {}
            result = self._call(connection, str(message.get("method")), params)
        except msgspec.DecodeError:
            return self._error(number, ApiError(-1135, "Invalid JSON Request"))
        except Rejected as error:
            return self._error(number, self._refusals(error.reason))
        except ApiError as error:
            return self._error(number, error)
        if result is None:
            return None
        return {"id": number, "status": 200, "result": result, "rateLimits": self._rate_limits()}

    def _call(self, connection: Connection, name: str, params: Params) -> object | None:
        """The result; None for an answer that a fault keeps back."""
        now = self._simulation.now(BINANCE)
        for fault, status in HTTP_FAULTS.items():
            if self._simulation.faults.take(BINANCE, fault):
                raise fault_error(BINANCE, status, now)
        if name == "userDataStream.subscribe.signature":
            return self._subscribe(connection, params, now)
        if name == "userDataStream.unsubscribe":
            return self._unsubscribe(connection, params)
        method = self._methods.get(name)
        if method is None:
            raise ApiError(-1104, f"Unknown method '{name}'.")
        self._limits.spend(method.weight, now)
        if method.is_signed:
            self._signer.check_socket(params, now)
        if not method.is_order:
            return method.function(params, now)
        self._limits.count_order(now)
        result = method.function(params, now)
        return None if self._simulation.faults.take(BINANCE, "accept_then_timeout") else result

    def _rate_limits(self) -> list[dict[str, object]]:
        weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return [{**weight, "limit": self._limits.weight.most, "count": self._limits.weight.used}]

    def _error(self, number: object, error: ApiError) -> dict[str, object]:
        body: dict[str, object] = {"code": error.code, "msg": error.text}
        if error.retry_after:
            now = self._simulation.now(BINANCE) // 1000
            body["data"] = {"serverTime": now, "retryAfter": now + error.retry_after * 1000}
        return {"id": number, "status": error.status, "error": body, "rateLimits": self._rate_limits()}

    # --- events

    def _subscribe(self, connection: Connection, params: Params, now: int) -> object:
        self._limits.spend(2, now)
        self._signer.check_socket(params, now)
        subscriptions = self._followers.setdefault(connection, [])
        subscriptions.append(subscriptions[-1] + 1 if subscriptions else 0)
        return {"subscriptionId": subscriptions[-1]}

    def _unsubscribe(self, connection: Connection, params: Params) -> object:
        subscriptions = self._followers.get(connection, [])
        if not params.get("subscriptionId"):
            subscriptions.clear()
        elif integer_of(params, "subscriptionId") in subscriptions:
            subscriptions.remove(integer_of(params, "subscriptionId"))
        return {}

    def check_expiry(self) -> None:
        """End every subscription when the fault strikes."""
        if any(self._followers.values()) and self._simulation.faults.take(BINANCE, "listen_key_expired"):
            self._send({"e": "eventStreamTerminated", "E": self._simulation.now(BINANCE) // 1000})
            self._followers.clear()

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent):
            self._executions += 1
            if any(self._followers.values()):
                self._send(self._execution(event))
                self._send(self._position(event.time, self._assets(event)))
        elif isinstance(event, TransferEvent):
            self._send(self._moved(event))
            self._send(self._position(event.time, [event.asset]))

    def _send(self, event: dict[str, object]) -> None:
        for connection, subscriptions in self._followers.items():
            for number in subscriptions:
                connection.send(json_text({"subscriptionId": number, "event": event}), stream=PRIVATE, is_private=True)

    def _execution(self, event: OrderEvent) -> dict[str, object]:
        order, fill, now = event.order, event.fill, self._simulation.now(BINANCE) // 1000
        is_cancel = event.kind == "canceled"
        return {
            "e": "executionReport",
            "E": now,
            "s": order.listing.symbol,
            "c": event.cancel_id if is_cancel else order.client_order_id,
            "S": order.ask.side.upper(),
            "o": order_type(order),
            "f": time_in_force(order),
            "q": amount(order.quantity),
            "p": amount(order.ask.price or Decimal(0)),
            "P": "0.00000000",
            "F": "0.00000000",
            "g": -1,
            "C": order.client_order_id if is_cancel else "",
            "x": _KINDS[event.kind],
            "X": state_of(self._simulation, order),
            "r": "NONE",
            "i": order.order_id,
            "l": amount(fill.quantity if fill else Decimal(0)),
            "z": amount(order.filled),
            "L": amount(fill.price if fill else Decimal(0)),
            "n": amount(fill.fee) if fill else "0",
            "N": fill.fee_asset if fill else None,
            "T": event.time // 1000,
            "t": fill.trade_id if fill else -1,
            "I": self._executions,
            "w": order.is_open,
            "m": bool(fill and fill.is_maker),
            "M": False,
            "O": order.created // 1000,
            "Z": amount(order.value_filled),
            "Y": amount(fill.price * fill.quantity if fill else Decimal(0)),
            "Q": amount(order.ask.value),
            "W": order.created // 1000,
            "V": "NONE",
        }

    @staticmethod
    def _assets(event: OrderEvent) -> list[str]:
        """Those that an event may have changed: of the instrument, and what its fee was paid in."""
        listing, fees = event.order.listing, [event.fill.fee_asset] if event.fill else []
        return list(dict.fromkeys((listing.base_asset, listing.quote, *fees)))

    def _moved(self, event: TransferEvent) -> dict[str, object]:
        """A deposit or a withdrawal: the difference, beside the balance itself that follows."""
        now, delta = self._simulation.now(BINANCE) // 1000, amount(event.amount)
        return {"e": "balanceUpdate", "E": now, "a": event.asset, "d": delta, "T": event.time // 1000}

    def _position(self, time: int, assets: Sequence[str]) -> dict[str, object]:
        spot = self._simulation.exchange(BINANCE).spot
        return {
            "e": "outboundAccountPosition",
            "E": self._simulation.now(BINANCE) // 1000,
            "u": time // 1000,
            "B": [
                {"a": asset, "f": amount(spot.of(asset).free), "l": amount(spot.of(asset).locked)} for asset in assets
            ],
        }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
