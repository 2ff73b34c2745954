"""Numbers as exchanges write them, in both directions.

Frames keep their numbers as text. That a text is a plain decimal number is checked by one pattern over all numbers of a
frame joined by commas: the check runs for every number of every frame, and four of them take 0.5 µs so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache, partial
from typing import Annotated, Final

from msgspec import Meta

from neuroflux.domain import Numeral

Long = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""An id or a sequence number in a message: as much as the topics have room for."""

_PLAIN: Final = r"(?:[0-9]{1,200}+(?:\.[0-9]{0,200}+)?+|\.[0-9]{1,200}+)"
_POSITIVE: Final = rf"(?=[0.]*[1-9]){_PLAIN}"
_WRITTEN_OUT: Final = 64
"""Longest pattern that is written out number by number: one with a repeated group takes twice as long to match."""


def _written_out(one: str, count: int) -> Callable[[str], re.Match[str] | None]:
    return re.compile(",".join([one] * count)).fullmatch


def _checker(one: str) -> Callable[..., bool]:
    of_count, repeated = cache(partial(_written_out, one)), re.compile(f"(?:{one},)+").fullmatch

    def check(*numerals: Numeral) -> bool:
        joined, count = ",".join(numerals), len(numerals)
        if 0 < count <= _WRITTEN_OUT:
            return of_count(count)(joined) is not None
        return repeated(joined + ",") is not None and joined.count(",") == count - 1

    return check


plain: Final = _checker(_PLAIN)
"""Whether each of one or more texts is a plain decimal number, 0 or above: no sign, exponent, underscore or ``nan``."""

positive: Final = _checker(_POSITIVE)
"""Whether each of one or more texts is plain and above 0."""

is_two_sided: Final = _written_out(_POSITIVE, 4)
"""Whether four numbers, joined by commas, are plain and above 0: a function in C, for every quote."""


def wire_number(number: Decimal) -> str:
    """No exponent, no trailing zeros: an amount from Kafka has 18 decimals, and exchanges count them.

    >>> wire_number(Decimal("0.100000000000000000")), wire_number(Decimal("1E+2"))
    ('0.1', '100')
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
