"""The faults that are done at once: changes of the account or the exchange that do not come from this process."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from neuroflux.errors import UsageError
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.liquidation import close_positions
from neuroflux.sim.core.listing import new_listing
from neuroflux.sim.core.orders import Forced
from neuroflux.sim.core.simulation import Simulation

UNKNOWN_ASSET, UNKNOWN_AMOUNT = "BNFCR", Decimal("-12.4")
"""The default of the fault ``unknown_asset``: an asset of no instrument, with a negative balance where possible."""


class Changes:
    """Applies them to one simulation; those of a single exchange are its dialect's ``changes``."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._do: dict[str, Callable[[Fault, SimExchange], None]] = {
            "unknown_asset": self._transfer,
            "transfer": self._transfer,
            "liquidate": self._force,
            "adl": self._force,
            "list": self._list,
            "halt": self._halt,
            "resume": self._halt,
            "tick_size": self._tick_size,
            "funding_interval": self._funding_interval,
        }

    def apply(self, fault: Fault) -> None:
        """Raises UsageError where it can't be done, and then nothing has changed."""
        if own := self._simulation.dialects[fault.exchange].changes.get(fault.fault):
            own(fault)
        else:
            self._do[fault.fault](fault, self._simulation.exchange(fault.exchange))
        self._simulation.flush(fault.exchange)

    def _transfer(self, fault: Fault, exchange: SimExchange) -> None:
        """A deposit, or with a negative amount a withdrawal, which must be free."""
        asset = fault.asset or UNKNOWN_ASSET
        is_spot = exchange.venue.credits_spot(asset)
        amount = fault.amount if fault.amount is not None else abs(UNKNOWN_AMOUNT) if is_spot else UNKNOWN_AMOUNT
        free = exchange.available(asset, is_spot=is_spot)
        if fault.fault == "transfer" and -amount > free:
            raise UsageError(f"only {free:f} {asset} can be withdrawn")
        exchange.transfer(asset, amount, self._simulation.now(fault.exchange), is_spot=is_spot)

    # --- instruments

    @staticmethod
    def _listing(fault: Fault, exchange: SimExchange) -> Listing:
        listing = exchange.listings.get(fault.symbol)
        if listing is None:
            raise UsageError(f"{fault.exchange} lists no {fault.symbol}")
        return listing

    def _force(self, fault: Fault, exchange: SimExchange) -> None:
        self._listing(fault, exchange)
        forced: Forced = "adl" if fault.fault == "adl" else "liquidation"
        if not close_positions(exchange, fault.symbol, forced, self._simulation.now(fault.exchange)):
            raise UsageError(f"the account has no position in {fault.symbol}")

    def _list(self, fault: Fault, exchange: SimExchange) -> None:
        self._simulation.world.add(new_listing(fault, exchange), self._simulation.now(fault.exchange))

    def _halt(self, fault: Fault, exchange: SimExchange) -> None:
        self._simulation.world.halt(self._listing(fault, exchange), is_halted=fault.fault == "halt")

    def _tick_size(self, fault: Fault, exchange: SimExchange) -> None:
        try:
            exchange.set_tick(self._listing(fault, exchange), Decimal(fault.value))
        except (ValueError, InvalidOperation) as error:
            raise UsageError(f"value of tick_size: {error}") from error

    def _funding_interval(self, fault: Fault, exchange: SimExchange) -> None:
        self._listing(fault, exchange)
        self._simulation.world.set_funding_hours(fault.exchange, fault.symbol, int(fault.value))
