"""Prices and quantities as text, with a fixed number of decimals."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import Listing


def decimals(step: Decimal) -> int:
    """The decimals that whole multiples of a step need."""
    return max(0, -int(step.normalize().as_tuple().exponent))


class Numbers:
    """Writes one instrument's prices and quantities, with the decimals of its steps or with ``digits`` of them."""

    def __init__(self, listing: Listing, digits: int | None = None) -> None:
        self.listing = listing
        self.price_digits = decimals(listing.tick) if digits is None else digits
        self.quantity_digits = decimals(listing.lot) if digits is None else digits
        self._price_scale = int(listing.tick.scaleb(self.price_digits))
        self._quantity_scale = int(listing.lot.scaleb(self.quantity_digits))

    def price(self, ticks: int) -> str:
        return _point(ticks * self._price_scale, self.price_digits)

    def quantity(self, lots: int) -> str:
        return _point(lots * self._quantity_scale, self.quantity_digits)

    def levels(self, levels: list[tuple[int, int]]) -> list[tuple[str, str]]:
        """Price and quantity of each level."""
        return [(self.price(price), self.quantity(quantity)) for price, quantity in levels]

    def price_text(self, price: Decimal) -> str:
        return f"{price:.{self.price_digits}f}"

    def quantity_text(self, quantity: Decimal) -> str:
        return f"{quantity:.{self.quantity_digits}f}"


def _point(value: int, digits: int) -> str:
    if not digits:
        return str(value)
    whole, part = divmod(value, 10**digits)
    return f"{whole}.{part:0{digits}d}"
