"""OKX's private channels: orders, balances and positions, when they change and at intervals.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel and #trading-account-websocket
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from neuroflux.sim.core.orders import AccountEvent, FundingEvent, OrderEvent, TransferEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.streams import Channel, Hub
from neuroflux.sim.okx.account import UID, AccountRows
from neuroflux.sim.okx.bills import Bills
from neuroflux.sim.okx.public import Followed
from neuroflux.sim.okx.venue import OKX
from neuroflux.sim.okx.wire import Json, ms

REGULAR = 5_000_000
"""µs between pushes of the account and of positions without a change."""
KINDS = ("SPOT", "SWAP", "ANY", "MARGIN", "FUTURES", "OPTION")
CHANNELS = ("orders", "account", "positions", "balance_and_position")
_WITH_KIND = ("orders", "positions")


class PrivateChannels:
    """Finds the streams of subscriptions, and sends them what happens. A stream is named by its whole ``arg``."""

    def __init__(self, simulation: Simulation, hub: Hub, rows: AccountRows, bills: Bills) -> None:
        self._simulation, self._hub = simulation, hub
        self._exchange = simulation.exchange(OKX)
        self._rows, self._bills = rows, bills
        self._args: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        self._exchange.listeners.append(self._on_event)

    def find(self, arg: Json) -> list[Followed]:
        """None where there is no such channel."""
        channel = str(arg.get("channel"))
        if channel not in CHANNELS or (channel in _WITH_KIND and arg.get("instType") not in KINDS):
            return []
        if str(arg.get("instId") or self._known()) not in self._exchange.listings:
            return []
        name = json_text(dict(sorted(arg.items())))
        self._args[channel][name] = arg
        return [(name, name, *self._channel(channel, arg))]

    def _known(self) -> str:
        return next(iter(self._exchange.listings))

    def _channel(self, channel: str, arg: Json) -> tuple[Channel, int]:
        if channel == "orders":
            return Channel(is_private=True), 0
        first = partial(self._snapshot, channel)
        if channel == "balance_and_position" or '"0"' in str(arg.get("extraParams", "")):
            return Channel(first=first, is_private=True), 0
        return Channel(first=first, timed=partial(self._regular, channel), is_private=True), REGULAR

    # --- states

    def _state(self, channel: str, arg: Json, now: int) -> list[Json]:
        if channel == "account":
            wanted = [name for name in str(arg.get("ccy", "")).split(",") if name]
            return [self._rows.balance(wanted or self._rows.assets(), now)]
        if channel == "positions":
            return self._rows.positions(now, str(arg["instType"]), str(arg.get("instId", "")))
        positions = [_position(row) for row in self._rows.positions(now)]
        return [self._both("snapshot", self._rows.assets(), positions, [], now)]

    def _snapshot(self, channel: str, name: str) -> str:
        arg, now = msgspec.json.decode(name, type=dict[str, Any]), self._simulation.now(OKX)
        more: Json = (
            {} if channel == "balance_and_position" else {"eventType": "snapshot", "curPage": 1, "lastPage": True}
        )
        return _frame(arg, self._state(channel, arg, now), **more)

    def _regular(self, channel: str, name: str, now: int) -> str:
        arg = msgspec.json.decode(name, type=dict[str, Any])
        rows = self._state(channel, arg, now)
        return _frame(arg, rows, eventType="interval_update", curPage=1, lastPage=True) if rows else ""

    def _both(self, kind: str, assets: Iterable[str], positions: list[Json], trades: list[Json], now: int) -> Json:
        at = ms(now)
        balances = [{"ccy": one, "cashBal": self._rows.cash(one), "uTime": at} for one in assets]
        return {"pTime": at, "eventType": kind, "balData": balances, "posData": positions, "trades": trades}

    # --- events

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent):
            self._ordered(event)
        elif isinstance(event, FundingEvent):
            self._moved([event.listing.quote], event.listing.symbol, event.time)
        elif isinstance(event, TransferEvent):
            self._moved([event.asset], "", event.time)

    def _ordered(self, event: OrderEvent) -> None:
        listing = event.order.listing
        if self._args["orders"]:
            row = self._rows.pushed(event.order, event.fill)
            for name, arg in self._args["orders"].items():
                if arg["instType"] in ("ANY", row["instType"]) and arg.get("instId") in (None, "", listing.symbol):
                    self._hub.send(name, partial(_frame, arg, [row]))
        is_swap, is_buy = listing.kind == "perpetual", event.order.ask.side == "buy"
        assets = [listing.quote if is_swap or is_buy else listing.base_asset]
        if event.fill is not None and not is_swap:
            assets = [listing.base_asset, listing.quote]
        traded = event.fill is not None
        trades = [{"instId": listing.symbol, "tradeId": str(event.fill.trade_id)}] if event.fill else []
        self._moved(assets, listing.symbol if is_swap and traded else "", event.time, trades)

    def _moved(self, assets: list[str], swap: str, now: int, trades: list[Json] | None = None) -> None:
        """These assets changed, and the positions of this swap."""
        for name, arg in self._args["account"].items():
            wanted = str(arg.get("ccy") or ",".join(assets)).split(",")
            if changed := [asset for asset in assets if asset in wanted]:
                self._hub.send(name, partial(self._changed_balances, arg, changed, now))
        for name, arg in self._args["positions"].items() if swap else ():
            if arg["instType"] in ("ANY", "SWAP") and arg.get("instId") in (None, "", swap):
                self._hub.send(name, partial(self._changed_positions, arg, swap, now))
        if swap or trades or trades is None:
            for name, arg in self._args["balance_and_position"].items():
                self._hub.send(name, partial(self._changed_both, arg, assets, swap, trades or [], now))

    def _changed_balances(self, arg: Json, assets: list[str], now: int) -> str:
        rows = [self._rows.balance(assets, now)]
        return _frame(arg, rows, eventType="event_update", curPage=1, lastPage=True)

    def _changed_positions(self, arg: Json, swap: str, now: int) -> str:
        """One that was closed is sent too, once."""
        return _frame(arg, self._of(swap, now), eventType="event_update", curPage=1, lastPage=True)

    def _changed_both(self, arg: Json, assets: list[str], swap: str, trades: list[Json], now: int) -> str:
        positions = [_position(row) for row in self._of(swap, now)]
        kind = "filled" if trades else "transferred"
        return _frame(arg, [self._both(kind, assets, positions, trades, now)])

    def _of(self, swap: str, now: int) -> list[Json]:
        ledger = self._exchange.perpetual
        keys = [key for key, listing in ledger.listings.items() if listing.symbol == swap]
        return [self._rows.position(ledger.listings[key], ledger.positions[key], now) for key in keys]


def _frame(arg: Json, rows: list[Json], **more: object) -> str:
    return json_text({"arg": {**arg, "uid": UID}, **more, "data": rows})


def _position(row: Json) -> Json:
    names = ("posId", "tradeId", "instId", "instType", "mgnMode", "posSide", "pos", "ccy", "posCcy", "avgPx", "uTime")
    return {name: row[name] for name in names}
