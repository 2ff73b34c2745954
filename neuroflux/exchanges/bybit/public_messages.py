"""Bybit's public frames. Source: the pages below https://bybit-exchange.github.io/docs/v5/websocket/public."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from neuroflux.exchanges.kit.numerals import Long


class BookData(Struct, frozen=True, gc=False):
    """``u`` numbers the frames of one topic, ``seq`` the states of the book in all of them."""

    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: Long
    seq: Long = 0


class BookFrame(Struct, frozen=True, gc=False):
    """``cts`` is the time of the matching engine, ``ts`` that of the frame; ms."""

    topic: str
    type: Literal["snapshot", "delta"]
    ts: Long
    data: BookData
    cts: Long = 0


class TapeTrade(Struct, frozen=True, gc=False):
    """``S`` is the taker's side; a block trade (``BT``) was agreed outside of the book."""

    T: Long
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str
    i: str
    BT: bool = False


class TradesFrame(Struct, frozen=True, gc=False):
    data: list[TapeTrade]


class Ticker(Struct, frozen=True):
    """A delta has what changed alone. Times in ms, hours as texts."""

    symbol: str
    fundingRate: str | None = None
    fundingIntervalHour: str | None = None
    nextFundingTime: str | None = None
    markPrice: str | None = None
    indexPrice: str | None = None


class TickerFrame(Struct, frozen=True):
    data: Ticker
    type: str
    ts: Long


class Head(Struct, frozen=True):
    """A frame of another kind: data, or the answer to an operation."""

    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str | None = ""
