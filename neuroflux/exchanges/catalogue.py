"""The exchanges, by ccxt's ids; each is imported when it is first used."""

from __future__ import annotations

from functools import cache
from pkgutil import resolve_name
from typing import Final

from msgspec import Struct

from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.own_answers import OwnAnswers


class _Adapter(Struct, frozen=True):
    """``module:name`` of the adapter's class, and of its reader of own answers.

    ``account_of`` names the company where an exchange is one of several accounts of it, by the id of the first.
    """

    exchange: str
    own_answers: str
    account_of: str = ""


_BINANCE: Final = "neuroflux.exchanges.binance"
_COINBASE: Final = "neuroflux.exchanges.coinbase"
_KRAKEN: Final = "neuroflux.exchanges.kraken"
_HYPERLIQUID: Final = "neuroflux.exchanges.hyperliquid"
_OKX: Final = "neuroflux.exchanges.okx"
_BYBIT: Final = "neuroflux.exchanges.bybit"
_ADAPTERS: Final = {
    "binance": _Adapter(f"{_BINANCE}.spot:Binance", f"{_BINANCE}.spot_own_answers:OWN"),
    "binanceusdm": _Adapter(f"{_BINANCE}.usdm:BinanceUsdm", f"{_BINANCE}.usdm_own_answers:OWN", account_of="binance"),
    "hyperliquid": _Adapter(f"{_HYPERLIQUID}.exchange:Hyperliquid", f"{_HYPERLIQUID}.own_answers:OWN"),
    "okx": _Adapter(f"{_OKX}.exchange:Okx", f"{_OKX}.own_answers:OWN"),
    "bybit": _Adapter(f"{_BYBIT}.exchange:Bybit", f"{_BYBIT}.own_answers:OWN"),
    "kraken": _Adapter(f"{_KRAKEN}.exchange:Kraken", f"{_KRAKEN}.own_answers:OWN"),
    "coinbase": _Adapter(f"{_COINBASE}.exchange:Coinbase", f"{_COINBASE}.own_answers:OWN"),
}

EXCHANGE_IDS: Final = tuple(_ADAPTERS)


@cache
def exchange(exchange_id: str) -> Exchange:
    """The exchange with this id; raises UsageError for an unknown id."""
    made: Exchange = resolve_name(_adapter(exchange_id).exchange)()
    return made


def facade_name(exchange_id: str) -> str:
    """The exchange in the façade, and the path at which the simulator serves it; raises UsageError for an unknown id.

    Exchanges with the same one are accounts of one company, and the name means all of them. Imports no adapter.
    """
    return _adapter(exchange_id).account_of or exchange_id


def own_answers(exchange_id: str) -> OwnAnswers:
    """What reads an exchange's own answers for the audit; raises UsageError for an unknown id."""
    reader: OwnAnswers = resolve_name(_adapter(exchange_id).own_answers)
    return reader


def _adapter(exchange_id: str) -> _Adapter:
    if exchange_id not in _ADAPTERS:
        raise UsageError(f"unknown exchange {exchange_id!r}; known: {', '.join(EXCHANGE_IDS)}")
    return _ADAPTERS[exchange_id]
