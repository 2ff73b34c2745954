"""What is done to a pipeline in one run, as data: commands, faults and kills at their times, drawn from one seed."""

from __future__ import annotations

from random import Random
from typing import Final

from msgspec import Struct

EXCHANGES: Final = ("binance", "binanceusdm", "hyperliquid")
SECONDS: Final = 6.0
"""How long a run sends commands for."""
ORDERS: Final = 200
"""Orders of a run, beside cancels, pairs and rebalances."""

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

COUNTED: Final = {
    "disconnect": 1,
    "gap": 5,
    "duplicate": 20,
    "http_429": 2,
    "http_418": 1,
    "http_5xx": 3,
    "accept_then_timeout": 2,
    "reject": 2,
    "partial_fill": 3,
    "malformed": 5,
    "listen_key_expired": 1,
}
"""Faults that strike so many times at most."""
LASTING: Final = {"mute": 2.0, "latency": 2.0, "skew": 2.0}
"""Faults that last, for so many seconds at most."""
SERVICES: Final = ("execution", "execution", "execution", "account", "market", "streams", "warehouse")


class Placing(Struct, frozen=True):
    """An order; ``away`` is how far a limit price lies from the market, as a fraction, above 0 where it rests.

    ``twice``: its command is written two times.
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
    """A cancel of the order that came ``before`` so many orders ago."""

    at: float
    before: int


class Pairing(Struct, frozen=True):
    """The best opportunity of that moment, if there is one."""

    at: float


class Rebalancing(Struct, frozen=True):
    """A little of one asset sold and of another bought."""

    at: float
    sell: str
    buy: str


class Disturbing(Struct, frozen=True):
    """A fault of the simulator, as ``POST /sim/faults`` takes it."""

    at: float
    fault: dict[str, str | int | float]


class Killing(Struct, frozen=True):
    """A service killed, or stopped for ``pause`` seconds."""

    at: float
    service: str
    pause: float


Act = Placing | Cancelling | Pairing | Rebalancing | Disturbing | Killing


def plan(seed: int, orders: int = ORDERS, seconds: float = SECONDS) -> list[Act]:
    """The acts of a run, in the order of their times."""
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
    at, exchange = random.uniform(0, seconds), random.choice(EXCHANGES)
    name = random.choice((*COUNTED, *LASTING))
    fault: dict[str, str | int | float] = {"exchange": exchange, "fault": name}
    if name in COUNTED:
        fault |= {"count": random.randint(1, COUNTED[name])}
    else:
        fault |= {"seconds": random.uniform(0.3, LASTING[name]), "ms": random.choice((200, 1_500, 6_000))}
    if name in ("http_429", "http_418"):
        fault |= {"retry_after": random.randint(1, 2)}
    return Disturbing(at, fault)


def _killing(random: Random, seconds: float) -> Killing:
    service = random.choice(SERVICES)
    pause = random.uniform(0.5, 3.0) if random.random() < 0.3 else 0.0
    return Killing(random.uniform(0.5, seconds), service, pause)
