"""OKX's representation of the account: balances, positions, orders and fills.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api and #order-book-trading-trade
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from neuroflux.sim.core.accounts import ZERO, Position, key_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.core.orders import Ask, Fill, Order
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.okx.bills import Bills
from neuroflux.sim.okx.venue import OKX, contract_size, kind_of
from neuroflux.sim.okx.wire import Json, ms, number

UID = "448743607034327908"
SPOT_MODE, FUTURES_MODE = "1", "2"
_STATES: Final[Mapping[str, str]] = {"new": "live", "canceled": "canceled", "expired": "canceled"}
_CANCELLED_BY = {"POST": "31", "IOC": "14", "FOK": "13", "GTC": "32"}
"""One that rested ended because another order of the account would have met it."""
_KINDS = {"POST": "post_only", "IOC": "ioc", "FOK": "fok", "GTC": "limit"}
_CATEGORIES = {"": "normal", "liquidation": "full_liquidation", "adl": "adl"}
_EMPTY_IN_ORDERS = [
    "ccy",
    "pxUsd",
    "pxVol",
    "pxType",
    "slOrdPx",
    "slTriggerPx",
    "slTriggerPxType",
    "tpOrdPx",
    "tpTriggerPx",
    "tpTriggerPxType",
    "quickMgnType",
    "algoClOrdId",
    "algoId",
    "attachAlgoClOrdId",
    "stpId",
    "source",
    "cancelSourceReason",
]
_EMPTY_IN_POSITIONS = [
    "margin",
    "liqPx",
    "liab",
    "liabCcy",
    "interest",
    "posCcy",
    "optVal",
    "bePx",
    "baseBal",
    "quoteBal",
    "deltaBS",
    "deltaPA",
    "gammaBS",
    "gammaPA",
    "thetaBS",
    "thetaPA",
    "vegaBS",
    "vegaPA",
    "usdPx",
    "mgnRatio",
    "tradeId",
]
_EMPTY_IN_BALANCES = [
    "spotInUseAmt",
    "clSpotInUseAmt",
    "maxSpotInUseAmt",
    "accAvgPx",
    "spotUpl",
    "spotBal",
    "openAvgPx",
]
_ZERO_IN_BALANCES = [
    "borrowFroz",
    "crossLiab",
    "fixedBal",
    "interest",
    "isoEq",
    "isoLiab",
    "isoUpl",
    "liab",
    "maxLoan",
    "rewardBal",
    "smtSyncEq",
    "spotIsoBal",
    "stgyEq",
    "twap",
    "uplLiab",
    "spotCopyTradingEq",
    "notionalLever",
]


class OkxAsk(Ask, frozen=True):
    """What was requested, with what the exchange repeats as it was sent: size, kind, tag, and what the size is in."""

    size: str = ""
    order_type: str = ""
    tag: str = ""
    size_in: str = ""


class AccountMode:
    """The settings of the account: its level, and whether positions have two sides."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.is_hedged = False

    @property
    def level(self) -> str:
        """1 is spot alone, 2 futures, 3 multi-currency margin, 4 portfolio margin: the fault ``account_mode``."""
        fault = self._faults.setting(OKX, "account_mode")
        return fault.value if fault is not None else FUTURES_MODE


