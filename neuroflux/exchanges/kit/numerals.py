"""How numbers are written to exchanges."""

from decimal import Decimal


def wire_number(number: Decimal) -> str:
    """No exponent, no trailing zeros: an amount has 18 decimals where it came through Kafka, and exchanges count them.

    >>> wire_number(Decimal("0.100000000000000000")), wire_number(Decimal("1E+2"))
    ('0.1', '100')
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
