"""An order request: checked, published as a command, and tracked until its state is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, Final, TypeVar

import msgspec

from neuroflux.domain import CommandKind, OrderCommand, OrderType, Requirements, Side, TimeInForce
from neuroflux.engine.risk.limits import STRATEGIES
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.kafka.commands import new_order_id
from neuroflux.manager.answers import RouteOrderAnswer
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.order_answer import has_fills, is_settled, route_order_answer
from neuroflux.manager.view import View
from neuroflux.runtime.clock import wall

KNOWN: Final = frozenset(
    {"symbol", "side", "quantity", "type", "price", "time_in_force", "exchange", "requirements", "order_id"}
)
NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
"""Stricter than Decimal, which accepts ``1_000``, digits of other scripts, NaN and Infinity."""
ORDER_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
FILL_WAIT: Final = 1.0
"""Seconds to wait for the fills of a limit order that crosses the book, after its acknowledgement."""
T = TypeVar("T")


async def route(connection: Connection, request: Mapping[str, Any], strategy: str) -> RouteOrderAnswer:
    """Publish the order and return when its state is known, or after ``EXCHANGE_TIMEOUTS['order']`` as ``pending``.

    ``quantity`` is in units of the market's base. ``price`` is per unit of the base: in USD for a market
    (``BTC/USD``), in the quote for a symbol (``BTC/USDT``); only a limit order has one. ``requirements``:
    ``max_slippage`` and ``max_fee`` are fractions, ``min_liquidity`` is in USD; 0 means no bound.
    """
    command = command_of(connection.view, request, strategy)
    with connection.track(command.order_id) as tracked:
        await connection.command(command)
        if await connection.until(lambda: is_settled(command, tracked), EXCHANGE_TIMEOUTS["order"]):
            await connection.until(lambda: has_fills(tracked) and is_settled(command, tracked), FILL_WAIT)
        return route_order_answer(connection.view, command, tracked)


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────


def command_of(view: View, request: Mapping[str, Any], strategy: str) -> OrderCommand:
    """Raises UsageError that names the argument, and UnknownSymbol."""
    if not isinstance(request, Mapping):
        raise UsageError("order_request: expected a dict")
    unknown = sorted(request.keys() - KNOWN)
    if unknown:
        raise UsageError(f"order_request: unknown key {unknown[0]!r}; known: {', '.join(sorted(KNOWN))}")
    if strategy not in STRATEGIES:
        raise UsageError(f"routing_strategy: {strategy!r} is not one of {', '.join(STRATEGIES)}")
    symbol = str(request.get("symbol", ""))
    if not view.called(symbol):
        raise UnknownSymbol(f"order_request['symbol']: no instrument list names {symbol!r}")
    kind = _choice(OrderType, request, "type", OrderType.MARKET)
    return OrderCommand(
        order_id=_order_id(request.get("order_id")),
        kind=CommandKind.PLACE,
        market=symbol,
        side=_choice(Side, request, "side", None),
        type=kind,
        quantity=_amount(request, "quantity"),
        price=_price(request, kind),
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


def _order_id(given: Any) -> str:
    if not given:
        return new_order_id()
    if not isinstance(given, str) or not ORDER_ID.fullmatch(given):
        raise UsageError("order_request['order_id']: expected 1 to 100 letters, digits or any of _.:-")
    return given


def _price(request: Mapping[str, Any], kind: OrderType) -> Decimal:
    """0 for a market order, which must have no price: a caller who passes one expects it to be a bound."""
    if kind is OrderType.LIMIT:
        return _amount(request, "price")
    if request.get("price") is not None:
        raise UsageError("order_request['price']: a market order has no price; use type 'limit' to bound the price")
    return Decimal(0)


def _amount(request: Mapping[str, Any], key: str) -> Decimal:
    """The number as written: ``0.1`` is one tenth, not the nearest double."""
    text = str(request.get(key))
    if not NUMBER.fullmatch(text):
        raise UsageError(f"order_request[{key!r}]: expected a number, not {text[:40]!r}")
    amount = Decimal(text)
    if amount <= 0:
        raise UsageError(f"order_request[{key!r}]: {text[:40]} is not above 0")
    return amount


def _requirements(given: Any) -> Requirements:
    try:
        found = msgspec.convert(given, Requirements)
    except msgspec.ValidationError as error:
        raise UsageError(f"order_request['requirements']: {error}") from None
    unknown = sorted(set(given) - set(Requirements.__struct_fields__))
    if unknown:
        raise UsageError(f"order_request['requirements']: unknown key {unknown[0]!r}")
    for name, bound in msgspec.structs.asdict(found).items():
        if not isfinite(bound) or bound < 0:
            raise UsageError(f"order_request['requirements'][{name!r}]: {bound} is not a finite number of at least 0")
    return found
