"""What an address of Hyperliquid holds: its spot state, its perpetuals states and its mode, combined.

An address has a perpetuals and a spot account, and both may hold USDC. A balance is per asset, so USDC's is the sum:
the last state of each is kept, and while one is unknown the balance is the other's. In an account with one balance for
all (``unifiedAccount``, ``portfolioMargin``) the collateral is in the spot state alone, with the margin inside its
hold, and the value in the perpetuals state is counted already. There the profit of open positions is added.

With portfolio margin ``hold`` is less what may be borrowed. What is free of an asset is its own: what could be borrowed
for it is counted with what it would be borrowed against.

Both states are complete, so what is missing from one is 0. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/trading/account-abstraction-modes
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
from msgspec.json import Decoder

from neuroflux.domain import Balance, ExchangeStatus, Microseconds, Position, StatusKind
from neuroflux.exchanges.hyperliquid.dexes import Bound, Dexes
from neuroflux.exchanges.hyperliquid.messages import (
    AssetPosition,
    ClearinghouseState,
    Margins,
    SpotBalance,
    SpotState,
    WirePosition,
    rows_of,
    unread_coins,
)
from neuroflux.exchanges.hyperliquid.socket import ID
from neuroflux.exchanges.hyperliquid.tokens import KNOWN, asset_of
from neuroflux.exchanges.kit.events import FeedEvent, Undecodable
from neuroflux.exchanges.kit.shapes import UNREADABLE

COLLATERAL: Final = "USDC"
UNIFIED: Final = frozenset({"unifiedAccount", "portfolioMargin"})
SEPARATE: Final = frozenset({"default", "disabled", "dexAbstraction"})
MODES: Final = UNIFIED | SEPARATE
"""The answers to ``userAbstraction``."""

STAYS: Final = Decimal("0.1")
"""Of what positions are worth, this part can't be withdrawn, though less may be needed as margin. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/trading/margining (``transfer_margin_required``)"""

MOST_DEXES: Final = 20
"""Dexes of others that are followed at most; each is requested every minute."""

_ZERO: Final = Decimal(0)
_POSITION: Final = Decoder(AssetPosition)
_BALANCE: Final = Decoder(SpotBalance)
_STATE: Final = Decoder(ClearinghouseState)
_MARGINS: Final = Decoder(Margins)


