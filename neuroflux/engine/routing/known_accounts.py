"""The newest state of the accounts: balances, positions and limits, and the funds that they leave for an order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import Balance, Instrument, InstrumentKind, Microseconds, Position, Side
from neuroflux.engine.markets.conversion import Name, mids
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.leverage import free_for, reducible
from neuroflux.engine.risk.limits import BALANCES_LIFE, NEVER, Seen, bounds_of, reserved, spent_asset
from neuroflux.engine.risk.pool import Pools, Price, amount_in, positions_in
from neuroflux.engine.routing.known_markets import KnownMarkets


class ReportedBalance(Struct, frozen=True, gc=False):
    """A balance, and when it was written to the log."""

    balance: Balance
    written: Microseconds

    @property
    def seen(self) -> Seen:
        return Seen(self.written, self.balance.event_time)


class KnownAccounts(KnownMarkets):
    """Valued with the rates of the markets. ``orders`` are those that may hold funds that a balance can't show yet."""

    def __init__(self) -> None:
        super().__init__()
        self.balances: dict[Name, ReportedBalance] = {}
        self.balances_written: dict[str, Microseconds] = {}
        """When the newest balance of each exchange was written to the log."""
        self.positions: dict[Name, Position] = {}
        self._positions_seen: dict[Name, Seen] = {}
        self._limits: dict[str, dict[str, float]] = {}
        self._pools = Pools()

    def _update_balance(self, balance: Balance, timestamp: Microseconds) -> str:
        exchange, name = balance.exchange, (balance.exchange, balance.asset)
        newest = self.balances_written.get(exchange, 0)
        is_set_back = timestamp < newest and name in self.balances and self.balances[name].written == newest
        self.balances[name] = ReportedBalance(balance, timestamp)
        if is_set_back:  # the writer's clock
            self.balances_written[exchange] = max(
                one.written for (at, _), one in self.balances.items() if at == exchange
            )
        elif timestamp > newest:
            self.balances_written[exchange] = timestamp
        self._pools.take(balance, timestamp)
        return ""

    def _update_position(self, position: Position, timestamp: Microseconds) -> str:
        name = (position.exchange, position.symbol)
        self.positions[name] = position
        self._positions_seen[name] = Seen(timestamp, position.event_time)
        return ""

    def limits(self, exchange: str) -> dict[str, float]:
        """The limits of an exchange by name, as last published on ``control.commands`` for it or for all exchanges."""
        return bounds_of(self._limits, exchange)

    def seen(self, instrument: Instrument) -> Seen:
        """When the holding of an instrument was reported: of a perpetual its position, else the balance of its base."""
        if instrument.kind is InstrumentKind.PERPETUAL:
            return self._positions_seen.get((instrument.exchange, instrument.symbol), NEVER)
        reported = self.balances.get((instrument.exchange, instrument.base))
        return reported.seen if reported is not None else NEVER

    def balance_seen(self, exchange: str, asset: str, now: Microseconds) -> Seen:
        """When the balance of an asset was reported; where there is none, nothing is missing from it.

        What settles in an asset that a pooled account does not have changes another of its balances.
        """
        reported = self.balances.get((exchange, asset))
        if (reported is None or not reported.balance.total) and exchange in self._pools:
            return self._pools.seen(exchange)
        return reported.seen if reported is not None else Seen(now, now)

    def reducible(self, instrument: Instrument, side: Side, orders: Sequence[Order] = ()) -> Decimal:
        """How much of an order, in wire units, only reduces a position, less what other orders reduce of it."""
        position = self.positions.get((instrument.exchange, instrument.symbol))
        return reducible(instrument, side, position, orders, self.seen(instrument))

    def free(
        self, instrument: Instrument, side: Side, now: Microseconds, orders: Sequence[Order] = ()
    ) -> Decimal | None:
        """What the account can spend on an order, in units of ``spent_asset``; None without a recent balance.

        For a perpetual it is scaled so that the notional it carries at the account's leverage is counted at ``MARGIN``.
        """
        exchange, asset = instrument.exchange, spent_asset(instrument, side)
        if instrument.kind is InstrumentKind.PERPETUAL and exchange in self._pools:
            return self._free_of_pool(instrument, side, now, orders)
        reported = self.balances.get((exchange, asset))
        written = reported.written if reported is not None else self.balances_written.get(exchange)
        if written is None or now - written > BALANCES_LIFE:
            return None
        balance = reported.balance if reported is not None else None
        under_way = self._reserved(exchange, asset, now, orders)
        positions = self._on_margin(instrument)
        return free_for(instrument, side, self.limits(exchange), balance, positions, under_way)

    def _free_of_pool(
        self, instrument: Instrument, side: Side, now: Microseconds, orders: Sequence[Order]
    ) -> Decimal | None:
        """The same for an account with pooled assets; None also if a needed price is missing."""
        exchange, asset, price = instrument.exchange, instrument.settle, self._price_at(now)
        spent = {spent_asset(leg.instrument, leg.side) for one in orders for leg in one.legs}
        under_way = amount_in(asset, {name: self._reserved(exchange, name, now, orders) for name in spent}, price)
        balance = self._pools.balance(exchange, asset, price)
        positions = positions_in(asset, self._settled(exchange), price)
        if under_way is None or balance is None or positions is None:
            return None
        if now - self._pools.written(exchange) > BALANCES_LIFE:
            return None
        return free_for(instrument, side, self.limits(exchange), balance, positions, under_way)

    def _reserved(self, exchange: str, asset: str, now: Microseconds, orders: Sequence[Order]) -> Decimal:
        """The amount of an asset that orders use and its balance can't include yet."""
        return reserved(orders, exchange, asset, self.balance_seen(exchange, asset, now), now, self.limits(exchange))

    def _price_at(self, now: Microseconds) -> Price:
        return mids(lambda asset: self.rate(asset, now))

    def _on_margin(self, instrument: Instrument) -> dict[str, Position]:
        """The positions that share an instrument's margin, by symbol."""
        settled = self._settled(instrument.exchange)
        return {one.symbol: one for one, settle in settled if settle == instrument.settle}

    def _settled(self, exchange: str) -> Iterator[tuple[Position, str]]:
        """The positions of an exchange, each with the asset that it settles in."""
        for (where, symbol), one in self.positions.items():
            if where == exchange and (instrument := self.instrument(exchange, symbol)):
                yield one, instrument.settle
