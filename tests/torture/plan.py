"""The plan of one run, as data: commands, faults and kills with their times, drawn from one seed."""

from __future__ import annotations

from random import Random
from typing import Final

from msgspec import Struct

from tests.faults import NEED_A_POSITION, Parameters, faults

SECONDS: Final = 6.0
"""Seconds during which a run sends commands."""
ORDERS: Final = 200
"""Orders of a run, besides cancels, pairs and rebalances."""

INSTRUMENTS: Final = (
    ("binance", "BTC/USDC", "0.001"),
    ("binance", "ETH/USDC", "0.02"),
    ("binanceusdm", "BTC/USDC:USDC", "0.002"),
    ("binanceusdm", "BTC/USDT:USDT", "0.002"),
    ("hyperliquid", "BTC/USDC:USDC", "0.001"),
    ("hyperliquid", "ETH/USDC:USDC", "0.02"),
    ("", "BTC/USD", "0.003"),
    ("", "ETH/USD", "0.05"),
)
"""Exchange (empty: routed), symbol or market, quantity."""

LASTING: Final = 2.0
"""The longest duration of a fault, in seconds."""
LEFT_OUT: Final = (*NEED_A_POSITION, "list")
"""Faults that the simulator may refuse: without a position, or for a symbol that is already listed."""
DISTURBANCES: Final = tuple(one for one in faults(modes=False) if one["fault"] not in LEFT_OUT)
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
    """A small amount of one asset sold and of another bought."""

    at: float
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


def plan(seed: int, orders: int = ORDERS, seconds: float = SECONDS) -> list[Act]:
    """The acts of a run, in order of time."""
    random = Random(seed)
    acts: list[Act] = [_placing(random, seconds) for _ in range(orders)]
    acts += [Cancelling(random.uniform(0.2, seconds), random.randint(1, 12)) for _ in range(orders // 8)]
    acts += [Pairing(random.uniform(0, seconds)) for _ in range(max(1, orders // 25))]
    acts += [Rebalancing(random.uniform(0, seconds), *random.sample(("BTC", "ETH"), 2)) for _ in range(2)]
    acts += [_disturbing(random, seconds) for _ in range(random.randint(4, 10))]
    acts += [_killing(random, seconds) for _ in range(random.choice((0, 1, 1, 2)))]
    return sorted(acts, key=lambda act: act.at)


def _placing(random: Random, seconds: float) -> Placing:
    exchange, market, quantity = random.choice(INSTRUMENTS)
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


def _disturbing(random: Random, seconds: float) -> Disturbing:
    """A random fault of the simulator, within the maximum count or duration of its parameters."""
    at, fault = random.uniform(0, seconds), dict(random.choice(DISTURBANCES))
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
