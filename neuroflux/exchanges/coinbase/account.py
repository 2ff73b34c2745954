"""Coinbase's private feed: orders over the socket, balances and fills by requests.

The channel ``user`` pushes orders and their sums; neither fills nor balances. So after a push the fills of the orders
that were filled are requested, and the stage requests the balances. Deposits and withdrawals are in no list of Advanced
Trade: they show in the balances. Source:
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels, "User channel"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Balance, ExchangeStatus, Instrument, Microseconds, OrderReport, StatusKind
from neuroflux.exchanges.coinbase.market import PATH, QUIET_SECONDS, subscribe
from neuroflux.exchanges.coinbase.messages import (
    ID,
    ZERO,
    Head,
    Holding,
    PushedOrder,
    RestFill,
    UserFrame,
    amount,
    asset_of,
    is_spot,
    microseconds,
    written,
)
from neuroflux.exchanges.coinbase.orders import (
    UNKNOWN_STATUS,
    fill_of,
    fills_in,
    order_in,
    orders_in,
    pushed_report,
    report_of,
)
from neuroflux.exchanges.coinbase.permissions import TRADE_MISSING, permissions_of, permissions_request
from neuroflux.exchanges.coinbase.rest import (
    ACCOUNTS,
    FEES,
    FILLS,
    ORDER_LIST,
    ROWS,
    SHAPES,
    further,
    next_page,
    order_path,
    signed,
)
from neuroflux.exchanges.coinbase.signing import token
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Ignored
from neuroflux.exchanges.kit.feed import PrivateFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.rows import Rows, unknown
from neuroflux.exchanges.kit.sequences import Connections
from neuroflux.exchanges.kit.shapes import kind_of

ACCOUNTS_OF_A_PAGE: Final = 250
LOOKED_AFTER: Final = 20
"""Orders that are asked after one by one, of those that a complete list of open ones leaves out."""


class _Accounts(Struct, frozen=True):
    accounts: list[Raw]


class _Tier(Struct, frozen=True):
    taker_fee_rate: str
    maker_fee_rate: str


class _Fees(Struct, frozen=True):
    fee_tier: _Tier


_HEAD: Final = Decoder(Head)
_USER: Final = Decoder(UserFrame)
_PUSHED: Final = Decoder(PushedOrder)
_ACCOUNTS: Final = Decoder(_Accounts)
_HOLDING: Final = Decoder(Holding)
_FEES: Final = Decoder(_Fees)


class CoinbaseAccountFeed(PrivateFeed):
    """Private data of one portfolio, the key's."""

    pushes_whole = False
    pushes_figures = False

    def __init__(self, exchange: str, keys: Keys, instruments: Iterable[Instrument]) -> None:
        super().__init__(exchange, keys, instruments)
        self._numbers: Connections | None = None
        self._open: dict[str, tuple[Decimal, Decimal]] = {}
        """The size of each open order, and how much of it is filled, by its id."""
        self._may_trade: bool | None = None

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """A token is good for the first two minutes."""
        self._numbers = Connections()
        frames = [subscribe(one, jwt=token(self.keys, now, "", what=one)) for one in ("user", "heartbeats")]
        return (Subscription(PATH, tuple(frames), quiet_seconds=QUIET_SECONDS),)

    def figures(self, now: Microseconds) -> Sequence[Request]:
        return (signed(self.keys, "GET", ACCOUNTS, now, "accounts", [("limit", ACCOUNTS_OF_A_PAGE)]),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        after = [("start_sequence_timestamp", written(since)), ("limit", ROWS)]
        return (
            *self.figures(now),
            signed(self.keys, "GET", ORDER_LIST, now, "orders", [("order_status", "OPEN"), ("limit", ROWS)]),
            signed(self.keys, "GET", FILLS, now, "fills", after),
            permissions_request(self.keys, now),
        )

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        return (signed(self.keys, "GET", FEES, now, "fees", [("product_type", "SPOT")]),)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        head = _HEAD.decode(raw)
        if head.type == "error":
            return (_lost(f"{head.message} {head.reason}".strip()[:200], received),)
        lost = self._missed(head, received)
        if head.channel != "user":
            return (*lost, Ignored(head.channel or head.type or "message"))
        return (*lost, *self._user(_USER.decode(raw), received))

    def _missed(self, head: Head, received: Microseconds) -> Sequence[FeedEvent]:
        """A hole in the numbers may be an order: the socket is opened again, and everything requested."""
        if self._numbers is None or head.sequence_num is None:
            return ()
        expected = self._numbers.expected("", head.sequence_num)
        return () if expected is None else (_lost(f"expected frame {expected}, got {head.sequence_num}", received),)

    def _user(self, frame: UserFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """What was filled before the socket was open is in the list of fills that is requested then."""
        events, time = list[FeedEvent](), microseconds(frame.timestamp)
        grown = list[str]()
        for event in frame.events:
            found = Rows(event.orders, _pushed_order)
            for wire in found.good:
                if is_spot(wire.product_id):
                    report, has_grown = self._pushed(wire, time)
                    events += self._known(report, received)
                    grown += [wire.order_id] if has_grown and event.type != "snapshot" else []
            events += found.statuses(ID, "order", received)
        return [*events, *self._fills_of(grown, received)] or [Ignored("user")]

    def _pushed(self, wire: PushedOrder, time: Microseconds) -> tuple[OrderReport, bool]:
        size, before = self._open.get(wire.order_id, (ZERO, ZERO))
        filled = amount(wire.cumulative_quantity)
        size = max(size, filled + amount(wire.leaves_quantity))
        return pushed_report(wire, size, time, self.symbols), filled > before

    def _known(self, report: OrderReport, received: Microseconds) -> Sequence[FeedEvent]:
        """Note an open order, and report a status that is not known."""
        if report.state.final:
            self._open.pop(report.exchange_order_id, None)
        else:
            self._open[report.exchange_order_id] = report.quantity, report.filled_quantity
        if report.reason.startswith(UNKNOWN_STATUS):
            return (report, unknown(ID, f"{report.symbol}: {report.reason}", received))
        return (report,)

    def _fills_of(self, orders: Sequence[str], now: Microseconds) -> Sequence[FeedEvent]:
        query = [*(("order_ids", one) for one in dict.fromkeys(orders)), ("limit", str(ROWS))]
        return further(self.keys, FILLS, now, "fills", query) if orders else ()

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        kind = kind_of(answer.body, SHAPES)
        match kind:
            case "accounts":
                events = self._balances(_ACCOUNTS.decode(answer.body).accounts, received)
            case "orders":
                events = self._orders(answer, received)
            case "order":
                wire = order_in(answer.body)
                events = self._known(report_of(wire, self.symbols), received) if is_spot(wire.product_id) else ()
            case "fills":
                events = self._fills(fills_in(answer.body), received)
            case "fees":
                events = self._rates(_FEES.decode(answer.body).fee_tier)
            case "permissions":
                events = self._mode(permissions_of(answer.body).can_trade, received)
            case _:
                return (Ignored(kind or answer.request.tag or "answer"),)
        pages = next_page(self.keys, answer, received) if kind in ("accounts", "orders", "fills") else ()
        return [*events, *pages] or [Ignored(kind)]

    def _balances(self, rows: Sequence[Raw], received: Microseconds) -> Sequence[FeedEvent]:
        """Wallets of one currency are one balance."""
        free, held = dict[str, Decimal](), dict[str, Decimal]()
        found = Rows(rows, _held)
        for wire in found.good:
            asset = asset_of(wire.currency)
            free[asset] = free.get(asset, ZERO) + amount(wire.available_balance.value)
            held[asset] = held.get(asset, ZERO) + amount(wire.hold.value)
        made = [Balance(ID, one, free[one], held[one], ZERO, free[one] + held[one], received) for one in free]
        return [*made, *found.statuses(ID, "balance", received)]

    def _orders(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        found = orders_in(answer.body)
        reports = [report_of(one, self.symbols) for one in found.good if is_spot(one.product_id)]
        ended = self._left_out(answer, {one.exchange_order_id for one in reports}, received)
        events = [event for report in reports for event in self._known(report, received)]
        return [*events, *found.statuses(ID, "order", received), *ended]

    def _left_out(self, answer: Answer, listed: set[str], now: Microseconds) -> Sequence[FeedEvent]:
        """Ask after the orders that were open, and that a complete list of open ones leaves out.

        They have ended, or are PENDING or QUEUED, which the list does not count as open.
        """
        is_first = "order_status=OPEN" in answer.request.path and "cursor=" not in answer.request.path
        if not is_first or next_page(self.keys, answer, now):
            return ()
        gone = [one for one in self._open if one not in listed][:LOOKED_AFTER]
        return [page for one in gone for page in further(self.keys, order_path(one), now, "order")]

    def refused(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        """An order that the exchange does not know is not asked after again."""
        if answer.status == 404:
            self._open.pop(answer.request.path.rpartition("/")[2], None)
        return super().refused(answer, received)

    def _fills(self, found: Rows[RestFill], received: Microseconds) -> Sequence[FeedEvent]:
        fills = [fill_of(one, self.symbols) for one in found.good if is_spot(one.product_id)]
        return [*fills, *found.statuses(ID, "fill", received)]

    def _rates(self, tier: _Tier) -> Sequence[FeedEvent]:
        """One tier for all products; some pairs of stablecoins are cheaper than that."""
        taker, maker = amount(tier.taker_fee_rate), amount(tier.maker_fee_rate)
        return [FeeRates(one.symbol, taker, maker) for one in self.instruments.values()]

    def _mode(self, may_trade: bool, received: Microseconds) -> Sequence[FeedEvent]:
        """Reported when it changes, and at first only where the key may not trade."""
        before, self._may_trade = self._may_trade is not False, may_trade
        if may_trade is before:
            return ()
        detail = "" if may_trade else TRADE_MISSING
        return (ExchangeStatus(ID, "account", StatusKind.MODE, float(not may_trade), detail, received),)


def _pushed_order(row: Raw) -> PushedOrder:
    """Raises ``UNREADABLE``, also for an amount that no record has room for."""
    wire = _PUSHED.decode(row)
    for text in (wire.cumulative_quantity, wire.leaves_quantity, wire.avg_price, wire.limit_price):
        amount(text)
    return wire


def _held(row: Raw) -> Holding:
    """Raises ``UNREADABLE``."""
    wire = _HOLDING.decode(row)
    if amount(wire.available_balance.value) + amount(wire.hold.value) >= 10**18:
        raise ValueError(f"an amount of {wire.available_balance.value:.40}")
    return wire


def _lost(why: str, time: Microseconds) -> ExchangeStatus:
    return ExchangeStatus(ID, "account", StatusKind.DISCONNECTED, 0.0, why, time)
