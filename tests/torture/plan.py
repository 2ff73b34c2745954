"""The plan of one run, as data: commands, faults and kills with their times, drawn from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from msgspec import Struct

from tests.faults import NEED_A_POSITION, Parameters, faults

SECONDS: Final = 6.0
"""Seconds during which a run sends commands."""
ORDERS: Final = 200
"""Orders of a run, besides cancels, pairs and rebalances."""

INSTRUMENTS: Final = {
    "binance": (("BTC/USDC", "0.001"), ("ETH/USDC", "0.02")),
    "binanceusdm": (("BTC/USDC:USDC", "0.002"), ("BTC/USDT:USDT", "0.002")),
    "hyperliquid": (("BTC/USDC:USDC", "0.001"), ("ETH/USDC:USDC", "0.02")),
    "okx": (("BTC/USDT", "0.001"), ("ETH/USDT:USDT", "0.02")),
    "bybit": (("ETH/USDT", "0.02"), ("BTC/USDT:USDT", "0.001")),
    "kraken": (("BTC/USD", "0.001"), ("ETH/USD", "0.02")),
    "coinbase": (("BTC/USD", "0.001"), ("ETH/USD", "0.02")),
}
"""Symbols and quantities, by exchange."""
ROUTED: Final = (("BTC/USD", "0.003"), ("ETH/USD", "0.05"))
"""Markets and quantities of orders that name no exchange."""
REBALANCED: Final = {"binance": "USDC", "okx": "USDT", "bybit": "USDT", "kraken": "USD", "coinbase": "USD"}
"""The quote that is used by a rebalance, by exchange."""

LASTING: Final = 2.0
"""The longest duration of a fault, in seconds."""
LEFT_OUT: Final = (*NEED_A_POSITION, "list")
"""Faults that the simulator may refuse: without a position, or for a symbol that is already listed."""
SERVICES: Final = ("execution", "execution", "execution", "account", "market", "streams", "warehouse")


class Placing(Struct, frozen=True):
    """An order; ``away`` is the distance of a limit price from the market, as a fraction, above 0 if it rests.

    ``twice``: its command is written twice.
    """

    at: float
    exchange: str
    market: str
    side: str
    quantity: str
    type: str
    time_in_force: str
    away: float
    strategy: str
    twice: bool


class Cancelling(Struct, frozen=True):
    """A cancel of the order ``before`` orders ago."""

    at: float
    before: int


class Pairing(Struct, frozen=True):
    """The best opportunity of that moment, if there is one."""

    at: float


class Rebalancing(Struct, frozen=True):
    """A small amount of one asset sold on an exchange, for ``quote``, and of another bought."""

    at: float
    exchange: str
    quote: str
    sell: str
    buy: str


class Disturbing(Struct, frozen=True):
    """A fault of the simulator, as a body of ``POST /sim/faults``."""

    at: float
    fault: Parameters


class Killing(Struct, frozen=True):
    """A service killed, or stopped for ``pause`` seconds."""

    at: float
    service: str
    pause: float


Act = Placing | Cancelling | Pairing | Rebalancing | Disturbing | Killing


def plan(seed: int, exchanges: Sequence[str], orders: int = ORDERS, seconds: float = SECONDS) -> list[Act]:
    """The acts of a run on these exchanges, in order of time."""
    random = Random(seed)
    acts: list[Act] = [_placing(random, exchanges, seconds) for _ in range(orders)]
    acts += [Cancelling(random.uniform(0.2, seconds), random.randint(1, 12)) for _ in range(orders // 8)]
    acts += [Pairing(random.uniform(0, seconds)) for _ in range(max(1, orders // 25))]
    if spot := [one for one in exchanges if one in REBALANCED]:
        acts += [_rebalancing(random, random.choice(spot), seconds) for _ in range(2)]
    acts += [_disturbing(random, exchanges, seconds) for _ in range(random.randint(4, 10))]
    acts += [_killing(random, seconds) for _ in range(random.choice((0, 1, 1, 2)))]
    return sorted(acts, key=lambda act: act.at)


def _rebalancing(random: Random, exchange: str, seconds: float) -> Rebalancing:
    return Rebalancing(random.uniform(0, seconds), exchange, REBALANCED[exchange], *random.sample(("BTC", "ETH"), 2))


def _placing(random: Random, exchanges: Sequence[str], seconds: float) -> Placing:
    here = [(exchange, *one) for exchange in exchanges for one in INSTRUMENTS[exchange]]
    exchange, market, quantity = random.choice([*here, *(("", *one) for one in ROUTED)])
    kind = random.choice(("market", "market", "limit"))
    rests = random.random() < 0.5
    return Placing(
        random.uniform(0, seconds),
        exchange,
        market,
        random.choice(("buy", "sell")),
        quantity,
        kind,
        random.choice(("GTC", "IOC", "FOK")) if kind == "limit" else "GTC",
        random.uniform(0.001, 0.01) * (1 if rests else -1),
        random.choice(("optimal", "fastest", "cheapest", "balanced", "redundant")) if not exchange else "optimal",
        random.random() < 0.05,
    )


def _disturbing(random: Random, exchanges: Sequence[str], seconds: float) -> Disturbing:
    """A random fault of the simulator, within the maximum count or duration of its parameters."""
    known = [one for one in faults(modes=False) if one["exchange"] in exchanges and one["fault"] not in LEFT_OUT]
    at, fault = random.uniform(0, seconds), dict(random.choice(known))
    if "count" in fault:
        fault["count"] = random.randint(1, fault["count"])
    if "seconds" in fault:
        fault["seconds"] = random.uniform(0.3, LASTING)
    if "ms" in fault:
        fault["ms"] = random.choice((200, 1_500, 6_000))
    return Disturbing(at, fault)


def _killing(random: Random, seconds: float) -> Killing:
    service = random.choice(SERVICES)
    pause = random.uniform(0.5, 3.0) if random.random() < 0.3 else 0.0
    return Killing(random.uniform(0.5, seconds), service, pause)
