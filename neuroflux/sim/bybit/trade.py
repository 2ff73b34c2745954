"""Bybit's socket of orders: login, then the requests of HTTP with the same counters.

Source: https://bybit-exchange.github.io/docs/v5/websocket/trade/guideline
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

from neuroflux.sim.bybit.credentials import Limits, Signer, check_time
from neuroflux.sim.bybit.orders import Orders
from neuroflux.sim.bybit.sockets import Sockets
from neuroflux.sim.bybit.venue import BYBIT
from neuroflux.sim.bybit.wire import ApiError, Json, refusal
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.orders import Rejected
from neuroflux.sim.core.simulation import Simulation

_LONGEST = 36
_TOO_MANY = 10006


class Trade:
    """The sockets on which orders may be placed. ``_logins`` has the ids that each has used."""

    def __init__(self, simulation: Simulation, signer: Signer, limits: Limits, orders: Orders) -> None:
        self._simulation, self._signer, self._limits, self._orders = simulation, signer, limits, orders
        self._logins: dict[Connection, set[str]] = {}
        self._functions = {"order.create": orders.place, "order.cancel": orders.cancel}

    async def serve(self, sockets: Sockets, request: web.Request) -> web.StreamResponse:
        return await sockets.serve(partial(self._receive, sockets), self._leave, request)

    def _leave(self, connection: Connection) -> None:
        self._logins.pop(connection, None)

    def _receive(self, sockets: Sockets, connection: Connection, asked: Json) -> Json | None:
        now, op, where = self._simulation.now(BYBIT), asked.get("op"), {"connId": sockets.id_of(connection)}
        if op == "ping":
            return {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(now // 1000)], **where}
        try:
            if op == "auth":
                self._login(connection, asked, now)
                return {"retCode": 0, "retMsg": "OK", "op": "auth", **where}
            data, code, text = self._done(connection, asked, now), 0, "OK"
        except ApiError as error:
            data, code, text = {}, 10429 if error.code == _TOO_MANY else error.code, error.text
        if op == "auth":
            return {"retCode": code, "retMsg": text, "op": "auth", **where}
        if op == "order.create" and not code and self._is_lost(data):
            return None
        head = {"Timenow": str(now // 1000), **self._headers(op, now), "Traceid": f"{now:032x}"}
        answer = {"reqId": asked.get("reqId", ""), "retCode": code, "retMsg": text, "op": op or "", "data": data}
        return {**answer, "retExtInfo": {}, "header": head, **where}

    def _is_lost(self, data: Json) -> bool:
        faults = self._simulation.faults
        return self._orders.is_placed(data) and faults.take(BYBIT, "accept_then_timeout") is not None

    def _headers(self, op: object, now: int) -> dict[str, str]:
        return self._limits.headers(str(op).replace(".", "/"), now)

    def _login(self, connection: Connection, asked: Json, now: int) -> None:
        if connection in self._logins:
            raise ApiError(20001, "Repeat auth")
        self._signer.check_login(asked.get("args"), now)
        self._logins[connection] = set()

    def _done(self, connection: Connection, asked: Json, now: int) -> Json:
        """The result; raises ApiError."""
        op, number, args = asked.get("op"), asked.get("reqId", ""), asked.get("args")
        if connection not in self._logins:
            raise ApiError(10003, "Please auth first")
        if not isinstance(op, str) or op not in self._functions:
            raise ApiError(10404, f"op type {op} is not found")
        self._check_number(connection, number)
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise ApiError(10001, "params error: args invalid")
        header = {} if not isinstance(header := asked.get("header"), dict) else header
        check_time(header.get("X-BAPI-TIMESTAMP", ""), header.get("X-BAPI-RECV-WINDOW", ""), now)
        category = str(args[0].get("category"))
        self._limits.count(op.replace(".", "/"), category, now)
        try:
            return self._functions[op](args[0], now)
        except Rejected as error:
            raise refusal(error.reason, category) from error

    def _check_number(self, connection: Connection, number: object) -> None:
        if not isinstance(number, str) or len(number) > _LONGEST:
            raise ApiError(10001, "params error: reqId invalid")
        if number and number in self._logins[connection]:
            raise ApiError(20006, "reqId is duplicated")
        self._logins[connection].add(number)
