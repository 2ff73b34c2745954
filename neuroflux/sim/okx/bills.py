"""OKX's bills: every change of the trading account's cash, newest first.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-7-days
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from msgspec import Struct

from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import AccountEvent, Fill, FundingEvent, OrderEvent, TransferEvent
from neuroflux.sim.okx.venue import contract_size, kind_of
from neuroflux.sim.okx.wire import Json, ms, number

FIRST_ID = 680_800_019_754_098_000
TRADE, FUNDING, TRANSFER = "2", "8", "1"


class Bill(Struct, frozen=True):
    """``row`` is as it is answered; ``time`` in µs."""

    number: int
    time: int
    row: Json


class Bills:
    """Keeps the bills of the account. Must hear of events before those that send them."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self.kept: list[Bill] = []
        self.changed: dict[str, int] = {}
        self._of_fills: dict[tuple[int, int], int] = {}
        self._costs: defaultdict[str, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
        exchange.listeners.append(self._on_event)

    def cash(self, asset: str) -> Decimal:
        """What the account has of an asset, without the profit of positions."""
        return self._exchange.spot.of(asset).total

    def of_fill(self, fill: Fill) -> int:
        """The number of the first bill of a fill."""
        return self._of_fills[fill.order_id, fill.trade_id]

    def costs(self, symbol: str) -> tuple[Decimal, Decimal]:
        """What fees and funding of a swap brought to the account until now."""
        fees, funding = self._costs[symbol]
        return fees, funding

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, OrderEvent) and event.fill is not None:
            self._traded(event.fill)
        elif isinstance(event, FundingEvent):
            self._costs[event.listing.symbol][1] += event.amount
            names = {
                "instId": event.listing.symbol,
                "instType": "SWAP",
                "mgnMode": "cross",
                "pnl": number(event.amount),
            }
            self._add(
                FUNDING, "173" if event.amount < 0 else "174", event.listing.quote, event.amount, event.time, names
            )
        elif isinstance(event, TransferEvent):
            way = {"from": "6", "to": "18"} if event.amount > 0 else {"from": "18", "to": "6"}
            self._add(TRANSFER, "11" if event.amount > 0 else "12", event.asset, event.amount, event.time, way)

    def _traded(self, fill: Fill) -> None:
        """A swap changes what it settles in; spot changes two assets."""
        self._of_fills[fill.order_id, fill.trade_id] = FIRST_ID + len(self.kept)
        changes: dict[str, Decimal] = {}
        if fill.listing.kind == "perpetual":
            changes[fill.listing.quote] = fill.profit
            self._costs[fill.listing.symbol][0] -= fill.fee
        else:
            sign = 1 if fill.side == "buy" else -1
            changes[fill.listing.base_asset] = sign * fill.quantity
            changes[fill.listing.quote] = -sign * fill.quantity * fill.price
        for asset, amount in changes.items():
            fee = fill.fee if asset == fill.fee_asset else ZERO
            self._add(TRADE, "1" if fill.side == "buy" else "2", asset, amount - fee, fill.time, _of_fill(fill, fee))

    def _add(self, kind: str, sub: str, asset: str, amount: Decimal, time: int, more: Json) -> None:
        empty = ("instId", "instType", "mgnMode", "ordId", "clOrdId", "tradeId", "px", "sz", "from", "to", "execType")
        row = {
            **dict.fromkeys((*empty, "notes", "tag", "fillTime"), ""),
            "pnl": "0",
            "fee": "0",
            "interest": "0",
            "posBal": "0",
            "posBalChg": "0",
            "billId": str(FIRST_ID + len(self.kept)),
            "ccy": asset,
            "type": kind,
            "subType": sub,
            "bal": number(self.cash(asset)),
            "balChg": number(amount),
            "ts": ms(time),
            **more,
        }
        self.changed[asset] = time
        self.kept.append(Bill(FIRST_ID + len(self.kept), time, row))


def _of_fill(fill: Fill, fee: Decimal) -> Json:
    names = {"instId": fill.listing.symbol, "instType": kind_of(fill.listing), "ordId": str(fill.order_id)}
    size = number(fill.quantity / contract_size(fill.listing))
    facts = {"tradeId": str(fill.trade_id), "px": number(fill.price), "sz": size, "fillTime": ms(fill.time)}
    more = {"execType": "M" if fill.is_maker else "T", "pnl": number(fill.profit), "fee": number(-fee)}
    return {**names, **facts, **more, "mgnMode": "cross" if fill.listing.kind == "perpetual" else ""}
