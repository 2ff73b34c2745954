"""OKX's own answers for the audit: one unified account, spot and linear swaps; sizes of swaps are in contracts.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api and #order-book-trading-trade
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.kit.own_answers import (
    ZERO,
    OwnAccount,
    OwnAnswers,
    OwnBalance,
    OwnFill,
    OwnOrder,
    OwnPosition,
    OwnTop,
    asked,
    plain,
    tagged,
)
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.okx.rest import API, iso, signed

PAGE: Final = 100
_SWAP: Final = "-SWAP"
_OPEN: Final = ("live", "partially_filled")
_ENDED: Final = ("canceled", "mmp_canceled")
_CURSORS: Final = {"fills": "billId", "ended": "ordId", "open": "ordId"}
"""What a row is named by where the next page of a list comes after it."""
_WOULD_TAKE: Final = "31"
"""Why a post-only order was cancelled that would have traded at once: it never stood."""
Row = Mapping[str, Any]
Sizes = Mapping[str, Decimal]
"""Coins of one contract, by the name of the swap."""


class OkxOwn:
    """Implements ``OwnAnswers``. Fills and ended orders are requested by instrument, since a page has 100 of them."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (
            _signed(keys, "account/balance", now, "balances", "balances"),
            _signed(keys, "account/positions?instType=SWAP", now, "positions", "positions"),
        )

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        return (
            Request("GET", "/api/v5/public/instruments?instType=SWAP", tag="contracts", bucket="instruments"),
            _signed(keys, "account/config", now, "mode", "config"),
            _signed(keys, "trade/orders-pending?limit=100", now, "open", "orders-pending"),
            *(one for name in sorted(names) for one in _of_instrument(keys, name, since, now)),
        )

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            sizes = {row["instId"]: _contract(row) for row in _rows(answers, "contracts") if row["ctType"] == "linear"}
            (mode,) = _rows(answers, "mode")
            is_spot = mode["acctLv"] == "1"
            details = (row for account in _rows(answers, "balances") for row in account["details"])
            balances = {row["ccy"]: _balance(row, is_spot) for row in details}
            positions = {
                _held(row): _position(row, sizes) for row in _rows(answers, "positions") if row["instId"] in sizes
            }
            orders = [row for tag in ("ended", "open") for row in _known(answers, tag, sizes)]
            read = {row["clOrdId"]: _order(row, sizes) for row in orders if row["clOrdId"]}
            fills = {
                (row["instId"], row["tradeId"], row["side"]): _fill(row, sizes)
                for row in _known(answers, "fills", sizes)
            }
            return OwnAccount(balances, positions, read, fills)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise MalformedFrame(f"okx: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Iterator[Request]:
        """Lists are newest first; what is older comes after the last row."""
        tag, cursor = answer.request.tag, _CURSORS.get(answer.request.tag)
        listed = plain(answer)["data"] if cursor else []
        if cursor and len(listed) >= PAGE:
            path, query = asked(answer)
            query["after"] = listed[-1][cursor]
            yield signed(keys, "GET", path.removeprefix(API), iso(now), tag, answer.request.bucket, **query)

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        kinds = {"SWAP" if name.endswith(_SWAP) else "SPOT" for name in names}
        return tuple(Request("GET", f"/api/v5/market/tickers?instType={kind}", tag="tops") for kind in sorted(kinds))

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        try:
            rows = [row for row in _rows(answers, "tops") if row["bidPx"] and row["askPx"]]
            return {row["instId"]: OwnTop(Decimal(row["bidPx"]), Decimal(row["askPx"])) for row in rows}
        except (KeyError, TypeError, ArithmeticError) as error:
            raise MalformedFrame(f"tickers: {error!r}") from error


# --- requests


def _signed(keys: Keys, path: str, now: Microseconds, tag: str, bucket: str = "") -> Request:
    return signed(keys, "GET", f"/{path}", iso(now), tag, bucket)


def _of_instrument(keys: Keys, name: str, since: Microseconds, now: Microseconds) -> Iterator[Request]:
    kind = "SWAP" if name.endswith(_SWAP) else "SPOT"
    named = f"instType={kind}&instId={name}&limit={PAGE}"
    yield _signed(keys, f"trade/fills?{named}&begin={since // 1000}", now, "fills", "fills")
    yield _signed(keys, f"trade/orders-history?{named}", now, "ended")


# --- answers


def _lists(answers: Sequence[Answer], tag: str) -> Iterator[list[Row]]:
    """Raises Refused for an error that the exchange names in a good answer."""
    for envelope in tagged(answers, tag):
        if envelope["code"] != "0":
            raise Refused(f"{tag}: {envelope['code']} {envelope['msg']}")
        yield envelope["data"]


def _rows(answers: Sequence[Answer], tag: str) -> list[Row]:
    return [row for listed in _lists(answers, tag) for row in listed]


def _known(answers: Sequence[Answer], tag: str, sizes: Sizes) -> list[Row]:
    """The rows of spot and of the swaps whose contracts are known."""
    return [row for row in _rows(answers, tag) if row["instType"] == "SPOT" or row["instId"] in sizes]


def _contract(row: Row) -> Decimal:
    return Decimal(row["ctVal"]) * Decimal(row["ctMult"] or 1)


def _balance(row: Row, is_spot: bool) -> OwnBalance:
    """What backs positions is not free; in an account of spot alone there is no equity."""
    free = row["availBal"] if is_spot else row["availEq"]
    return OwnBalance(Decimal(row["cashBal"]), Decimal(free) if free else None, Decimal(row["ordFrozen"] or 0))


def _held(row: Row) -> str:
    """Where positions have two sides, a swap has two positions."""
    return row["instId"] if row["posSide"] == "net" else f"{row['instId']}#{row['posSide'].upper()}"


def _position(row: Row, sizes: Sizes) -> OwnPosition:
    quantity = Decimal(row["pos"] or 0) * sizes[row["instId"]]
    signed = -abs(quantity) if row["posSide"] == "short" else quantity
    return OwnPosition(signed, Decimal(row["avgPx"] or 0), Decimal(row["upl"] or 0))


def _order(row: Row, sizes: Sizes) -> OwnOrder:
    """The size of an order at market may be an amount of the quote: then its quantity is what was filled."""
    size = sizes.get(row["instId"], Decimal(1))
    filled = Decimal(row["accFillSz"] or 0) * size
    quantity = filled if row["tgtCcy"] == "quote_ccy" and row["ordType"] == "market" else Decimal(row["sz"]) * size
    return OwnOrder(row["instId"], row["ordId"], row["side"], quantity, filled, _state(row, filled))


def _state(row: Row, filled: Decimal) -> str:
    state: str = row["state"]
    if state in _ENDED:
        return "rejected" if row["cancelSource"] == _WOULD_TAKE and filled == ZERO else "ended"
    return "open" if state in _OPEN else state


def _fill(row: Row, sizes: Sizes) -> OwnFill:
    """A fee that was charged is negative; times are in ms."""
    return OwnFill(
        name=row["instId"],
        order=row["ordId"],
        side=row["side"],
        price=Decimal(row["fillPx"]),
        quantity=Decimal(row["fillSz"]) * sizes.get(row["instId"], Decimal(1)),
        fee=-Decimal(row["fee"]),
        fee_asset=row["feeCcy"],
        time=int(row["fillTime"]) * 1000,
    )


OWN: Final[OwnAnswers] = OkxOwn()
