"""Transfers to and from a USDⓈ-M wallet: the history of its income, without trading and funding.

The stream reports why a wallet changed (``m``), without the id of the history, so the history is requested then. An
id is unique within its type, so that a repeated row is recognised. The history is read from a start time on, in pages,
and is kept for three months. Sources, below
https://developers.binance.com/docs/derivatives/usds-margined-futures: account/rest-api/Get-Income-History and
user-data-streams/Event-Balance-and-Position-Update
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import AccountTransfer, Microseconds, TransferKind
from neuroflux.exchanges.binance.messages import Time, microseconds
from neuroflux.exchanges.binance.pages import LONG_WINDOW_MS, PAGE, asked_at, query_of
from neuroflux.exchanges.binance.rest import signed, signed_within
from neuroflux.exchanges.kit.events import FeedEvent, PageNeeded
from neuroflux.exchanges.kit.numerals import Long
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.rows import Rows, rows, unknown

INCOME: Final = "/fapi/v1/income"
WEIGHT: Final = 30
BEFORE_MS: Final = 60_000
"""How far before a push the requested history begins: its times are not those of the stream."""

LONG: Final[Microseconds] = 24 * 3_600_000_000

OF_TRADING: Final = frozenset({"", "ORDER", "FUNDING_FEE", "MARGIN_TRANSFER", "MARGIN_TYPE_CHANGE", "INSURANCE_CLEAR"})
"""Reasons of the stream with which a wallet changes by trades, liquidations and funding only."""
REASONS: Final = OF_TRADING | {
    *("DEPOSIT", "WITHDRAW", "WITHDRAW_REJECT", "ADJUSTMENT", "ADMIN_DEPOSIT", "ADMIN_WITHDRAW", "ASSET_TRANSFER"),
    *("OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT", "AUTO_EXCHANGE", "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW"),
}
_TRADED: Final = frozenset({"REALIZED_PNL", "FUNDING_FEE", "COMMISSION", "INSURANCE_CLEAR", "DELIVERED_SETTELMENT"})
_TRANSFERS: Final = frozenset(
    {"TRANSFER", "INTERNAL_TRANSFER", "CROSS_COLLATERAL_TRANSFER", "STRATEGY_UMFUTURES_TRANSFER"}
)
_RESULTS: Final = frozenset(
    {
        *("WELCOME_BONUS", "CONTEST_REWARD", "BFUSD_REWARD", "REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE"),
        *("FEE_RETURN", "POSITION_LIMIT_INCREASE_FEE", "OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT"),
        *("AUTO_EXCHANGE", "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW"),
    }
)


class Income(Struct, frozen=True):
    incomeType: str
    income: Decimal
    asset: str
    time: Time
    tranId: Long | str


_INCOME: Final = Decoder(Income)


def history(keys: Keys, since: Microseconds, now: Microseconds) -> Sequence[Request]:
    """Requests for the history from ``since`` on.

    Of more than a day, only transfers are requested, type by type: with all trades there may be too many rows to read.
    """
    types = ("",) if now - since <= LONG else tuple(sorted(_TRANSFERS))
    span = {"startTime": since // 1000, "endTime": now // 1000, "page": 1, "limit": PAGE}
    return [signed(keys, "GET", INCOME, now, WEIGHT, "income", incomeType=kind, **span) for kind in types]


def pushed(keys: Keys, now: Microseconds) -> PageNeeded:
    """The same, for a transfer that the stream reports now."""
    span = {"startTime": now // 1000 - BEFORE_MS, "page": 1, "limit": PAGE}
    return PageNeeded(signed_within(keys, "GET", INCOME, now, WEIGHT, "income", LONG_WINDOW_MS, **span))


def transfers(exchange: str, keys: Keys, answer: Answer, received: Microseconds) -> list[FeedEvent]:
    """Read an answer, and request the page after a full one. Raises ``UNREADABLE``."""
    found = rows(answer.body, _INCOME.decode)
    named = [_transfer(exchange, one) for one in found.good if one.incomeType not in _TRADED]
    words = sorted({one.reason for one in named if one.kind is TransferKind.UNKNOWN})
    strange = [unknown(exchange, f"income of type {word!r}", received) for word in words]
    return [*named, *found.statuses(exchange, "income", received), *strange, *_next_page(keys, answer, found, received)]


def _transfer(exchange: str, one: Income) -> AccountTransfer:
    kinds = {TransferKind.TRANSFER: _TRANSFERS, TransferKind.RESULT: _RESULTS}
    kind = next((kind for kind, words in kinds.items() if one.incomeType in words), TransferKind.UNKNOWN)
    what = (kind, one.incomeType[:80], str(one.tranId)[:80], microseconds(one.time))
    return AccountTransfer(exchange, one.asset, one.income, *what)


def _next_page(keys: Keys, answer: Answer, found: Rows[Income], now: Microseconds) -> list[FeedEvent]:
    asked = query_of(answer)
    page, limit = asked.get("page", ""), asked.get("limit", "")
    if not (page.isdecimal() and limit.isdecimal()) or found.count < int(limit):
        return []
    span = {name: asked.get(name, "") for name in ("incomeType", "startTime", "endTime", "limit")} | {
        "page": str(int(page) + 1)
    }
    time = asked_at(answer) or now
    return [PageNeeded(signed_within(keys, "GET", INCOME, time, WEIGHT, "income", LONG_WINDOW_MS, **span))]
