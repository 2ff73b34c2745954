"""Fits prices and quantities to an instrument's rules, and names the rule that an order would break."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from neuroflux.domain import Instrument, OrderType, Side

_EXACT = Context(prec=80)
"""Enough digits that dividing any Avro decimal(38, 18) by a step is exact."""


def _to_multiple(number: Decimal, step: Decimal, rounding: str) -> Decimal:
    count = _EXACT.divide(number, step).to_integral_value(rounding)
    return _EXACT.multiply(count, step)


def _price_step(instrument: Instrument, price: Decimal) -> Decimal:
    """The step that a price of this size must be a multiple of; 0 if there is none.

    With significant figures (Hyperliquid): at most that many, and at most ``price_decimals`` decimals, but integers are
    always allowed.
    """
    if not instrument.price_significant_figures:
        return instrument.tick_size
    last_figure = price.adjusted() - instrument.price_significant_figures + 1
    return Decimal(1).scaleb(min(0, max(last_figure, -instrument.price_decimals)))


def round_price(instrument: Instrument, price: Decimal, side: Side, aggressive: bool) -> Decimal:
    """The nearest valid price on one side of the given one. May be 0.

    ``aggressive`` rounds towards the other side's orders (up to buy, down to sell), so that every order which the price
    would have matched still matches; otherwise it rounds away, so that the price is never worse than the given one.
    """
    step = _price_step(instrument, price)
    if not step:
        return price
    up = (side is Side.BUY) == aggressive
    return _to_multiple(price, step, ROUND_CEILING if up else ROUND_FLOOR)


def _quantity_step(instrument: Instrument, order_type: OrderType) -> Decimal:
    """The coarser of the applicable steps; on every exchange one is a multiple of the other."""
    if order_type is OrderType.MARKET:
        return max(instrument.quantity_step, instrument.market_quantity_step)
    return instrument.quantity_step


def round_quantity(instrument: Instrument, quantity: Decimal, order_type: OrderType) -> Decimal:
    """The largest valid quantity that is not above the given one. May be 0."""
    step = _quantity_step(instrument, order_type)
    return _to_multiple(quantity, step, ROUND_FLOOR) if step else quantity


def violation(
    instrument: Instrument, quantity: Decimal, price: Decimal, order_type: OrderType, *, reduces: bool = False
) -> str:
    """The rule that such an order violates, in words, or "".

    An order that only ``reduces`` a position has no minimum value: exchanges accept one that closes a position however
    small it is (Binance any reduce-only order, Hyperliquid one that closes all of it), and reject others themselves.
    The price of a market order is its bound or the expected price, or 0 if there is none: then its value is unknown and
    not checked.
    """
    return _quantity_violation(instrument, quantity, order_type) or _price_violation(
        instrument, quantity, price, order_type, reduces
    )


def _quantity_violation(instrument: Instrument, quantity: Decimal, order_type: OrderType) -> str:
    if quantity <= 0:
        return f"quantity {quantity} is not above 0"
    if round_quantity(instrument, quantity, order_type) != quantity:
        return f"quantity {quantity} is not a multiple of {_quantity_step(instrument, order_type)}"
    if quantity < instrument.min_quantity:
        return f"quantity {quantity} is below the minimum of {instrument.min_quantity}"
    if instrument.max_quantity and quantity > instrument.max_quantity:
        return f"quantity {quantity} is above the maximum of {instrument.max_quantity}"
    return ""


def _price_violation(
    instrument: Instrument, quantity: Decimal, price: Decimal, order_type: OrderType, reduces: bool
) -> str:
    if order_type is OrderType.MARKET and price == 0:
        return ""
    if price <= 0:
        return f"price {price} is not above 0"
    if round_price(instrument, price, Side.BUY, aggressive=False) != price:
        return f"price {price} is not a multiple of {_price_step(instrument, price)}"
    value = _EXACT.multiply(quantity, price)
    if value < instrument.min_notional and not reduces:
        return f"value {value} is below the minimum of {instrument.min_notional} {instrument.quote}"
    return ""
