"""Transfers to and from an address of Hyperliquid: its ledger, from the socket or over REST.

A transfer between the spot and the perpetuals account of one address does not change its balance (``wallet``), and a
liquidation is reported by its fills: neither is a transfer. A withdrawal, or a transfer to another address, has a fee
beside the amount (measured: https://github.com/richkuo/go-trader/pull/969, 332 withdrawals). A row names its token
alone, and names are not unique: one that could be several of those that are held is ``"TRUMP#?"``. Answers have 500
rows, the oldest first. Sources, below https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api: info-endpoint
(pagination), info-endpoint/perpetuals ("Retrieve a user's funding history or non-funding ledger updates"),
websocket/subscriptions (``WsUserNonFundingLedgerUpdates``); the deltas that are not there are those of
https://github.com/nktkas/hyperliquid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import AccountTransfer, TransferKind
from neuroflux.exchanges.hyperliquid.messages import Milliseconds, Number, rows_of
from neuroflux.exchanges.hyperliquid.socket import ID

LEDGER: Final = "userNonFundingLedgerUpdates"
PAGE_ROWS: Final = 500

_OURS: Final = ("", "spot")
"""The dexes whose dollars are in the balance: those of others' perpetuals are not."""
_NEITHER: Final = frozenset({"accountClassTransfer", "liquidation", "funding"})
_RESULTS: Final = frozenset({"rewardsClaim", "spotGenesis", "vaultLeaderCommission", "accountActivationGas"})


class Delta(Struct, frozen=True):
    """What a row did. Amounts have no sign: it follows from the type, the sender, or the flags."""

    type: str
    usdc: Number | None = None
    amount: Number | None = None
    netWithdrawnUsd: Number | None = None
    token: str = "USDC"
    user: str = ""
    destination: str = ""
    fee: Number = "0"
    feeToken: str = ""
    nativeTokenFee: Number = "0"
    sourceDex: str = ""
    destinationDex: str = ""
    dex: str = ""
    toPerp: bool = False
    isDeposit: bool = False


class Update(Struct, frozen=True):
    time: Milliseconds
    hash: str
    delta: Delta


class LedgerUpdates(Struct, frozen=True):
    """The payload of a frame; of the first one, the newest rows."""

    user: str = ""
    nonFundingLedgerUpdates: list[Raw] | None = None


class LedgerFrame(Struct, frozen=True, tag_field="channel", tag="userNonFundingLedgerUpdates"):
    data: LedgerUpdates


class Ledger(Struct, frozen=True):
    """What a list brought; ``next_start`` (ms) is where its next page begins."""

    transfers: list[AccountTransfer]
    faults: list[str]
    unknown: list[str]
    next_start: int | None = None


_UPDATE: Final = Decoder(Update)


def ledger_of(rows: Sequence[Raw], user: str, asset_named: Callable[[str], str]) -> Ledger:
    """Read rows of ``user``; ``asset_named`` returns the asset of a token's name."""
    updates, faults = rows_of(rows, _UPDATE, "ledger update")
    found = list[AccountTransfer]()
    for update in updates:
        try:
            found += _transfers(update, user, asset_named)
        except ValueError as error:
            faults.append(f"ledger update {update.hash[:80]}: {error}")
    words = {one.reason for one in found if one.kind is TransferKind.UNKNOWN}
    last = max((one.time for one in updates), default=None) if len(rows) >= PAGE_ROWS else None
    return Ledger(found, faults, [f"ledger update of type {word!r}" for word in sorted(words)], last)


def _transfers(update: Update, user: str, asset_named: Callable[[str], str]) -> Iterator[AccountTransfer]:
    """One of the amount; and one of the fee, where that was paid in another token."""
    delta, word = update.delta, update.delta.type[:80]
    if delta.type in _NEITHER:
        return
    signed, kind = _signed(delta, user), TransferKind.TRANSFER
    if delta.type in _RESULTS:
        kind = TransferKind.RESULT
    elif signed is None:
        kind = TransferKind.UNKNOWN
    amounts = {asset_named(_name(delta)): signed or Decimal(0)}
    for token, fee in _fees(delta, user):
        amounts[asset_named(token)] = amounts.get(asset_named(token), Decimal(0)) - fee
    for asset, quantity in amounts.items():
        if quantity or signed is None:
            yield AccountTransfer(ID, asset, quantity, kind, word, update.hash[:80], update.time * 1000)


def _name(delta: Delta) -> str:
    """Some rows have ``NAME:0x…``."""
    return delta.token.partition(":")[0][:80] if delta.amount is not None else "USDC"


def _signed(delta: Delta, user: str) -> Decimal | None:
    """What the balance changed by, without fees that were paid beside it; None where the row does not contain it.

    Raises ValueError where it has no amount.
    """
    match delta.type:
        case (
            "deposit" | "vaultDistribution" | "vaultWithdraw" | "vaultLeaderCommission" | "rewardsClaim" | "spotGenesis"
        ):
            return _amount(delta)
        case "withdraw" | "vaultDeposit" | "vaultCreate" | "deployGasAuction" | "accountActivationGas":
            return -_amount(delta)
        case "internalTransfer" | "subAccountTransfer" | "spotTransfer" | "send" if user in _parties(delta):
            return _amount(delta) * (_arrives(delta, user) - _leaves(delta, user))
        case "cStakingTransfer":
            return _amount(delta) * (-1 if delta.isDeposit else 1)
        case "perpDexClassTransfer":
            return _amount(delta) * (0 if delta.dex in _OURS else -1 if delta.toPerp else 1)
    return None


def _amount(delta: Delta) -> Decimal:
    """Raises ValueError where there is none."""
    amounts = (one for one in (delta.amount, delta.usdc, delta.netWithdrawnUsd) if one is not None)
    if (text := next(amounts, None)) is None:
        raise ValueError(f"{delta.type[:80]} has no amount")
    return Decimal(text)


def _parties(delta: Delta) -> tuple[str, str]:
    return delta.user.lower(), delta.destination.lower()


def _arrives(delta: Delta, user: str) -> bool:
    return delta.destination.lower() == user and delta.destinationDex in _OURS


def _leaves(delta: Delta, user: str) -> bool:
    return delta.user.lower() == user and delta.sourceDex in _OURS


def _fees(delta: Delta, user: str) -> Iterator[tuple[str, Decimal]]:
    if delta.type in ("vaultCreate", "withdraw") or delta.user.lower() == user:
        yield delta.feeToken or "USDC", Decimal(delta.fee)
        yield _name(delta), Decimal(delta.nativeTokenFee)
