"""Binance's own answers for the audit: what spot and USDⓈ-M share, and spot's account.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.rest import signed
from neuroflux.exchanges.kit.own_answers import (
    OwnAccount,
    OwnAnswers,
    OwnBalance,
    OwnFill,
    OwnOrder,
    OwnTop,
    asked,
    plain,
    rows,
    tagged,
)
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

PAGE: Final = 1000
_STATES: Final = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "filled",
    "CANCELED": "ended",
    "EXPIRED": "ended",
    "EXPIRED_IN_MATCH": "ended",
    "REJECTED": "rejected",
}


class BinanceOwn:
    """Implements ``OwnAnswers`` for the spot account."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (signed(keys, "GET", "/api/v3/account", now, 20, "account"),)

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        return (
            signed(keys, "GET", "/api/v3/openOrders", now, 80, "orders"),
            *by_name(keys, names, since, now, "/api/v3/myTrades", "/api/v3/allOrders", 20),
        )

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            (account,) = tagged(answers, "account")
            balances = {row["asset"]: _balance(row) for row in account["balances"]}
            return OwnAccount(balances, {}, orders(answers), fills(answers))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise MalformedFrame(f"binance: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Sequence[Request]:
        return next_page(keys, answer, now)

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        return (Request("GET", "/api/v3/ticker/bookTicker", weight=4, tag="tops"),)

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        return tops(answers)


def _balance(row: Mapping[str, str]) -> OwnBalance:
    free, locked = Decimal(row["free"]), Decimal(row["locked"])
    return OwnBalance(free + locked, free, locked)


# ── shared with USDⓈ-M ───────────────────────────────────────────────────────────────────────────────────────────


def by_name(
    keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds, fills: str, orders: str, weight: int
) -> Sequence[Request]:
    """The fills since then, and the newest orders, of each instrument."""
    requests: list[Request] = []
    for name in sorted(names):
        times = {"symbol": name, "startTime": since // 1000, "limit": PAGE}
        requests.append(signed(keys, "GET", fills, now, weight, "fills", **times))
        requests.append(signed(keys, "GET", orders, now, weight, "orders", **times))
    return requests


def next_page(keys: Keys, answer: Answer, now: Microseconds) -> Sequence[Request]:
    """A full page is oldest first. The next one begins after its last number; a time may not be named beside it."""
    path, query = asked(answer)
    if "limit" not in query:
        return ()
    listed, tag = plain(answer), answer.request.tag
    if len(listed) < PAGE:
        return ()
    number, first = ("id", "fromId") if tag == "fills" else ("orderId", "orderId")
    where = {"symbol": query["symbol"], "limit": PAGE, first: listed[-1][number] + 1}
    return (signed(keys, "GET", path, now, answer.request.weight, tag, **where),)


def orders(answers: Sequence[Answer]) -> dict[str, OwnOrder]:
    return {row["clientOrderId"]: _order(row) for row in rows(answers, "orders")}


def _order(row: Mapping[str, Any]) -> OwnOrder:
    state = _STATES.get(row["status"], row["status"])
    quantities = Decimal(row["origQty"]), Decimal(row["executedQty"])
    return OwnOrder(row["symbol"], str(row["orderId"]), row["side"].lower(), *quantities, state)


def fills(answers: Sequence[Answer]) -> dict[tuple[str, str, str], OwnFill]:
    executed = ((str(row["id"]), _fill(row)) for row in rows(answers, "fills"))
    return {(one.name, trade_id, one.side): one for trade_id, one in executed}


def _fill(row: Mapping[str, Any]) -> OwnFill:
    bought = row["isBuyer"] if "isBuyer" in row else row["side"] == "BUY"
    return OwnFill(
        name=row["symbol"],
        order=str(row["orderId"]),
        side="buy" if bought else "sell",
        price=Decimal(row["price"]),
        quantity=Decimal(row["qty"]),
        fee=Decimal(row["commission"]),
        fee_asset=row["commissionAsset"],
        time=row["time"] * 1000,
    )


def tops(answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
    try:
        found = {
            row["symbol"]: OwnTop(Decimal(row["bidPrice"]), Decimal(row["askPrice"])) for row in rows(answers, "tops")
        }
    except (KeyError, TypeError, ArithmeticError) as error:
        raise MalformedFrame(f"bookTicker: {error!r}") from error
    return {name: top for name, top in found.items() if top.bid > 0 and top.ask > 0}


OWN: Final[OwnAnswers] = BinanceOwn()
