"""The exchange's names: spot and linear perpetuals are two categories that use the same names.

``BTCUSDT`` is a spot pair and a perpetual, distinguished by the category of a request or the path of a socket. An
``Instrument.name`` must be unique, so that of a perpetual has a prefix: ``linear:BTCUSDT``.
"""

from __future__ import annotations

from typing import Final

from neuroflux.domain import Instrument, InstrumentKind

ID: Final = "bybit"
SPOT: Final = "spot"
LINEAR: Final = "linear"
CATEGORIES: Final = (SPOT, LINEAR)
_OF_LINEAR: Final = "linear:"


def name_of(category: str, wire: str) -> str:
    """The name of an instrument, which the exchange calls ``wire`` in this category."""
    return wire if category == SPOT else _OF_LINEAR + wire


def wire_name(instrument: Instrument) -> str:
    """The exchange's own name of an instrument."""
    return instrument.name.removeprefix(_OF_LINEAR)


def category_of(instrument: Instrument) -> str:
    return SPOT if instrument.kind is InstrumentKind.SPOT else LINEAR
