"""What the demo account owns: balances with locks, and perpetual positions with their margin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Side

ZERO = Decimal(0)
DEFAULT_LEVERAGE = 20
Leg = Literal["", "LONG", "SHORT"]
PLACES = 8
"""Decimals of what is booked: fees, profits, funding."""


class Balance(Struct):
    """An asset, in units of the asset. ``locked`` waits in open orders."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


class SpotLedger:
    """Assets of one spot account. Settling a trade also releases what was locked for it."""

    def __init__(self, start: Mapping[str, Decimal]) -> None:
        self.balances = {asset: Balance(amount) for asset, amount in start.items()}

    def of(self, asset: str) -> Balance:
        return self.balances.setdefault(asset, Balance())

    def lock(self, asset: str, amount: Decimal) -> None:
        balance = self.of(asset)
        balance.free -= amount
        balance.locked += amount

    def unlock(self, asset: str, amount: Decimal) -> None:
        self.lock(asset, -amount)

    def trade(self, listing: Listing, side: Side, quantity: Decimal, value: Decimal, locked: Decimal) -> Decimal:
        """Exchange ``quantity`` of the base for ``value`` of the quote; ``locked`` is what was locked for this part.

        Returns the amount received, before any fee.
        """
        paid_asset, paid = (listing.quote, value) if side == "buy" else (listing.base_asset, quantity)
        got_asset, got = (listing.base_asset, quantity) if side == "buy" else (listing.quote, value)
        balance = self.of(paid_asset)
        balance.locked -= locked
        balance.free += locked - paid
        self.of(got_asset).free += got
        return got

    def charge(self, asset: str, fee: Decimal) -> None:
        self.of(asset).free -= fee


class SharedWallet(MutableMapping[str, Decimal]):
    """What is free in a spot account, as the collateral of its perpetuals: what is locked there backs nothing.

    It lists nothing, so that who adds up the wallets of an account counts no asset twice.
    """

    def __init__(self, ledger: SpotLedger) -> None:
        self._balances = ledger.balances

    def __getitem__(self, asset: str) -> Decimal:
        return self._balances[asset].free

    def __setitem__(self, asset: str, amount: Decimal) -> None:
        self._balances.setdefault(asset, Balance()).free = amount

    def __delitem__(self, asset: str) -> None:
        del self._balances[asset]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Position(Struct):
    """A perpetual position: ``quantity`` is signed, in units of the contract's base asset.

    ``leg`` is LONG or SHORT in hedge mode, where a symbol has both at a time, and "" in one-way mode.
    """

    leg: Leg = ""
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    realised: Decimal = ZERO
    updated: int = 0

    def trade(self, signed: Decimal, price: Decimal) -> Decimal:
        """Add a signed quantity at a price; returns the profit that this realised."""
        before = self.quantity
        after = before + signed
        profit = ZERO
        if before * signed >= 0:
            self.entry_price = (self.entry_price * before + price * signed) / after if after else ZERO
        else:
            closed = min(abs(signed), abs(before)).copy_sign(before)
            profit = round(closed * (price - self.entry_price), PLACES)
            if after * before < 0:
                self.entry_price = price
            elif not after:
                self.entry_price = ZERO
        self.quantity = after
        self.realised += profit
        return profit


def key_of(listing: Listing, leg: Leg) -> str:
    """What a position is kept by."""
    return f"{listing.symbol}:{leg}" if leg else listing.symbol


