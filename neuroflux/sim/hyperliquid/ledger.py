"""Hyperliquid's ledger of an account: deposits, withdrawals and tokens that were sent, and beside it its funding.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint/perpetuals ("Retrieve a user's
funding history or non-funding ledger updates"); answers have 500 rows: …/info-endpoint ("Pagination").
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import FundingEvent, TransferEvent
from neuroflux.sim.hyperliquid.account import Json, number

ROWS = 500
NO_HASH = "0x" + "0" * 64
SOMEBODY = "0x" + "5" * 40
WITHDRAWAL_FEE = Decimal(1)


def update(event: TransferEvent, user: str) -> Json:
    """A row of it. A withdrawal pays its fee beside its amount; one that is smaller than the fee pays none."""
    milliseconds, size = event.time // 1000, number(abs(event.amount))
    delta: Json = {"type": "deposit", "usdc": size}
    if event.is_spot:
        sender, receiver = (SOMEBODY, user) if event.amount > 0 else (user, SOMEBODY)
        names = {"token": event.asset, "amount": size, "usdcValue": "0.0", "user": sender, "destination": receiver}
        fees = {"fee": "0.0", "nativeTokenFee": "0.0", "nonce": None, "feeToken": ""}
        delta = {"type": "spotTransfer", **names, **fees}
    elif event.amount < 0:
        fee = WITHDRAWAL_FEE if -event.amount > WITHDRAWAL_FEE else Decimal(0)
        left = {"usdc": number(-event.amount - fee), "fee": number(fee)}
        delta = {"type": "withdraw", "nonce": milliseconds, **left}
    return {"time": milliseconds, "hash": "0x" + f"{event.time:064x}", "delta": delta}


def updates(exchange: SimExchange, user: str) -> list[Json]:
    """The oldest first."""
    return [update(event, user) for event in exchange.moved if isinstance(event, TransferEvent)]


def funding(exchange: SimExchange) -> list[Json]:
    return [_funding(event) for event in exchange.moved if isinstance(event, FundingEvent)]


def _funding(event: FundingEvent) -> Json:
    paid = {"usdc": number(event.amount), "szi": number(event.quantity), "fundingRate": number(event.rate)}
    delta = {"type": "funding", "coin": event.listing.symbol, **paid, "nSamples": None}
    return {"time": event.time // 1000, "hash": NO_HASH, "delta": delta}
