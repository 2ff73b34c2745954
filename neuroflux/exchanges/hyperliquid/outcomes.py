"""The outcome of an order, a cancel or a query: Hyperliquid's answers, definite or in doubt.

The answer to an order names little of it, so the rest is read from the request that it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    UNREADABLE_ANSWER,
    Ack,
    InDoubt,
    Instrument,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Reject,
    Side,
    Throttled,
)
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.hyperliquid.messages import Number, OrderUpdate
from neuroflux.exchanges.hyperliquid.orders import Symbols, is_known, report_of
from neuroflux.exchanges.hyperliquid.rest import THROTTLED_SECONDS, retry_after
from neuroflux.exchanges.hyperliquid.socket import ID
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.exchanges.kit.shapes import UNREADABLE

PLACE_LIMIT: Final = "order limit"
PLACE_MARKET: Final = "order market"
CANCEL: Final = "cancelByCloid"
"""Tags of requests: what ``outcome_of`` must know beyond their bodies."""

IMMEDIATE: Final = "Ioc"

REFUSING_STATUSES: Final = frozenset({400, 401, 403, 404, 405, 413, 415, 422})
"""HTTP statuses of requests that never reached the engine."""

UNCERTAIN_WORDS: Final = ("duplicate", "already", "internal", "timeout", "timed out", "unavailable")
"""In an error's text: the order may be open from an earlier attempt, or the engine itself does not know."""

EXPIRED: Final = "already expired"
"""In ``Action already expired``: it arrived after its ``expiresAfter`` and was not accepted. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/support/faq/trade-outcome-looks-incorrect
"""

BAD_NONCE: Final = "invalid nonce"
"""In ``Invalid nonce: duplicate nonce …``. No request is sent twice, so another signer used the nonce. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/nonces-and-api-wallets
"""

UNTIMELY_WORDS: Final = ("nonce", "expire")
CODES: Final = (
    ("tick size", "tickRejected"),
    ("minimum value", "minTradeNtlRejected"),
    ("Insufficient margin", "perpMarginRejected"),
    ("insufficient spot balance", "insufficientSpotBalanceRejected"),
    ("Reduce only", "reduceOnlyRejected"),
    ("Post only", "badAloPxRejected"),
    ("could not immediately match", "iocCancelRejected"),
    ("Invalid TP/SL price", "badTriggerPxRejected"),
    ("No liquidity available", "marketOrderNoLiquidityRejected"),
    ("away from the reference price", "oracleRejected"),
    ("too far from oracle", "oracleRejected"),
    ("more aggressive than oracle while at open interest cap", "tooAggressiveAtOpenInterestCapRejected"),
    ("while open interest is capped", "positionIncreaseAtOpenInterestCapRejected"),
    ("increase open interest too quickly", "openInterestIncreaseRejected"),
    ("exceed margin tier limit", "perpMaxPositionRejected"),
)
"""An error is a sentence; the exchange's own names for the reasons are those of its order statuses."""


class _Limit(Struct, frozen=True):
    tif: str


class _SentType(Struct, frozen=True):
    limit: _Limit


class _SentOrder(Struct, frozen=True):
    a: int
    b: bool
    p: Number
    s: Number
    c: str
    t: _SentType


class _SentCancel(Struct, frozen=True):
    """By the client order id (``asset``, ``cloid``), or by the exchange's (``a``, ``o``)."""

    asset: int = -1
    cloid: str = ""
    a: int = -1
    o: int = 0


class _SentAction(Struct, frozen=True):
    orders: list[_SentOrder] = []
    cancels: list[_SentCancel] = []


class _Sent(Struct, frozen=True):
    action: _SentAction
    nonce: int


class _Resting(Struct, frozen=True):
    oid: int


class _Filled(Struct, frozen=True):
    totalSz: Number
    avgPx: Number
    oid: int


class _Status(Struct, frozen=True):
    resting: _Resting | None = None
    filled: _Filled | None = None
    error: str | None = None


class _Data(Struct, frozen=True):
    statuses: list[_Status | str]


class _Response(Struct, frozen=True):
    data: _Data


class _Reply(Struct, frozen=True):
    """``{"status":"ok","response":{"data":{"statuses":[…]}}}`` or ``{"status":"err","response":"<sentence>"}``."""

    status: str
    response: _Response | str


class _Found(Struct, frozen=True):
    """``{"status":"order","order":…}`` or ``{"status":"unknownOid"}``."""

    status: str
    order: OrderUpdate | None = None


_SENT: Final = Decoder(_Sent)
_REPLY: Final = Decoder(_Reply)
_FOUND: Final = Decoder(_Found)


def outcome_of(answer: Answer, listed: Mapping[int, Instrument], symbols: Symbols) -> Outcome:
    """Read the answer to an order, a cancel or a query; ``listed`` has the instruments by asset id.

    What can't be read is ``InDoubt``. The report in the ``Ack`` of a cancel has the state and the id only: its
    quantities are 0 and its side is meaningless, since the exchange answers just "success"; query what was filled.
    """
    if answer.status == 429:
        return Throttled(retry_after(answer), _said(answer))
    if answer.status in REFUSING_STATUSES:
        return Reject(str(answer.status), _said(answer))
    if answer.status != 200:
        return InDoubt(_said(answer))
    try:
        return _asked(answer, symbols) if _is_question(answer) else _acted(answer, listed)
    except (*UNREADABLE, MalformedFrame) as error:
        return InDoubt(f"{UNREADABLE_ANSWER}: {error}")


