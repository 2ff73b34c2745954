"""Lists of an account, pushed or answered, to events: a row that can't be read costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import AccountTransfer, Microseconds, OrderReport, TransferKind
from neuroflux.exchanges.bybit.figures import balance, fee_rates, position, transfer
from neuroflux.exchanges.bybit.messages import (
    CoinRow,
    ExecutionRow,
    FeeRow,
    Listed,
    LogRow,
    OrderRow,
    PositionRow,
    WalletRow,
)
from neuroflux.exchanges.bybit.names import ID
from neuroflux.exchanges.bybit.orders import UNKNOWN_STATUS, fill, odd_execution, report
from neuroflux.exchanges.bybit.symbols import Symbols
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.rows import Rows, rows, unknown
from neuroflux.exchanges.kit.shapes import Shapes, kind_of

ORDERS: Final = "orders"
FILLS: Final = "fills"
POSITIONS: Final = "positions"
BALANCES: Final = "balances"
FEES: Final = "fees"
LOG: Final = "log"

UNIFIED: Final = "UNIFIED"

_SHAPES: Final = Shapes(
    objects=(),
    rows=(
        ("execId execType orderId", FILLS),
        ("orderId orderStatus", ORDERS),
        ("positionIdx size side", POSITIONS),
        ("coin accountType", BALANCES),
        ("symbol takerFeeRate", FEES),
        ("transactionTime type change", LOG),
    ),
)
_ORDER: Final = Decoder(OrderRow).decode
_EXECUTION: Final = Decoder(ExecutionRow).decode
_POSITION: Final = Decoder(PositionRow).decode
_COIN: Final = Decoder(CoinRow).decode
_FEE: Final = Decoder(FeeRow).decode
_LOG: Final = Decoder(LogRow).decode
_WALLETS: Final = Decoder(list[WalletRow]).decode


class Context(Struct, frozen=True):
    """What the rows of a list do not name: their category ("" where nothing does) and the exchange's time."""

    symbols: Symbols
    category: str
    time: Microseconds


class Records(Struct, frozen=True):
    """``rows`` has the faults; ``events`` are what the rows are, in order, without what is not used."""

    events: Sequence[FeedEvent]
    rows: Rows[Any]
    indices: Sequence[int] = ()


def kind_of_list(listed: Listed) -> str:
    return kind_of(bytes(listed.list), _SHAPES)


def records(kind: str, body: bytes | Raw, context: Context) -> Records:
    """Raises ``UNREADABLE`` for what is no list."""
    if kind == POSITIONS:
        return _positions(body, context)
    if kind == BALANCES:
        return _balances(body, context.time)
    found: Rows[Any] = rows(body, _MAKERS[kind](context))
    return Records(
        [*(one for one in found.good if not isinstance(one, Ignored)), *_unknown(found.good, context)], found
    )


def _unknown(found: Sequence[FeedEvent], context: Context) -> Sequence[FeedEvent]:
    """A status for each state and each type of a transfer that is not known."""
    orders = (one.reason for one in found if isinstance(one, OrderReport) and one.reason.startswith(UNKNOWN_STATUS))
    logs = {one.reason for one in found if isinstance(one, AccountTransfer) and one.kind is TransferKind.UNKNOWN}
    words = [*orders, *(f"transaction log of type {word!r}" for word in sorted(logs))]
    return [unknown(ID, word, context.time) for word in words]


Maker = Callable[[Context], Callable[[Raw], Any]]


def _fill(context: Context) -> Callable[[Raw], Any]:
    def made(row: Raw) -> Any:
        wire = _EXECUTION(row)
        return odd_execution(wire, context.time) or fill(wire, context.category, context.symbols)

    return made


_MAKERS: Final[dict[str, Maker]] = {
    ORDERS: lambda context: lambda row: report(_ORDER(row), context.category, context.symbols),
    FILLS: _fill,
    FEES: lambda context: lambda row: fee_rates(_FEE(row), context.category, context.symbols),
    LOG: lambda context: lambda row: transfer(_LOG(row)),
}


class _Indexed(Struct, frozen=True):
    index: int
    event: Any


def _positions(body: bytes | Raw, context: Context) -> Records:
    """One with index 1 or 2 is of hedge mode, and not the symbol's only one: it is no position here."""

    def made(row: Raw) -> _Indexed:
        wire = _POSITION(row)
        return _Indexed(wire.positionIdx, position(wire, context.category, context.symbols, context.time))

    found = rows(body, made)
    ours = [one for one in found.good if not isinstance(one.event, Ignored)]
    return Records([one.event for one in ours if one.index == 0], found, [one.index for one in ours])


def _balances(body: bytes | Raw, time: Microseconds) -> Records:
    """Of each coin of the unified account."""
    coins = chain.from_iterable(one.coin for one in _WALLETS(body) if one.accountType == UNIFIED)
    found = Rows(coins, lambda row: balance(_COIN(row), time))
    return Records(found.good, found)
