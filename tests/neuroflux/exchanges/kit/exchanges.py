"""The exchanges that the suites run over: those of the catalogue, and an invented one that is written as a new one is.

The invented one is in no catalogue, so that it is part of no product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from neuroflux.exchanges.catalogue import EXCHANGE_IDS, exchange
from neuroflux.exchanges.kit.interface import Exchange
from tests.mintex.adapter import Mintex

EXCHANGES: Final[Mapping[str, Exchange]] = {**{one: exchange(one) for one in EXCHANGE_IDS}, Mintex.ID: Mintex()}