class AccountRows:
    """Writes them. Times are in µs."""

    def __init__(self, simulation: Simulation, bills: Bills, mode: AccountMode) -> None:
        self._simulation = simulation
        self._exchange: SimExchange = simulation.exchange(OKX)
        self._bills, self._mode = bills, mode

    # --- balances

    def balance(self, assets: Iterable[str], now: int) -> Json:
        """The unified account, with the details of these assets."""
        details = [self._detail(asset, now) for asset in assets]
        equity = sum((Decimal(row["eqUsd"]) for row in details), ZERO)
        ledger = self._exchange.perpetual
        used, profit = ledger.used("USDT"), ledger.profit("USDT")
        empty = dict.fromkeys(("adjEq", "availEq", "borrowFroz", "imr", "mmr", "mgnRatio", "ordFroz", "upl"), "")
        more = {"isoEq": "0", "notionalUsd": number(self._notional()), "details": details, "uTime": ms(now)}
        if self._mode.level in ("3", "4"):
            empty |= {"adjEq": number(equity), "imr": number(used), "mmr": number(used / 2), "upl": number(profit)}
        return {**empty, "totalEq": number(equity), **more}

    def cash(self, asset: str) -> str:
        return number(self._bills.cash(asset))

    def assets(self) -> list[str]:
        """Every asset that the account has something of."""
        return [asset for asset in self._exchange.spot.balances if self._bills.cash(asset)]

    def _notional(self) -> Decimal:
        ledger = self._exchange.perpetual
        held = ((abs(position.quantity), ledger.mark(listing.symbol)) for listing, position in ledger.held())
        return sum((quantity * mark for quantity, mark in held), ZERO)

    def _detail(self, asset: str, now: int) -> Json:
        ledger, spot = self._exchange.perpetual, self._exchange.spot.of(asset)
        cash, profit, used = self._bills.cash(asset), ledger.profit(asset), ledger.used(asset)
        in_orders = spot.locked + ledger.margin_of_orders(asset)
        free, is_spot = self._exchange.available(asset, is_spot=True), self._mode.level == SPOT_MODE
        worth = number((cash + profit) * self._dollars(asset))
        return {
            "ccy": asset,
            **dict.fromkeys(_ZERO_IN_BALANCES, "0"),
            **dict.fromkeys(_EMPTY_IN_BALANCES, ""),
            "cashBal": number(cash),
            "eq": number(cash + profit),
            "eqUsd": worth,
            "disEq": worth,
            "upl": number(profit),
            "availBal": number(free),
            "availEq": "" if is_spot else number(free),
            "frozenBal": number(in_orders + used),
            "ordFrozen": number(in_orders),
            "imr": number(used),
            "mmr": number(used / 2),
            "mgnRatio": number((cash + profit) / (used / 2)) if used else "",
            "uTime": ms(self._bills.changed.get(asset, now)),
        }

    def _dollars(self, asset: str) -> Decimal:
        name = f"{asset}-USDT"
        return self._exchange.top(name)[0] if name in self._exchange.listings else Decimal(asset not in ("EUR",))

    # --- positions

    def positions(self, now: int, kind: str = "", symbol: str = "") -> list[Json]:
        """Those that are not empty."""
        if kind not in ("", "ANY", "SWAP"):
            return []
        held = self._exchange.perpetual.held()
        return [self.position(listing, one, now) for listing, one in held if symbol in ("", listing.symbol)]

    def position(self, listing: Listing, position: Position, now: int) -> Json:
        ledger, quantity = self._exchange.perpetual, position.quantity
        key, side = key_of(listing, position.leg), position.leg.lower() or "net"
        margin, profit, mark = ledger.margin(key), ledger.unrealised(key), ledger.mark(listing.symbol)
        contracts = quantity / contract_size(listing)
        paid, funded = self._bills.costs(listing.symbol)
        return {
            **dict.fromkeys(_EMPTY_IN_POSITIONS, ""),
            "instType": "SWAP",
            "instId": listing.symbol,
            "posId": f"{listing.number}{('net', 'long', 'short').index(side)}",
            "mgnMode": "cross",
            "posSide": side,
            "pos": number(contracts if side == "net" else abs(contracts)),
            "availPos": "" if side == "net" else number(abs(contracts)),
            "ccy": listing.quote,
            "avgPx": number(position.entry_price) if quantity else "",
            "upl": number(profit) if quantity else "",
            "uplRatio": number(profit / margin) if margin else "",
            "lever": str(ledger.leverage_of(listing)) if quantity else "",
            "markPx": number(mark),
            "last": number(mark),
            "idxPx": number(mark),
            "imr": number(margin) if quantity else "",
            "mmr": number(margin / 2) if quantity else "",
            "notionalUsd": number(abs(quantity) * mark) if quantity else "",
            "pnl": number(position.realised),
            "realizedPnl": number(position.realised + paid + funded),
            "fee": number(paid),
            "fundingFee": number(funded),
            "liqPenalty": "0",
            "adl": "1" if quantity else "",
            "closeOrderAlgo": [],
            "cTime": ms(position.updated or now),
            "uTime": ms(position.updated or now),
            "pTime": ms(now),
        }

    # --- orders

    def order(self, order: Order) -> Json:
        """An order as it is requested; ``avgPx`` and the last fill are empty where there is none."""
        ask, fills = order.ask, order.fills
        last, state = fills[-1] if fills else None, _STATES.get(order.state, order.state)
        terms = {"side": ask.side, "px": number(ask.price) if ask.price is not None else "", **self._terms(order)}
        profit = sum((fill.profit for fill in fills), ZERO)
        return {
            **dict.fromkeys(_EMPTY_IN_ORDERS, ""),
            "instType": kind_of(order.listing),
            "instId": order.listing.symbol,
            "ordId": str(order.order_id),
            "clOrdId": "" if order.forced else ask.client_order_id,
            **terms,
            "accFillSz": self._size(order.filled, order.listing),
            "avgPx": number(order.average_price) if order.filled else "",
            "fillPx": number(last.price) if last else "",
            "fillSz": self._size(last.quantity, order.listing) if last else "0",
            "fillTime": ms(last.time) if last else "",
            "tradeId": str(last.trade_id) if last else "",
            "state": self._simulation.status(order, state, "suspended"),
            **_fee(order),
            "pnl": number(profit),
            "category": _CATEGORIES[order.forced],
            "cancelSource": _cancelled_by(order),
            "attachAlgoOrds": [],
            "linkedAlgoOrd": {"algoId": ""},
            "isTpLimit": "false",
            "stpMode": "cancel_maker",
            "uTime": ms(order.updated),
            "cTime": ms(order.created),
        }

    def _terms(self, order: Order) -> Json:
        """What was requested, as it was sent."""
        ask, is_swap = order.ask, order.listing.kind == "perpetual"
        mine = ask if isinstance(ask, OkxAsk) else OkxAsk(symbol=ask.symbol, side=ask.side)
        kind = mine.order_type or ("market" if ask.price is None else _KINDS[ask.time_in_force])
        return {
            "ordType": kind,
            "sz": mine.size or self._size(order.quantity, order.listing),
            "tgtCcy": mine.size_in,
            "tag": mine.tag,
            "tdMode": "cross" if is_swap else "cash",
            "posSide": (ask.leg.lower() or "net") if is_swap else "",
            "reduceOnly": "true" if ask.reduce_only else "false",
            "lever": str(self._exchange.perpetual.leverage_of(order.listing)) if is_swap else "",
            "tradeQuoteCcy": order.listing.quote,
        }

    @staticmethod
    def _size(quantity: Decimal, listing: Listing) -> str:
        return number(quantity / contract_size(listing))

    def pushed(self, order: Order, fill: Fill | None) -> Json:
        """An order as it is pushed, with the fill that changed it."""
        row = self.order(order)
        parts = dict.fromkeys(("fillPx", "tradeId", "fillTime", "execType", "fillFeeCcy", "fillMarkPx"), "")
        parts |= {"fillSz": "0", "fillFee": "0", "fillPnl": "0", "fillNotionalUsd": "", "lastPx": ""}
        if fill is not None:
            own = self.fill(fill)
            parts |= {name: own[name] for name in ("fillPx", "fillSz", "tradeId", "fillTime", "execType", "fillPnl")}
            parts |= {"fillFee": own["fee"], "fillFeeCcy": own["feeCcy"], "lastPx": own["fillPx"]}
        more = {"avgPx": row["avgPx"] or "0", "code": "0", "msg": "", "reqId": "", "amendResult": "", "amendSource": ""}
        return {**row, **parts, **more, "notionalUsd": number(order.quantity * (order.ask.price or ZERO))}

    def fill(self, fill: Fill) -> Json:
        """A fee that was charged is negative."""
        order = self._exchange.orders[fill.order_id]
        bill, is_swap = self._bills.of_fill(fill), fill.listing.kind == "perpetual"
        base = fill.price * fill.quantity if fill.fee_asset == fill.listing.quote else fill.quantity
        empty = ("fillPxVol", "fillPxUsd", "fillMarkVol", "fillFwdPx", "fillMarkPx", "fillIdxPx")
        return {
            **dict.fromkeys(empty, ""),
            "instType": kind_of(fill.listing),
            "instId": fill.listing.symbol,
            "tradeId": str(fill.trade_id),
            "ordId": str(fill.order_id),
            "clOrdId": "" if order.forced else order.ask.client_order_id,
            "billId": str(bill),
            "tag": order.ask.tag if isinstance(order.ask, OkxAsk) else "",
            "side": fill.side,
            "posSide": order.ask.leg.lower() or "net",
            "fillPx": number(fill.price),
            "fillSz": self._size(fill.quantity, fill.listing),
            "fillPnl": number(fill.profit),
            "fillTime": ms(fill.time),
            "execType": "M" if fill.is_maker else "T",
            "fee": number(-fill.fee),
            "feeCcy": fill.fee_asset,
            "feeRate": number(-fill.fee / base),
            "subType": "1" if fill.side == "buy" else "2",
            "ts": ms(fill.time),
            "tradeQuoteCcy": "" if is_swap else fill.listing.quote,
        }


def _fee(order: Order) -> Json:
    is_quoted = order.listing.kind == "perpetual" or order.ask.side == "sell"
    asset, other = (order.listing.quote, order.listing.base_asset)[:: 1 if is_quoted else -1]
    fee = -sum((fill.fee for fill in order.fills), ZERO)
    return {"fee": number(fee), "feeCcy": asset, "rebate": "0", "rebateCcy": other}


def _cancelled_by(order: Order) -> str:
    if order.state == "canceled":
        return "1"
    if order.state != "expired" or order.ask.reduce_only:
        return ""
    return _CANCELLED_BY["IOC" if order.ask.price is None else order.ask.time_in_force]
