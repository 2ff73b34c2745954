"""Frames of Binance spot as in its combined streams, from a seed or captured; and a codec for them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.records import topics
from neuroflux.records.codec import Codec

CAPTURED = Path(__file__).parents[2] / "shared" / "wire" / "binance_spot" / "seq_spot_NKNUSDT.jsonl"


def listing(names: Sequence[str]) -> Answer:
    """The exchange's instrument list with these symbols, all against USDT."""
    symbols = [
        {"symbol": f"{name}USDT", "status": "TRADING", "baseAsset": name, "quoteAsset": "USDT"}
        | {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}]}
        for name in names
    ]
    return Answer(
        Request("GET", "/api/v3/exchangeInfo", tag="exchangeInfo"), 200, json.dumps({"symbols": symbols}).encode()
    )


def futures(names: Sequence[str]) -> Answer:
    """The instrument list of USDⓈ-M with these symbols."""
    symbols = [
        {"symbol": f"{name}USDT", "pair": f"{name}USDT", "contractType": "PERPETUAL", "status": "TRADING"}
        | {"baseAsset": name, "quoteAsset": "USDT", "marginAsset": "USDT"}
        | {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}]}
        for name in names
    ]
    request = Request("GET", "/fapi/v1/exchangeInfo", tag="exchangeInfo")
    return Answer(request, 200, json.dumps({"symbols": symbols}).encode())


def codec() -> Codec:
    """A codec without a registry, with consecutive ids."""
    return Codec({topic.name: number for number, topic in enumerate(topics.ALL, 1)})


def bases(count: int) -> list[str]:
    return ["BTC"] if count == 1 else [f"C{number}" for number in range(count)]


def quotes(names: Sequence[str], count: int, seed: int = 1) -> list[bytes]:
    """Moving best prices, one symbol after the other."""
    chance = random.Random(seed)
    return [_quote(names[number % len(names)], number, chance) for number in range(count)]


def _quote(name: str, number: int, chance: random.Random) -> bytes:
    bid = 30_000 + chance.randrange(10_000) / 100
    data = {"u": 400_900_217 + number, "s": f"{name}USDT", "b": f"{bid:.8f}", "B": f"{chance.random() * 9:.8f}"}
    data |= {"a": f"{bid + 0.01:.8f}", "A": f"{chance.random() * 9:.8f}"}
    return json.dumps({"stream": f"{name.lower()}usdt@bookTicker", "data": data}, separators=(",", ":")).encode()


def trades(names: Sequence[str], count: int, kind: str = "trade", seed: int = 1) -> list[bytes]:
    """``kind`` is ``trade``, or ``aggTrade``, from which cryptofeed takes its trades."""
    chance = random.Random(seed)
    return [_trade(names[number % len(names)], number, kind, chance) for number in range(count)]


def _trade(name: str, number: int, kind: str, chance: random.Random) -> bytes:
    time = 1_672_515_782_136 + number
    data = {"e": kind, "E": time, "s": f"{name}USDT", "t" if kind == "trade" else "a": number}
    data |= {"p": f"{30_000 + chance.random():.8f}", "q": f"{chance.random():.8f}", "T": time}
    data |= {"m": bool(number % 2), "M": True}
    return json.dumps({"stream": f"{name.lower()}usdt@{kind}", "data": data}, separators=(",", ":")).encode()


def captured(kind: str) -> Iterator[dict[str, str]]:
    """Lines of a captured stream of one symbol: ``bookTicker``, ``depthUpdate`` or ``depth_snapshot``."""
    if CAPTURED.exists():
        lines = (json.loads(line) for line in CAPTURED.read_text().splitlines())
        yield from (line for line in lines if line["channel"] == kind)
