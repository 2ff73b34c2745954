"""What the demo account pays for a trade: by default the instrument's fees, else those that the fault ``fees`` set."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

from neuroflux.sim.core.accounts import PLACES
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.faults import Fault


class Rates(Struct, frozen=True):
    """Shares of the notional; negative is a rebate. ``asset`` is what fees are paid in, "" for the exchange's usual."""

    maker: Decimal
    taker: Decimal
    asset: str = ""


class Fees:
    """The fees of one account. ``setting`` is the fault that is set; ``price`` a price of an asset in a quote asset.

    ``discount`` is the share of a fee that is saved where it is paid in the asset that the fault names.
    """

    def __init__(
        self, setting: Callable[[], Fault | None], price: Callable[[str, str], Decimal], discount: Decimal
    ) -> None:
        self._setting = setting
        self._price = price
        self._discount = discount

    def rates(self, listing: Listing) -> Rates:
        """The account's rates for one instrument."""
        fault = self._setting()
        if fault is None:
            return Rates(listing.maker_fee, listing.taker_fee)
        maker, taker = fault.maker, fault.taker
        return Rates(
            listing.maker_fee if maker is None else maker, listing.taker_fee if taker is None else taker, fault.asset
        )

    def fee(
        self, listing: Listing, got: Decimal, got_asset: str, value: Decimal, owned: Decimal, *, is_maker: bool
    ) -> tuple[Decimal, str]:
        """The fee and its asset for a fill of this ``value`` (in the quote), which is taken off ``got``.

        ``owned`` is what the account has of the fee's own asset: where it does not suffice, the usual asset pays.
        """
        rates = self.rates(listing)
        share = rates.maker if is_maker else rates.taker
        if rates.asset and rates.asset != got_asset and share > 0:
            price = self._price(rates.asset, listing.quote)
            reduced = share * (1 - self._discount)
            fee = round(value * reduced / price, PLACES) if price else Decimal("Infinity")
            if fee <= owned:
                return fee, rates.asset
        return round(got * share, PLACES), got_asset
