"""Hyperliquid's own answers for the audit, of the first perpetuals exchange and of spot.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint. In a unified or
portfolio-margin account the collateral is in the spot state, and the perpetuals' account value repeats it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.hyperliquid.rest import account_of, info_request
from neuroflux.exchanges.hyperliquid.tokens import asset_of
from neuroflux.exchanges.kit.own_answers import (
    ZERO,
    OwnAccount,
    OwnAnswers,
    OwnBalance,
    OwnFill,
    OwnOrder,
    OwnPosition,
    OwnTop,
    plain,
    rows,
    tagged,
)
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

PAGE: Final = 2000
TOPS: Final = 12
"""Books that one reading requests."""
_COLLATERAL: Final = "USDC"
_ONE_ACCOUNT: Final = ("unifiedAccount", "portfolioMargin")
_SIDES: Final = {"B": "buy", "A": "sell"}


class HyperliquidOwn:
    """Implements ``OwnAnswers``. Fills and orders are answered for all instruments at once."""

    def account_requests(self, keys: Keys, now: Microseconds) -> Sequence[Request]:
        user = account_of(keys)
        return (
            info_request("spotClearinghouseState", "spot", user=user),
            info_request("clearinghouseState", "perpetuals", user=user),
        )

    def history_requests(
        self, keys: Keys, names: Collection[str], since: Microseconds, now: Microseconds
    ) -> Sequence[Request]:
        user = account_of(keys)
        return (
            info_request("spotMeta", "tokens"),
            info_request("userAbstraction", "mode", user=user),
            info_request("frontendOpenOrders", "open", user=user),
            info_request("historicalOrders", "ended", user=user),
            _fills_since(keys, since // 1000),
        )

    def account(self, answers: Sequence[Answer]) -> OwnAccount:
        try:
            (mode,), (spot,), (perpetuals,) = (tagged(answers, tag) for tag in ("mode", "spot", "perpetuals"))
            positions = {row["position"]["coin"]: _position(row["position"]) for row in perpetuals["assetPositions"]}
            balances = {asset_of(row["coin"], row.get("token")): _balance(row) for row in spot["balances"]}
            if mode not in _ONE_ACCOUNT:
                balances[_COLLATERAL] = _with_perpetuals(balances.get(_COLLATERAL), perpetuals, positions)
            assets = {name: two for meta in tagged(answers, "tokens") for name, two in _assets(meta)}
            fills = ((str(row["tid"]), _fill(row, assets)) for row in rows(answers, "fills"))
            executed = {(one.name, trade_id, one.side): one for trade_id, one in fills}
            full = ("orders of all instruments",) if len(rows(answers, "ended")) >= PAGE else ()
            return OwnAccount(balances, positions, _orders(answers), executed, full)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise MalformedFrame(f"hyperliquid: {error!r}") from error

    def next_page(self, keys: Keys, answer: Answer, now: Microseconds) -> Iterator[Request]:
        """Fills, oldest first: those of the last millisecond again, and what follows. Orders have no pages."""
        page = plain(answer) if answer.request.tag == "fills" else []
        if len(page) >= PAGE:
            yield _fills_since(keys, page[-1]["time"])

    def top_requests(self, names: Sequence[str]) -> Sequence[Request]:
        return tuple(info_request("l2Book", "top", coin=name) for name in names[:TOPS])

    def tops(self, answers: Sequence[Answer]) -> Mapping[str, OwnTop]:
        try:
            return {book["coin"]: _top(book) for book in tagged(answers, "top") if all(book["levels"])}
        except (KeyError, TypeError, IndexError, ArithmeticError) as error:
            raise MalformedFrame(f"l2Book: {error!r}") from error


def _fills_since(keys: Keys, start_ms: int) -> Request:
    return info_request("userFillsByTime", "fills", user=account_of(keys), startTime=start_ms)


def _balance(row: Mapping[str, str]) -> OwnBalance:
    """Where what may be borrowed makes the hold negative (portfolio margin), what is held is unknown."""
    total, hold = Decimal(row["total"]), Decimal(row["hold"])
    return OwnBalance(total, total - hold, hold) if hold >= 0 else OwnBalance(total, None, None)


def _with_perpetuals(
    spot: OwnBalance | None, state: Mapping[str, Any], positions: Mapping[str, OwnPosition]
) -> OwnBalance:
    """The collateral of both accounts. What reserves margin for orders is not named separately, so it is not known.

    A tenth of what positions are worth can't be withdrawn, though it is free where less is needed as margin. Where
    nothing can be withdrawn it is not reported how much of that tenth the account still has.
    """
    profit = sum((one.unrealised_pnl for one in positions.values()), ZERO)
    margin = state["marginSummary"]
    wallet = Decimal(margin["accountValue"]) - profit
    stays = max(ZERO, Decimal(margin["totalNtlPos"]) / 10 - Decimal(margin["totalMarginUsed"]))
    here, withdrawable = spot or OwnBalance(ZERO, ZERO, ZERO), Decimal(state["withdrawable"])
    free = (here.free or ZERO) + withdrawable + stays if withdrawable else None
    return OwnBalance(here.wallet + wallet, free, None)


def _position(row: Mapping[str, Any]) -> OwnPosition:
    return OwnPosition(Decimal(row["szi"]), Decimal(row["entryPx"] or 0), Decimal(row["unrealizedPnl"]))


def _orders(answers: Sequence[Answer]) -> dict[str, OwnOrder]:
    ended = {row["order"]["cloid"]: _order(row["order"], row["status"]) for row in rows(answers, "ended")}
    still = {row["cloid"]: _order(row, "open") for row in rows(answers, "open")}
    return {client_id: order for client_id, order in (ended | still).items() if client_id}


def _order(row: Mapping[str, Any], status: str) -> OwnOrder:
    """``sz`` is what remains. An order that is rejected after it traded has ended."""
    quantity = Decimal(row["origSz"])
    filled = quantity if status == "filled" else quantity - Decimal(row["sz"])
    return OwnOrder(row["coin"], str(row["oid"]), _SIDES[row["side"]], quantity, filled, _state(status, filled))


def _state(status: str, filled: Decimal) -> str:
    if status in ("open", "filled"):
        return status
    if "rejected" in status.lower():
        return "ended" if filled else "rejected"
    return "ended" if "cancel" in status.lower() else status


def _assets(meta: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Of each pair, what its tokens are called here, by the names that fees go by."""
    names = {token["index"]: token["name"] for token in meta["tokens"]}
    for pair in meta["universe"]:
        yield pair["name"], {names[index]: asset_of(names[index], index) for index in reversed(pair["tokens"])}


def _fill(row: Mapping[str, Any], assets: Mapping[str, Mapping[str, str]]) -> OwnFill:
    return OwnFill(
        name=row["coin"],
        order=str(row["oid"]),
        side=_SIDES[row["side"]],
        price=Decimal(row["px"]),
        quantity=Decimal(row["sz"]),
        fee=Decimal(row["fee"]),
        fee_asset=assets.get(row["coin"], {}).get(row["feeToken"], row["feeToken"]),
        time=row["time"] * 1000,
    )


def _top(book: Mapping[str, Any]) -> OwnTop:
    bids, asks = book["levels"]
    return OwnTop(Decimal(bids[0]["px"]), Decimal(asks[0]["px"]))


OWN: Final[OwnAnswers] = HyperliquidOwn()
