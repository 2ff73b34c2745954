"""What perpetuals of other dexes (HIP-3) bind of an account with one balance for all, by their settlement asset.

Each dex has a collateral token and a state of its own. In a unified account its margin is in the ``hold`` of that
token's spot balance, and the profit of its open positions is in no sum of the main dex. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/trading/account-abstraction-modes ("computeUnifiedAccountRatio").
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

ZERO = Decimal(0)


class Bound(Struct, frozen=True):
    """``used`` is the margin of positions, ``profit`` what they have gained and not realised."""

    used: Decimal = ZERO
    profit: Decimal = ZERO


class Dexes:
    """The states of other dexes, and the settlement asset of each as far as it is known."""

    def __init__(self) -> None:
        self._bound: dict[str, Bound] = {}
        self._settles: dict[str, str] = {}

    def settles_in(self, dex: str, asset: str) -> None:
        self._settles[dex] = asset

    def is_known(self, dex: str) -> bool:
        return dex in self._settles

    def changed(self, dex: str, bound: Bound) -> str:
        """The asset whose balance that changes; "" while it is not known."""
        self._bound[dex] = bound
        return self._settles.get(dex, "")

    def of(self, asset: str) -> Bound:
        """The sum of all that settle in an asset."""
        found = [bound for dex, bound in self._bound.items() if self._settles.get(dex) == asset]
        return Bound(sum((one.used for one in found), ZERO), sum((one.profit for one in found), ZERO))
