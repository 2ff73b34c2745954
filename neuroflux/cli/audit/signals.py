"""Signals recomputed from the records in their ``causes``, without the engine's code.

The signal's quantity is matched with the levels of both books; gross profit and fees are at the mid rates; the
conversion cost is the spread of the rates if the two quotes differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product

from msgspec import Struct

from neuroflux.cli.audit.accounts import Pair
from neuroflux.cli.audit.figures import Figure, Key
from neuroflux.cli.audit.reading import Name, Reported, SignalRecords
from neuroflux.domain import ArbitrageSignal, Instrument, Level, Side

ANCHOR = "USDC"
RELATIVE = 1e-9
WHY = "sums of doubles"
Levels = Sequence[tuple[float, float]]


class _Rate(Struct, frozen=True):
    """USD per unit of a quote asset, when it is sold and when it is bought."""

    bid: float
    ask: float

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


def signals(reported: Reported, found: Sequence[SignalRecords]) -> Iterator[Pair]:
    """Six figures of each signal whose records and instruments are known; any other is listed as incomplete."""
    for one in found:
        made = _made(reported, one)
        names = ("buy_price", "sell_price", "gross_profit", "fees", "conversion_cost", "expected_profit")
        for what, own in zip(names, made or (), strict=False):
            yield _pair(one, what, _reported(one, what), own, scale=_scale(one))
        if made is None:
            key = Key("causes", "all", one.signal.signal_id, "arbitrage.signals")
            yield key, Figure("incomplete", "complete", "complete", pending="not all of its records are stored")


def _reported(one: SignalRecords, what: str) -> float:
    """The figure; the profit without the cost of closing, because only the entry is recomputed here."""
    value: float = getattr(one.signal, what)
    exit_cost = one.signal.exit_cost
    return value + exit_cost if what == "expected_profit" else value


def _scale(one: SignalRecords) -> float:
    """The magnitude of the amounts that the figures are differences of, for their rounding error."""
    return abs(one.signal.buy_price * one.signal.quantity) + 1


def _pair(one: SignalRecords, what: str, reported: float, own: float, scale: float) -> Pair:
    known, tolerance = Decimal(repr(own)), Decimal(repr(RELATIVE * scale))
    subject = f"{one.signal.market} {one.signal.signal_id[:12]}"
    return Key(what, "all", subject, "arbitrage.signals"), Figure(Decimal(repr(reported)), known, known, tolerance, WHY)


def _made(reported: Reported, one: SignalRecords) -> tuple[float, ...] | None:
    signal = one.signal
    sides: list[_Side] = []
    for side, name in ((Side.BUY, (signal.buy_exchange, signal.buy_symbol)), _sold(one)):
        instrument, levels = reported.instruments.get(name), _levels(one, name, side)
        rate = _rate(one, instrument.quote) if instrument else None
        if instrument is None or rate is None or not levels:
            return None
        fees = [float(fee) for fee in {instrument.taker_fee, *reported.taker_fees.get(name, ())}]
        sides.append(_Side(instrument, rate, _average(levels, signal.quantity / instrument.multiplier), fees))
    return _nearest(signal, *sides)


def _sold(one: SignalRecords) -> tuple[Side, Name]:
    return Side.SELL, (one.signal.sell_exchange, one.signal.sell_symbol)


class _Side(Struct, frozen=True):
    """``price`` is the average over the levels used; ``fees`` are all that the instrument ever had."""

    instrument: Instrument
    rate: _Rate
    price: float
    fees: Sequence[float]


def _nearest(signal: ArbitrageSignal, buy: _Side, sell: _Side) -> tuple[float, ...]:
    """The figures with the fees of the signal's time: those that come closest to the signal's own."""
    made = [_net(signal.quantity, buy, sell, *fees) for fees in product(buy.fees, sell.fees)]
    return min(made, key=lambda figures: abs(figures[3] - signal.fees))


def _net(quantity: float, buy: _Side, sell: _Side, buy_fee: float, sell_fee: float) -> tuple[float, ...]:
    paid, received = (quantity * one.price / one.instrument.multiplier for one in (buy, sell))
    gross = received * sell.rate.mid - paid * buy.rate.mid
    fees = paid * buy.rate.mid * buy_fee + received * sell.rate.mid * sell_fee
    conversion = 0.0
    if buy.instrument.quote != sell.instrument.quote:
        conversion = paid * (1 + buy_fee) * (buy.rate.ask - buy.rate.mid)
        conversion += received * (1 - sell_fee) * (sell.rate.mid - sell.rate.bid)
    return buy.price, sell.price, gross, fees, conversion, gross - fees - conversion


def _levels(one: SignalRecords, name: Name, side: Side) -> Levels:
    """The levels, best first; a newer quote replaces the levels at or better than its price."""
    book, quote = one.books.get(name), one.quotes.get(name)
    if book is None:
        return ()
    kept: Sequence[Level[float]] = book.asks if side is Side.BUY else book.bids
    levels = [(level.price, level.quantity) for level in kept]
    if quote is None or (quote.sequence, quote.event_time) <= (book.sequence, book.event_time):
        return levels
    if side is Side.BUY:
        return [(quote.ask_price, quote.ask_size), *(one for one in levels if one[0] > quote.ask_price)]
    return [(quote.bid_price, quote.bid_size), *(one for one in levels if one[0] < quote.bid_price)]


def _average(levels: Levels, quantity: float) -> float:
    left, paid = quantity, 0.0
    for price, size in levels:
        part = min(left, size)
        paid, left = paid + part * price, left - part
        if left <= 0:
            break
    return paid / (quantity - max(left, 0.0))


def _rate(one: SignalRecords, asset: str) -> _Rate | None:
    if asset == ANCHOR:
        return _Rate(1.0, 1.0)
    for (_, symbol), quote in one.quotes.items():
        if symbol == f"{ANCHOR}/{asset}":
            return _Rate(1 / quote.ask_price, 1 / quote.bid_price)
        if symbol == f"{asset}/{ANCHOR}":
            return _Rate(quote.bid_price, quote.ask_price)
    return None
