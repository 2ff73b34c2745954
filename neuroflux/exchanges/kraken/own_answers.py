"""Kraken's own answers for the audit.

Names of assets and pairs are read from the public lists of both, which the adapter does not use: balances have an id
(``XXBT``), orders the short name of a pair (``XBTUSD``), fills its key (``XXBTZUSD``). Source:
https://docs.kraken.com/api/docs/rest-api
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame, Refused
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
from neuroflux.exchanges.kraken.limits import AUDIT, HEAVY
from neuroflux.exchanges.kraken.signing import private, start_at

_OTHERS_SAY: Final = {"XBT": "BTC", "XDG": "DOGE"}
_LISTS: Final = ("closed", "trades")
_STATES: Final = {"pending": "open", "open": "open", "closed": "filled", "canceled": "ended", "expired": "ended"}
_FAULTS: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)


class KrakenOwn:
    """Implements ``OwnAnswers``."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (
            Request("GET", "/0/public/Assets", tag="assets"),
            private(keys, "BalanceEx", "account", AUDIT),
        )

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        """The open orders have no beginning: an order may be older than ``since``. No list can be asked for a pair."""
        still = private(keys, "OpenOrders", "open", AUDIT)
        if not names:
            return (still,)
        start = start_at(since)
        return (
            Request("GET", f"/0/public/AssetPairs?pair={','.join(sorted(names))}", tag="pairs"),
            still,
            private(keys, "ClosedOrders", "closed", AUDIT, {"start": start, "closetime": "close"}),
            private(keys, "TradesHistory", "trades", AUDIT, {"start": start, "consolidate_taker": "false"}, HEAVY),
        )

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            assets = {name: _name(row["altname"]) for name, row in _all(answers, "assets").items()}
            pairs = _all(answers, "pairs")
            keys = {row["altname"]: key for key, row in pairs.items()}
            balances = {assets.get(name, name): _balance(row) for name, row in _all(answers, "account").items()}
            listed = {**_all(answers, "closed", "closed"), **_all(answers, "open", "open")}
            orders = {row.get("cl_ord_id") or number: _order(number, row, keys) for number, row in listed.items()}
            traded = ((number, row) for number, row in _all(answers, "trades", "trades").items())
            made = {number: _fill(row, pairs, assets) for number, row in traded if row["pair"] in pairs}
            fills = {(one.name, number, one.side): one for number, one in made.items()}
            return OwnAccount(balances, {}, orders, fills)
        except _FAULTS as error:
            raise MalformedFrame(f"kraken: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Iterator[Request]:
        """A list counts its rows; those of a page come after ``ofs`` others."""
        sent, listed = answer.request, plain(answer).get("result") or {}
        rows = listed.get(sent.tag)
        if sent.tag not in _LISTS or not rows:
            return
        fields = dict(parse_qsl(sent.body.decode()))
        before = int(fields.get("ofs", 0)) + len(rows)
        if before < listed["count"]:
            name = sent.path.rpartition("/")[2]
            yield private(keys, name, sent.tag, AUDIT, {**fields, "ofs": before}, sent.weight)

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        return (Request("GET", f"/0/public/Ticker?pair={','.join(names)}", tag="tops"),) if names else ()

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        try:
            books = {name: one for name, one in _all(answers, "tops").items() if _is_two_sided(one)}
            return {name: OwnTop(Decimal(one["b"][0]), Decimal(one["a"][0])) for name, one in books.items()}
        except _FAULTS as error:
            raise MalformedFrame(f"Ticker: {error!r}") from error


def _results(answers: Sequence[Answer], tag: str) -> list[dict[str, Any]]:
    """Raises Refused for an error: HTTP is 200 all the same."""
    for one in tagged(answers, tag):
        if one["error"]:
            raise Refused(f"{tag}: {one['error']}")
    return [one["result"] for one in tagged(answers, tag)]


def _all(answers: Sequence[Answer], tag: str, part: str = "") -> dict[str, Any]:
    """The rows of every answer of this tag, by their keys."""
    found = (one[part] if part else one for one in _results(answers, tag))
    return {key: row for one in found for key, row in one.items()}


def _name(altname: str) -> str:
    return _OTHERS_SAY.get(altname, altname)


def _balance(row: Mapping[str, Any]) -> OwnBalance:
    total, held = Decimal(str(row["balance"])), Decimal(str(row["hold_trade"]))
    return OwnBalance(total, total - held, held)


def _order(number: str, row: Mapping[str, Any], keys: Mapping[str, str]) -> OwnOrder:
    pair, state = row["descr"]["pair"], _STATES.get(row["status"], row["status"])
    asked, filled = Decimal(row["vol"]), Decimal(row["vol_exec"])
    return OwnOrder(keys.get(pair, pair), number, row["descr"]["type"], asked, filled, state)


def _fill(row: Mapping[str, Any], pairs: Mapping[str, Any], assets: Mapping[str, str]) -> OwnFill:
    quote = pairs[row["pair"]]["quote"]
    return OwnFill(
        name=row["pair"],
        order=row["ordertxid"],
        side=row["type"],
        price=Decimal(row["price"]),
        quantity=Decimal(row["vol"]),
        fee=Decimal(row["fee"]),
        fee_asset=assets.get(quote, quote),
        time=round(row["time"] * 1_000_000),
    )


def _is_two_sided(one: Mapping[str, Any]) -> bool:
    """An empty side has no level, or one of 0."""
    return all(one[side] and Decimal(one[side][0]) for side in "ab")


OWN: Final[OwnAnswers] = KrakenOwn()
