"""``get_unified_balance``: what each account holds, in one snapshot.

Equity is the value of the wallets (``total - unrealised_pnl`` of each balance, at its price) plus the unrealised profit
of all positions. The rule is the same for every exchange, also where balances include the profit (Hyperliquid). A
position's profit is its quantity times the difference between the newest mark price and its entry price; without a
fresh mark price it is the profit that the exchange reported. Amounts of assets are from the balances alone.

Values in USD use a stablecoin's live rate, or the aggregated price of the asset's market. An asset with neither, or
only a stale one, is listed in ``unpriced``; its ``value_usd`` is ``nan`` and no sum includes it. The same applies to a
position whose profit has no price, as ``exchange:symbol``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from math import fsum, isnan, nan

from neuroflux.domain import Balance, Instrument, Microseconds, Position
from neuroflux.engine.risk.limits import BALANCES_LIFE
from neuroflux.errors import UsageError
from neuroflux.manager.answers import AssetBalance, BalanceAnswer, ExchangeBalance, SyncStatus, iso
from neuroflux.manager.exchange_names import shared_names
from neuroflux.manager.view import RECENT_SPAN, View


def unified_balance(
    view: View, exchanges: Sequence[str], asset_filter: Collection[str] | None, now: Microseconds
) -> BalanceAnswer:
    """What these exchanges hold of these assets; None means all. Raises UsageError for an invalid filter."""
    _check(asset_filter)
    held = [
        reported.balance
        for (exchange, asset), reported in view.balances.items()
        if exchange in exchanges and (asset_filter is None or asset in asset_filter)
    ]
    assets = _by_asset(view, held, now)
    accounts = {name: _account(view, name, held, asset_filter, now) for name in exchanges}
    profit = fsum(one["unrealised_pnl_usd"] for one in accounts.values())
    return {
        "total_balance_usd": fsum(one["total_usd"] for one in accounts.values()),
        "asset_breakdown": assets,
        "exchange_breakdown": _with_sums(accounts),
        "available_balance": {asset: one["available"] for asset, one in assets.items()},
        "locked_balance": {asset: one["in_positions"] + one["in_orders"] for asset, one in assets.items()},
        "last_updated": iso(max((view.balances_written.get(name, 0) for name in exchanges), default=0)),
        "sync_status": {name: sync_status(view, name, now) for name in exchanges},
        "unpriced": [asset for asset, one in assets.items() if isnan(one["value_usd"])]
        + [name for name, value in _profits(view, exchanges, asset_filter, now).items() if isnan(value)],
        "unrealised_pnl_usd": profit,
    }


def _check(asset_filter: Collection[str] | None) -> None:
    if asset_filter is None:
        return
    if isinstance(asset_filter, str) or not all(isinstance(asset, str) for asset in asset_filter):
        raise UsageError(f"asset_filter: expected a list of assets, not {asset_filter!r}")


def _by_asset(view: View, held: Iterable[Balance], now: Microseconds) -> dict[str, AssetBalance]:
    of: dict[str, list[Balance]] = {}
    for balance in held:
        of.setdefault(balance.asset, []).append(balance)
    return {asset: _asset(view, asset, of[asset], now) for asset in sorted(of)}


def _asset(view: View, asset: str, held: Sequence[Balance], now: Microseconds) -> AssetBalance:
    total = sum((one.total for one in held), Decimal(0))
    unrealised = sum((one.unrealised_pnl for one in held), Decimal(0))
    return {
        "total": float(total),
        "available": float(sum((one.free for one in held), Decimal(0))),
        "in_positions": float(sum((one.in_positions for one in held), Decimal(0))),
        "in_orders": float(sum((one.in_orders for one in held), Decimal(0))),
        "value_usd": _worth(view, asset, total - unrealised, now),
        "unrealised_pnl": float(unrealised),
    }


def _worth(view: View, asset: str, amount: Decimal, now: Microseconds) -> float:
    """The value in USD; an amount of 0 is worth 0, also without a price."""
    if not amount:
        return 0.0
    rate = view.rate(asset, now)
    return float(amount) * rate.mid if rate is not None else nan


def _account(
    view: View, exchange: str, held: Iterable[Balance], requested: Collection[str] | None, now: Microseconds
) -> ExchangeBalance:
    assets = _by_asset(view, (one for one in held if one.exchange == exchange), now)
    profit = _profit(view, exchange, requested, now)
    values = [one["value_usd"] for one in assets.values() if not isnan(one["value_usd"])]
    return {"total_usd": sum(values) + profit, "unrealised_pnl_usd": profit, "assets": assets, "parts": {}}


def _profit(view: View, exchange: str, requested: Collection[str] | None, now: Microseconds) -> float:
    """Unrealised profit in USD of the positions that settle in one of these assets, where a price is known."""
    values = _profits(view, (exchange,), requested, now).values()
    return fsum(value for value in values if not isnan(value))


def _profits(
    view: View, exchanges: Sequence[str], requested: Collection[str] | None, now: Microseconds
) -> dict[str, float]:
    """USD by ``exchange:symbol``; ``nan`` if the instrument is not known, or its asset has no price."""
    found: dict[str, float] = {}
    for (exchange, symbol), position in view.positions.items():
        instrument = view.instrument(exchange, symbol)
        settle = instrument.settle if instrument else ""
        if exchange in exchanges and (requested is None or not settle or settle in requested):
            profit = _unrealised(view, instrument, position, now) if instrument else position.unrealised_pnl
            found[f"{exchange}:{symbol}"] = _worth(view, settle, profit, now)
    return found


def _unrealised(view: View, instrument: Instrument, position: Position, now: Microseconds) -> Decimal:
    """In the asset that the position settles in."""
    mark = view.mark(instrument, now)
    if mark is None or not position.entry_price:
        return position.unrealised_pnl
    return position.quantity * (Decimal(str(mark)) - position.entry_price)


# ── names that cover several accounts ────────────────────────────────────────────────────────────────────────────


def _with_sums(accounts: dict[str, ExchangeBalance]) -> dict[str, ExchangeBalance]:
    """Each account once, so that the values add up: accounts that share a name are ``parts`` of it."""
    shown: dict[str, ExchangeBalance] = {}
    for name, account in accounts.items():
        whole = next((one for one, parts in shared_names().items() if name in parts and one in accounts), name)
        parts = {part: accounts[part] for part in shared_names().get(whole, ()) if part in accounts}
        shown[whole] = _sum(parts) if len(parts) > 1 else account
    return shown


def _sum(parts: dict[str, ExchangeBalance]) -> ExchangeBalance:
    assets: dict[str, AssetBalance] = {}
    for part in parts.values():
        for asset, balance in part["assets"].items():
            assets[asset] = _added(assets[asset], balance) if asset in assets else balance
    return {
        "total_usd": fsum(part["total_usd"] for part in parts.values()),
        "unrealised_pnl_usd": fsum(part["unrealised_pnl_usd"] for part in parts.values()),
        "assets": assets,
        "parts": parts,
    }


def _added(one: AssetBalance, other: AssetBalance) -> AssetBalance:
    return {
        "total": one["total"] + other["total"],
        "available": one["available"] + other["available"],
        "in_positions": one["in_positions"] + other["in_positions"],
        "in_orders": one["in_orders"] + other["in_orders"],
        "value_usd": one["value_usd"] + other["value_usd"],
        "unrealised_pnl": one["unrealised_pnl"] + other["unrealised_pnl"],
    }


# ── how reliable the figures are ─────────────────────────────────────────────────────────────────────────────────


def sync_status(view: View, exchange: str, now: Microseconds) -> SyncStatus:
    """``synced`` only if all that the account holds was reported recently and agreed with REST when last compared.

    The age is that of the oldest balance or position.
    """
    reported, difference = view.oldest_part(exchange), view.differences.get(exchange)
    if not reported:
        return {"status": "missing", "age_seconds": nan, "agrees": None, "detail": "no balance was reported"}
    age = (now - reported) / 1e6
    if now - reported > BALANCES_LIFE:
        return {"status": "stale", "age_seconds": age, "agrees": None, "detail": f"last reported {age:.0f} s ago"}
    if mode := view.mode_of(exchange):
        return {"status": "differs", "age_seconds": age, "agrees": None, "detail": mode}
    if difference is not None and now - difference.event_time <= RECENT_SPAN:
        return {"status": "differs", "age_seconds": age, "agrees": False, "detail": difference.detail}
    return {"status": "synced", "age_seconds": age, "agrees": True, "detail": ""}
