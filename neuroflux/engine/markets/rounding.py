"""Fits prices and quantities to an instrument's rules, and names the rule that an order would break."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from neuroflux.domain import Instrument, OrderType, Side

_EXACT = Context(prec=80)
"""Wide enough that dividing what an Avro decimal(38, 18) can hold by any step is exact where it matters."""


def _to_multiple(number: Decimal, step: Decimal, rounding: str) -> Decimal:
    count = _EXACT.divide(number, step).to_integral_value(rounding)
    return _EXACT.multiply(count, step)


def _price_step(instrument: Instrument, price: Decimal) -> Decimal:
    """The step that a price of this size must keep; 0 where there is none.

    By significant figures (Hyperliquid): no more than those, nor than ``price_decimals`` decimals, but whole numbers
    are always allowed.
    """
    if not instrument.price_significant_figures:
        return instrument.tick_size
    last_figure = price.adjusted() - instrument.price_significant_figures + 1
    return Decimal(1).scaleb(min(0, max(last_figure, -instrument.price_decimals)))


def round_price(instrument: Instrument, price: Decimal, side: Side, aggressive: bool) -> Decimal:
    """The nearest price that the instrument allows, on one side of the given one.

    ``aggressive`` moves towards the other side's orders (up to buy, down to sell), so that what the price would have
    matched still matches; otherwise away, so that it is never worse than what was asked for. May come to 0.
    """
    step = _price_step(instrument, price)
    if not step:
        return price
    up = (side is Side.BUY) == aggressive
    return _to_multiple(price, step, ROUND_CEILING if up else ROUND_FLOOR)


def _quantity_step(instrument: Instrument, order_type: OrderType) -> Decimal:
    """The coarser of the steps that apply; exchanges make one a multiple of the other."""
    if order_type is OrderType.MARKET:
        return max(instrument.quantity_step, instrument.market_quantity_step)
    return instrument.quantity_step


def round_quantity(instrument: Instrument, quantity: Decimal, order_type: OrderType) -> Decimal:
    """The greatest quantity that the instrument allows and that is not more than the given one. May come to 0."""
    step = _quantity_step(instrument, order_type)
    return _to_multiple(quantity, step, ROUND_FLOOR) if step else quantity


def violation(
    instrument: Instrument, quantity: Decimal, price: Decimal, order_type: OrderType, *, reduces: bool = False
) -> str:
    """The rule that such an order breaks, in words; "" where it keeps them all.

    An order that only ``reduces`` a position has no minimum of value: exchanges take what closes a position however
    small it is (Binance any reduce-only order, Hyperliquid one that closes all of it), and refuse the rest themselves.
    The price of a market order is its bound or the expected one, and 0 where there is none: then its value is unknown
    and not checked.
    """
    return _quantity_violation(instrument, quantity, order_type) or _price_violation(
        instrument, quantity, price, order_type, reduces
    )


def _quantity_violation(instrument: Instrument, quantity: Decimal, order_type: OrderType) -> str:
    if quantity <= 0:
        return f"quantity {quantity} is not above 0"
    if round_quantity(instrument, quantity, order_type) != quantity:
        return f"quantity {quantity} is no multiple of {_quantity_step(instrument, order_type)}"
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
        return f"price {price} is no multiple of {_price_step(instrument, price)}"
    value = _EXACT.multiply(quantity, price)
    if value < instrument.min_notional and not reduces:
        return f"value {value} is below the minimum of {instrument.min_notional} {instrument.quote}"
    return ""
