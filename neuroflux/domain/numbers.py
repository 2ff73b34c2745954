"""Units of numbers and times.

Times are integer microseconds since the epoch, UTC. Amounts of orders and accounts are ``Decimal``. A number of market
data is the exchange's own text (``Numeral``) when decoded from the exchange, and a double when read from Kafka.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TypeVar

Numeral = str
"""A number exactly as the exchange wrote it: ``"0.00240000"``."""

N = TypeVar("N", str, float)
"""The type of a record's numbers: ``Numeral`` from the exchange, ``float`` from Kafka."""

Microseconds = int
"""Microseconds since the epoch, UTC."""

DECIMAL_PLACES = 18
"""The scale of the topics' decimals: ``decimal(38, 18)``."""

_WIDE = Context(prec=60)

_PLACES = Decimal(1).scaleb(-DECIMAL_PLACES)


def to_scale(amount: Decimal) -> Decimal:
    """The amount rounded to the 18 places of the topics' decimals, if it has more, as a quotient may."""
    exponent = amount.as_tuple().exponent
    fits = not isinstance(exponent, int) or exponent >= -DECIMAL_PLACES
    return amount if fits else _WIDE.quantize(amount, _PLACES)