def _is_question(answer: Answer) -> bool:
    return answer.request.path == "/info" or answer.request.tag in ("orderStatus", "query")


def _said(answer: Answer) -> str:
    return f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}"


def _asked(answer: Answer, symbols: Symbols) -> Outcome:
    found = _FOUND.decode(answer.body)
    if found.status == "unknownOid":
        return NotThere("unknownOid")
    if found.order is None:
        return InDoubt(f"no order in the answer: {found.status[:80]}")
    if not is_known(found.order.status):
        return InDoubt(f"unknown status of an order: {found.order.status[:80]!r}")
    return Ack(report_of(found.order.order, found.order.status, found.order.statusTimestamp, symbols))


def _acted(answer: Answer, listed: Mapping[int, Instrument]) -> Outcome:
    reply = _REPLY.decode(answer.body)
    if isinstance(reply.response, str):
        return _error(reply.response) if reply.status == "err" else InDoubt(f"{reply.status}: {reply.response}"[:200])
    if len(reply.response.data.statuses) != 1:
        return InDoubt("not one status for one action")
    status = reply.response.data.statuses[0]
    if isinstance(status, _Status) and status.error is not None:
        return _error(status.error)
    sent = _SENT.decode(answer.request.body)
    if answer.request.tag == CANCEL:
        return _cancelled(status, sent, listed)
    return _placed(status, sent, listed, market=answer.request.tag == PLACE_MARKET)


def _error(text: str) -> Outcome:
    if text.startswith("Order was never placed"):
        return NotThere(text)
    if text.startswith("Too many cumulative requests"):
        return Throttled(THROTTLED_SECONDS, text, orders_only=True)  # cancels have a limit of their own
    if EXPIRED in text.lower():
        return Reject("expired", text, is_untimely=True)
    if text.lower().startswith(BAD_NONCE):
        return Reject("nonce", text, is_untimely=True)
    if any(word in text.lower() for word in UNCERTAIN_WORDS):
        return InDoubt(text)
    untimely = any(word in text.lower() for word in UNTIMELY_WORDS)
    return Reject(next((code for words, code in CODES if words.lower() in text.lower()), "rejected"), text, untimely)


def _placed(status: _Status | str, sent: _Sent, listed: Mapping[int, Instrument], market: bool) -> Outcome:
    order = sent.action.orders[0]
    quantity, filled, average, oid = Decimal(order.s), Decimal(0), Decimal(0), ""
    state = OrderState.ACKNOWLEDGED
    if isinstance(status, str):
        if not status.startswith("waitingFor"):
            return InDoubt(f"unknown status of a new order: {status[:80]}")
    elif status.filled is not None:
        filled, average, oid = Decimal(status.filled.totalSz), Decimal(status.filled.avgPx), str(status.filled.oid)
        state = _filled(order, filled)
    elif status.resting is not None:
        oid = str(status.resting.oid)
    else:
        return InDoubt("neither resting nor filled nor an error")
    return Ack(
        _report(
            sent,
            _symbol(order.a, listed),
            order.c,
            side=Side.BUY if order.b else Side.SELL,
            type=OrderType.MARKET if market else OrderType.LIMIT,
            price=Decimal(0) if market else Decimal(order.p),
            quantity=quantity,
            filled_quantity=filled,
            average_price=average,
            exchange_order_id=oid,
            state=state,
            reason="the rest did not match" if state is OrderState.EXPIRED else "",
        )
    )


def _filled(order: _SentOrder, filled: Decimal) -> OrderState:
    """The rest of an immediate order has expired. No page documents the rest of another, which may be open. Source:
    https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint#place-an-order
    """
    if filled >= Decimal(order.s):
        return OrderState.FILLED
    return OrderState.EXPIRED if order.t.limit.tif == IMMEDIATE else OrderState.WORKING


def _cancelled(status: _Status | str, sent: _Sent, listed: Mapping[int, Instrument]) -> Outcome:
    if status != "success":
        return InDoubt(f"unknown status of a cancel: {status!r}"[:200])
    cancel = sent.action.cancels[0]
    asset, number = (cancel.asset, "") if cancel.cloid else (cancel.a, str(cancel.o))
    symbol = _symbol(asset, listed)
    return Ack(_report(sent, symbol, cancel.cloid, exchange_order_id=number, state=OrderState.CANCELLED))


def _symbol(asset: int, listed: Mapping[int, Instrument]) -> str:
    return listed[asset].symbol if asset in listed else str(asset)


def _report(sent: _Sent, symbol: str, cloid: str, **known: Any) -> OrderReport:
    """The answer has no time, so that of the request is used, its nonce."""
    unknown: dict[str, Any] = {
        "exchange_order_id": "",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "price": Decimal(0),
        "quantity": Decimal(0),
        "filled_quantity": Decimal(0),
        "average_price": Decimal(0),
        "reason": "",
    }
    time = sent.nonce * 1000
    return OrderReport(exchange=ID, symbol=symbol, client_order_id=cloid, event_time=time, **(unknown | known))
