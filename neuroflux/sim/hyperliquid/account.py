"""Hyperliquid's representation of an account: states, orders and fills."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from neuroflux.sim.core.accounts import ZERO, Balance, PerpetualLedger
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import Fill, Order

Json = dict[str, Any]
_TOKENS = {"USDC": 0, "PURR": 1, "HYPE": 150, "UBTC": 197, "USDE": 235, "USDT0": 268, "USDH": 360}
"""As on the mainnet: tokens of the same name differ by their number."""

_FIRST_OTHER = 1000
_FORCED = {"": "", "liquidation": "Liquidated Cross {}", "adl": "Auto-Deleveraging"}
_STATUS = {"new": "open", "partially_filled": "open", "filled": "filled", "canceled": "canceled", "expired": "canceled"}

PLACES = 8
"""The exchange writes no endless fractions: an average entry price has at most so many decimals."""

STAYS: Final = Decimal("0.1")
"""The share of the positions' value that can't be withdrawn."""
COIN, LENT = "HYPE", Decimal("0.5")
"""The coin that dollars can be borrowed against with portfolio margin, and the share of its value."""


def number(value: Decimal) -> str:
    """A number as Hyperliquid writes it: no trailing zeros but one behind the point."""
    text = f"{round(value, PLACES):f}"
    if "." in text:
        text = text.rstrip("0")
    return text + "0" if text.endswith(".") else text if "." in text else f"{text}.0"


def tokens(exchange: SimExchange) -> dict[str, int]:
    """The number of every token that is traded. Those that the simulator does not know are numbered in order."""
    spot = [one for one in exchange.listings.values() if one.kind == "spot"]
    traded = {token for one in spot for token in (one.base_asset, one.quote)} | exchange.spot.balances.keys()
    return _TOKENS | {name: _FIRST_OTHER + place for place, name in enumerate(sorted(traded - _TOKENS.keys()))}


def status_of(order: Order) -> str:
    """An immediate-or-cancel order that found nothing was rejected, not cancelled."""
    if order.state == "expired" and order.ask.only_reduces and order.ask.time_in_force == "GTC":
        return "reduceOnlyCanceled"
    if order.state == "expired":
        return "canceled" if order.filled else "iocCancelRejected"
    return _STATUS[order.state]


def cloid_of(order: Order) -> str | None:
    return order.client_order_id if order.client_order_id.startswith("0x") else None


def basic_order(order: Order) -> Json:
    """``sz`` is what is left, ``origSz`` the whole."""
    body: Json = {
        "coin": order.listing.symbol,
        "side": "B" if order.ask.side == "buy" else "A",
        "limitPx": number(order.ask.price or ZERO),
        "sz": number(order.left),
        "oid": order.order_id,
        "timestamp": order.created // 1000,
        "origSz": number(order.quantity),
    }
    if cloid_of(order):
        body["cloid"] = cloid_of(order)
    return body


def frontend_order(order: Order) -> Json:
    tif = {"GTC": "Gtc", "IOC": "Ioc", "POST": "Alo", "FOK": "Ioc"}[order.ask.time_in_force]
    more = {"triggerCondition": "N/A", "isTrigger": False, "triggerPx": "0.0", "children": [], "isPositionTpsl": False}
    more |= {"reduceOnly": order.ask.reduce_only, "orderType": "Limit", "tif": tif, "cloid": cloid_of(order)}
    return {**basic_order(order), **more}


def order_update(order: Order, status: str, time: int) -> Json:
    return {"order": basic_order(order), "status": status, "statusTimestamp": time // 1000}


def fill(fill: Fill, order: Order, user: str) -> Json:
    """``crossed``: the account was the taker; ``user`` is the account."""
    signed = fill.start_position
    opened = signed == 0 or (signed > 0) == (fill.side == "buy")
    word = ("Open " if opened else "Close ") + ("Long" if (fill.side == "buy") == opened else "Short")
    is_perpetual = fill.listing.kind == "perpetual"
    body: Json = {
        "coin": fill.listing.symbol,
        "px": number(fill.price),
        "sz": number(fill.quantity),
        "side": "B" if fill.side == "buy" else "A",
        "time": fill.time // 1000,
        "startPosition": number(fill.start_position),
        "dir": (_FORCED[order.forced].format(word.split()[-1]) or word) if is_perpetual else fill.side.capitalize(),
        "closedPnl": number(fill.profit),
        "hash": "0x" + f"{fill.trade_id:064x}",
        "oid": fill.order_id,
        "crossed": not fill.is_maker,
        "fee": number(fill.fee),
        "tid": fill.trade_id,
        "feeToken": fill.fee_asset,
        "twapId": None,
    }
    if cloid_of(order):
        body["cloid"] = cloid_of(order)
    if order.forced == "liquidation":
        body["liquidation"] = {"liquidatedUser": user, "markPx": number(fill.price), "method": "market"}
    return body


def fills(exchange: SimExchange, user: str, since: int = 0) -> list[Json]:
    """Newest first, as ``userFills``; times in µs."""
    known = [one for one in exchange.fills() if one.time >= since]
    return [fill(one, exchange.orders[one.order_id], user) for one in reversed(known)]


def clearinghouse(exchange: SimExchange, now: int, *, is_unified: bool = False) -> Json:
    """For a unified account it has only the margin of the positions as collateral: the rest is in the spot state."""
    ledger = exchange.perpetual
    held = [symbol for symbol, position in ledger.positions.items() if position.quantity]
    value = (ledger.used("USDC") if is_unified else ledger.wallet["USDC"]) + ledger.profit("USDC")
    notional = sum((abs(ledger.positions[one].quantity) * ledger.mark(one) for one in held), ZERO)
    summary = {
        "accountValue": number(value),
        "totalNtlPos": number(notional),
        "totalRawUsd": number(value - notional),
        "totalMarginUsed": number(ledger.used("USDC")),
    }
    return {
        "marginSummary": summary,
        "crossMarginSummary": summary,
        "crossMaintenanceMarginUsed": number(ledger.used("USDC") / 2),
        "withdrawable": number(ZERO if is_unified else _withdrawable(ledger, notional)),
        "assetPositions": [{"type": "oneWay", "position": _position(exchange, symbol)} for symbol in held],
        "time": now // 1000,
    }


def _withdrawable(ledger: PerpetualLedger, notional: Decimal) -> Decimal:
    """What is available, less what stays of the positions' worth where less than that is needed as margin."""
    stays = max(ZERO, notional * STAYS - ledger.used("USDC"))
    return max(ZERO, ledger.available("USDC") - stays)


