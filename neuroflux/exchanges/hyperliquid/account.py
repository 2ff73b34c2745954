"""Hyperliquid's private feed: fills, orders, positions, balances and transfers of one address.

``userEvents`` is read but not subscribed to: its only events of use are fills, which ``userFills`` has too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Instrument, Microseconds, StatusKind
from neuroflux.exchanges.hyperliquid.fees import rates_of
from neuroflux.exchanges.hyperliquid.ledger import LEDGER, Ledger, LedgerFrame, ledger_of
from neuroflux.exchanges.hyperliquid.messages import (
    AccountFrame,
    ClearinghouseStateFrame,
    ErrorFrame,
    OrderUpdatesFrame,
    Role,
    SpotState,
    SpotStateFrame,
    UserEventFrame,
    UserFillsFrame,
    channels_of,
    kind_of,
)
from neuroflux.exchanges.hyperliquid.orders import PAGE_BYTES, Records, fills_of, records_of, updates_of
from neuroflux.exchanges.hyperliquid.rest import account_of, fills_request, info_request, ledger_request, next_page
from neuroflux.exchanges.hyperliquid.socket import ID, error_event, not_a_frame, socket, subscribe_frame
from neuroflux.exchanges.hyperliquid.wallet import MODES, Wallet, mode_of, mode_status
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.feed import PrivateFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.shapes import UNREADABLE

QUIET_SECONDS: Final = 60.0
"""The states of the accounts are pushed about every 5 s."""

RECENT: Final[Microseconds] = 600_000_000
"""Liquidations and the like are reported for fills that are no older: each connection sends old fills again."""

_SUBSCRIBED: Final = ("userFills", "orderUpdates", "clearinghouseState", "spotState", LEDGER)
_ASKED: Final = frozenset(
    {
        "clearinghouseState",
        "spotClearinghouseState",
        "frontendOpenOrders",
        "userFills",
        "userAbstraction",
        "userRole",
        LEDGER,
    }
)
_OF_DEX: Final = "clearinghouseState of "
"""Begins the tag of a request for another dex's state: the answer does not name the dex."""

_META_OF: Final = "meta of "
"""Begins the tag of a request for the settlement asset of another dex."""

_LISTS: Final = frozenset({"frontendOpenOrders", "userFills", LEDGER})
_ROLES: Final = frozenset({"user", "agent", "vault", "subAccount", "missing"})
_FRAMES: Final[Decoder[AccountFrame | LedgerFrame]] = Decoder(AccountFrame | LedgerFrame)
_CHANNELS: Final = channels_of(AccountFrame | LedgerFrame)
_ROWS: Final = Decoder(list[Raw])
_SPOT: Final = Decoder(SpotState)
_ROLE: Final = Decoder(Role)


class _Meta(Struct, frozen=True):
    """``collateralToken`` is a token's index."""

    collateralToken: int


_META: Final = Decoder(_Meta)


