"""One module per exchange."""

from typing import Final

from tests.neuroflux.exchanges.kit.examples.binance import SPOT, USDM
from tests.neuroflux.exchanges.kit.examples.hyperliquid import HYPERLIQUID
from tests.neuroflux.exchanges.kit.examples.mintex import MINTEX

EXAMPLES: Final = {"binance": SPOT, "binanceusdm": USDM, "hyperliquid": HYPERLIQUID, "mintex": MINTEX}
