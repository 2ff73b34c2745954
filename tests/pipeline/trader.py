"""A random trader, drawn from a seed: each kind of order on each exchange, pairs, rebalances, cancels."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final

from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.kafka.commands import cancel
from tests.pipeline.conftest import Pipeline

SPOT: Final = (("binance", "BTC/USDC", 0.002), ("binance", "ETH/USDT", 0.03), ("binance", "SOL/USDC", 0.5))
PERPETUALS: Final = (
    ("binanceusdm", "BTC/USDT:USDT", 0.004),
    ("binanceusdm", "SOL/USDC:USDC", 1.0),
    ("hyperliquid", "ETH/USDC:USDC", 0.05),
    ("hyperliquid", "SOL/USDC:USDC", 1.0),
)
ROUTED: Final = (("", "BTC/USD", 0.003), ("", "ETH/USD", 0.04), ("", "PEPE/USD", 3_000_000.0))
THOUSANDS: Final = (
    ("binanceusdm", "1000PEPE/USDT:USDT", 2_000_000.0),
    ("hyperliquid", "KPEPE/USDC:USDC", 2_000_000.0),
)
"""Contracts of 1,000 coins; quantities are in coins."""
EVERYTHING: Final = (*SPOT, *PERPETUALS, *ROUTED, *THOUSANDS)
FILLED_IN_PARTS: Final = ("binance", "binanceusdm", "hyperliquid")


class Trader:
    """``step`` makes one action. Resting orders remain until they are cancelled."""

    def __init__(self, manager: ExchangeManager, pipeline: Pipeline, seed: int) -> None:
        self._manager, self._pipeline, self._random = manager, pipeline, Random(seed)
        self._resting: list[str] = []
        self.done: dict[str, int] = {}
        """The number of times each action was made."""

    def step(self) -> None:
        act = self._random.choices(
            (self.market, self.limit, self.cancel, self.in_parts, self.pair, self.rebalance), (8, 4, 2, 2, 2, 1)
        )[0]
        act()

    def _did(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def market(self) -> None:
        exchange, symbol, quantity = self._random.choice(EVERYTHING)
        side = self._random.choice(("buy", "sell"))
        self._route({"symbol": symbol, "side": side, "quantity": quantity, "exchange": exchange})
        self._did(f"market {exchange or 'routed'} {side}")

    def limit(self) -> None:
        """A resting order, one to three percent from the market."""
        exchange, symbol, quantity = self._random.choice((*SPOT, *PERPETUALS))
        side, price = self._random.choice(("buy", "sell")), self._price(symbol)
        away = self._random.uniform(0.01, 0.03) * (-1 if side == "buy" else 1)
        order = {"symbol": symbol, "side": side, "quantity": quantity, "exchange": exchange}
        answer = self._route({**order, "type": "limit", "price": float(f"{price * (1 + away):.4g}")})
        self._resting.append(answer["order_id"])
        self._did("resting")

    def _price(self, symbol: str) -> float:
        data = self._manager.get_market_data_aggregated(f"{symbol.partition('/')[0]}/USD")
        return float(data["aggregated_price"])

    def cancel(self) -> None:
        if self._resting:
            number = self._random.randrange(len(self._resting))
            asyncio.run(cancel(self._pipeline.settings, self._resting.pop(number)))
            self._did("cancelled")

    def in_parts(self) -> None:
        """Let the next order of an exchange be filled in part."""
        exchange = self._random.choice(FILLED_IN_PARTS)
        self._pipeline.sim("/sim/faults", {"exchange": exchange, "fault": "partial_fill", "count": 1})
        exchange, symbol, quantity = self._random.choice([one for one in EVERYTHING if one[0] == exchange])
        side = self._random.choice(("buy", "sell"))
        self._route({"symbol": symbol, "side": side, "quantity": quantity, "exchange": exchange})
        self._did("in parts")

    def pair(self) -> None:
        if found := self._manager.scan_arbitrage_opportunities():
            self._manager.execute_cross_exchange_arbitrage(found[0])
            self._did("pair")

    def rebalance(self) -> None:
        """Move a small part of the largest holding into another asset."""
        assets = self._manager.get_unified_balance()["asset_breakdown"]
        worth = {asset: one["value_usd"] for asset, one in assets.items() if one["value_usd"] > 0}
        total = sum(worth.values())
        target = {asset: value / total for asset, value in worth.items()}
        most, other = max(target, key=lambda asset: target[asset]), self._random.choice(("BTC", "ETH", "SOL"))
        target[most] -= 0.002
        target[other] = target.get(other, 0.0) + 0.002
        self._manager.rebalance_portfolio(target, 0.01)
        self._did("rebalance")

    def _route(self, request: dict[str, Any]) -> Any:
        order = {name: value for name, value in request.items() if value != ""}
        return self._manager.route_order(order, self._random.choice(("optimal", "balanced", "cheapest")))
