"""Binance USDⓈ-M's balances and positions, and the account's events for those who hold a listen key.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api and …/user-data-streams
"""

from __future__ import annotations

from aiohttp import web

from neuroflux.sim.accounts import ZERO
from neuroflux.sim.binance_frames import Frames
from neuroflux.sim.binance_usdm_orders import time_in_force
from neuroflux.sim.binance_wire import ApiError, Params, amount, json_text
from neuroflux.sim.connection import Connection
from neuroflux.sim.instruments import BINANCE_USDM, Listing
from neuroflux.sim.keys import private_key
from neuroflux.sim.orders import AccountEvent, FundingEvent, OrderEvent
from neuroflux.sim.simulation import Simulation

LISTEN_KEY_LIFE = 3_600_000_000
"""µs."""

MAINTENANCE = 250
"""The maintenance margin is this part of the notional."""

_HAPPENINGS = {"new": "NEW", "trade": "TRADE", "canceled": "CANCELED", "expired": "EXPIRED"}


class UsdmAccount:
    """Answers about money and positions, and serves the private stream."""

    def __init__(self, simulation: Simulation, frames: Frames) -> None:
        self._simulation = simulation
        self._frames = frames
        self._exchange = simulation.exchange(BINANCE_USDM)
        self._followers: set[Connection] = set()
        self._listen_key = ""
        self._expires = 0
        self._keys_made = 0
        self._exchange.listeners.append(self._on_event)

    # --- money

    def _assets(self) -> list[str]:
        return list(self._exchange.perpetual.wallet)

    def balance(self, _: Params, now: int) -> object:
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
            for asset in self._assets()
        ]

    def account(self, _: Params, now: int) -> object:
        assets = [self._asset(asset, now) for asset in self._assets()]
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
        tether = next(asset for asset in assets if asset["asset"] == "USDT")
        totals = {name: tether[short] for name, short in names.items()}
        held = [self._position(listing, now) for listing in self._held()]
        flags = {"feeTier": 0, "canTrade": True, "canDeposit": False, "canWithdraw": False, "multiAssetsMargin": False}
        return {**flags, "updateTime": 0, **totals, "assets": assets, "positions": held}

    def _asset(self, asset: str, now: int) -> dict[str, object]:
        ledger = self._exchange.perpetual
        wallet, profit, used = ledger.wallet[asset], ledger.profit(asset), ledger.used(asset)
        in_orders = ledger.in_orders.get(asset, ZERO)
        held = [listing for listing in self._held() if listing.quote == asset]
        notionals = (abs(ledger.positions[each.symbol].quantity) * ledger.mark(each.symbol) for each in held)
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

    def _held(self) -> list[Listing]:
        ledger = self._exchange.perpetual
        return [self._exchange.listings[symbol] for symbol, each in ledger.positions.items() if each.quantity]

    def position_risk(self, params: Params, now: int) -> object:
        """With a symbol: its position, also an empty one; without: those that are held."""
        symbol = params.get("symbol", "")
        if symbol and symbol not in self._exchange.listings:
            raise ApiError(-1121, "Invalid symbol.")
        listings = [self._exchange.listings[symbol]] if symbol else self._held()
        return [self._position(listing, now) for listing in listings]

    def _position(self, listing: Listing, now: int) -> dict[str, object]:
        ledger = self._exchange.perpetual
        position = ledger.position(listing)
        mark, numbers = ledger.mark(listing.symbol), self._frames.numbers[listing.symbol]
        margin = amount(ledger.margin(listing.symbol))
        notional = position.quantity * mark
        return {
            "symbol": listing.symbol,
            "positionSide": "BOTH",
            "positionAmt": numbers.quantity_text(position.quantity),
            "entryPrice": f"{position.entry_price:.8f}",
            "breakEvenPrice": f"{position.entry_price:.8f}",
            "markPrice": f"{mark:.8f}",
            "unRealizedProfit": amount(ledger.unrealised(listing.symbol)),
            "unrealizedProfit": amount(ledger.unrealised(listing.symbol)),
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

    # --- listen keys

    def new_key(self, _: Params, now: int) -> object:
        """The same key again while it lives."""
        if now >= self._expires:
            self._keys_made += 1
            name = f"listen {self._keys_made}"
            self._listen_key = "".join(
                private_key(self._simulation.seed, BINANCE_USDM, name + end).hex() for end in "ab"
            )
        self._expires = now + LISTEN_KEY_LIFE
        return {"listenKey": self._listen_key}

    def keep_key(self, _: Params, now: int) -> object:
        if now >= self._expires:
            raise ApiError(-1125, "This listenKey does not exist.")
        return self.new_key({}, now)

    def close_key(self, _: Params, now: int) -> object:
        self._expires = 0
        return {}

    def check_expiry(self, now: int) -> None:
        """Tell the followers when the key is over, also by a fault."""
        if not self._expires:
            return
        if now >= self._expires or self._simulation.faults.take(BINANCE_USDM, "listen_key_expired"):
            self._expires = 0
            event = json_text({"e": "listenKeyExpired", "E": now // 1000, "listenKey": self._listen_key})
            for connection in self._followers:
                connection.send(event)
            self._followers.clear()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The private socket: events for a living listen key, silence for any other."""
        key = request.query.get("listenKey", "") or request.match_info.get("key", "")
        connection = self._simulation.connection(BINANCE_USDM)
        if key and key == self._listen_key and self._simulation.now(BINANCE_USDM) < self._expires:
            self._followers.add(connection)

        async def on_text(_: str) -> None:
            connection.reply(json_text({"result": None, "id": None}))

        try:
            return await connection.run(request, on_text)
        finally:
            self._followers.discard(connection)
            self._simulation.leave(connection)

    # --- events

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, FundingEvent):
            self._send(self._account_update(event.listing, "FUNDING_FEE", event.time))
            return
        if event.happening == "trade":
            self._send(self._account_update(event.order.listing, "ORDER", event.time))
        self._send(self._order_update(event))

    def _send(self, event: dict[str, object]) -> None:
        text = json_text(event) if self._followers else ""
        for connection in self._followers:
            connection.send(text)

    def _account_update(self, listing: Listing, reason: str, time: int) -> dict[str, object]:
        ledger = self._exchange.perpetual
        wallet = amount(ledger.wallet[listing.quote])
        position = ledger.position(listing)
        row = {
            "s": listing.symbol,
            "pa": self._frames.numbers[listing.symbol].quantity_text(position.quantity),
            "ep": f"{position.entry_price:.8f}",
            "bep": f"{position.entry_price:.8f}",
            "cr": amount(position.realised),
            "up": amount(ledger.unrealised(listing.symbol)),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
            "ma": listing.quote,
        }
        body = {
            "B": [{"a": listing.quote, "wb": wallet, "cw": wallet, "bc": "0"}],
            "P": [] if reason == "FUNDING_FEE" else [row],
            "m": reason,
        }
        now = self._simulation.now(BINANCE_USDM) // 1000
        return {"e": "ACCOUNT_UPDATE", "T": time // 1000, "E": now, "a": body}

    def _order_update(self, event: OrderEvent) -> dict[str, object]:
        order, fill = event.order, event.fill
        numbers = self._frames.numbers[order.listing.symbol]
        kind = "MARKET" if order.kind == "market" else "LIMIT"
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
            "x": _HAPPENINGS[event.happening],
            "X": order.state.upper(),
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
            "ps": "BOTH",
            "cp": False,
            "rp": amount(fill.profit if fill else ZERO),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": "NONE",
            "pm": "NONE",
            "gtd": 0,
        }
        if fill:
            body |= {"n": amount(fill.fee), "N": fill.fee_asset}
        now = self._simulation.now(BINANCE_USDM) // 1000
        return {"e": "ORDER_TRADE_UPDATE", "T": event.time // 1000, "E": now, "o": body}
