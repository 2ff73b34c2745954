"""Which exchanges have a fault, and which fields it takes and needs: a fault that would have no effect is refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from neuroflux.errors import UsageError
from neuroflux.sim.core.venue import Venue

if TYPE_CHECKING:
    from neuroflux.sim.core.faults import Fault

SETTINGS = (
    "page_size",
    "stream_delay",
    "unified_account",
    "account_mode",
    "fees",
    "unknown_contract_type",
    "empty_side",
    "withdrawals",
    "tier",
)
"""Faults that last until they are cleared or replaced: states of the account or its answers, not single failures."""

AT_ONCE = (
    "hedge_mode",
    "multi_assets",
    "sequence_reset",
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
"""Faults that are done at once and leave nothing that could be cleared; changes.py does them."""


class Rule(Struct, frozen=True):
    """``needs`` and ``takes`` are fields beyond those that every fault takes; ``values`` are those of ``value``.

    A fault that is not ``everywhere`` is one of the exchanges whose venue names it, with the values that it names.
    """

    everywhere: bool = True
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


RULES: dict[str, Rule] = {
    "reject": Rule(takes=("symbol",)),
    "partial_fill": Rule(takes=("symbol",)),
    "mute": Rule(takes=("value",)),
    "listen_key_expired": Rule(everywhere=False),
    "listen_key_gone": Rule(everywhere=False),
    "listen_key_refused": Rule(everywhere=False),
    "overload": Rule(everywhere=False),
    "address_limit": Rule(everywhere=False),
    "order_unknown": Rule(everywhere=False),
    "page_size": Rule(needs=("value",)),
    "unified_account": Rule(everywhere=False, takes=("value",)),
    "account_mode": Rule(everywhere=False, needs=("value",)),
    "fees": Rule(takes=("maker", "taker", "asset")),
    "unknown_status": Rule(takes=("symbol", "value")),
    "unknown_code": Rule(takes=("symbol", "value")),
    "unknown_contract_type": Rule(everywhere=False, takes=("symbol", "value")),
    "malformed_row": Rule(takes=("symbol", "value")),
    "empty_side": Rule(needs=("symbol",), takes=("value",), values=("buy", "sell")),
    "server_shutdown": Rule(everywhere=False),
    "withdrawals": Rule(everywhere=False),
    "tier": Rule(everywhere=False, needs=("value",)),
    "hedge_mode": Rule(everywhere=False, takes=("value",)),
    "multi_assets": Rule(everywhere=False, takes=("value",)),
    "sequence_reset": Rule(everywhere=False, needs=("symbol",)),
    "unknown_asset": Rule(takes=("asset", "amount")),
    "transfer": Rule(needs=("asset", "amount")),
    "liquidate": Rule(everywhere=False, needs=("symbol",)),
    "adl": Rule(everywhere=False, needs=("symbol",)),
    "list": Rule(needs=("symbol",), takes=("value",)),
    "halt": Rule(needs=("symbol",)),
    "resume": Rule(needs=("symbol",)),
    "tick_size": Rule(everywhere=False, needs=("symbol", "value")),
    "funding_interval": Rule(everywhere=False, needs=("symbol", "value")),
}
_FIELDS = ("symbol", "asset", "amount", "maker", "taker", "value")
_WHOLE = ("page_size", "funding_interval")
_MOST_FEE = Decimal("0.1")


def check(fault: Fault, venues: Mapping[str, Venue]) -> None:
    """Raises UsageError on a fault that its exchange does not have, and on fields that it lacks or does not take."""
    rule = RULES.get(fault.fault, Rule())
    venue = venues[fault.exchange]
    if not rule.everywhere and fault.fault not in venue.faults:
        having = [one.id for one in venues.values() if fault.fault in one.faults]
        raise UsageError(f"{fault.fault} is a fault of {', '.join(having)}")
    given = [name for name in _FIELDS if getattr(fault, name) not in ("", None)]
    if missing := [name for name in rule.needs if name not in given]:
        raise UsageError(f"{fault.fault} needs {', '.join(missing)}")
    if surplus := [name for name in given if name not in (*rule.needs, *rule.takes)]:
        raise UsageError(f"{fault.fault} does not take {', '.join(surplus)}")
    if fault.fault in AT_ONCE and (fault.seconds is not None or fault.count is not None):
        raise UsageError(f"{fault.fault} is done at once: it takes neither seconds nor count")
    if fault.fault in SETTINGS and fault.count is not None:
        raise UsageError(f"{fault.fault} is a setting: it takes no count")
    _check_values(fault, rule, venue)


def _check_values(fault: Fault, rule: Rule, venue: Venue) -> None:
    values = venue.faults.get(fault.fault) or rule.values
    if fault.value and values and fault.value not in values:
        raise UsageError(f"value of {fault.fault} must be one of {', '.join(values)}")
    if fault.fault == "fees" and fault.asset not in ("", venue.fee_asset):
        raise UsageError(f"fees on {venue.id} can be paid in {venue.fee_asset or 'no other asset'} alone")
    if fault.fault in _WHOLE and not (fault.value.isascii() and fault.value.isdigit() and int(fault.value) > 0):
        raise UsageError(f"value of {fault.fault} must be a whole number above 0")
    for name in ("amount", "maker", "taker"):
        number: Decimal | None = getattr(fault, name)
        if number is not None and not number.is_finite():
            raise UsageError(f"{name} must be finite")
    if any(abs(share) > _MOST_FEE for share in (fault.maker, fault.taker) if share is not None):
        raise UsageError(f"maker and taker are shares of the notional, at most {_MOST_FEE}")
