"""Kraken's names of assets and pairs: a pair has four, ``XXBTZUSD``, ``XBTUSD``, ``XBT/USD`` and ``BTC/USD``.

REST knows a pair by its key (the first), and names it in orders by its ``altname`` (the second). The sockets know the
last alone, which is ccxt's symbol. So the key is the name of an instrument here, and a frame has its symbol already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from neuroflux.domain import Instrument

_RENAMED: Final = {"XBT": "BTC", "XDG": "DOGE"}
_OLD: Final = {new: old for old, new in _RENAMED.items()}
_LEGACY: Final = {
    *("XETC", "XETH", "XICN", "XLTC", "XMLN", "XNMC", "XREP", "XXBT", "XXDG", "XXLM", "XXMR", "XXRP", "XXVN", "XZEC"),
    *("ZAUD", "ZCAD", "ZEUR", "ZGBP", "ZJPY", "ZKRW", "ZUSD"),
}
"""The ids with a letter in front for what kind of asset it is. No new asset has one: ``ZETA`` and ``XTZ`` are names."""


def asset_of(name: str) -> str:
    """The asset of an id or an altname: ``XXBT`` and ``XBT`` are BTC. ``ETH2.S``, which is staked, is another asset."""
    short = name[1:] if name in _LEGACY else name
    return _RENAMED.get(short, short)


def altname_of(instrument: Instrument) -> str:
    """``XBTUSD``: how orders name a pair."""
    return "".join(_OLD.get(asset, asset) for asset in (instrument.base, instrument.quote))


class Pairs:
    """The instruments, by any of the names that answers and frames have."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._listed: dict[str, Instrument] = {}
        self.learn(instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        for one in instruments:
            self._listed |= dict.fromkeys((altname_of(one), one.symbol, one.name), one)

    def symbol(self, name: str) -> str:
        """A name that is not listed stays as it is."""
        found = self._listed.get(name)
        return found.symbol if found is not None else name

    def key(self, name: str) -> str:
        found = self._listed.get(name)
        return found.name if found is not None else name

    def quote(self, name: str) -> str:
        found = self._listed.get(name)
        return found.quote if found is not None else name.partition("/")[2]
