"""What an order of Coinbase asks for: its configuration, read and checked.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from msgspec import Struct

from neuroflux.sim.coinbase.aliases import canonical
from neuroflux.sim.coinbase.refusals import previewed, unsupported
from neuroflux.sim.coinbase.wire import Json, Params, malformed, micros_of, required
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import Ask, Reason, Rejected

_LIMITS: dict[str, TimeInForce] = {
    "limit_limit_gtc": "GTC",
    "limit_limit_gtd": "GTC",
    "sor_limit_ioc": "IOC",
    "limit_limit_fok": "FOK",
}
_MARKET = "market_market_ioc"
_NOT_SIMULATED = (
    *("market_market_fok", "stop_limit_stop_limit_gtc", "stop_limit_stop_limit_gtd", "trigger_bracket_gtc"),
    *("trigger_bracket_gtd", "twap_limit_gtd", "scaled_limit_gtc"),
)
_SIDES: dict[object, Side] = {"BUY": "buy", "SELL": "sell"}
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)


class Wanted(Struct, frozen=True):
    """An order as it was read; ``end`` in µs, 0 for none."""

    ask: Ask
    configuration: Json
    end: int = 0


def read(exchange: SimExchange, params: Params, client_order_id: str, now: int) -> Wanted:
    """Raises ApiError for what cannot be read, NotPlaced or Rejected for what may not be traded."""
    listing = exchange.listings.get(required(params, "product_id"))
    side = _SIDES.get(params.get("side"))
    kind, terms = _configuration(params)
    if listing is None or side is None:
        raise malformed("valid product_id is required" if listing is None else "invalid side")
    if canonical(exchange, listing.symbol) in exchange.halted:
        raise Rejected(Reason.HALTED)
    wanted = {kind: terms}
    if kind == _MARKET:
        return Wanted(_market(exchange, listing, side, terms, client_order_id), wanted)
    tif = "POST" if terms.get("post_only") is True else _LIMITS[kind]
    size = base_size(listing, terms)
    ask = Ask(listing.symbol, side, size, _amount(terms, "limit_price"), tif, client_order_id)
    return Wanted(ask, wanted, _end(terms, now) if kind == "limit_limit_gtd" else 0)


def _configuration(params: Params) -> tuple[str, dict[str, Any]]:
    """Its kind and its terms; there is exactly one."""
    given = params.get("order_configuration")
    known = {*_LIMITS, _MARKET, *_NOT_SIMULATED}
    if not isinstance(given, dict) or len(given) != 1 or not given.keys() <= known:
        raise malformed("order_configuration is invalid")
    ((kind, terms),) = given.items()
    if kind in _NOT_SIMULATED:
        raise unsupported("order configuration is not supported")
    if not isinstance(terms, dict):
        raise malformed(f"{kind} is invalid")
    return kind, terms


def base_size(listing: Listing, terms: Params, name: str = "base_size") -> Decimal:
    """The size in coins, at least one step."""
    size = _amount(terms, name)
    if size < listing.lot:
        raise previewed("INVALID_BASE_SIZE_TOO_SMALL")
    return size


def _amount(terms: Params, name: str) -> Decimal:
    """A number above 0; raises ApiError, NotPlaced."""
    text = required(terms, name)
    if not _NUMBER.fullmatch(text):
        raise malformed(f"invalid {name}")
    value = Decimal(text)
    if value <= 0:
        raise previewed("INVALID_LIMIT_PRICE" if name == "limit_price" else "INVALID_BASE_SIZE_TOO_SMALL")
    return value


def _market(exchange: SimExchange, listing: Listing, side: Side, terms: Params, client_order_id: str) -> Ask:
    """The ``quote_size`` of a buy includes the fee."""
    if exchange.books[listing.symbol].other(side).best is None:
        raise previewed("INVALID_NO_LIQUIDITY")
    if ("quote_size" in terms) == ("base_size" in terms) or (side == "sell" and "quote_size" in terms):
        raise previewed("INVALID_ORDER_CONFIG", "Market orders need one size; sells are sized in the base")
    if "base_size" in terms:
        return Ask(listing.symbol, side, base_size(listing, terms), None, "IOC", client_order_id)
    size = _amount(terms, "quote_size")
    if size % listing.tick:
        raise previewed("INVALID_QUOTE_SIZE_PRECISION", "Too many decimals in quote size")
    value = size / (1 + exchange.fee_share(listing, side))
    if size < listing.min_notional:
        raise Rejected(Reason.NOTIONAL)
    return Ask(listing.symbol, side, ZERO, None, "IOC", client_order_id, value=value)


def _end(terms: Params, now: int) -> int:
    end = micros_of(required(terms, "end_time"))
    if end <= now:
        raise previewed("INVALID_END_TIME", "end_time is in the past")
    return end


def amended(listing: Listing, params: Params) -> tuple[Decimal, Decimal]:
    """The size and price that an order is edited to."""
    return base_size(listing, params, "size"), _amount(params, "price")