class Wallet:
    """The last states of one address; ``dexes`` are others' (HIP-3) on which it was seen to trade."""

    def __init__(self, symbols: Mapping[str, str]) -> None:
        self._symbols = symbols
        self._mode = ""
        self._looks_unified = self._has_spot = False
        self._margins: Margins | None = None
        self._profit = _ZERO
        self._spot: dict[str, SpotBalance] = {}
        self._positions: dict[str, set[str]] = {}
        self._newest: dict[str, tuple[Microseconds, bytes | str]] = {}
        self._others = Dexes()
        self.dexes: set[str] = set()

    @property
    def _unified(self) -> bool:
        return self._mode in UNIFIED if self._mode in MODES else self._looks_unified

    def asset_named(self, token: str) -> str:
        """The asset of a name without an index: the only one that is held or known, else ``"TRUMP#?"``."""
        held = {asset for asset in self._spot if asset.rpartition("#")[0] == token}
        named = held | ({token} & KNOWN.keys())
        return named.pop() if len(named) == 1 else f"{token}#?"

    def mode_changed(self, mode: str, time: Microseconds) -> list[FeedEvent]:
        """The collateral as it counts in this mode, where that is another than before."""
        before, self._mode = self._unified, mode
        return self._collateral(time) if self._unified is not before else []

    def spot_changed(self, state: SpotState, time: Microseconds) -> list[FeedEvent]:
        rows, faults = rows_of(state.balances, _BALANCE, "balance")
        unread = unread_coins(state.balances, _BALANCE) if faults else set()
        held = {asset_of(balance.coin, balance.token): balance for balance in rows}
        kept = {asset: one for asset, one in self._spot.items() if asset not in held and _is_of(one.coin, unread)}
        gone = sorted(self._spot.keys() - held.keys() - kept.keys())
        self._spot = kept | held
        self._has_spot = True
        self._take_evidence(_has_portfolio_margin(state) or _has_margin_in_hold(rows))
        balances = [self._balance(asset, time) for asset in (*held, *gone)]
        return [*balances, *_faulty("spotState", faults, time, bool(balances))]

    def _take_evidence(self, is_unified: bool) -> None:
        """A field that only unified accounts have overrides the last known mode: the mode can change at any time."""
        self._looks_unified |= is_unified
        if is_unified and self._mode in SEPARATE:
            self._mode = ""

    def perpetuals_changed(self, body: bytes | str, dex: str, received_time: Microseconds) -> list[FeedEvent]:
        """Read a perpetuals state; in place of one that is older than the last, the last is returned again.

        Raises ``UNREADABLE`` for what is none.
        """
        state = _STATE.decode(body)
        time = received_time if state.time is None else state.time * 1000
        rows, faults = rows_of(state.assetPositions, _POSITION, "position")
        held = [one.position for one in rows]
        dex = dex or next((one.coin.partition(":")[0] for one in held if ":" in one.coin), "")
        newest, known = self._newest.get(dex, (time, body))
        if time < newest:
            return self.perpetuals_changed(known, dex, received_time)
        self._newest[dex] = time, body
        unread = unread_coins(state.assetPositions, _POSITION) if faults else set()
        events: list[FeedEvent] = [*self._positions_changed(held, unread, dex, time)]
        try:
            margins = _MARGINS.decode(body)
        except UNREADABLE as error:
            return [*events, *_faulty("clearinghouseState", [*faults, str(error)], time, bool(events))]
        profit = sum((Decimal(one.unrealizedPnl) for one in held), _ZERO)
        if dex:
            events += _faulty("clearinghouseState", faults, time, bool(events))
            return [*self._bound_elsewhere(dex, margins, profit, time), *events, *self.traded_elsewhere([dex], time)]
        self._margins, self._profit = margins, profit
        events = [*self._collateral(time), *events]
        return [*events, *_faulty("clearinghouseState", faults, time, bool(events))]

    def _positions_changed(
        self, held: list[WirePosition], unread: Collection[str], dex: str, time: Microseconds
    ) -> Iterable[Position]:
        """Those held, and those no longer named, which are 0: not even in a row that could not be read."""
        before, now = self._positions.get(dex, set()), {one.coin for one in held}
        kept = {coin for coin in before - now if _is_of(coin, unread)}
        gone = sorted(before - now - kept)
        self._positions[dex] = now | kept
        return [self._position(one, time) for one in (*held, *(WirePosition(coin, "0", "0", "0") for coin in gone))]

    def _bound_elsewhere(self, dex: str, margins: Margins, profit: Decimal, time: Microseconds) -> list[FeedEvent]:
        """The balance that the state of another dex changes, in an account with one balance for all."""
        asset = self._others.changed(dex, Bound(Decimal(margins.sums.totalMarginUsed), profit))
        return [self._balance(asset, time)] if asset and self._unified and self._has_spot else []

    def wants_settlement(self, dex: str) -> bool:
        """Whether it matters what a dex settles in, and is not known."""
        return self._unified and not self._others.is_known(dex)

    def settles_in(self, dex: str, token: int, time: Microseconds) -> list[FeedEvent]:
        """Take in what a dex settles in, by the token's index; an asset that is neither known nor held is none."""
        held = {one.token: asset for asset, one in self._spot.items()}
        asset = next((name for name, index in KNOWN.items() if index == token), held.get(token, ""))
        if not asset:
            return []
        self._others.settles_in(dex, asset)
        return [self._balance(asset, time)] if self._unified and self._has_spot else []

    def traded_elsewhere(self, dexes: Iterable[str], time: Microseconds) -> list[FeedEvent]:
        """Follow positions on these dexes too; for separate accounts report once that no balance has the collateral."""
        new = sorted(set(dexes) - self.dexes)[: MOST_DEXES - len(self.dexes)]
        self.dexes |= set(new)
        if self._unified:
            return []
        details = (
            f"perpetuals of dex {dex[:40]}: positions are reported; its collateral is in no balance" for dex in new
        )
        return [ExchangeStatus(ID, "clearinghouseState", StatusKind.UNKNOWN, 0.0, detail, time) for detail in details]

    def _position(self, wire: WirePosition, time: Microseconds) -> Position:
        return Position(
            exchange=ID,
            symbol=self._symbols.get(wire.coin, wire.coin),
            quantity=Decimal(wire.szi),
            entry_price=Decimal(wire.entryPx or 0),
            unrealised_pnl=Decimal(wire.unrealizedPnl),
            event_time=time,
        )

    def _collateral(self, time: Microseconds) -> list[FeedEvent]:
        """None in a unified account whose spot state, which has the collateral, is not known yet."""
        if self._unified and not self._has_spot:
            return []
        return [self._balance(COLLATERAL, time)]

    def _balance(self, asset: str, time: Microseconds) -> Balance:
        spot = self._spot.get(asset)
        total = Decimal(spot.total) if spot else _ZERO
        if self._unified:
            bound = self._bound(asset)
            return _parts(asset, total + bound.profit, _in_orders(spot, bound.used), bound.used, bound.profit, time)
        if asset != COLLATERAL or self._margins is None:
            return _parts(asset, total, _in_orders(spot, _ZERO), _ZERO, _ZERO, time)
        margin = self._margins.sums
        value, used = Decimal(margin.accountValue), Decimal(margin.totalMarginUsed)
        stays = max(used, Decimal(margin.totalNtlPos) * STAYS)
        in_orders = _in_orders(spot, _ZERO) + max(_ZERO, value - stays - Decimal(self._margins.withdrawable))
        return _parts(asset, total + value, in_orders, used, self._profit, time)

    def _bound(self, asset: str) -> Bound:
        """What all dexes bind of an asset in an account with one balance for all."""
        others = self._others.of(asset)
        if asset != COLLATERAL or self._margins is None:
            return others
        margin = self._margins.sums
        return Bound(Decimal(margin.totalMarginUsed) + others.used, self._profit + others.profit)


