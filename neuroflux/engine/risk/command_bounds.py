"""How large a command may be: checked before anything of it is written, so that what is refused is small itself.

What a client writes comes back in the journal, in events and in decisions, and Kafka takes no record above a megabyte.
Every function gives the rule that is broken, in a text of bounded length, or "".
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
"""What a ``limits`` command may bound, and the least it may bound it to.

Of the weight a cancel and each question must have their turn: less the buffer it is the heaviest request, Binance's 80
for all open orders.
"""
MAX_LIMIT: Final = 1e9
RESERVED: Final = "#"
"""What begins the keys of the journal that are no order's."""


def order_id_fault(order_id: str) -> str:
    """Whether an order can be known by this id, on topics and in the journal."""
    if not order_id:
        return "order_id is empty"
    if order_id.startswith(RESERVED):
        return f"order_id begins with {RESERVED!r}"
    return text_fault("order_id", order_id, MAX_ID)


def size_fault(command: OrderCommand) -> str:
    """Whether what a command says is of bounded size and can be shown to people."""
    legs = command.legs
    if len(legs) > MAX_LEGS:
        return f"legs: there are {len(legs)}, {MAX_LEGS} may be"
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
    """Whether a control command for one of these exchanges, or all, may be obeyed. A halt is, whatever its reason.

    A probe of an account that is not there is answered like any other.
    """
    known = (*exchanges, EVERYWHERE)
    fault = "" if control.kind is ControlKind.PROBE else _name_fault("account", control.account, known)
    if fault or control.kind is ControlKind.HALT:
        return fault
    return text_fault("why", control.why, MAX_WHY) or _numbers_fault("limits", control.limits, LIMITS)


def failover_fault(failover: Failover, exchanges: Collection[str]) -> str:
    """Whether a failover names some of these exchanges, and conditions that can be followed."""
    if len(failover.backups) > MAX_BACKUPS:
        return f"backups: there are {len(failover.backups)}, {MAX_BACKUPS} may be"
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
    """Whether something of this name is there."""
    return "" if name in known else f"{what}: {name[:MAX_NAME]!r} is none of {', '.join(known)}"


def text_fault(what: str, text: str, most: int) -> str:
    """Whether a text is too long, or has what can't be printed."""
    if len(text) > most:
        return f"{what} has {len(text)} characters, {most} may be"
    return "" if text.isprintable() else f"{what} has characters that can't be printed"


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")
