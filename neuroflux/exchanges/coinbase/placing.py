"""A new order of Coinbase: its client id, its body, and the answer that has taken it.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Ack, InDoubt, Microseconds, OrderReport, OrderState, OrderType, Outcome, Placement, Side
from neuroflux.domain import TimeInForce as Tif
from neuroflux.errors import Refused
from neuroflux.exchanges.coinbase.messages import ID, ZERO, Configuration, Direction, amount, side_of
from neuroflux.exchanges.coinbase.orders import Symbols, terms_of
from neuroflux.exchanges.coinbase.rest import signed_at
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_client import ClientIds
from neuroflux.exchanges.kit.requests import Answer

CLOCKS: Final[Microseconds] = 600_000_000
"""How far the clock that made an order's id may be ahead of the exchange's."""

_PREFIX: Final = "nf"
_DIGESTS: Final = ClientIds("", 22)
_DATED: Final = re.compile(r"nf([0-9a-f]{12})[0-9a-f]{22}")
_UUID_7: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_KINDS: Final = {
    Tif.GTC: "limit_limit_gtc",
    Tif.POST_ONLY: "limit_limit_gtc",
    Tif.IOC: "sor_limit_ioc",
    Tif.FOK: "limit_limit_fok",
}


class _Named(Struct, frozen=True):
    order_id: str
    product_id: str
    side: Direction
    client_order_id: str = ""


class _Placed(Struct, frozen=True):
    success: bool
    success_response: _Named
    order_configuration: Configuration | None = None


class _Sent(Struct, frozen=True):
    client_order_id: str
    product_id: str
    side: Direction
    order_configuration: Configuration


_PLACED: Final = Decoder(_Placed)
_SENT: Final = Decoder(_Sent)


# ── client ids ───────────────────────────────────────────────────────────────────────────────────────────────────


def client_order_id(order_id: str, leg: int, attempt: int) -> str:
    """``nf``, when the order was made (ms, 12 hex digits; 0 where its id does not say it), and a digest."""
    return f"{_PREFIX}{_made(order_id):012x}{_DIGESTS.of(order_id, leg, attempt)}"


def _made(order_id: str) -> int:
    """The time in a UUIDv7, ms."""
    found = _UUID_7.fullmatch(order_id)
    return int(found[1] + found[2], 16) if found is not None else 0


def listed_from(client_id: str, now: Microseconds, signed: Microseconds = 0) -> Microseconds:
    """The time before which an order of this client id can't have been placed; 0 where nothing says it.

    It may be rerouted hours after it was made, so that when it was ``signed`` is the better bound, where known.
    """
    found = _DATED.fullmatch(client_id)
    made = signed or (int(found[1], 16) * 1_000 if found is not None else 0)
    return max(made - CLOCKS, 0) if made <= now + CLOCKS else 0


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def order_body(placement: Placement) -> Mapping[str, Any]:
    """Raises Refused for a market order to buy without a bound: it would be sized by money."""
    return {
        "client_order_id": placement.client_order_id,
        "product_id": placement.instrument.name,
        "side": placement.side.value.upper(),
        "order_configuration": _configuration(placement),
    }


def _configuration(placement: Placement) -> Mapping[str, Mapping[str, Any]]:
    """A market order with a price is immediate-or-cancel at that bound."""
    size, is_market = wire_number(placement.quantity), placement.type is OrderType.MARKET
    if is_market and not placement.price:
        if placement.side is Side.BUY:
            raise Refused(f"{ID} needs a price that bounds a market order to buy")
        return {"market_market_ioc": {"base_size": size}}
    tif = Tif.IOC if is_market else placement.time_in_force
    terms: dict[str, Any] = {"base_size": size, "limit_price": wire_number(placement.price)}
    if tif in (Tif.GTC, Tif.POST_ONLY):
        terms["post_only"] = tif is Tif.POST_ONLY
    return {_KINDS[tif]: terms}


def placed(answer: Answer, symbols: Symbols) -> Outcome:
    """The answer to an order that was taken: accepted, and nothing is known of its fills.

    A client id that was used before is answered with the order that has it, whatever was sent now. Raises
    ``UNREADABLE`` for any other answer.
    """
    wire = _PLACED.decode(answer.body)
    order, sent = wire.success_response, _SENT.decode(answer.request.body) if answer.request.body else None
    if not wire.success or not order.order_id:
        raise ValueError("not taken")
    client_id = order.client_order_id or (sent.client_order_id if sent is not None else "")
    if sent is not None and (order.product_id, order.side, client_id) != (
        *(sent.product_id, sent.side),
        sent.client_order_id,
    ):
        return InDoubt(f"the answer is about another order: {order.side} {order.product_id:.40} {client_id:.80}")
    kind, terms = terms_of(wire.order_configuration or (sent.order_configuration if sent is not None else None))
    names = symbols.get(order.product_id, order.product_id), client_id, order.order_id
    amounts = amount(terms.limit_price), amount(terms.base_size), ZERO, ZERO
    time = signed_at(answer.request)
    return Ack(OrderReport(ID, *names, side_of(order.side), kind, *amounts, OrderState.ACKNOWLEDGED, "", time))