class HyperliquidAccountFeed(PrivateFeed):
    """Private data of ``keys.key``, the account's own address. An agent's address has no data of its own."""

    pushes_whole = False
    """The states of the accounts are whole, but arrive up to 5 s after the orders and fills that change them."""

    def __init__(self, keys: Keys, instruments: Iterable[Instrument]) -> None:
        super().__init__(ID, keys, instruments)
        self._user = account_of(keys)
        self._wallet = Wallet(self.symbols)
        self._mode = self._role = ""

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        return (socket([subscribe_frame(kind, user=self._user) for kind in _SUBSCRIBED], QUIET_SECONDS),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """The mode is requested first, since the states mean different things in each; the role never changes."""
        role = () if self._role else (info_request("userRole", user=self._user),)
        return (
            *role,
            info_request("userAbstraction", user=self._user),
            *self.figures(now),
            info_request("frontendOpenOrders", user=self._user),
            fills_request(self._user, since // 1000),
        )

    def figures(self, now: Microseconds) -> Sequence[Request]:
        """Both accounts, and the positions on each dex of others on which this address was seen to trade."""
        return (
            info_request("spotClearinghouseState", user=self._user),
            info_request("clearinghouseState", user=self._user),
            *(
                info_request("clearinghouseState", tag=f"{_OF_DEX}{dex}", user=self._user, dex=dex)
                for dex in sorted(self._wallet.dexes)
            ),
        )

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return (ledger_request(self._user, since // 1000),)

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        return (info_request("userFees", user=self._user),)

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        try:
            frame = _FRAMES.decode(raw)
        except UNREADABLE as error:
            known = not_a_frame(raw, error, _CHANNELS)
            return (known,) if known else self._payload(raw, received, Undecodable(str(error)))
        try:
            return self._framed(frame, received)
        except UNREADABLE as error:
            return (Undecodable(f"clearinghouseState: {error}"),)

    def _framed(self, frame: AccountFrame | LedgerFrame, received_time: Microseconds) -> Sequence[FeedEvent]:
        match frame:
            case UserFillsFrame():
                return self._records(fills_of(frame.data.fills, self.symbols), received_time) or (Ignored("no fill"),)
            case UserEventFrame():
                rows = frame.data.fills or ()
                return self._records(fills_of(rows, self.symbols), received_time) or (Ignored("no fill"),)
            case OrderUpdatesFrame():
                return self._records(updates_of(frame.data, self.symbols), received_time) or (Ignored("no order"),)
            case ClearinghouseStateFrame():
                body = bytes(frame.data.clearinghouseState)
                return self._wallet.perpetuals_changed(body, frame.data.dex, received_time) or (Ignored("no margin"),)
            case SpotStateFrame():
                return self._wallet.spot_changed(frame.data.spotState, received_time) or (Ignored("no balance"),)
            case LedgerFrame():
                rows, user = frame.data.nonFundingLedgerUpdates or (), frame.data.user.lower() or self._user
                return self._ledger(ledger_of(rows, user, self._wallet.asset_named), received_time)
            case ErrorFrame():
                return (error_event(frame.data, received_time),)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        asked, body = answer.request.tag, answer.body
        if asked in _LISTS and body.strip() == b"[]":
            return (Ignored(asked),)
        if asked == "userAbstraction" or _is_mode(body):
            return self._mode_answered(body, received)
        if asked == "userFees":
            return rates_of(body, self.instruments.values())
        if asked.startswith(_OF_DEX):
            return self._state_of_dex(body, asked.removeprefix(_OF_DEX), received)
        if asked.startswith(_META_OF):
            return self._meta_of_dex(body, asked.removeprefix(_META_OF), received)
        if asked == LEDGER:
            return self._ledger_answered(answer, received)
        otherwise = Undecodable(f"no answer to {asked}") if asked in _ASKED else Ignored(asked or "answer")
        return (*self._payload(body, received, otherwise), *self._next_page(answer))

    def subject(self, answer: Answer) -> str:
        """Of what is named by its request alone; in any other answer the fault names its place."""
        asked = answer.request.tag
        if asked == "userAbstraction" or _is_mode(answer.body):
            return "userAbstraction"
        return asked if asked in ("userFees", LEDGER) or asked.startswith((_OF_DEX, _META_OF)) else ""

    def _ledger_answered(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        found = self._read_ledger(answer.body)
        more = next_page(answer, self._user, found.next_start, ledger_request)
        return (*self._ledger(found, received), *more)

    def _read_ledger(self, body: bytes | str) -> Ledger:
        """Raises ``UNREADABLE``."""
        return ledger_of(_ROWS.decode(body), self._user, self._wallet.asset_named)

    def _state_of_dex(self, body: bytes, dex: str, received: Microseconds) -> Sequence[FeedEvent]:
        """What it settles in is requested until it is known: in one account with others it changes a balance."""
        events = self._wallet.perpetuals_changed(body, dex, received) or (Ignored(f"no position on {dex}"),)
        meta = info_request("meta", tag=f"{_META_OF}{dex}", dex=dex)
        return (*events, PageNeeded(meta)) if self._wallet.wants_settlement(dex) else events

    def _meta_of_dex(self, body: bytes, dex: str, received: Microseconds) -> Sequence[FeedEvent]:
        token = _META.decode(body).collateralToken
        return self._wallet.settles_in(dex, token, received) or (Ignored(f"{_META_OF}{dex}"),)

    def _mode_answered(self, body: bytes, received: Microseconds) -> Sequence[FeedEvent]:
        self._mode = mode_of(body)
        status = mode_status(self._mode, self._role, received)
        return (status, *self._wallet.mode_changed(self._mode, received))

    def _role_answered(self, body: bytes | str, received_time: Microseconds) -> Sequence[FeedEvent]:
        role = _ROLE.decode(body).role
        if role not in _ROLES:
            return (self._status(StatusKind.UNKNOWN, f"userRole: role {role[:80]!r}", received_time),)
        self._role = role
        return (mode_status(self._mode, role, received_time),)

    def _payload(self, body: bytes, received: Microseconds, otherwise: FeedEvent) -> Sequence[FeedEvent]:
        """Read what arrived without a channel: an answer, or a frame of which only the payload was recorded."""
        kind = kind_of(body)
        match kind:
            case "clearinghouseState":
                return self._wallet.perpetuals_changed(body, "", received) or (Ignored(kind),)
            case "spotClearinghouseState":
                return self._wallet.spot_changed(_SPOT.decode(body), received) or (Ignored("no balance"),)
            case "userRole":
                return self._role_answered(body, received)
            case "userNonFundingLedgerUpdates":
                return self._ledger(self._read_ledger(body), received)
        records = records_of(body, self.symbols)
        if records is not None:
            return self._records(records, received)
        return (Ignored(kind),) if kind else (otherwise,)

    def _records(self, records: Records, received_time: Microseconds) -> Sequence[FeedEvent]:
        """All that could be read; a status for each row that could not, or whose state is not known."""
        if records.faults and not records.events:
            return [Undecodable("; ".join(records.faults)[:500])]
        return [
            *records.events,
            *self._odd(records, received_time),
            *(one for one in records.acted if received_time - one.event_time < RECENT),
            *self._wallet.traded_elsewhere(_dexes_of(records), received_time),
        ]

    def _ledger(self, found: Ledger, received_time: Microseconds) -> Sequence[FeedEvent]:
        """All that could be read; a status for each row that could not, or whose type is not known."""
        if found.faults and not found.transfers:
            return [Undecodable("; ".join(found.faults)[:500])]
        return [*found.transfers, *self._odd(found, received_time)] or [Ignored("no transfer")]

    def _odd(self, found: Records | Ledger, time: Microseconds) -> Sequence[ExchangeStatus]:
        faults = [self._status(StatusKind.MALFORMED, fault, time) for fault in found.faults]
        return [*faults, *(self._status(StatusKind.UNKNOWN, word, time) for word in found.unknown)]

    def _next_page(self, answer: Answer) -> Sequence[FeedEvent]:
        if len(answer.body) < PAGE_BYTES:
            return ()
        records = records_of(answer.body, self.symbols)
        return next_page(answer, self._user, records.next_start) if records else ()

    def _status(self, kind: StatusKind, detail: str, time: Microseconds) -> ExchangeStatus:
        return ExchangeStatus(ID, "account", kind, 0.0, detail, time)


def _is_mode(body: bytes) -> bool:
    return body.strip().strip(b'"').decode(errors="replace") in MODES


def _dexes_of(records: Records) -> set[str]:
    """The dexes of others that coins such as ``xyz:XYZ100`` name; symbols of ours have a slash."""
    symbols = (one.symbol for one in records.events)
    return {symbol.partition(":")[0] for symbol in symbols if ":" in symbol and "/" not in symbol}
