"""What Hyperliquid tells of an account: states, orders, fills, in its own words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from neuroflux.sim.accounts import ZERO
from neuroflux.sim.exchange import SimExchange
from neuroflux.sim.orders import Fill, Order

Json = dict[str, Any]
_TOKENS = {"USDC": 0, "PURR": 1, "HYPE": 150, "UBTC": 197}
_FIRST_OTHER = 1000
_STATUS = {"new": "open", "partially_filled": "open", "filled": "filled", "canceled": "canceled", "expired": "canceled"}

PLACES = 8
"""The exchange writes no endless fractions: an average entry price has at most so many."""


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
    if order.state == "expired":
        return "canceled" if order.filled else "iocCancelRejected"
    return _STATUS[order.state]


def cloid_of(order: Order) -> str | None:
    return order.client_order_id if order.client_order_id.startswith("0x") else None


def basic_order(order: Order) -> Json:
    """``sz`` is what is left, ``origSz`` the whole."""
    told: Json = {
        "coin": order.listing.symbol,
        "side": "B" if order.ask.side == "buy" else "A",
        "limitPx": number(order.ask.price or ZERO),
        "sz": number(order.left),
        "oid": order.order_id,
        "timestamp": order.created // 1000,
        "origSz": number(order.quantity),
    }
    if cloid_of(order):
        told["cloid"] = cloid_of(order)
    return told


def frontend_order(order: Order) -> Json:
    tif = {"GTC": "Gtc", "IOC": "Ioc", "POST": "Alo", "FOK": "Ioc"}[order.ask.time_in_force]
    more = {"triggerCondition": "N/A", "isTrigger": False, "triggerPx": "0.0", "children": [], "isPositionTpsl": False}
    more |= {"reduceOnly": order.ask.reduce_only, "orderType": "Limit", "tif": tif, "cloid": cloid_of(order)}
    return {**basic_order(order), **more}


def order_update(order: Order, time: int) -> Json:
    return {"order": basic_order(order), "status": status_of(order), "statusTimestamp": time // 1000}


def fill(fill: Fill, order: Order) -> Json:
    """``crossed`` says that we were the taker."""
    signed = fill.start_position
    opened = signed == 0 or (signed > 0) == (fill.side == "buy")
    word = ("Open " if opened else "Close ") + ("Long" if (fill.side == "buy") == opened else "Short")
    told: Json = {
        "coin": fill.listing.symbol,
        "px": number(fill.price),
        "sz": number(fill.quantity),
        "side": "B" if fill.side == "buy" else "A",
        "time": fill.time // 1000,
        "startPosition": number(fill.start_position),
        "dir": word if fill.listing.kind == "perpetual" else fill.side.capitalize(),
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
        told["cloid"] = cloid_of(order)
    return told


def fills(exchange: SimExchange, since: int = 0) -> list[Json]:
    """Newest first, as ``userFills``; times in µs."""
    known = [one for one in exchange.fills() if one.time >= since]
    return [fill(one, exchange.orders[one.order_id]) for one in reversed(known)]


def clearinghouse(exchange: SimExchange, now: int) -> Json:
    ledger = exchange.perpetual
    held = [symbol for symbol, position in ledger.positions.items() if position.quantity]
    value = ledger.wallet["USDC"] + ledger.profit("USDC")
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
        "withdrawable": number(ledger.available("USDC")),
        "assetPositions": [{"type": "oneWay", "position": _position(exchange, symbol)} for symbol in held],
        "time": now // 1000,
    }


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


def spot_state(exchange: SimExchange) -> Json:
    numbers = tokens(exchange)
    rows = [
        {
            "coin": asset,
            "token": numbers[asset],
            "total": number(balance.total),
            "hold": number(balance.locked),
            "entryNtl": "0.0",
        }
        for asset, balance in exchange.spot.balances.items()
    ]
    return {"balances": rows}
