"""Reads orders as OKX accepts them: size in contracts or in the quote, modes, kinds, price limits.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

from msgspec.structs import replace

from neuroflux.sim.core.accounts import ZERO, Leg
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.order_checks import OrderChecks
from neuroflux.sim.core.orders import Order, Reason, Rejected
from neuroflux.sim.okx.account import SPOT_MODE, AccountMode, OkxAsk
from neuroflux.sim.okx.market import Market
from neuroflux.sim.okx.venue import contract_size, smallest_size
from neuroflux.sim.okx.wire import ApiError, needed, number, parameter_error, positive, text_of

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9]{0,16}")
_KINDS: Final[Mapping[str, TimeInForce]] = {
    "limit": "GTC",
    "post_only": "POST",
    "ioc": "IOC",
    "fok": "FOK",
    "market": "IOC",
    "optimal_limit_ioc": "IOC",
}
_AT_MARKET = ("market", "optimal_limit_ioc")
MOST_OPEN_OF_ONE, MOST_OPEN = 500, 4000
Row = Mapping[str, Any]


class Asks:
    """Reads the orders of the account; raises ApiError and Rejected."""

    def __init__(self, exchange: SimExchange, market: Market, mode: AccountMode) -> None:
        self._exchange, self._market, self._mode = exchange, market, mode

    def read(self, row: Row, listing: Listing) -> OkxAsk:
        side, kind = needed(row, "side"), needed(row, "ordType")
        if side not in ("buy", "sell"):
            raise parameter_error("side")
        if kind not in _KINDS or (kind == "optimal_limit_ioc" and listing.kind == "spot"):
            raise parameter_error("ordType")
        self._check_mode(row, listing)
        size, price = positive(row, "sz"), None if kind in _AT_MARKET else self._price(row, listing, side)
        is_value, size_in = _is_value(row, listing, side, kind)
        quantity = ZERO if is_value else size * contract_size(listing)
        ask = OkxAsk(
            symbol=listing.symbol,
            side=cast(Side, side),
            quantity=quantity,
            price=price,
            time_in_force=_KINDS[kind],
            client_order_id=self._client_id(row),
            reduce_only=self._reduces(row, listing),
            value=size if is_value else ZERO,
            leg=self._leg(row, listing),
            size=text_of(row, "sz"),
            order_type=kind,
            tag=_tag(row),
            size_in=size_in,
        )
        self._check_size(ask, listing)
        return self._afforded(ask, listing, row)

    def amended(self, row: Row, order: Order) -> OkxAsk:
        """What an order asks after it was amended; the new size includes what was filled."""
        if not text_of(row, "newSz") and not text_of(row, "newPx"):
            raise ApiError("50015", "Either parameter newPx or newSz is required")
        ask, listing = order.ask, order.listing
        if not isinstance(ask, OkxAsk):
            raise Rejected(Reason.UNKNOWN_ORDER)
        values = {"sz": text_of(row, "newSz") or ask.size, "px": text_of(row, "newPx") or number(ask.price or ZERO)}
        price, size = self._price(values, listing, ask.side), positive(values, "sz")
        return replace(ask, price=price, quantity=size * contract_size(listing), size=values["sz"])

    # --- the parts

    def _check_mode(self, row: Row, listing: Listing) -> None:
        mode = needed(row, "tdMode")
        if listing.kind == "perpetual":
            if self._mode.level == SPOT_MODE:
                raise ApiError("51010", "You can't complete this request under your current account mode.")
            if mode != "cross":
                raise parameter_error("tdMode")
        elif mode != "cash" and not (mode == "cross" and self._mode.level in ("3", "4")):
            raise parameter_error("tdMode")
        orders = self._exchange.open_orders.values()
        if sum(one.listing is listing for one in orders) >= MOST_OPEN_OF_ONE:
            raise ApiError("51174", f"The number of {listing.symbol} pending orders reached the upper limit of 500.")
        if len(orders) >= MOST_OPEN:
            raise ApiError("51025", "Order count exceeds the limit")

    def _leg(self, row: Row, listing: Listing) -> Leg:
        """Where positions have two sides, orders of swaps must name theirs."""
        side = text_of(row, "posSide")
        if listing.kind == "spot":
            return ""
        if side not in (("long", "short") if self._mode.is_hedged else ("", "net")):
            raise parameter_error("posSide")
        return cast(Leg, side.upper()) if self._mode.is_hedged else ""

    def _reduces(self, row: Row, listing: Listing) -> bool:
        wanted = text_of(row, "reduceOnly") == "true"
        if wanted and listing.kind == "spot":
            raise ApiError("51205", "Reduce Only is not available.")
        return wanted and not self._mode.is_hedged

    def _client_id(self, row: Row) -> str:
        """Of all orders that ever were, none has the same."""
        client_id = text_of(row, "clOrdId")
        if client_id and not _CLIENT_ID.fullmatch(client_id):
            raise parameter_error("clOrdId")
        if client_id and self._is_known(client_id):
            raise Rejected(Reason.DUPLICATE)
        return client_id

    def _is_known(self, client_id: str) -> bool:
        try:
            return self._exchange.find(None, client_id) is not None
        except Rejected:
            return False

    def _price(self, row: Row, listing: Listing, side: str) -> Decimal:
        if not text_of(row, "px"):
            raise ApiError("51204", "The price for the limit order cannot be empty.")
        price = positive(row, "px")
        most, least = self._market.price_limits(listing)
        if most and side == "buy" and price > most:
            raise ApiError("51137", f"The highest price limit for buy orders is {number(most)}.")
        if side == "sell" and price < least:
            raise ApiError("51138", f"The lowest price limit for sell orders is {number(least)}.")
        return price

    def _check_size(self, ask: OkxAsk, listing: Listing) -> None:
        best = self._exchange.books[listing.symbol].other(ask.side).best
        quantity = ask.value / (best * listing.tick) if ask.value and best else ask.quantity
        if quantity and quantity < smallest_size(listing) * contract_size(listing):
            raise Rejected(Reason.NOTIONAL)

    def _afforded(self, ask: OkxAsk, listing: Listing, row: Row) -> OkxAsk:
        """A spot order at market for more than there is becomes one for what there is, unless ``banAmend``."""
        if listing.kind == "perpetual" or ask.price is not None or text_of(row, "banAmend") == "true":
            return ask
        return _cut(ask, listing, self._exchange)


def _cut(ask: OkxAsk, listing: Listing, exchange: SimExchange) -> OkxAsk:
    price = exchange.top(listing.symbol)[ask.side == "buy"]
    free = exchange.available(listing.quote if ask.side == "buy" else listing.base_asset, is_spot=True)
    least = smallest_size(listing)
    if not price:
        return ask
    if ask.side == "sell":
        have, wanted = free // listing.lot * listing.lot, ask.quantity or ask.value / price
        return replace(ask, quantity=have, value=ZERO) if wanted > have >= least else ask
    wanted = ask.value or _cost(ask, listing, exchange)
    return replace(ask, quantity=ZERO, value=free) if wanted > free >= least * price else ask


def _cost(ask: OkxAsk, listing: Listing, exchange: SimExchange) -> Decimal:
    """What this quantity costs at present."""
    lots = int(ask.quantity / listing.lot)
    return OrderChecks.average_ticks(exchange.books[listing.symbol], ask.side, lots) * lots * listing.unit


def _is_value(row: Row, listing: Listing, side: str, kind: str) -> tuple[bool, str]:
    """Whether the size is an amount of the quote, and what it is in as orders repeat it."""
    if listing.kind == "perpetual" or kind != "market":
        return False, text_of(row, "tgtCcy") if listing.kind == "spot" else ""
    size_in = text_of(row, "tgtCcy") or ("quote_ccy" if side == "buy" else "base_ccy")
    if size_in not in ("quote_ccy", "base_ccy"):
        raise parameter_error("tgtCcy")
    return size_in == "quote_ccy", size_in


def _tag(row: Row) -> str:
    tag = text_of(row, "tag")
    if not _TAG.fullmatch(tag):
        raise parameter_error("tag")
    return tag
