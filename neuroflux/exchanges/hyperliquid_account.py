"""Hyperliquid's private feed: fills, orders, positions and balances of one address.

An address has a perpetuals and a spot account, and both may hold USDC. A balance is per asset, so USDC's is the sum:
the last of either is kept, and until both have come the sum is of the one. ``in_positions`` is the margin in use.
Both come whole, so what is missing from one is reported as 0.

``userEvents`` is read but not subscribed: of what matters here it has only the fills, which ``userFills`` brings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec.json import Decoder

from neuroflux.domain import Balance, Instrument, Microseconds, Position
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.base_exchange import Answer, FeedEvent, Ignored, Keys, Request, Subscription, Undecodable
from neuroflux.exchanges.hyperliquid_messages import (
    UNREADABLE,
    AccountFrame,
    ClearinghouseState,
    ClearinghouseStateFrame,
    ErrorFrame,
    OrderUpdate,
    OrderUpdatesFrame,
    SpotBalance,
    SpotState,
    SpotStateFrame,
    UserEventFrame,
    UserFillsFrame,
    WireFill,
    WirePosition,
    channels_of,
    kind_of,
)
from neuroflux.exchanges.hyperliquid_orders import fill_of, records_of, report_of
from neuroflux.exchanges.hyperliquid_rest import account_of, info_request
from neuroflux.exchanges.hyperliquid_socket import ID, error_event, not_a_frame, sockets, subscribe_frame

QUIET_SECONDS: Final = 60.0
"""The states of the accounts are pushed about every 5 s."""

_COLLATERAL: Final = "USDC"
_ZERO: Final = Decimal(0)
_SUBSCRIBED: Final = ("userFills", "orderUpdates", "clearinghouseState", "spotState")
_ASKED: Final = frozenset({"clearinghouseState", "spotClearinghouseState", "frontendOpenOrders", "userFills"})
_FRAMES: Final[Decoder[AccountFrame]] = Decoder(AccountFrame)
_CHANNELS: Final = channels_of(AccountFrame)
_PERPETUALS: Final = Decoder(ClearinghouseState)
_SPOT: Final = Decoder(SpotState)


class HyperliquidAccountFeed:
    """Private data of ``keys.key``, the account's own address (asked for an agent's, the exchange answers nothing)."""

    exchange = ID

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        self._user = account_of(keys)
        self._symbols = {instrument.name: instrument.symbol for instrument in instruments}
        self._perpetuals: ClearinghouseState | None = None
        self._spot: dict[str, SpotBalance] = {}
        self._positions: set[str] = set()

    def opening(self, now: Microseconds) -> Sequence[Request]:
        return ()

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        return ()

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        return sockets([subscribe_frame(kind, user=self._user) for kind in _SUBSCRIBED], QUIET_SECONDS)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return (
            info_request("spotClearinghouseState", user=self._user),
            info_request("clearinghouseState", user=self._user),
            info_request("frontendOpenOrders", user=self._user),
            info_request("userFillsByTime", tag="userFills", user=self._user, startTime=since // 1000),
        )

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        try:
            frame = _FRAMES.decode(raw)
        except UNREADABLE as error:
            known = not_a_frame(raw, error, _CHANNELS)
            return (known,) if known else self._payload(raw, received_time, Undecodable(str(error)))
        match frame:
            case UserFillsFrame():
                return self._fills(frame.data.fills)
            case UserEventFrame():
                return self._fills(frame.data.fills or ())
            case OrderUpdatesFrame():
                return self._orders(frame.data)
            case ClearinghouseStateFrame():
                if frame.data.dex:
                    return (Ignored(f"clearinghouseState of {frame.data.dex}"),)
                return self._perpetuals_changed(frame.data.clearinghouseState, received_time)
            case SpotStateFrame():
                return self._spot_changed(frame.data.spotState, received_time)
            case ErrorFrame():
                return (error_event(frame.data, received_time),)

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != 200:
            return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)
        asked = answer.request.tag
        if asked in _ASKED and answer.body.strip() != b"[]":
            return self._payload(answer.body, received_time, Undecodable(f"no answer to {asked}"))
        return self._payload(answer.body, received_time, Ignored(asked or "answer"))

    def _payload(self, body: bytes | str, received_time: Microseconds, otherwise: FeedEvent) -> Sequence[FeedEvent]:
        """Read what came without a channel: an answer, or a frame of which only the payload was recorded."""
        try:
            kind = kind_of(body)
            if kind == "clearinghouseState":
                return self._perpetuals_changed(_PERPETUALS.decode(body), received_time)
            if kind == "spotClearinghouseState":
                return self._spot_changed(_SPOT.decode(body), received_time)
            records = records_of(body, self._symbols)
        except (*UNREADABLE, MalformedFrame) as error:
            return (Undecodable(str(error)),)
        if records is not None:
            return records
        return (Ignored(kind),) if kind else (otherwise,)

    def _fills(self, fills: Sequence[WireFill]) -> Sequence[FeedEvent]:
        """Each as it comes: the snapshot repeats what was told before, and whoever counts fills goes by trade id."""
        return [fill_of(fill, self._symbols) for fill in fills] or (Ignored("no fill"),)

    def _orders(self, updates: Sequence[OrderUpdate]) -> Sequence[FeedEvent]:
        return [self._order(update) for update in updates] or (Ignored("no order"),)

    def _order(self, update: OrderUpdate) -> FeedEvent:
        """One order that can't be understood must not hide the others of its frame."""
        try:
            return report_of(update.order, update.status, update.statusTimestamp, self._symbols)
        except MalformedFrame as error:
            return Undecodable(str(error))

    def _spot_changed(self, state: SpotState, received_time: Microseconds) -> Sequence[FeedEvent]:
        gone = self._spot.keys() - {balance.coin for balance in state.balances}
        self._spot = {balance.coin: balance for balance in state.balances}
        assets = [*self._spot, *sorted(gone)]
        return [self._balance(asset, received_time) for asset in assets] or (Ignored("no balance"),)

    def _perpetuals_changed(self, state: ClearinghouseState, received_time: Microseconds) -> Sequence[FeedEvent]:
        time = received_time if state.time is None else state.time * 1000
        held = [one.position for one in state.assetPositions]
        gone = self._positions - {one.coin for one in held}
        self._perpetuals = state
        self._positions = {one.coin for one in held}
        positions = [*held, *(WirePosition(coin, "0", "0", "0") for coin in sorted(gone))]
        return [self._balance(_COLLATERAL, time), *(self._position(one, time) for one in positions)]

    def _position(self, wire: WirePosition, time: Microseconds) -> Position:
        return Position(
            exchange=ID,
            symbol=self._symbols.get(wire.coin, wire.coin),
            quantity=Decimal(wire.szi),
            entry_price=Decimal(wire.entryPx or 0),
            unrealised_pnl=Decimal(wire.unrealizedPnl),
            event_time=time,
        )

    def _balance(self, asset: str, time: Microseconds) -> Balance:
        spot = self._spot.get(asset)
        total, in_orders = (Decimal(spot.total), Decimal(spot.hold)) if spot else (_ZERO, _ZERO)
        in_positions = _ZERO
        if asset == _COLLATERAL and self._perpetuals:
            margin = self._perpetuals.marginSummary or self._perpetuals.crossMarginSummary
            value, in_positions = Decimal(margin.accountValue), Decimal(margin.totalMarginUsed)
            total += value
            in_orders += max(_ZERO, value - in_positions - Decimal(self._perpetuals.withdrawable))
        return Balance(ID, asset, total - in_orders - in_positions, in_orders, in_positions, total, time)
