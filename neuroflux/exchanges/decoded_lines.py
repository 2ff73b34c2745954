"""What ``decode`` writes: an event, or the outcome of an order, as one line of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from neuroflux.domain import (
    AccountTransfer,
    Ack,
    Balance,
    ExchangeStatus,
    Fill,
    Funding,
    InDoubt,
    NotThere,
    OrderReport,
    Outcome,
    Position,
    Quote,
    Reject,
    StatusKind,
    Throttled,
    Trade,
)
from neuroflux.exchanges.kit.events import (
    BookChanged,
    FeedEvent,
    FeeRates,
    Hold,
    Ignored,
    PageNeeded,
    Resubscribe,
    SnapshotNeeded,
    Undecodable,
)

Fields = Mapping[str, Any]

_TYPES: Final = {
    Quote: "quote",
    Trade: "trade",
    Funding: "funding",
    Balance: "balance",
    Position: "position",
    OrderReport: "order",
    Fill: "fill",
    AccountTransfer: "transfer",
    ExchangeStatus: "status",
}
_MOST_DIGITS: Final = 60
"""Longer numbers are written with an exponent: 1e999999999 in full would be a gigabyte."""


def written(number: int, fields: Fields) -> str:
    """One line. What JSON can't hold is an error of that line."""
    try:
        return msgspec.json.encode({"line": number, **fields}).decode()
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError) as error:
        return msgspec.json.encode({"line": number, **an_error(f"can't be written: {error}")}).decode()


def an_error(reason: str) -> Fields:
    return {"type": "error", "reason": reason[:2000]}


def is_ignored(why: str) -> Fields:
    return {"type": "ignored", "kind": why, "reason": why}


def fields_of(event: FeedEvent, depth: int) -> Fields:
    """The fields of one event; of a book the best ``depth`` levels."""
    match event:
        case BookChanged():
            return {"type": "book", **_plain(event.snapshot(depth))}
        case Undecodable():
            return an_error(event.reason)
        case Ignored():
            return is_ignored(event.kind)
        case FeeRates():
            return is_ignored(f"fees of {event.symbol}: taker {_text(event.taker)}, maker {_text(event.maker)}")
        case Hold():
            limited = {"kind": StatusKind.LIMITED, "retry_after": event.seconds}
            return {"type": "status", **limited, "detail": event.reason, "reason": event.reason}
        case SnapshotNeeded():
            return is_ignored(f"waits for its snapshot: {event.symbol or event.request.path}")
        case Resubscribe():
            return is_ignored(f"waits for its snapshot by a new subscription: {event.symbol}")
        case PageNeeded():
            body = event.request.body.decode(errors="replace")
            return is_ignored(f"the next page is requested: {event.request.path.partition('&signature')[0]} {body}")
        case OrderReport():
            fields = _plain(event)
            fields["order_type"] = fields.pop("type")  # the line's own type is "order"
            return {"type": "order", **fields}
    return {"type": _TYPES[type(event)], **_plain(event)}


def outcome_lines(outcome: Outcome, exchange: str, time: int) -> Iterator[Fields]:
    """The outcome of an order: its report and fills, or a status."""
    match outcome:
        case Ack():
            yield fields_of(outcome.report, 0)
            yield from (fields_of(fill, 0) for fill in outcome.fills)
            return
        case Reject():
            kind, more = "rejected", {"code": outcome.code, "is_untimely": outcome.is_untimely}
        case NotThere():
            kind, more = "not_there", {}
        case InDoubt():
            kind, more = "in_doubt", {}
        case Throttled():
            kind = StatusKind.LIMITED
            more = {
                "retry_after": outcome.retry_after,
                "orders_only": outcome.orders_only,
                "risk_only": outcome.risk_only,
            }
    status = ExchangeStatus(exchange, "order", StatusKind.LIMITED, 0.0, outcome.reason, time)
    yield {"type": "status", **_plain(status), "kind": kind, "reason": outcome.reason, **more}


def _plain(event: Any) -> dict[str, Any]:
    """Prices and quantities as text; books as pairs."""
    fields = msgspec.structs.asdict(event)
    for side in ("bids", "asks"):
        if side in fields:
            fields[side] = [[level.price, level.quantity] for level in fields[side]]
    return {name: _text(value) if isinstance(value, Decimal) else value for name, value in fields.items()}


def _text(number: Decimal) -> str:
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS or len(number.as_tuple().digits) > _MOST_DIGITS:
        return str(number)
    return f"{number:f}"
