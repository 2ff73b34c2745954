"""The faults that are done at once: what somebody else does to the account or to the exchange while we run."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from neuroflux.errors import UsageError
from neuroflux.sim.binance.usdm_modes import Modes
from neuroflux.sim.binance.wire import ApiError
from neuroflux.sim.core.coins import BINANCE, HYPERLIQUID, Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.liquidation import close_positions
from neuroflux.sim.core.listing import new_listing
from neuroflux.sim.core.orders import Forced
from neuroflux.sim.core.simulation import Simulation

UNKNOWN_ASSET, UNKNOWN_AMOUNT = "BNFCR", Decimal("-12.4")
"""What the fault ``unknown_asset`` credits where it names nothing: in no instrument, and negative where it may be."""


class Changes:
    """Does them on one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._do: dict[str, Callable[[Fault, SimExchange], None]] = {
            "hedge_mode": self._mode,
            "multi_assets": self._mode,
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
        self._do[fault.fault](fault, self._simulation.exchange(fault.exchange))
        self._simulation.flush(fault.exchange)

    def _mode(self, fault: Fault, exchange: SimExchange) -> None:
        """Somebody changes the account's mode, as far as the exchange permits it now."""
        modes, wanted = Modes(exchange), fault.value or "true"
        now = self._simulation.now(fault.exchange)
        try:
            if fault.fault == "hedge_mode":
                modes.set_position_side({"dualSidePosition": wanted}, now)
            else:
                modes.set_multi_assets({"multiAssetsMargin": wanted}, now)
        except ApiError as error:
            raise UsageError(error.text) from error

    def _transfer(self, fault: Fault, exchange: SimExchange) -> None:
        """A deposit, or with a negative amount a withdrawal, which must be free."""
        is_spot = _is_spot(fault)
        asset = fault.asset or UNKNOWN_ASSET
        amount = fault.amount if fault.amount is not None else abs(UNKNOWN_AMOUNT) if is_spot else UNKNOWN_AMOUNT
        free = exchange.spot.of(asset).free if is_spot else exchange.perpetual.available(asset)
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


def _is_spot(fault: Fault) -> bool:
    """Hyperliquid's dollars arrive beside the perpetuals, everything else in the spot wallet."""
    return fault.exchange == BINANCE or (fault.exchange == HYPERLIQUID and fault.asset != "USDC")
