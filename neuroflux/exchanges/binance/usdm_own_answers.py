"""Binance USDⓈ-M's own answers for the audit.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.rest import signed
from neuroflux.exchanges.binance.spot_own_answers import by_name, fills, next_page, orders, tops
from neuroflux.exchanges.kit.own_answers import OwnAccount, OwnAnswers, OwnBalance, OwnPosition, OwnTop, rows, tagged
from neuroflux.exchanges.kit.requests import Answer, Keys, Request


class BinanceUsdmOwn:
    """Implements ``OwnAnswers``."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        return (
            signed(keys, "GET", "/fapi/v3/account", now, 5, "account"),
            signed(keys, "GET", "/fapi/v3/positionRisk", now, 5, "positions"),
        )

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        return (
            signed(keys, "GET", "/fapi/v1/openOrders", now, 40, "orders"),
            signed(keys, "GET", "/fapi/v1/multiAssetsMargin", now, 30, "mode"),
            *by_name(keys, names, since, now, "/fapi/v1/userTrades", "/fapi/v1/allOrders", 5),
        )

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            (account,) = tagged(answers, "account")
            (mode,) = tagged(answers, "mode")
            is_shared = mode["multiAssetsMargin"] is True
            balances = {row["asset"]: _balance(row, is_shared) for row in account["assets"]}
            positions = {_held(row): _position(row) for row in rows(answers, "positions")}
            return OwnAccount(balances, positions, orders(answers), fills(answers))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise MalformedFrame(f"binanceusdm: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Sequence[Request]:
        return next_page(keys, answer, now)

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        return (Request("GET", "/fapi/v1/ticker/bookTicker", weight=5, tag="tops"),)

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        return tops(answers)


def _balance(row: Mapping[str, str], is_shared: bool) -> OwnBalance:
    """With a margin that all assets share, each row names what is available in all of them: no asset's own."""
    reserved, available = Decimal(row["openOrderInitialMargin"]), Decimal(row["availableBalance"])
    return OwnBalance(Decimal(row["walletBalance"]), None if is_shared else available, reserved)


def _held(row: Mapping[str, str]) -> str:
    """In hedge mode a symbol has two positions."""
    hedged = row.get("positionSide", "BOTH")
    return row["symbol"] if hedged == "BOTH" else f"{row['symbol']}#{hedged}"


def _position(row: Mapping[str, str]) -> OwnPosition:
    return OwnPosition(Decimal(row["positionAmt"]), Decimal(row["entryPrice"]), Decimal(row["unRealizedProfit"]))


OWN: Final[OwnAnswers] = BinanceUsdmOwn()
