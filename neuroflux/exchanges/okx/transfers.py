"""Transfers to and from OKX's trading account: its bills of that type.

Deposits land in the funding account, and are transferred from there. Bills of seven days are in one list, those of
three months in another. Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-7-days
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from neuroflux.domain import AccountTransfer, Microseconds, TransferKind
from neuroflux.exchanges.kit.events import FeedEvent
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.rows import taken
from neuroflux.exchanges.okx.numbers import amount, time_of
from neuroflux.exchanges.okx.pages import PAGE, Row, more
from neuroflux.exchanges.okx.rest import ID, iso, signed

TRANSFER: Final = "1"
RECENT: Final[Microseconds] = 6 * 86_400_000_000


class _Bill(Row, frozen=True):
    billId: str
    ccy: str
    balChg: str
    type: str
    ts: str
    subType: str = ""

    @property
    def cursor(self) -> str:
        return self.billId


_BILL: Final = Decoder(_Bill)


def history(keys: Keys, since: Microseconds, now: Microseconds) -> Request:
    path = "/account/bills" if now - since < RECENT else "/account/bills-archive"
    bucket = path.rpartition("/")[2]
    return signed(keys, "GET", path, iso(now), "bills", bucket, type=TRANSFER, begin=since // 1000, limit=PAGE)


def transfers_in(keys: Keys, data: bytes | Raw, answer: Answer, received: Microseconds) -> list[FeedEvent]:
    """Bills of trades and funding are left out. Raises ``UNREADABLE``."""
    events = list[FeedEvent]()

    def take(wire: _Bill) -> None:
        if wire.type == TRANSFER:
            reason, number = f"bill {wire.type}/{wire.subType[:20]}", wire.billId[:80]
            what = (TransferKind.TRANSFER, reason, number, time_of(wire.ts))
            events.append(AccountTransfer(ID, wire.ccy, amount(wire.balChg), *what))

    read = taken(data, _BILL.decode, take)
    return [*events, *read.statuses(ID, "bills", received), *more(keys, answer, read)]
