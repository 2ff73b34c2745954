"""Size limits of commands, checked before anything of a command is written, so that a refusal is small too.

A command's texts are repeated in the journal, in events and in decisions, and Kafka accepts no record above a megabyte.
Every function returns the violated rule, in a text of bounded length, or "".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import isfinite
from typing import Final

from neuroflux.domain import ControlCommand, ControlKind, Failover, OrderCommand
from neuroflux.engine.health.failover import CONDITIONS
from neuroflux.engine.risk.limits import EVERYWHERE

MAX_ID: Final = 128
MAX_NAME: Final = 64
MAX_WHY: Final = 1_000
MAX_LEGS: Final = 64
MAX_BACKUPS: Final = 64
LIMITS: Final = {"leverage": 1.0, "max_leverage": 0.01, "weight_per_minute": 100.0}
"""The bounds that a ``limits`` command may set, and the smallest value of each.

The request weight must allow cancels and queries: less the buffer, it must cover the heaviest request, Binance's 80 for
all open orders.
"""
MAX_LIMIT: Final = 1e9
RESERVED: Final = "#"
"""Prefix of journal keys that are not order ids."""


def order_id_fault(order_id: str) -> str:
    """Why this is not a valid order id on topics and in the journal, or ""."""
    if not order_id:
        return "order_id is empty"
    if order_id.startswith(RESERVED):
        return f"order_id begins with {RESERVED!r}"
    return text_fault("order_id", order_id, MAX_ID)


def size_fault(command: OrderCommand) -> str:
    """Why a command's texts or legs are too large or not printable, or ""."""
    legs = command.legs
    if len(legs) > MAX_LEGS:
        return f"legs: there are {len(legs)}, {MAX_LEGS} are allowed"
    texts = [
        ("market", command.market, MAX_ID),
        ("exchange", command.exchange, MAX_NAME),
        ("strategy", command.strategy, MAX_NAME),
        ("issued_by", command.issued_by, MAX_ID),
        *(("legs: exchange", leg.exchange, MAX_NAME) for leg in legs),
        *(("legs: symbol", leg.symbol, MAX_ID) for leg in legs),
    ]
    return _first(text_fault(*one) for one in texts)


def control_fault(control: ControlCommand, exchanges: Collection[str]) -> str:
    """Why a control command for these exchanges is invalid, or "". A halt is valid whatever its reason.

    A probe of an unknown account is answered like any other.
    """
    known = (*exchanges, EVERYWHERE)
    fault = "" if control.kind is ControlKind.PROBE else _name_fault("account", control.account, known)
    if fault or control.kind is ControlKind.HALT:
        return fault
    return text_fault("why", control.why, MAX_WHY) or _numbers_fault("limits", control.limits, LIMITS)


def failover_fault(failover: Failover, exchanges: Collection[str]) -> str:
    """Why a failover names other exchanges than these, or invalid conditions, or ""."""
    if len(failover.backups) > MAX_BACKUPS:
        return f"backups: there are {len(failover.backups)}, {MAX_BACKUPS} are allowed"
    names = _first(_name_fault("exchange", one, exchanges) for one in (failover.primary, *failover.backups))
    return names or text_fault("config_id", failover.config_id, MAX_ID) or _conditions_fault(failover)


def _conditions_fault(failover: Failover) -> str:
    return _numbers_fault("conditions", failover.conditions, dict.fromkeys(CONDITIONS, 0.0))


def _numbers_fault(what: str, numbers: Mapping[str, float], least: Mapping[str, float]) -> str:
    for name, number in numbers.items():
        if fault := _name_fault(what, name, least):
            return fault
        if not (isfinite(number) and least[name] <= number <= MAX_LIMIT):
            return f"{what}: {name} is {number}, and must be from {least[name]:g} to {MAX_LIMIT:g}"
    return ""


def _name_fault(what: str, name: str, known: Collection[str]) -> str:
    """Why a name is unknown, or ""."""
    return "" if name in known else f"{what}: {name[:MAX_NAME]!r} is not one of {', '.join(known)}"


def text_fault(what: str, text: str, most: int) -> str:
    """Why a text is too long or not printable, or ""."""
    if len(text) > most:
        return f"{what} has {len(text)} characters, {most} are allowed"
    return "" if text.isprintable() else f"{what} has characters that can't be printed"


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")
