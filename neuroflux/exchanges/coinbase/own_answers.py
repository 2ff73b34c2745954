"""Coinbase's own answers for the audit.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api. The quantity that was asked for is only
in the configuration of an order; a fill of an order that was sized in the quote has its size in the quote, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.coinbase.rest import API, PUBLIC_BUCKET, signed
from neuroflux.exchanges.kit.own_answers import (
    OwnAccount,
    OwnAnswers,
    OwnBalance,
    OwnFill,
    OwnOrder,
    OwnTop,
    plain,
    tagged,
)
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

PAGE: Final = 1000
TOPS: Final = 8
"""Books that one reading requests: ten public requests a second are allowed."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATES: Final = {
    "PENDING": "open",
    "QUEUED": "open",
    "OPEN": "open",
    "CANCEL_QUEUED": "open",
    "EDIT_QUEUED": "open",
    "FILLED": "filled",
    "CANCELLED": "ended",
    "EXPIRED": "ended",
    "FAILED": "rejected",
}


class CoinbaseOwn:
    """Implements ``OwnAnswers``."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (_signed(keys, "accounts", "accounts", now, limit=250),)

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        """The open orders have no beginning: an order may be older than ``since``."""
        start, products = _time(since), sorted(names)
        fills = {"start_sequence_timestamp": start, "limit": PAGE}
        still = _signed(keys, "orders/historical/batch", "orders", now, order_status="OPEN", limit=PAGE)
        if not names:
            return (still,)
        return (
            _signed(keys, "orders/historical/batch", "orders", now, *products, start_date=start, limit=PAGE),
            still,
            _signed(keys, "orders/historical/fills", "fills", now, *products, **fills),
        )

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            balances = {row["currency"]: _balance(row) for row in _rows(answers, "accounts")}
            orders = {row["client_order_id"]: _order(row) for row in _rows(answers, "orders")}
            executed = ((row["trade_id"], _fill(row)) for row in _rows(answers, "fills"))
            fills = {(one.name, trade_id, one.side): one for trade_id, one in executed}
            return OwnAccount(balances, {}, orders, fills)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise MalformedFrame(f"coinbase: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Iterator[Request]:
        """A list that continues names where."""
        cursor = plain(answer).get("cursor")
        if cursor:
            path, _, query = answer.request.path.partition("?")
            pairs = [one for one in parse_qsl(query) if one[0] != "cursor"]
            yield signed(keys, "GET", path, now, answer.request.tag, [*pairs, ("cursor", cursor)])

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        """The best prices of several products at once need a key; those of one do not."""
        path = f"{API}/market/product_book?limit=1&product_id="
        return tuple(Request("GET", f"{path}{name}", tag="tops", bucket=PUBLIC_BUCKET) for name in names[:TOPS])

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        try:
            books = [one["pricebook"] for one in tagged(answers, "tops")]
            return {one["product_id"]: _top(one) for one in books if one["bids"] and one["asks"]}
        except (KeyError, TypeError, IndexError, ArithmeticError) as error:
            raise MalformedFrame(f"product_book: {error!r}") from error


# --- rows


def _rows(answers: Sequence[Answer], tag: str) -> Iterable[Mapping[str, Any]]:
    return [row for listed in tagged(answers, tag) for row in listed[tag]]


def _balance(row: Mapping[str, Any]) -> OwnBalance:
    free, held = Decimal(row["available_balance"]["value"]), Decimal(row["hold"]["value"])
    return OwnBalance(free + held, free, held)


def _order(row: Mapping[str, Any]) -> OwnOrder:
    filled, (terms,) = Decimal(row["filled_size"]), row["order_configuration"].values()
    asked = Decimal(terms["base_size"]) if terms.get("base_size") else filled
    state = _STATES.get(row["status"], row["status"])
    return OwnOrder(row["product_id"], row["order_id"], row["side"].lower(), asked, filled, state)


def _fill(row: Mapping[str, Any]) -> OwnFill:
    price, size = Decimal(row["price"]), Decimal(row["size"])
    moment = datetime.fromisoformat(row["trade_time"]) - _EPOCH
    return OwnFill(
        name=row["product_id"],
        order=row["order_id"],
        side=row["side"].lower(),
        price=price,
        quantity=size / price if row["size_in_quote"] else size,
        fee=Decimal(row["commission"]),
        fee_asset=row["product_id"].rpartition("-")[2],
        time=moment // timedelta(microseconds=1),
    )


def _top(book: Mapping[str, Any]) -> OwnTop:
    return OwnTop(Decimal(book["bids"][0]["price"]), Decimal(book["asks"][0]["price"]))


# --- requests


def _time(micros: Microseconds) -> str:
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _signed(keys: Keys, name: str, tag: str, now: Microseconds, *products: str, **query: object) -> Request:
    asked = [*(("product_ids", one) for one in products), *query.items()]
    return signed(keys, "GET", f"{API}/{name}", now, tag, asked)


OWN: Final[OwnAnswers] = CoinbaseOwn()
