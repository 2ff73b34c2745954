"""Numbers of private data, which are all texts: "" is none of it, and sizes of perpetuals are counted in contracts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from neuroflux.domain import Instrument, Microseconds, to_scale
from neuroflux.exchanges.kit.numerals import plain, wire_number

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
_AMOUNT: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{0,60})?(?:[eE][+-]?[0-9]{1,2})?")
_LARGEST: Final = 18
"""Digits before the point, less one, that records have room for."""
_TIME_DIGITS: Final = 15
_LINEAR: Final = re.compile(r".+-(USDT|USDC)-SWAP")


def amount(text: str) -> Decimal:
    """0 for "". Raises ValueError for what is no number, or one that no record has room for."""
    if not text:
        return ZERO
    if not _AMOUNT.fullmatch(text) or (number := Decimal(text)).adjusted() > _LARGEST:
        raise ValueError(f"{text!r:.80} is no amount")
    return to_scale(number)


def coins(contracts: str, contract_size: Decimal) -> Decimal:
    """Raises ValueError as ``amount`` does."""
    number = amount(contracts)
    return number if contract_size == ONE else amount(format(number * contract_size, "f"))


def size_in_coins(contracts: str, contract_size: Decimal) -> str:
    """A size of market data. Raises ValueError for what is no plain number."""
    if not plain(contracts):
        raise ValueError(f"{contracts!r:.80} is no size")
    return wire_number(Decimal(contracts) * contract_size)


def time_of(text: str) -> Microseconds:
    """From milliseconds; 0 for "". Raises ValueError."""
    if text and not (len(text) <= _TIME_DIGITS and text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r:.80} is no time")
    return int(text or "0") * 1000


class NotListed(ValueError):
    """The size of a contract is not known yet: the instrument is in no list that was read."""


def contract_of(kind: str, name: str, listed: Mapping[str, Instrument]) -> Decimal | None:
    """The size of one unit of an instrument in coins; None for a product that is not offered here.

    ``kind`` is the exchange's ``instType``. Raises NotListed.
    """
    if name in listed and kind in ("SPOT", "SWAP"):
        return listed[name].contract_size
    if kind == "SPOT":
        return ONE
    if kind == "SWAP" and _LINEAR.fullmatch(name):
        raise NotListed(f"{name[:80]}: not listed, so the size of its contract is not known")
    return None
