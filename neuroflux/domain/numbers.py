"""Units of numbers and times.

Times are int microseconds since the epoch, UTC. Money is ``Decimal`` where it moves. A number off the wire is kept as
the exchange wrote it (``Numeral``); a number off the log is a double.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TypeVar

Numeral = str
"""A number exactly as the exchange wrote it: ``"0.00240000"``."""

N = TypeVar("N", str, float)
"""How a record holds its numbers: ``Numeral`` off the wire, ``float`` off the log."""

Microseconds = int

DECIMAL_PLACES = 18

_WIDE = Context(prec=60)

_PLACES = Decimal(1).scaleb(-DECIMAL_PLACES)


def to_scale(amount: Decimal) -> Decimal:
    """Rounded to the 18 places that the topics' decimals have, where there are more, as a quotient has."""
    exponent = amount.as_tuple().exponent
    fits = not isinstance(exponent, int) or exponent >= -DECIMAL_PLACES
    return amount if fits else _WIDE.quantize(amount, _PLACES)