class PerpetualLedger:
    """Collateral and positions of one perpetual account; cross margin.

    ``mark`` gives the present mark price of a symbol, in the quote asset. Positions are kept by their key: the symbol,
    and in hedge mode its leg. In multi-assets mode every asset backs every position, at one USD a unit. A wallet that
    is shared with a spot account is used as it is, any other is copied.
    """

    def __init__(self, start: Mapping[str, Decimal], mark: Callable[[str], Decimal]) -> None:
        self.wallet: MutableMapping[str, Decimal] = start if isinstance(start, SharedWallet) else dict(start)
        self.positions: dict[str, Position] = {}
        self.leverage: dict[str, int] = {}
        self.listings: dict[str, Listing] = {}  # by the key of the position
        self.is_hedged = False
        self.is_multi_assets = False
        self.in_orders: dict[str, Decimal] = {}  # margin of open orders by quote asset
        self._mark = mark

    def position(self, listing: Listing, leg: Leg = "") -> Position:
        key = key_of(listing, leg)
        self.listings[key] = listing
        return self.positions.setdefault(key, Position(leg))

    def held(self) -> list[tuple[Listing, Position]]:
        """Every position that is not empty."""
        return [(self.listings[key], position) for key, position in self.positions.items() if position.quantity]

    def leverage_of(self, listing: Listing) -> int:
        return self.leverage.get(listing.symbol, min(DEFAULT_LEVERAGE, listing.max_leverage))

    def mark(self, symbol: str) -> Decimal:
        return self._mark(symbol)

    def unrealised(self, key: str) -> Decimal:
        position = self.positions[key]
        mark = self._mark(self.listings[key].symbol) if position.quantity else ZERO
        return position.quantity * (mark - position.entry_price)

    def margin(self, key: str) -> Decimal:
        """Initial margin of a position, at the mark price."""
        position, listing = self.positions[key], self.listings[key]
        return abs(position.quantity) * self._mark(listing.symbol) / self.leverage_of(listing)

    def _keys(self, asset: str) -> list[str]:
        return [key for key in self.positions if self.listings[key].quote == asset]

    def profit(self, asset: str) -> Decimal:
        """Unrealised, over all positions that are settled in this asset."""
        return sum((self.unrealised(key) for key in self._keys(asset)), ZERO)

    def used(self, asset: str) -> Decimal:
        """Margin of all positions that are settled in this asset."""
        return sum((self.margin(key) for key in self._keys(asset)), ZERO)

    def margin_of_orders(self, asset: str) -> Decimal:
        return self.in_orders.get(asset, ZERO)

    def left(self, asset: str) -> Decimal:
        """Wallet and unrealised profit, less the margin of positions and orders; below zero where these are larger."""
        held = self.used(asset) + self.margin_of_orders(asset)
        return self.wallet.get(asset, ZERO) + self.profit(asset) - held

    def available(self, asset: str) -> Decimal:
        """What may still be used as margin."""
        assets = {*self.wallet, asset} if self.is_multi_assets else {asset}
        return max(ZERO, sum((self.left(each) for each in assets), ZERO))

    def increase(self, listing: Listing, side: Side, quantity: Decimal, leg: Leg = "") -> Decimal:
        """How much of an order of this quantity would add to the position, and so needs margin."""
        if leg:
            return quantity if (leg == "LONG") == (side == "buy") else ZERO
        held = self.position(listing).quantity
        opposite = max(ZERO, -held if side == "buy" else held)
        return max(ZERO, quantity - opposite)

    def reserve(self, asset: str, amount: Decimal) -> None:
        self.in_orders[asset] = self.in_orders.get(asset, ZERO) + amount

    def trade(self, listing: Listing, side: Side, quantity: Decimal, price: Decimal, leg: Leg = "") -> Decimal:
        """Settle one fill; returns the profit it realised. The caller charges the fee."""
        profit = self.position(listing, leg).trade(quantity if side == "buy" else -quantity, price)
        self.wallet[listing.quote] = self.wallet.get(listing.quote, ZERO) + profit
        return profit

    def charge(self, asset: str, fee: Decimal) -> None:
        self.wallet[asset] = self.wallet.get(asset, ZERO) - fee

    def fund(self, listing: Listing, position: Position, rate: Decimal) -> Decimal:
        """Settle funding at the mark price; returns what the account received (negative: paid)."""
        amount = round(-position.quantity * self._mark(listing.symbol) * rate, PLACES)
        self.wallet[listing.quote] = self.wallet.get(listing.quote, ZERO) + amount
        return amount
