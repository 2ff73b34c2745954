"""Orders by Kraken's socket: the same as over REST, each message with a token.

Source: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/add_order, batch_add, cancel_order
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from neuroflux.sim.core.orders import Order, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kraken.keys import Account
from neuroflux.sim.kraken.names import order_name
from neuroflux.sim.kraken.order_api import MOST_CANCELS, OrderApi, amend_id
from neuroflux.sim.kraken.orders import Desk
from neuroflux.sim.kraken.placing import Wanted, from_socket
from neuroflux.sim.kraken.refusals import error_text
from neuroflux.sim.kraken.rules import CALLER
from neuroflux.sim.kraken.sessions import Session
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import ApiError, Json, Params, invalid, texts


class OrderMessages:
    """Answers each message; ``methods`` by their names take the session, the message, its parameters and the time."""

    def __init__(self, simulation: Simulation, desk: Desk, api: OrderApi) -> None:
        self._faults, self._desk, self._api = simulation.faults, desk, api
        self.methods: Final[dict[str, Callable[[Session, Params, Params, Account, int], None]]] = {
            "add_order": self._add,
            "amend_order": self._amend,
            "edit_order": self._edit,
            "cancel_order": self._cancel,
            "cancel_all": self._cancel_all,
            "cancel_all_orders_after": self._cancel_after,
            "batch_add": self._batch_add,
            "batch_cancel": self._batch_cancel,
        }

    def _add(self, session: Session, asked: Params, params: Params, account: Account, now: int) -> None:
        wanted, order = self._desk.add(account, from_socket(params), now)
        if order is None or not self._faults.take(KRAKEN, "accept_then_timeout"):
            session.succeed(asked, now, _placed(wanted, order))

    def _amend(self, session: Session, asked: Params, params: Params, account: Account, now: int) -> None:
        order = self._desk.amend(account, params, now)
        session.succeed(asked, now, {"amend_id": amend_id(order), **_named(order)})

    def _edit(self, session: Session, asked: Params, params: Params, account: Account, now: int) -> None:
        old, new = self._desk.edit(account, {**from_socket(params), "txid": params.get("order_id")}, now)
        names = {"order_id": order_name(new.order_id), "original_order_id": order_name(old.order_id)}
        session.succeed(asked, now, names)

    def _cancel(self, session: Session, asked: Params, params: Params, account: Account, now: int) -> None:
        """One answer for each id."""
        by_name = [("order_id", name) for kind in ("order_id", "order_userref") for name in texts(params, kind)]
        ids = by_name + [("cl_ord_id", name) for name in texts(params, "cl_ord_id")]
        if not 1 <= len(ids) <= MOST_CANCELS:
            raise invalid("order_id")
        for kind, name in ids:
            try:
                self._desk.cancel(account, now, *(("", name) if kind == "cl_ord_id" else (name, "")))
            except Rejected as error:
                session.refuse(asked, now, error_text(error))
            else:
                session.succeed(asked, now, {kind: name})

    def _cancel_all(self, session: Session, asked: Params, _: Params, account: Account, now: int) -> None:
        session.succeed(asked, now, {"count": self._desk.cancel_every(account, now)})

    def _cancel_after(self, session: Session, asked: Params, params: Params, _: Account, now: int) -> None:
        session.succeed(asked, now, self._api.cancel_all_after(params, now))

    def _batch_add(self, session: Session, asked: Params, params: Params, account: Account, now: int) -> None:
        rows = params.get("orders")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise invalid("orders")
        common = {name: value for name, value in params.items() if name != "orders"}
        orders = [from_socket({**common, **row}) for row in rows]
        placed = self._desk.add_several(account, orders, common, now)
        if not self._faults.take(KRAKEN, "accept_then_timeout"):
            session.succeed(asked, now, [_batch_row(*one) for one in placed])

    def _batch_cancel(self, session: Session, asked: Params, params: Params, account: Account, now: int) -> None:
        names, clients = texts(params, "orders"), texts(params, "cl_ord_id")
        if not 2 <= len(names) + len(clients) <= MOST_CANCELS:
            raise invalid("orders")
        count = self._api.cancelled({CALLER: account}, now, names, clients)
        session.answer(asked, now, success=True, orders_cancelled=count)


def _named(order: Order) -> Json:
    client = order.ask.client_order_id
    return {"order_id": order_name(order.order_id), **({"cl_ord_id": client} if client else {})}


def _placed(wanted: Wanted, order: Order | None) -> Json:
    userref = wanted.terms.userref
    return {**(_named(order) if order else {}), **({"order_userref": userref} if userref is not None else {})}


def _batch_row(wanted: Wanted, placed: Order | ApiError | Rejected | None) -> Json:
    if isinstance(placed, ApiError | Rejected):
        client = wanted.ask.client_order_id
        error = placed.text if isinstance(placed, ApiError) else error_text(placed)
        return {"error": error, "success": False, **({"cl_ord_id": client} if client else {})}
    return {**_placed(wanted, placed), "success": True}
