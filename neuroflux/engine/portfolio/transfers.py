"""Proposals of transfers between exchanges that would help a rebalance; a person makes them, never the program."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from neuroflux.domain import Side
from neuroflux.engine.portfolio.plan import Transfer
from neuroflux.engine.portfolio.report import Outcome
from neuroflux.engine.portfolio.ways import ZERO, Way

_PLACES = Decimal(1).scaleb(-8)
"""The step of proposed amounts; exchanges accept no more decimals of most assets."""


class _Moves:
    """Transfers of what the trades leave; each amount is used once. Money is in USD."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._purses = dict(outcome.draft.left.purses)
        self._drifts = outcome.drifts()
        self._cash = outcome.draft.left.cash - outcome.market.goal.cash
        self.found: list[Transfer] = []

    def propose_money(self) -> None:
        """Propose spare stablecoins for exchanges where a shortage can be bought."""
        for asset in [asset for asset, drift in self._drifts.items() if drift < 0]:
            for way in self._outcome.ways(asset, Side.BUY):
                needed = min(-self._drifts[asset], self._outcome.room(way), self._cash)
                why = f"{asset} is to be bought on {way.instrument.exchange}"
                moved = self._collect(way.instrument.quote, way.instrument.exchange, way.rate, needed, why)
                self._drifts[asset] += moved
                self._cash -= moved

    def propose_assets(self) -> None:
        """Propose excess assets for exchanges where they can be sold, for cash or for a shortage there."""
        for asset in [asset for asset, drift in self._drifts.items() if drift > 0]:
            for way in self._outcome.ways(asset, Side.SELL):
                needed = min(self._drifts[asset], self._outcome.room(way), self._use(way))
                why = f"{asset} can be sold on {way.instrument.exchange} for what is short"
                self._drifts[asset] -= self._collect(asset, way.instrument.exchange, way.price, needed, why)

    def _use(self, sale: Way) -> Decimal:
        """The USD that the proceeds of a sale could be used for on its exchange."""
        buys = [
            (asset, way)
            for asset in self._drifts
            for way in self._outcome.ways(asset, Side.BUY)
            if way.money == sale.money
        ]
        short = {asset: max(-self._drifts[asset], ZERO) for asset, way in buys if self._outcome.room(way) > 0}
        return sum(short.values(), max(-self._cash, ZERO))

    def _collect(self, asset: str, destination: str, price: Decimal, needed: Decimal, why: str) -> Decimal:
        """Take it from the other exchanges; returns the amount found, in USD."""
        moved = ZERO
        for exchange in sorted(
            exchange for exchange, name in self._purses if name == asset and exchange != destination
        ):
            there = min(self._purses[exchange, asset], (needed - moved) / price)
            amount = there.quantize(_PLACES, ROUND_FLOOR)
            if amount * price > self._outcome.tolerance:
                self._purses[exchange, asset] -= amount
                moved += amount * price
                self.found.append(Transfer(asset, exchange, destination, amount, why))
        return moved


def transfers_of(outcome: Outcome) -> tuple[Transfer, ...]:
    """Money first: what it pays for needs no transfer of an asset."""
    moves = _Moves(outcome)
    moves.propose_money()
    moves.propose_assets()
    return tuple(moves.found)
