"""Mutated lines of input: changed, removed, repeated, retyped, nested, spliced and truncated, from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

import msgspec
from msgspec import Raw

from tests.fuzz.frames import Message

NASTY: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 1.5, 1e308, -0.0),
    *([], {}, [[]], [None], {"": 1}),
    *("", " ", "0", "-0", "1", "-1", "00", "1.", ".5", "+1", "1_000", "１", "0x1f", "nan", "NaN", "inf", "-Infinity"),
    *("1e5", "1e999999999", "-1e-999999999", "9" * 40, "9" * 400, "0." + "0" * 40 + "1", "\x00", "é", "𝟙", "a" * 3000),
    *("B", "A", "BUY", "SELL", "open", "FILLED", "NEW_ADL", "evaporated"),
    *("SOL", "xyz:XYZ100", "@107", "USDC", "SOLUSDT"),
    *(Raw(b"1e999999999"), Raw(b"-1e400"), Raw(b"NaN"), Raw(b'"\\ud800"'), Raw(b'"\\ud800\\udc00"'), Raw(b"1.0e-400")),
    *(Raw(b"9" * 5000), Raw(b"[" * 3000 + b"]" * 3000), Raw(b'{"a":' * 2000 + b"1" + b"}" * 2000)),
)
_TAGS: Final = ("place", "cancel", "query", "order limit", "depth", "userFills", "account", "meta", "", "\x00", 7, None)
_URLS: Final = ("/info", "/exchange", "/fapi/v1/order", "/api/v3/depth?symbol=", "http://[", "//", "?", "\x00", 7, None)
_TIMES: Final[tuple[Any, ...]] = (0, -1, 1e300, "nan", "Infinity", "x", None, True, 1_795_824_000.5, [])
_STATUSES: Final = (0, 200, 400, 404, 418, 429, 500, 503, -1, 10**20, "400", None, 200.5)
_FIELDS: Final[dict[str, Sequence[Any]]] = {
    "tag": _TAGS,
    "url": _URLS,
    "path": _URLS,
    "ts_recv": _TIMES,
    "status": _STATUSES,
    "channel": ("l2Book", "bookTicker", "depth@100ms", "", 7, None),
    "method": ("PUT", "GET", "", 7),
    "dir": ("ws", "rest", "", "up", 7, None),
    "raw": ("", 7, None, [], {}),
    "line": (1, -1),
}

Node = dict[str, Any] | list[Any]
Change = Callable[[Node, Any, Random, Sequence[Message]], None]


def lines(messages: Sequence[Message], count: int, seed: int) -> Iterator[str]:
    """``count`` lines. The same arguments give the same lines."""
    random = Random(seed)
    last = "{}"
    for _ in range(count):
        last = last if random.random() < 0.02 else line(random, messages)
        yield last


def as_line(message: Message) -> str:
    """The message unchanged."""
    raw = message.body if isinstance(message.body, str) and message.dir == "ws" else _text(message.body)
    return _text({"dir": message.dir, "raw": raw, "ts_recv": 1_795_824_000.25, **message.more})


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def line(random: Random, messages: Sequence[Message]) -> str:
    message = random.choice(messages)
    raw = _raw(random, messages, message)
    fields: dict[str, Any] = {"dir": message.dir, "raw": raw, "ts_recv": 1_795_824_000.25, **message.more}
    if random.random() < 0.1:
        name = random.choice([*_FIELDS])
        fields[name] = random.choice(_FIELDS[name])
    if random.random() < 0.02:
        del fields[random.choice([*fields])]
    text = _text(fields)
    return torn(random, text, "\ud800") if random.random() < 0.01 else text


def _raw(random: Random, messages: Sequence[Message], message: Message) -> str:
    body = message.body
    if isinstance(body, str) and message.dir == "ws":
        return body
    if random.random() < 0.75:
        body = mutated(random, body, messages)
    text = _text(body)
    return torn(random, text) if random.random() < 0.05 else text


def mutated(random: Random, body: Any, messages: Sequence[Message]) -> Any:
    """The body after one to four changes; the original is unchanged."""
    copied = [_copy(body)]
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        nodes = [*_nodes(copied)]
        node = random.choice(nodes)
        key = random.choice([*node]) if isinstance(node, dict) else random.randrange(len(node))
        random.choice(CHANGES)(node, key, random, messages)
        if not copied:
            return None
    return copied[0] if len(copied) == 1 else copied


def _copy(body: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body))


def _nodes(node: Any) -> Iterator[Node]:
    """Every object and list that is not empty."""
    if isinstance(node, dict | list) and node:
        yield node
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _nodes(inner)


def _nasty(random: Random) -> Any:
    found = random.choice(NASTY)
    return _copy(found) if isinstance(found, dict | list) else found  # the inserted part may be mutated itself


def _retype(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    node[key] = _nasty(random)


def _remove(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    del node[key]


def _repeat(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    if isinstance(node, list):
        node += [node[key]] * random.choice((1, 2, 50))
    else:
        node[random.choice((f"{key}2", key.upper(), key.lower(), "", "e", "time", "coin"))] = node[key]


def _swap(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    other = random.choice([*node]) if isinstance(node, dict) else random.randrange(len(node))
    node[key], node[other] = node[other], node[key]


def _nest(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    node[key] = random.choice(([node[key]], {"data": node[key]}, {"e": node[key]}))


def _splice(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    """Insert a part of another message."""
    parts = [*_nodes([random.choice(messages).body])]
    part = random.choice(parts)
    node[key] = _copy(random.choice([*part.values()] if isinstance(part, dict) else part))


def _number(node: Any, key: Any, random: Random, messages: Sequence[Message]) -> None:
    """A number nearby, of the same kind: older, newer, larger, with a sign."""
    value = node[key]
    if isinstance(value, bool) or not isinstance(value, int | str):
        node[key] = _nasty(random)
    elif isinstance(value, int):
        node[key] = value + random.choice((-1000, -1, 1, 3, 1000, 10**9))
    else:
        node[key] = random.choice((f"-{value}", f"{value}0", f"9{value}", value[:-1], f"{value}e3"))


CHANGES: Final[tuple[Change, ...]] = (_retype, _retype, _number, _number, _remove, _repeat, _swap, _nest, _splice)


def torn(random: Random, text: str, more: str = "") -> str:
    """Truncated, with a repeated part, or with a changed character, perhaps one of ``more``."""
    at = random.randrange(len(text) + 1)
    match random.randrange(3):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + text[max(0, at - 20) :]
    return text[:at] + random.choice('"{}[],:\\9\x00é' + more) + text[at + 1 :]