def _in_orders(spot: SpotBalance | None, used: Decimal) -> Decimal:
    """What orders hold of a balance: all that is held but ``used``, the margin of positions; at least ``spotHold``.

    What may be borrowed is subtracted from ``hold``, and never from ``spotHold``.
    """
    return max(_ZERO, Decimal(spot.hold) - used, Decimal(spot.spotHold or 0)) if spot else _ZERO


def _is_of(coin: str, unread: Collection[str]) -> bool:
    """Whether a row that could not be read may be of this coin."""
    return coin in unread or "" in unread


def _parts(
    asset: str, total: Decimal, in_orders: Decimal, in_positions: Decimal, profit: Decimal, time: Microseconds
) -> Balance:
    return Balance(ID, asset, total - in_orders - in_positions, in_orders, in_positions, total, time, profit)


def _has_portfolio_margin(state: SpotState) -> bool:
    enabled = state.portfolioMarginEnabled
    is_portfolio_margin = enabled is not msgspec.UNSET and bytes(enabled) == b"true"
    return is_portfolio_margin or state.tokenToAvailableAfterMaintenance is not msgspec.UNSET


def _has_margin_in_hold(rows: Iterable[SpotBalance]) -> bool:
    """Whether more, or less for what may be borrowed, is held of the collateral than spot orders hold."""
    collateral = (one for one in rows if asset_of(one.coin, one.token) == COLLATERAL)
    return any(one.spotHold is not None and Decimal(one.hold) != Decimal(one.spotHold) for one in collateral)


def mode_status(mode: str, role: str, time: Microseconds) -> ExchangeStatus:
    """Whether the account can be traded in as it is; ``mode`` and ``role`` are "" while they are not known."""
    fault = ""
    if role == "agent":
        fault = "the key is the address of an agent: set the address of the account that it trades for"
    elif mode and mode not in MODES:
        fault = f"account mode {mode[:80]!r} is not known: set the account to standard or unified"
    detail = fault or f"account mode {mode or 'not known yet'}"
    return ExchangeStatus(ID, "account", StatusKind.MODE, float(bool(fault)), detail, time)


def mode_of(body: bytes) -> str:
    """The mode in an answer to ``userAbstraction``, a bare JSON string; raises ``UNREADABLE`` for anything else."""
    return msgspec.json.decode(body, type=str)


def _faulty(channel: str, faults: Sequence[str], time: Microseconds, is_partly_read: bool) -> list[FeedEvent]:
    """A status for each fault beside what could be read; where nothing could, the whole is undecodable."""
    if not is_partly_read:
        return [Undecodable(f"{channel}: {'; '.join(faults)[:500]}")] if faults else []
    return [ExchangeStatus(ID, channel, StatusKind.MALFORMED, 0.0, text, time) for text in faults]
