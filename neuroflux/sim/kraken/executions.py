"""The account's channels of Kraken's socket: ``executions``, one row a frame, and ``balances``, an entry of the ledger.

Source: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/executions and balances
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import AccountEvent, Fill, Order, OrderEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.streams import Channel, Hub
from neuroflux.sim.kraken.frames import frame
from neuroflux.sim.kraken.ledger import Entry, Ledger
from neuroflux.sim.kraken.names import order_name, symbol_of
from neuroflux.sim.kraken.order_texts import OrderTexts, average, exec_id
from neuroflux.sim.kraken.placing import Terms
from neuroflux.sim.kraken.venue import COST_DECIMALS, KRAKEN
from neuroflux.sim.kraken.wire import Json, fixed, lexeme, timestamp

FIRST_FILLS = 50
PRIVATE = Channel(is_private=True)
_TRANSITIONS = ("new", "filled", "canceled", "expired")
"""What is sent where ``order_status`` is false."""


class View(Struct, frozen=True):
    """How one socket wants its executions: every transition or few, with the counter of a pair or without."""

    all_transitions: bool = True
    counter: Callable[[str], float] | None = None

    def shows(self, row: Json) -> bool:
        return self.all_transitions or row["exec_type"] in _TRANSITIONS


class Executions:
    """Writes the rows of both channels, and sends them to the streams that ``views`` has by their names."""

    def __init__(self, simulation: Simulation, texts: OrderTexts, ledger: Ledger, hub: Hub) -> None:
        self._simulation, self._exchange, self._texts, self._hub = simulation, simulation.exchange(KRAKEN), texts, hub
        self.views: dict[str, View] = {}
        self._exchange.listeners.append(self._on_event)
        ledger.listeners.append(self._on_entry)

    # --- events

    def _on_event(self, event: AccountEvent) -> None:
        followed = {name: view for name, view in self.views.items() if self._hub.followers(name)}
        if not followed or not isinstance(event, OrderEvent):
            return
        for row in self._rows(event):
            for name, view in followed.items():
                if view.shows(row):
                    self._hub.send(name, partial(_written, row, view, event.order))

    def _rows(self, event: OrderEvent) -> Iterator[Json]:
        order = event.order
        if event.kind == "new" and order.updated != order.created:
            yield self._amended(order)
        elif event.kind == "new":
            yield self._pending(order)
            yield self._short(order, "new")
        elif event.fill is not None:
            yield self.trade(order, event.fill)
            if order.state == "filled":
                yield self._short(order, "filled") | self._sums(order)
        else:
            kind, reason = self._texts.ended(order), self._texts.reason(order)
            yield self._short(order, kind) | self._sums(order) | {"cancel_reason": reason, "reason": reason}

    def _on_entry(self, entry: Entry) -> None:
        self._hub.send("balances", lambda: frame("balances", "update", [_entry(entry)], sequence=None))

    # --- snapshots

    def snapshot(self, *, orders: bool, trades: bool) -> str:
        """Every open order, then the last fills, oldest first."""
        rows = [self.whole(order) for order in self._exchange.open_orders.values()] if orders else []
        fills = self._exchange.fills()[-FIRST_FILLS:] if trades else []
        rows += [self.trade(self._exchange.orders[fill.order_id], fill) for fill in fills]
        return frame("executions", "snapshot", rows, sequence=None)

    def balances(self) -> str:
        rows = []
        for asset, balance in self._exchange.spot.balances.items():
            total = lexeme(fixed(balance.total, 0))
            wallets = [{"type": "spot", "id": "main", "balance": total}]
            rows.append({"asset": asset, "asset_class": "currency", "balance": total, "wallets": wallets})
        return frame("balances", "snapshot", rows, sequence=None)

    # --- rows

    def _names(self, order: Order, exec_type: str, status: str, time: int) -> Json:
        named = order.ask.client_order_id
        return {
            "timestamp": timestamp(time),
            "order_status": status,
            "exec_type": exec_type,
            "order_userref": self._texts.terms(order).userref or 0,
            **({"cl_ord_id": named} if named else {}),
            "order_id": order_name(order.order_id),
        }

    def _short(self, order: Order, kind: str) -> Json:
        """Neither the symbol nor the sizes: they were in the first row."""
        status = self._simulation.status(order, kind, "reviewed")
        return self._names(order, kind, status, order.updated)

    def _sums(self, order: Order) -> Json:
        fees = sum((fill.fee for fill in order.fills), ZERO)
        numbers = Numbers(order.listing)
        return {
            "cum_qty": lexeme(numbers.quantity_text(order.filled)),
            "cum_cost": lexeme(fixed(order.value_filled, 0)),
            "avg_price": lexeme(average(order, numbers.price_digits)),
            "fee_usd_equiv": lexeme(fixed(fees, 0)),
        }

    def _pending(self, order: Order) -> Json:
        return self._names(order, "pending_new", "pending_new", order.updated) | self._order(order)

    def whole(self, order: Order) -> Json:
        """An open order, in a snapshot."""
        status = "partially_filled" if order.filled else "new"
        written = self._simulation.status(order, status, "reviewed")
        return self._names(order, "new", written, order.updated) | self._order(order) | self._sums(order)

    def _order(self, order: Order) -> Json:
        terms, numbers, ask = self._texts.terms(order), Numbers(order.listing), order.ask
        size = (
            {"cash_order_qty": lexeme(fixed(ask.value, 0))}
            if ask.value
            else {"order_qty": lexeme(numbers.quantity_text(order.quantity))}
        )
        limit = (
            {}
            if ask.price is None
            else {"limit_price": lexeme(numbers.price_text(ask.price)), "limit_price_type": "static"}
        )
        return {
            "symbol": symbol_of(order.listing),
            **size,
            "cum_cost": lexeme("0"),
            "time_in_force": terms.time_in_force,
            "side": ask.side,
            "order_type": order.kind,
            **limit,
            "stop_price": lexeme("0"),
            "fee_usd_equiv": lexeme("0"),
            "fee_ccy_pref": _fee_preference(terms),
            **({"post_only": True} if ask.time_in_force == "POST" else {}),
            **({"expire_time": timestamp(terms.end)} if terms.end else {}),
        }

    def trade(self, order: Order, fill: Fill) -> Json:
        """The fill that completes an order says that it is filled in part: a row of its own says the rest."""
        numbers = Numbers(order.listing)
        return {
            **self._names(order, "trade", "partially_filled", fill.time),
            "exec_id": exec_id(fill),
            "trade_id": fill.trade_id,
            "symbol": symbol_of(order.listing),
            "side": fill.side,
            "order_type": order.kind,
            "last_qty": lexeme(numbers.quantity_text(fill.quantity)),
            "last_price": lexeme(numbers.price_text(fill.price)),
            "liquidity_ind": "m" if fill.is_maker else "t",
            "cost": lexeme(fixed(fill.price * fill.quantity, 0)),
            **self._sums(order),
            "fees": [{"asset": fill.fee_asset, "qty": lexeme(fixed(fill.fee, COST_DECIMALS))}],
        }

    def _amended(self, order: Order) -> Json:
        numbers = Numbers(order.listing)
        return {
            **self._names(order, "amended", "partially_filled" if order.filled else "new", order.updated),
            "amended": True,
            "symbol": symbol_of(order.listing),
            "order_qty": lexeme(numbers.quantity_text(order.quantity)),
            "limit_price": lexeme(numbers.price_text(order.ask.price or ZERO)),
            "reason": "User requested",
            **self._sums(order),
        }


def _fee_preference(terms: Terms) -> str:
    return "fcib" if "fcib" in terms.flags else "fciq"


def _written(row: Json, view: View, order: Order) -> str:
    if view.counter is not None:
        row = row | {"ratecount": round(view.counter(order.listing.symbol))}
    return frame("executions", "update", [row], sequence=None)


def _entry(entry: Entry) -> Json:
    return {
        "ledger_id": entry.name,
        "ref_id": entry.reference,
        "timestamp": timestamp(entry.time),
        "type": entry.kind,
        "asset": entry.asset,
        "asset_class": "currency",
        "category": entry.kind,
        "wallet_type": "spot",
        "wallet_id": "main",
        "amount": lexeme(fixed(entry.amount, 0)),
        "fee": lexeme(fixed(entry.fee, 0)),
        "balance": lexeme(fixed(entry.balance, 0)),
    }
