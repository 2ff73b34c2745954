"""An order request: checked, published as a command, and followed until the exchange has spoken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from math import fsum
from typing import Any, Final, Literal, TypeVar

import msgspec

from neuroflux.clock import wall
from neuroflux.domain import (
    Allocation,
    Candidate,
    CommandKind,
    OrderCommand,
    OrderDecision,
    OrderEvent,
    OrderState,
    OrderType,
    Requirements,
    Side,
    TimeInForce,
)
from neuroflux.engine.limits import STRATEGIES
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.manager.answers import RouteOrderAnswer
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.following import Followed
from neuroflux.manager.mirror import Mirror
from neuroflux.ordering import new_order_id

KNOWN: Final = frozenset(
    {"symbol", "side", "quantity", "type", "price", "time_in_force", "exchange", "requirements", "order_id"}
)
UNSPOKEN: Final = frozenset({OrderState.RECEIVED, OrderState.ROUTED, OrderState.SENDING, OrderState.IN_DOUBT})
"""What a leg is while its exchange has not said anything of it."""
COSTS: Final = ("fee", "spread", "slippage", "conversion")
T = TypeVar("T")


async def route(connection: Connection, request: Mapping[str, Any], strategy: str) -> RouteOrderAnswer:
    """Publish the order and answer when its exchange has, or after ``EXCHANGE_TIMEOUTS['order']`` as ``pending``."""
    command = command_of(connection.mirror, request, strategy)
    with connection.follow(command.order_id) as followed:
        await connection.command(command)
        await connection.until(lambda: spoken(followed), EXCHANGE_TIMEOUTS["order"])
        return answer(connection.mirror, command, followed)


def spoken(followed: Followed) -> bool:
    """Whether the order was refused, or every leg that was sent has been answered."""
    last = followed.last
    if followed.decision is None or last is None:
        return False
    states = {event.client_order_id: event.state for event in followed.events if event.client_order_id}
    answered = sum(1 for state in states.values() if state not in UNSPOKEN)
    return last.state.final or (bool(states) and answered >= len(followed.decision.chosen))


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────


def command_of(mirror: Mirror, request: Mapping[str, Any], strategy: str) -> OrderCommand:
    """Raises UsageError that names the argument, and UnknownSymbol."""
    if not isinstance(request, Mapping):
        raise UsageError("order_request: a dict is needed")
    unknown = sorted(request.keys() - KNOWN)
    if unknown:
        raise UsageError(f"order_request: unknown key {unknown[0]!r}; known: {', '.join(sorted(KNOWN))}")
    if strategy not in STRATEGIES:
        raise UsageError(f"routing_strategy: {strategy!r} is none of {', '.join(STRATEGIES)}")
    symbol = str(request.get("symbol", ""))
    if not mirror.called(symbol):
        raise UnknownSymbol(f"order_request['symbol']: nobody lists {symbol!r}")
    kind = _choice(OrderType, request, "type", OrderType.MARKET)
    return OrderCommand(
        order_id=str(request.get("order_id") or new_order_id()),
        kind=CommandKind.PLACE,
        market=symbol,
        side=_choice(Side, request, "side", None),
        type=kind,
        quantity=_amount(request, "quantity"),
        price=_amount(request, "price") if kind is OrderType.LIMIT else Decimal(0),
        time_in_force=_choice(TimeInForce, request, "time_in_force", TimeInForce.GTC),
        strategy=strategy,
        exchange=str(request.get("exchange", "")),
        requirements=_requirements(request.get("requirements") or {}),
        issued_by=CLIENT,
        issued_at=wall(),
    )


def _choice(kind: type[T], request: Mapping[str, Any], key: str, default: T | None) -> T:
    given = request.get(key, default)
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"order_request[{key!r}]: {error}") from None


def _amount(request: Mapping[str, Any], key: str) -> Decimal:
    """A number as it was written: ``0.1`` is one tenth, not the nearest double."""
    try:
        amount = Decimal(str(request[key]))
    except (KeyError, InvalidOperation):
        raise UsageError(f"order_request[{key!r}]: a number is needed") from None
    if not amount.is_finite() or amount <= 0:
        raise UsageError(f"order_request[{key!r}]: {amount} is not above 0")
    return amount


def _requirements(given: Any) -> Requirements:
    try:
        found = msgspec.convert(given, Requirements)
    except msgspec.ValidationError as error:
        raise UsageError(f"order_request['requirements']: {error}") from None
    unknown = sorted(set(given) - set(Requirements.__struct_fields__))
    if unknown:
        raise UsageError(f"order_request['requirements']: unknown key {unknown[0]!r}")
    return found


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def answer(mirror: Mirror, command: OrderCommand, followed: Followed) -> RouteOrderAnswer:
    """What the decision and the events say; what nobody has said yet is empty, not guessed."""
    decision, last = followed.decision, followed.last
    chosen = decision.chosen if decision is not None else ()
    exchanges = list(dict.fromkeys(one.exchange for one in chosen))
    reason = last.reason if last is not None and last.state in _FAILED else decision.reason if decision else ""
    return {
        "order_id": command.order_id,
        "exchange": exchanges[0] if exchanges else "",
        "status": _status(followed),
        "routing_reason": reason or (decision.reason if decision else "no executor has taken the order yet"),
        "estimated_costs": costs(mirror, decision) if decision else {},
        "execution_time": _seconds(decision) if decision else 0.0,
        "backup_exchanges": _backups(decision, exchanges) if decision else [],
        "chosen": [{"exchange": one.exchange, "symbol": one.symbol, "quantity": float(one.quantity)} for one in chosen],
        "state": last.state.value if last else "",
        "filled_quantity": float(_filled(followed)),
        "average_price": float(last.average_price) if last else 0.0,
    }


_FAILED = frozenset({OrderState.REFUSED, OrderState.REJECTED})


def _status(followed: Followed) -> Literal["routed", "pending", "failed"]:
    last = followed.last
    if last is not None and last.state in _FAILED:
        return "failed"
    return "routed" if spoken(followed) else "pending"


def _filled(followed: Followed) -> Decimal:
    newest: dict[str, OrderEvent] = {event.client_order_id: event for event in followed.events}
    whole = newest.pop("", None)
    return max(
        sum((event.filled_quantity for event in newest.values()), Decimal(0)),
        whole.filled_quantity if whole else Decimal(0),
    )


def costs(mirror: Mirror, decision: OrderDecision) -> dict[str, float]:
    """USD, of what was chosen: each candidate's figures, which are of the whole quantity, by its share of it."""
    sums = dict.fromkeys(COSTS, 0.0)
    for candidate, share in _shares(mirror, decision):
        for name in COSTS:
            sums[name] += getattr(candidate, name) * share
    return sums | {"total": fsum(sums.values())}


def _shares(mirror: Mirror, decision: OrderDecision) -> Collection[tuple[Candidate, float]]:
    known = {(one.exchange, one.symbol): one for one in decision.candidates}
    return [(known[(one.exchange, one.symbol)], _share(mirror, one, known)) for one in decision.chosen]


def _share(mirror: Mirror, one: Allocation, known: Mapping[tuple[str, str], Candidate]) -> float:
    name = (one.exchange, one.symbol)
    instrument = mirror.instrument(*name)
    whole = known[name].quantity / instrument.multiplier if instrument else 0.0
    return float(one.quantity) / whole if whole else 0.0


def _seconds(decision: OrderDecision) -> float:
    """The latency of the slowest exchange that was chosen."""
    chosen = {(one.exchange, one.symbol) for one in decision.chosen}
    taken = [one.latency_ms for one in decision.candidates if (one.exchange, one.symbol) in chosen]
    return max(taken, default=0.0) / 1e3


def _backups(decision: OrderDecision, exchanges: Collection[str]) -> list[str]:
    """The others that could have taken it, the cheapest first."""
    able = sorted((one for one in decision.candidates if not one.reason), key=lambda one: one.total)
    return [name for name in dict.fromkeys(one.exchange for one in able) if name not in exchanges]
