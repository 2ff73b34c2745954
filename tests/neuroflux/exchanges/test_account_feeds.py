"""What the account feeds of the exchanges declare of themselves."""

import pytest

from neuroflux.exchanges.catalogue import EXCHANGE_IDS, exchange
from neuroflux.exchanges.kit.requests import Keys

PUSHES_WHOLE = {
    "binance": True,
    "binanceusdm": False,
    "hyperliquid": False,
    "okx": True,
    "bybit": True,
    "kraken": False,
    "coinbase": False,
}
"""USDⓈ-M pushes wallets without margins, and nothing for an order that rests; Hyperliquid pushes its states late;
Kraken pushes totals without what orders hold; Coinbase pushes orders alone."""


@pytest.mark.parametrize("name", EXCHANGE_IDS)
def test_a_feed_declares_whether_it_pushes_whole_states(name: str) -> None:
    feed = exchange(name).account_feed(Keys("0x00000000000000000000000000000000000000Ab", "0x" + "01" * 32), [])
    assert feed.pushes_whole is PUSHES_WHOLE[name]
