"""Bybit's own answers for the audit: the unified account, spot and USDT perpetuals.

Source: https://bybit-exchange.github.io/docs/v5/account/wallet-balance and its neighbours. Requests are signed
by the adapter's function, which names their limits too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.bybit.rest import asked, signed_get
from neuroflux.exchanges.kit.own_answers import (
    OwnAccount,
    OwnAnswers,
    OwnBalance,
    OwnFill,
    OwnOrder,
    OwnPosition,
    OwnTop,
    plain,
    tagged,
)
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

LINEAR: Final = "linear:"
"""Before the name of a perpetual, which is that of the spot pair."""
ORDERS, FILLS = 50, 100
"""Rows of a page."""
_LISTS: Final = ("orders", "fills", "positions")
WEEK: Final[Microseconds] = 7 * 86_400_000_000
_CATEGORIES: Final = ("spot", "linear")
_SETTLE: Final = "USDT"
_STATES: Final = {
    "New": "open",
    "PartiallyFilled": "open",
    "Untriggered": "open",
    "Filled": "filled",
    "Cancelled": "ended",
    "PartiallyFilledCanceled": "ended",
    "Deactivated": "ended",
    "Rejected": "rejected",
}
_WOULD_TAKE: Final = "EC_PostOnlyWillTakeLiquidity"
_NO_FILL: Final = "Funding"


class BybitOwn:
    """Implements ``OwnAnswers``."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (
            asked(keys, "/v5/account/wallet-balance", now, "wallet", accountType="UNIFIED"),
            asked(keys, "/v5/position/list", now, "positions", category="linear", settleCoin=_SETTLE, limit=200),
        )

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        """Lists reach over seven days, so a longer time has several of each."""
        spot = {"category": "spot", "limit": ORDERS}
        linear = {"category": "linear", "settleCoin": _SETTLE, "limit": ORDERS}
        wanted = [asked(keys, "/v5/order/realtime", now, "orders", **query) for query in (spot, linear)]
        for name in sorted(names):
            category, symbol = _parts(name)
            for start, end in _weeks(since, now):
                where = {"category": category, "symbol": symbol, "startTime": start // 1000, "endTime": end // 1000}
                wanted.append(asked(keys, "/v5/order/history", now, "orders", **where, limit=ORDERS))
                wanted.append(asked(keys, "/v5/execution/list", now, "fills", **where, limit=FILLS))
        return wanted

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            wallets = [coin for row in _rows(answers, "wallet") for coin in row["coin"]]
            balances = {row["coin"]: _balance(row) for row in wallets}
            positions = {f"{LINEAR}{row['symbol']}": _position(row) for row in _rows(answers, "positions")}
            orders = {row["orderLinkId"]: _order(row) for row in _rows(answers, "orders") if row["orderLinkId"]}
            executed = [row for row in _rows(answers, "fills") if row["execType"] != _NO_FILL]
            fills = {(one.name, row["execId"], one.side): one for row in executed for one in (_fill(row),)}
            return OwnAccount(balances, positions, orders, fills)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise MalformedFrame(f"bybit: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Iterator[Request]:
        """The cursor is written with escapes, and is sent back as it is; the last page of a list may have one too."""
        tag = answer.request.tag
        result = _result(plain(answer), tag) if tag in _LISTS else {}
        if result.get("nextPageCursor") and result["list"]:
            path, _, query = answer.request.path.partition("?")
            query = f"{query.partition('&cursor=')[0]}&cursor={quote(result['nextPageCursor'], safe='%')}"
            yield signed_get(keys, path, query, now, tag)

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        return tuple(Request("GET", f"/v5/market/tickers?category={one}", tag="tops") for one in _CATEGORIES)

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        """An empty side is an empty text."""
        try:
            rows = [row for row in _rows(answers, "tops") if row["bid1Price"] and row["ask1Price"]]
            return {_name(row): OwnTop(Decimal(row["bid1Price"]), Decimal(row["ask1Price"])) for row in rows}
        except (KeyError, TypeError, ArithmeticError) as error:
            raise MalformedFrame(f"bybit: {error!r}") from error


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _weeks(since: Microseconds, now: Microseconds) -> Iterator[tuple[Microseconds, Microseconds]]:
    end = now + 1_000_000
    while since < end:
        yield since, min(since + WEEK, end)
        since += WEEK


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _results(answers: Sequence[Answer], tag: str) -> list[dict[str, Any]]:
    """The results of good answers. Raises Refused for the exchange's errors, which have HTTP 200 too."""
    return [_result(body, tag) for body in tagged(answers, tag)]


def _result(body: Any, tag: str) -> dict[str, Any]:
    if not isinstance(body, dict) or body.get("retCode") != 0:
        raise Refused(f"{tag}: {str(body)[:200]}")
    result: dict[str, Any] = body["result"]
    return result


def _rows(answers: Sequence[Answer], tag: str) -> list[dict[str, Any]]:
    """The rows of every list, each with the category of its list."""
    results = _results(answers, tag)
    return [{"category": result.get("category", ""), **row} for result in results for row in result["list"]]


def _parts(name: str) -> tuple[str, str]:
    return ("linear", name.removeprefix(LINEAR)) if name.startswith(LINEAR) else ("spot", name)


def _name(row: Mapping[str, Any]) -> str:
    return f"{LINEAR}{row['symbol']}" if row["category"] == "linear" else str(row["symbol"])


def _number(text: str) -> Decimal:
    """What does not apply is an empty text."""
    return Decimal(text or 0)


def _balance(row: Mapping[str, str]) -> OwnBalance:
    """``locked`` is what waits in orders of spot; margin of orders and positions is named beside it."""
    wallet, orders = Decimal(row["walletBalance"]), _number(row["locked"]) + _number(row["totalOrderIM"])
    return OwnBalance(wallet, wallet - orders - _number(row["totalPositionIM"]), orders)


def _position(row: Mapping[str, str]) -> OwnPosition:
    size = _number(row["size"])
    signed = -size if row["side"] == "Sell" else size
    return OwnPosition(signed, _number(row["avgPrice"]), _number(row["unrealisedPnl"]))


def _order(row: Mapping[str, Any]) -> OwnOrder:
    """An order that would have taken is one that was rejected; one in the quote is as large as what it traded."""
    filled = Decimal(row["cumExecQty"])
    quantity = filled if row.get("marketUnit") == "quoteCoin" else Decimal(row["qty"])
    state = _STATES.get(row["orderStatus"], row["orderStatus"])
    if row["rejectReason"] == _WOULD_TAKE and not filled:
        state = "rejected"
    return OwnOrder(_name(row), row["orderId"], row["side"].lower(), quantity, filled, state)


def _fill(row: Mapping[str, Any]) -> OwnFill:
    return OwnFill(
        name=_name(row),
        order=row["orderId"],
        side=row["side"].lower(),
        price=Decimal(row["execPrice"]),
        quantity=Decimal(row["execQty"]),
        fee=Decimal(row["execFee"]),
        fee_asset=row["feeCurrency"] or _SETTLE,
        time=int(row["execTime"]) * 1000,
    )


OWN: Final[OwnAnswers] = BybitOwn()
