"""Binance USDⓈ-M's balances and positions, and the account's events for those who hold a listen key.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api and …/user-data-streams
"""

from __future__ import annotations

from decimal import Decimal

from aiohttp import web

from neuroflux.sim.binance.listen_keys import ListenKeys
from neuroflux.sim.binance.usdm_events import MAINTENANCE, UsdmEvents
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.binance.wire import ApiError, Params, amount
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.accounts import ZERO, Leg, key_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.connection import PRIVATE
from neuroflux.sim.core.orders import AccountEvent
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text


class UsdmAccount:
    """Answers about money and positions, and serves the private stream."""

    def __init__(self, simulation: Simulation, frames: Frames, keys: ListenKeys) -> None:
        self._simulation = simulation
        self._frames = frames
        self._exchange = simulation.exchange(BINANCE_USDM)
        self._keys = keys
        self._events = UsdmEvents(simulation, frames)
        self._exchange.listeners.append(self._on_event)

    # --- money

    def _assets(self, *, is_all: bool) -> list[str]:
        """Version 3 names only the assets that hold something or back something."""
        ledger = self._exchange.perpetual
        backing = {listing.quote for listing in self._concerned()}
        return [asset for asset, amount in ledger.wallet.items() if is_all or amount or asset in backing]

    def balance(self, _: Params, now: int, *, is_all: bool = False) -> object:
        ledger = self._exchange.perpetual
        return [
            {
                "accountAlias": "sim",
                "asset": asset,
                "balance": amount(ledger.wallet[asset]),
                "crossWalletBalance": amount(ledger.wallet[asset]),
                "crossUnPnl": amount(ledger.profit(asset)),
                "availableBalance": amount(ledger.available(asset)),
                "maxWithdrawAmount": amount(ledger.available(asset)),
                "marginAvailable": True,
                "updateTime": now // 1000,
            }
            for asset in self._assets(is_all=is_all)
        ]

    def account(self, _: Params, now: int, *, is_all: bool = False) -> object:
        """``is_all``: version 2 names every asset and every symbol; version 3 only those that are held."""
        assets = [self._asset(asset, now) for asset in self._assets(is_all=is_all)]
        names = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        counted = assets if self._exchange.perpetual.is_multi_assets else [self._asset("USDT", now)]
        totals = {name: _total(counted, short) for name, short in names.items()}
        held = self._positions(now, is_all=is_all)
        flags = {"feeTier": 0, "canTrade": True, "canDeposit": False, "canWithdraw": False}
        flags["multiAssetsMargin"] = self._exchange.perpetual.is_multi_assets
        return {**flags, "updateTime": 0, **totals, "assets": assets, "positions": held}

    def _asset(self, asset: str, now: int) -> dict[str, object]:
        ledger = self._exchange.perpetual
        wallet, profit, used = ledger.wallet.get(asset, ZERO), ledger.profit(asset), ledger.used(asset)
        in_orders = ledger.margin_of_orders(asset)
        held = [(listing, position) for listing, position in ledger.held() if listing.quote == asset]
        notionals = (abs(position.quantity) * ledger.mark(listing.symbol) for listing, position in held)
        return {
            "asset": asset,
            "walletBalance": amount(wallet),
            "unrealizedProfit": amount(profit),
            "marginBalance": amount(wallet + profit),
            "maintMargin": amount(sum(notionals, ZERO) / MAINTENANCE),
            "initialMargin": amount(used + in_orders),
            "positionInitialMargin": amount(used),
            "openOrderInitialMargin": amount(in_orders),
            "crossWalletBalance": amount(wallet),
            "crossUnPnl": amount(profit),
            "availableBalance": amount(ledger.available(asset)),
            "maxWithdrawAmount": amount(ledger.available(asset)),
            "marginAvailable": True,
            "updateTime": now // 1000,
        }

    # --- positions

    def _concerned(self) -> list[Listing]:
        """Those with a position or an open order."""
        ordered = {order.listing.symbol: order.listing for order in self._exchange.open_orders.values()}
        held = {listing.symbol: listing for listing, _ in self._exchange.perpetual.held()}
        return list((held | ordered).values())

    def _positions(self, now: int, symbol: str = "", *, is_all: bool) -> list[dict[str, object]]:
        """Rows of one symbol or of all: one each, and in hedge mode one a leg that holds something or has an order."""
        ledger = self._exchange.perpetual
        listings = list(self._exchange.listings.values()) if is_all else self._concerned()
        legs: tuple[Leg, ...] = ("LONG", "SHORT") if ledger.is_hedged else ("",)
        places = [(each, leg) for each in listings for leg in legs if symbol in ("", each.symbol)]
        if not is_all:
            busy = {(order.listing.symbol, order.ask.leg) for order in self._exchange.open_orders.values()}
            busy |= {(listing.symbol, position.leg) for listing, position in ledger.held()}
            places = [(each, leg) for each, leg in places if (each.symbol, leg) in busy]
        return [self._position(each, leg, now) for each, leg in places]

    def position_risk(self, params: Params, now: int, *, is_all: bool = False) -> object:
        """Version 2 (``is_all``) answers every symbol, version 3 only those with a position or an open order."""
        symbol = params.get("symbol", "")
        if symbol and symbol not in self._exchange.listings:
            raise ApiError(-1121, "Invalid symbol.")
        return self._positions(now, symbol, is_all=is_all)

    def _position(self, listing: Listing, leg: Leg, now: int) -> dict[str, object]:
        ledger = self._exchange.perpetual
        position, key = ledger.position(listing, leg), key_of(listing, leg)
        mark, numbers = ledger.mark(listing.symbol), self._frames.numbers[listing.symbol]
        margin = amount(ledger.margin(key))
        notional = position.quantity * mark
        return {
            "symbol": listing.symbol,
            "positionSide": leg or "BOTH",
            "positionAmt": numbers.quantity_text(position.quantity),
            "entryPrice": f"{position.entry_price:.8f}",
            "breakEvenPrice": f"{position.entry_price:.8f}",
            "markPrice": f"{mark:.8f}",
            "unRealizedProfit": amount(ledger.unrealised(key)),
            "unrealizedProfit": amount(ledger.unrealised(key)),
            "liquidationPrice": "0",
            "leverage": str(ledger.leverage_of(listing)),
            "marginType": "cross",
            "isolated": False,
            "isolatedMargin": "0",
            "notional": amount(notional),
            "marginAsset": listing.quote,
            "isolatedWallet": "0",
            "initialMargin": margin,
            "maintMargin": amount(abs(notional) / MAINTENANCE),
            "positionInitialMargin": margin,
            "openOrderInitialMargin": "0",
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": position.updated // 1000,
        }

    # --- events

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The private socket: events for a living listen key, silence for any other."""
        key = request.query.get("listenKey", "") or request.match_info.get("key", "")
        connection = self._simulation.connection(BINANCE_USDM)
        self._keys.follow(connection, key, self._simulation.now(BINANCE_USDM))

        async def on_text(_: str) -> None:
            connection.reply(json_text({"result": None, "id": None}))

        try:
            return await connection.run(request, on_text)
        finally:
            self._keys.followers.discard(connection)
            self._simulation.leave(connection)

    def _on_event(self, event: AccountEvent) -> None:
        if self._keys.followers:
            for frame in self._events.frames(event):
                self._send(frame)

    def _send(self, event: dict[str, object]) -> None:
        text = json_text(event)
        for connection in self._keys.followers:
            connection.send(text, stream=PRIVATE, is_private=True)


def _total(assets: list[dict[str, object]], name: str) -> str:
    """One figure over assets; what is available of several is shared by them, and counts once."""
    values = [Decimal(str(asset[name])) for asset in assets]
    shared = name in ("availableBalance", "maxWithdrawAmount")
    return amount(max(values, default=ZERO) if shared else sum(values, ZERO))
