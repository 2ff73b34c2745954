"""Which exchanges a fault is for, and which fields it takes and must have: a fault that could do nothing is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from neuroflux.errors import UsageError
from neuroflux.sim.core.coins import BINANCE, BINANCE_USDM, EXCHANGES, HYPERLIQUID

if TYPE_CHECKING:
    from neuroflux.sim.core.faults import Fault

_BINANCES = (BINANCE, BINANCE_USDM)
_PERPETUALS = (BINANCE_USDM, HYPERLIQUID)

SETTINGS = (
    "page_size",
    "stream_delay",
    "unified_account",
    "fees",
    "unknown_contract_type",
    "empty_side",
    "withdrawals",
)
"""Faults that last until they are cleared or set anew: how the account or its answers are, not what goes wrong once."""

AT_ONCE = (
    "hedge_mode",
    "multi_assets",
    "unknown_asset",
    "transfer",
    "liquidate",
    "adl",
    "list",
    "halt",
    "resume",
    "tick_size",
    "funding_interval",
)
"""Faults that change something at once and leave nothing that could be cleared; changes.py does them."""


class Rule(Struct, frozen=True):
    """``needs`` and ``takes`` are fields beyond those that every fault takes; ``values`` are what ``value`` may be."""

    exchanges: tuple[str, ...] = EXCHANGES
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


RULES: dict[str, Rule] = {
    "reject": Rule(takes=("symbol",)),
    "partial_fill": Rule(takes=("symbol",)),
    "mute": Rule(takes=("value",)),
    "listen_key_expired": Rule(_BINANCES),
    "listen_key_gone": Rule((BINANCE_USDM,)),
    "listen_key_refused": Rule((BINANCE_USDM,)),
    "overload": Rule(_BINANCES),
    "address_limit": Rule((HYPERLIQUID,)),
    "order_unknown": Rule((HYPERLIQUID,)),
    "page_size": Rule(needs=("value",)),
    "unified_account": Rule((HYPERLIQUID,), takes=("value",), values=("unifiedAccount", "portfolioMargin")),
    "fees": Rule(takes=("maker", "taker", "asset")),
    "unknown_status": Rule(takes=("symbol", "value")),
    "unknown_code": Rule(takes=("symbol", "value")),
    "unknown_contract_type": Rule((BINANCE_USDM,), takes=("symbol", "value")),
    "malformed_row": Rule(takes=("symbol", "value")),
    "empty_side": Rule(needs=("symbol",), takes=("value",), values=("buy", "sell")),
    "server_shutdown": Rule((BINANCE,)),
    "withdrawals": Rule((BINANCE,)),
    "hedge_mode": Rule((BINANCE_USDM,), takes=("value",), values=("true", "false")),
    "multi_assets": Rule((BINANCE_USDM,), takes=("value",), values=("true", "false")),
    "unknown_asset": Rule(takes=("asset", "amount")),
    "transfer": Rule(needs=("asset", "amount")),
    "liquidate": Rule(_PERPETUALS, needs=("symbol",)),
    "adl": Rule(_PERPETUALS, needs=("symbol",)),
    "list": Rule(needs=("symbol",), takes=("value",)),
    "halt": Rule(needs=("symbol",)),
    "resume": Rule(needs=("symbol",)),
    "tick_size": Rule(_BINANCES, needs=("symbol", "value")),
    "funding_interval": Rule((BINANCE_USDM,), needs=("symbol", "value")),
}
_FIELDS = ("symbol", "asset", "amount", "maker", "taker", "value")
_WHOLE = ("page_size", "funding_interval")
_MOST_FEE = Decimal("0.1")


def check(fault: Fault) -> None:
    """Raises UsageError on a fault that its exchange does not have, and on fields that it lacks or does not take."""
    rule = RULES.get(fault.fault, Rule())
    if fault.exchange not in rule.exchanges:
        raise UsageError(f"{fault.fault} is a fault of {', '.join(rule.exchanges)}")
    given = [name for name in _FIELDS if getattr(fault, name) not in ("", None)]
    if missing := [name for name in rule.needs if name not in given]:
        raise UsageError(f"{fault.fault} needs {', '.join(missing)}")
    if surplus := [name for name in given if name not in (*rule.needs, *rule.takes)]:
        raise UsageError(f"{fault.fault} does not take {', '.join(surplus)}")
    if fault.fault in AT_ONCE and (fault.seconds is not None or fault.count is not None):
        raise UsageError(f"{fault.fault} is done at once: it takes neither seconds nor count")
    if fault.fault in SETTINGS and fault.count is not None:
        raise UsageError(f"{fault.fault} is a setting: it takes no count")
    _check_values(fault, rule)


def _check_values(fault: Fault, rule: Rule) -> None:
    if fault.value and rule.values and fault.value not in rule.values:
        raise UsageError(f"value of {fault.fault} must be one of {', '.join(rule.values)}")
    if fault.fault == "fees" and fault.asset and (fault.asset != "BNB" or fault.exchange not in _BINANCES):
        raise UsageError("fees can be paid in BNB alone, on Binance")
    if fault.fault in _WHOLE and not (fault.value.isascii() and fault.value.isdigit() and int(fault.value) > 0):
        raise UsageError(f"value of {fault.fault} must be a whole number above 0")
    for name in ("amount", "maker", "taker"):
        number: Decimal | None = getattr(fault, name)
        if number is not None and not number.is_finite():
            raise UsageError(f"{name} must be finite")
    if any(abs(share) > _MOST_FEE for share in (fault.maker, fault.taker) if share is not None):
        raise UsageError(f"maker and taker are shares of the notional, at most {_MOST_FEE}")
