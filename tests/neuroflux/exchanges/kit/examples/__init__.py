"""One module per exchange."""

from typing import Final

from tests.neuroflux.exchanges.kit.examples.binance import SPOT, USDM
from tests.neuroflux.exchanges.kit.examples.bybit import BYBIT
from tests.neuroflux.exchanges.kit.examples.coinbase import COINBASE
from tests.neuroflux.exchanges.kit.examples.hyperliquid import HYPERLIQUID
from tests.neuroflux.exchanges.kit.examples.kraken import KRAKEN
from tests.neuroflux.exchanges.kit.examples.mintex import MINTEX
from tests.neuroflux.exchanges.kit.examples.okx import OKX

EXAMPLES: Final = {
    "binance": SPOT,
    "binanceusdm": USDM,
    "hyperliquid": HYPERLIQUID,
    "okx": OKX,
    "bybit": BYBIT,
    "kraken": KRAKEN,
    "coinbase": COINBASE,
    "mintex": MINTEX,
}
