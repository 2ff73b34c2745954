"""Kraken's ledger: an entry for each asset that a fill, a deposit or a withdrawal moved.

Source: https://docs.kraken.com/api-reference/account-data/get-ledgers-info
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import AccountEvent, Fill, OrderEvent, TransferEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kraken.lists import page, within
from neuroflux.sim.kraken.names import asset_altname, asset_key, hashed_name
from neuroflux.sim.kraken.order_texts import exec_id
from neuroflux.sim.kraken.pairs import asset_decimals
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import ApiError, Json, Params, fixed, seconds, text, texts


class Entry(Struct, frozen=True):
    """``amount`` is the change before the fee, ``balance`` the new total; ``time`` in µs."""

    name: str
    reference: str
    kind: str
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal
    time: int


class Ledger:
    """Keeps every entry, oldest first. ``listeners`` are called with each new one."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(KRAKEN)
        self.entries: dict[str, Entry] = {}
        self.listeners: list[Callable[[Entry], None]] = []
        self._exchange.listeners.append(self._on_event)

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent) and event.fill is not None:
            self._add_fill(event.fill)
        elif isinstance(event, TransferEvent):
            kind = "deposit" if event.amount > 0 else "withdrawal"
            name = hashed_name("L", kind, event.asset, event.time, len(self.entries))
            self._add(name, hashed_name("F", name), kind, event.asset, event.amount, ZERO, event.time)

    def _add_fill(self, fill: Fill) -> None:
        name, sign = exec_id(fill), 1 if fill.side == "buy" else -1
        moved = {"base": fill.quantity * sign, "quote": -fill.price * fill.quantity * sign}
        for part, asset in (("base", fill.listing.base_asset), ("quote", fill.listing.quote)):
            fee = fill.fee if fill.fee_asset == asset else ZERO
            self._add(hashed_name("L", name, part), name, "trade", asset, moved[part], fee, fill.time)

    def _add(self, name: str, reference: str, kind: str, asset: str, amount: Decimal, fee: Decimal, time: int) -> None:
        entry = Entry(name, reference, kind, asset, amount, fee, self._exchange.spot.of(asset).total, time)
        self.entries[name] = entry
        for listener in self.listeners:
            listener(entry)

    # --- endpoints

    def ledgers(self, params: Params, _: int) -> Json:
        """Newest first; ``asset`` and ``type`` choose."""
        wanted, kind = texts(params, "asset"), text(params, "type", "all")
        is_within = within(params, lambda name: self.entries[name].time if name in self.entries else None)
        found = [
            entry
            for entry in reversed(self.entries.values())
            if (not wanted or wanted == ["all"] or not _names(entry.asset).isdisjoint(wanted))
            and kind in ("all", entry.kind)
            and is_within(entry.time)
        ]
        rows = {entry.name: _row(entry) for entry in page(self._simulation, found, params)}
        return {"ledger": rows, "count": len(found)}

    def query_ledgers(self, params: Params, _: int) -> Json:
        names = texts(params, "id")
        if not names or not self.entries.keys() >= set(names):
            raise ApiError("EGeneral:Invalid arguments:id")
        return {name: _row(self.entries[name]) for name in names}


def _names(asset: str) -> set[str]:
    return {asset, asset_key(asset), asset_altname(asset)}


def _row(entry: Entry) -> Json:
    digits = asset_decimals(entry.asset)
    return {
        "refid": entry.reference,
        "time": seconds(entry.time),
        "type": entry.kind,
        "subtype": "",
        "aclass": "currency",
        "asset": asset_key(entry.asset),
        "amount": fixed(entry.amount, digits),
        "fee": fixed(entry.fee, digits),
        "balance": fixed(entry.balance, digits),
    }
