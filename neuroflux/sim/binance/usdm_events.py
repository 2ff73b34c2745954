"""The frames of Binance USDⓈ-M's private stream: the events of the account.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from neuroflux.sim.binance.order_queries import state_of
from neuroflux.sim.binance.usdm_orders import order_kind, time_in_force
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.binance.wire import amount
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.accounts import ZERO, Leg, key_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.orders import AccountEvent, ConfigEvent, FundingEvent, Order, OrderEvent, TransferEvent
from neuroflux.sim.core.simulation import Simulation

_KINDS = {"new": "NEW", "trade": "TRADE", "canceled": "CANCELED", "expired": "EXPIRED"}
MAINTENANCE = 250
"""The maintenance margin is this part of the notional."""
_LEGS: tuple[Leg, ...] = ("", "LONG", "SHORT")


def expiry_reason(order: Order) -> str:
    """Why an order expired: 2 and 9 to 11 by its time in force, 4 with the position that it was to reduce, 0 not."""
    if order.state != "expired":
        return "0"
    if order.kind == "market":
        return "9"
    return {"IOC": "2", "FOK": "10", "POST": "11", "GTC": "4"}[order.ask.time_in_force]


class UsdmEvents:
    """Writes the events of the demo account. Times are given in µs and written in ms."""

    def __init__(self, simulation: Simulation, frames: Frames) -> None:
        self._simulation = simulation
        self._frames = frames
        self._exchange = simulation.exchange(BINANCE_USDM)

    def frames(self, event: AccountEvent) -> Iterator[dict[str, object]]:
        """The frames of an event, in order."""
        match event:
            case FundingEvent(listing=listing):
                yield self._account_update([listing.quote], [], "FUNDING_FEE", event.time, event.amount)
            case TransferEvent(asset=asset):
                reason = "DEPOSIT" if event.amount > 0 else "WITHDRAW"
                yield self._account_update([asset], [], reason, event.time, event.amount)
            case ConfigEvent():
                yield self._config_update(event)
            case OrderEvent(order=order, fill=fill):
                if order.forced == "liquidation" and event.kind == "new":
                    yield self._margin_call(order)
                if fill is not None:
                    assets = dict.fromkeys((order.listing.quote, fill.fee_asset))
                    yield self._account_update(list(assets), self._positions(order.listing), "ORDER", event.time)
                yield self._order_update(event)

    def _config_update(self, event: ConfigEvent) -> dict[str, object]:
        """A changed position mode is not reported."""
        now = self._simulation.now(BINANCE_USDM) // 1000
        head: dict[str, object] = {"e": "ACCOUNT_CONFIG_UPDATE", "T": event.time // 1000, "E": now}
        if event.symbol:
            return {**head, "ac": {"s": event.symbol, "l": event.leverage}}
        return {**head, "ai": {"j": event.is_multi_assets}}

    def _margin_call(self, order: Order) -> dict[str, object]:
        """Comes as late as it may: with the liquidation itself."""
        ledger, listing, leg = self._exchange.perpetual, order.listing, order.ask.leg
        quantity, mark = ledger.position(listing, leg).quantity, ledger.mark(listing.symbol)
        row = {
            "s": listing.symbol,
            "ps": leg or "BOTH",
            "pa": self._frames.numbers[listing.symbol].quantity_text(quantity),
            "mt": "CROSSED",
            "iw": "0",
            "mp": f"{mark:.8f}",
            "up": amount(ledger.unrealised(key_of(listing, leg))),
            "mm": amount(abs(quantity) * mark / MAINTENANCE),
        }
        now, wallet = self._simulation.now(BINANCE_USDM) // 1000, amount(ledger.wallet[listing.quote])
        return {"e": "MARGIN_CALL", "E": now, "cw": wallet, "p": [row]}

    def _account_update(
        self, assets: list[str], positions: list[dict[str, object]], reason: str, time: int, change: Decimal = ZERO
    ) -> dict[str, object]:
        """``change`` is what wallets changed by but for the profit and fees of trades."""
        wallet = self._exchange.perpetual.wallet
        balances = [
            {"a": asset, "wb": amount(wallet[asset]), "cw": amount(wallet[asset]), "bc": amount(change)}
            for asset in assets
        ]
        body = {"B": balances, "P": positions, "m": reason}
        now = self._simulation.now(BINANCE_USDM) // 1000
        return {"e": "ACCOUNT_UPDATE", "T": time // 1000, "E": now, "a": body}

    def _positions(self, listing: Listing) -> list[dict[str, object]]:
        """Three rows a symbol in either mode, as of an account that was once in hedge mode: what isn't held is 0."""
        return [self._position(listing, leg) for leg in _LEGS]

    def _position(self, listing: Listing, leg: Leg) -> dict[str, object]:
        ledger = self._exchange.perpetual
        position = ledger.position(listing, leg)
        return {
            "s": listing.symbol,
            "pa": self._frames.numbers[listing.symbol].quantity_text(position.quantity),
            "ep": f"{position.entry_price:.8f}",
            "bep": f"{position.entry_price:.8f}",
            "cr": amount(position.realised),
            "up": amount(ledger.unrealised(key_of(listing, leg))),
            "mt": "cross",
            "iw": "0",
            "ps": leg or "BOTH",
            "ma": listing.quote,
        }

    def _order_update(self, event: OrderEvent) -> dict[str, object]:
        order, fill = event.order, event.fill
        numbers = self._frames.numbers[order.listing.symbol]
        kind = order_kind(order)
        body: dict[str, object] = {
            "s": order.listing.symbol,
            "c": order.client_order_id,
            "S": order.ask.side.upper(),
            "o": kind,
            "f": time_in_force(order),
            "q": numbers.quantity_text(order.quantity),
            "p": numbers.price_text(order.ask.price or ZERO),
            "ap": f"{order.average_price:.8f}" if order.filled else "0",
            "sp": "0",
            "x": "CALCULATED" if fill and order.forced else _KINDS[event.kind],
            "X": state_of(self._simulation, order),
            "i": order.order_id,
            "l": numbers.quantity_text(fill.quantity if fill else ZERO),
            "z": numbers.quantity_text(order.filled),
            "L": numbers.price_text(fill.price if fill else ZERO),
            "T": event.time // 1000,
            "t": fill.trade_id if fill else 0,
            "b": "0",
            "a": "0",
            "m": bool(fill and fill.is_maker),
            "R": order.ask.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": kind,
            "ps": order.ask.leg or "BOTH",
            "cp": False,
            "rp": amount(fill.profit if fill else ZERO),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": "NONE",
            "pm": "NONE",
            "gtd": 0,
            "er": expiry_reason(order),
        }
        if fill:
            body |= {"n": amount(fill.fee), "N": fill.fee_asset}
        now = self._simulation.now(BINANCE_USDM) // 1000
        return {"e": "ORDER_TRADE_UPDATE", "T": event.time // 1000, "E": now, "o": body}
