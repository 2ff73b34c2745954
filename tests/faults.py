"""Every fault of the simulator with effective parameters, by exchange.

``without_parameters`` lists faults of the simulator that are missing here; a test fails for them.
"""

from __future__ import annotations

from typing import Any, Final

from neuroflux.sim.core.faults import NAMES

EXCHANGES: Final = ("binance", "binanceusdm", "hyperliquid", "okx", "bybit", "coinbase", "kraken")
Parameters = dict[str, Any]
_BINANCES: Final = ("binance", "binanceusdm")
_PERPETUALS: Final = ("binanceusdm", "hyperliquid")
_ANY: Final = EXCHANGES
_LISTED: Final = {
    "binance": "LTCUSDC",
    "binanceusdm": "LTCUSDT",
    "hyperliquid": "LTC",
    "okx": "LTC-USDT",
    "bybit": "LTCUSDT",
    "coinbase": "LTC-USD",
    "kraken": "XLTCZUSD",
}
"""An instrument that is not traded by the tests."""
_HELD: Final = {"binanceusdm": "BTCUSDT", "hyperliquid": "ETH", "okx": "BTC-USDT-SWAP", "bybit": "linear:BTCUSDT"}


def _on(exchanges: tuple[str, ...], **parameters: Any) -> dict[str, Parameters]:
    return dict.fromkeys(exchanges, parameters)


def _with_symbol(symbols: dict[str, str], **parameters: Any) -> dict[str, Parameters]:
    return {exchange: {"symbol": symbol, **parameters} for exchange, symbol in symbols.items()}


_TABLE: Final[dict[str, dict[str, Parameters]]] = {
    "disconnect": _on(_ANY, count=1),
    "mute": _on(_ANY, seconds=4),
    "gap": _on(_ANY, count=5),
    "duplicate": _on(_ANY, count=20),
    "latency": _on(_ANY, seconds=4, ms=800),
    "http_429": _on(_ANY, count=2, retry_after=1),
    "http_418": _on(_ANY, count=1, retry_after=2),
    "http_5xx": _on(_ANY, count=3),
    "accept_then_timeout": _on(_ANY, count=2),
    "reject": _on(_ANY, count=2),
    "partial_fill": _on(_ANY, count=3),
    "skew": _on(_ANY, seconds=4, ms=1500),
    "malformed": _on(_ANY, count=5),
    "listen_key_expired": _on(_BINANCES, count=1),
    "listen_key_gone": _on(("binanceusdm",), count=1),
    "listen_key_refused": _on(("binanceusdm",), count=1),
    "overload": _on(_BINANCES, count=2),
    "address_limit": _on(("hyperliquid",), count=2),
    "order_unknown": _on(("hyperliquid", "bybit"), count=3),
    "page_size": _on(_ANY, seconds=6, value="3"),
    "stream_delay": _on(_ANY, seconds=6, ms=700),
    "fees": _on(_ANY, seconds=6, maker="-0.0001", taker="0.0007"),
    "unknown_status": _on(_ANY, count=1),
    "unknown_code": _on(_ANY, count=1),
    "unknown_contract_type": _on(("binanceusdm",), seconds=4),
    "malformed_row": _on(_ANY, count=1),
    "empty_side": _with_symbol(_LISTED, seconds=4, value="buy"),
    "server_shutdown": _on(("binance",), count=1),
    "withdrawals": _on(("binance", "okx", "bybit", "coinbase", "kraken"), seconds=4),
    "unknown_asset": _on(_ANY, asset="NEWCOIN", amount="12.5"),
    "transfer": _on(_ANY, asset="USDC", amount="250"),
    "liquidate": _with_symbol(_HELD),
    "adl": _with_symbol(_HELD),
    "list": _with_symbol(
        {
            "binance": "NEWUSDC",
            "binanceusdm": "NEWUSDT",
            "hyperliquid": "NEW",
            "okx": "NEW-USDT-SWAP",
            "bybit": "NEWUSDT",
            "coinbase": "NEW-USD",
            "kraken": "NEWUSD",
        }
    ),
    "halt": _with_symbol(_LISTED),
    "resume": _with_symbol(_LISTED),
    "tick_size": {
        "binance": {"symbol": "LTCUSDC", "value": "0.1"},
        "binanceusdm": {"symbol": "LTCUSDT", "value": "0.1"},
        "okx": {"symbol": "LTC-USDT", "value": "0.1"},
        "bybit": {"symbol": "LTCUSDT", "value": "0.1"},
    },
    "funding_interval": {
        "binanceusdm": {"symbol": "LTCUSDT", "value": "4"},
        "okx": {"symbol": "LTC-USDT-SWAP", "value": "4"},
        "bybit": {"symbol": "linear:LTCUSDT", "value": "4"},
    },
    "hedge_mode": _on(("binanceusdm", "okx", "bybit"), value="true"),
    "multi_assets": _on(("binanceusdm",), value="true"),
    "tier": _on(("kraken",), seconds=6, value="intermediate"),
    "sequence_reset": {"okx": {"symbol": "LTC-USDT"}},
    "unified_account": _on(("hyperliquid",), seconds=6, value="unifiedAccount"),
    "account_mode": {
        "okx": {"seconds": 6, "value": "1"},
        "bybit": {"seconds": 6, "value": "classic"},
        "coinbase": {"seconds": 6, "value": "view_only"},
        "kraken": {"seconds": 6, "value": "view_only"},
    },
}
MODES: Final = {
    "hedge_mode": {"value": "false"},
    "multi_assets": {"value": "false"},
    "unified_account": {},
    "account_mode": {},
}
"""Account modes in which no trading is allowed; and how each ends, if not by itself."""
NEED_A_POSITION: Final = ("liquidate", "adl")
"""Refused without a position."""


def without_parameters() -> set[str]:
    """Faults of the simulator that are missing in this table."""
    return set(NAMES) - _TABLE.keys()


def faults(*, modes: bool = True) -> list[Parameters]:
    """The body for ``POST /sim/faults`` of every fault that the simulator knows, on each exchange that has it."""
    known = [name for name in _TABLE if name in NAMES and (modes or name not in MODES)]
    return [{"exchange": exchange, "fault": name, **more} for name in known for exchange, more in _TABLE[name].items()]