def _position(exchange: SimExchange, symbol: str) -> Json:
    ledger, listing = exchange.perpetual, exchange.listings[symbol]
    position = ledger.positions[symbol]
    margin, profit = ledger.margin(symbol), ledger.unrealised(symbol)
    return {
        "coin": symbol,
        "szi": number(position.quantity),
        "leverage": {"type": "cross", "value": ledger.leverage_of(listing)},
        "entryPx": number(position.entry_price),
        "positionValue": number(abs(position.quantity) * ledger.mark(symbol)),
        "unrealizedPnl": number(profit),
        "returnOnEquity": number((profit / margin).quantize(Decimal("1e-8")) if margin else ZERO),
        "liquidationPx": None,
        "marginUsed": number(margin),
        "maxLeverage": listing.max_leverage,
        "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
    }


def spot_state(exchange: SimExchange, abstraction: str = "") -> Json:
    """The balances; of a unified account (``abstraction`` is its kind) with all collateral, and margin as hold."""
    balances = _pooled(exchange) if abstraction else exchange.spot.balances
    body: Json = {"balances": _rows(exchange, balances)}
    if abstraction == "portfolioMargin":
        body["balances"] = [_less_borrowable(exchange, row) for row in body["balances"]]
    if abstraction:
        ledger, dollars = exchange.perpetual, balances["USDC"]
        after = dollars.free + ledger.used("USDC") / 2 + ledger.profit("USDC")
        body["tokenToAvailableAfterMaintenance"] = [[0, number(after)]]
    if abstraction == "portfolioMargin":
        body["portfolioMarginEnabled"] = True
    return body


def _pooled(exchange: SimExchange) -> dict[str, Balance]:
    """Spot and perpetual dollars together: what backs positions and orders is held."""
    ledger, spot = exchange.perpetual, exchange.spot.of("USDC")
    margin = ledger.used("USDC") + ledger.margin_of_orders("USDC")
    dollars = Balance(spot.free + ledger.wallet["USDC"] - margin, spot.locked + margin)
    return exchange.spot.balances | {"USDC": dollars}


def _less_borrowable(exchange: SimExchange, row: Json) -> Json:
    """With portfolio margin the hold of dollars is less what may be borrowed against coins, and may be negative."""
    spot = exchange.spot.of(row["coin"])
    held = {**row, "spotHold": number(spot.locked)} if spot.locked else row
    if row["coin"] != "USDC":
        return held
    worth = exchange.spot.of(COIN).free * exchange.perpetual.mark(COIN)
    return {**held, "hold": number(Decimal(row["hold"]) - worth * LENT)}


def _rows(exchange: SimExchange, balances: Mapping[str, Balance]) -> list[Json]:
    numbers = tokens(exchange)
    return [
        {
            "coin": asset,
            "token": numbers[asset],
            "total": number(balance.total),
            "hold": number(balance.locked),
            "entryNtl": "0.0",
        }
        for asset, balance in balances.items()
    ]
