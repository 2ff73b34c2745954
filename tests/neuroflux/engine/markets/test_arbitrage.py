"""Arbitrage signals: what opens one, what prevents one, and its figures."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    ArbitrageKind,
    ArbitrageSignal,
    BookSnapshot,
    Cause,
    Instrument,
    InstrumentKind,
    Level,
    Quote,
)
from neuroflux.engine.markets.arbitrage import CHANGED, Arbitrage, thresholds_of
from neuroflux.engine.markets.comparable import Reference
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS

NOW = 1_800_000_000_000_000
BOUNDS = thresholds_of(ARBITRAGE_THRESHOLDS)
RATE = Cause("market.quotes", 3, 77)
Levels = tuple[tuple[float, float], ...]


def listed(
    exchange: str, quote: str = "USDC", kind: InstrumentKind = InstrumentKind.SPOT, **more: object
) -> Instrument:
    fields: dict[str, object] = {"taker_fee": Decimal("0.001"), "multiplier": 1}
    return Instrument(
        exchange=exchange,
        symbol=f"X/{quote}" if kind is InstrumentKind.SPOT else f"X/{quote}:{quote}",
        market="X/USD",
        name=f"X{quote}",
        base="X",
        quote=quote,
        kind=kind,
        **(fields | more),  # type: ignore[arg-type]
    )


A, B = listed("a"), listed("b")


def book(one: Instrument, bids: Levels, asks: Levels, at: int = NOW, sequence: int = 1) -> BookSnapshot[float]:
    sides = tuple(Level(*level) for level in bids), tuple(Level(*level) for level in asks)
    return BookSnapshot(one.exchange, one.symbol, one.market, *sides, sequence, at, at)


def quote(one: Instrument, bid: float, ask: float, size: float = 1.0, at: int = NOW, sequence: int = 2) -> Quote[float]:
    return Quote(one.exchange, one.symbol, one.market, bid, size, ask, size, sequence, at, at)


def cheap(one: Instrument = A, at: int = NOW, sequence: int = 1) -> BookSnapshot[float]:
    return book(one, ((99.0, 5.0),), ((100.0, 5.0),), at, sequence)


def dear(one: Instrument = B, at: int = NOW, sequence: int = 1, price: float = 102.0) -> BookSnapshot[float]:
    return book(one, ((price, 5.0),), ((price + 1, 5.0),), at, sequence)


class Log:
    """Passes records to an engine, each with its offset."""

    def __init__(self, *instruments: Instrument) -> None:
        self.reference = Reference(instruments or (A, B))
        self.engine = Arbitrage(self.reference, BOUNDS)
        self._offsets = count()

    def take(self, *records: BookSnapshot[float] | Quote[float]) -> list[ArbitrageSignal]:
        """Take the records; returns the signals of the last one."""
        found: list[ArbitrageSignal] = []
        for record in records:
            offset = next(self._offsets)
            if isinstance(record, Quote):
                found = list(self.engine.quote(record, Cause("market.quotes", 0, offset)))
            else:
                found = list(self.engine.book(record, Cause("market.books", 0, offset)))
        return found


def test_a_cross_between_two_exchanges_is_a_signal() -> None:
    (signal,) = Log().take(cheap(), dear())
    assert (signal.buy_exchange, signal.sell_exchange) == ("a", "b")
    assert (signal.kind, signal.quantity, signal.buy_price, signal.sell_price) == (ArbitrageKind.SPOT, 5, 100, 102)
    assert signal.gross_profit == pytest.approx(10)
    assert signal.fees == pytest.approx(5 * (100 + 102) * 0.001)
    assert signal.conversion_cost == 0
    assert signal.expected_profit == pytest.approx(signal.gross_profit - signal.fees)
    assert (signal.event_time, signal.expires_at) == (NOW, NOW + BOUNDS.lifetime)


PERPETUAL = InstrumentKind.PERPETUAL
BOTH_KINDS = [(PERPETUAL, PERPETUAL), (InstrumentKind.SPOT, PERPETUAL), (PERPETUAL, InstrumentKind.SPOT)]


@pytest.mark.parametrize(("bought", "sold"), BOTH_KINDS)
def test_open_positions_are_charged_the_cost_of_closing(bought: InstrumentKind, sold: InstrumentKind) -> None:
    """Two pairs of perpetuals promised 96.12 USD; both were closed at once, which left 64.39."""
    one, other = listed("a", kind=bought), listed("b", kind=sold)
    (signal,) = Log(one, other).take(cheap(one), dear(other))
    spread, fees = 5 * (0.5 + 0.5), 5 * (99 + 103) * 0.001
    assert signal.exit_cost == pytest.approx(spread + fees)
    entry = signal.gross_profit - signal.fees - signal.conversion_cost
    assert signal.expected_profit == pytest.approx(entry - signal.exit_cost)


def test_two_spot_trades_have_no_exit_cost() -> None:
    (signal,) = Log().take(cheap(), dear())
    assert signal.exit_cost == 0


def test_a_profit_below_the_exit_cost_is_not_a_signal() -> None:
    one, other = (listed(name, kind=PERPETUAL) for name in "ab")
    assert Log(one, other).take(cheap(one), dear(other, price=101.3)) == []
    assert Log().take(cheap(), dear(price=101.3))


def test_only_units_that_cover_their_exit_cost_are_taken() -> None:
    one, other = (listed(name, kind=PERPETUAL) for name in "ab")
    levels = ((102.0, 2.0), (101.0, 3.0)), ((103.0, 5.0),)
    (signal,) = Log(one, other).take(cheap(one), book(other, *levels))
    assert signal.quantity == 2
    spots = Log().take(cheap(), book(B, *levels))
    assert [found.quantity for found in spots] == [5]


def test_names_the_records_it_was_made_from() -> None:
    (signal,) = Log().take(cheap(), dear())
    assert set(signal.causes) == {Cause("market.books", 0, 0), Cause("market.books", 0, 1)}
    (signal,) = Log().take(cheap(), dear(price=100.5), quote(B, 102, 103))
    assert set(signal.causes) == {
        Cause("market.books", 0, 0),
        Cause("market.books", 0, 1),
        Cause("market.quotes", 0, 2),
    }


def test_an_exchange_does_not_trade_with_itself() -> None:
    assert Log(A, listed("a", "USDT")).take(cheap(), dear(listed("a", "USDT"))) == []


def test_a_profit_below_the_fees_is_not_a_signal() -> None:
    assert Log().take(cheap(), dear(price=100.2)) == []


def test_a_profit_below_the_threshold_is_not_a_signal() -> None:
    each = 102 * 0.999 - 100 * 1.001
    enough, little = BOUNDS.min_profit / each * 1.01, BOUNDS.min_profit / each * 0.99
    assert Log().take(cheap(), book(B, ((102.0, enough),), ((103.0, 1.0),)))
    assert Log().take(cheap(), book(B, ((102.0, little),), ((103.0, 1.0),))) == []


def test_the_quantity_is_bound_in_usd() -> None:
    (signal,) = Log().take(book(A, ((99.0, 1.0),), ((100.0, 1e6),)), book(B, ((102.0, 1e6),), ((103.0, 1.0),)))
    assert signal.quantity == pytest.approx(BOUNDS.max_notional / 100)


def test_conversion_is_at_live_rates_and_costs_their_spread() -> None:
    tether = listed("a", "USDT")
    log = Log(tether, B)
    assert log.take(cheap(tether), dear()) == []  # no rate, no opportunity
    log.reference.convert(Quote("a", "USDC/USDT", "USDC/USD", 1.0, 1, 1.002, 1, 1, NOW, NOW), RATE)
    (signal,) = log.take(dear(sequence=2))
    ask = 1 / 1.0
    assert signal.expected_profit == pytest.approx(5 * (102 * 0.999 - 100 * 1.001 * ask))
    assert signal.conversion_cost > 0
    assert RATE in signal.causes


def test_a_stale_rate_is_no_rate() -> None:
    tether, later = listed("a", "USDT"), NOW + 60_000_000
    log = Log(tether, B)
    log.reference.convert(Quote("a", "USDC/USDT", "USDC/USD", 1.0, 1, 1.001, 1, 1, NOW, NOW), RATE)
    assert log.take(cheap(tether, later), dear(at=later)) == []


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        (InstrumentKind.SPOT, InstrumentKind.SPOT, ArbitrageKind.SPOT),
        (InstrumentKind.SPOT, InstrumentKind.PERPETUAL, ArbitrageKind.BASIS),
        (InstrumentKind.PERPETUAL, InstrumentKind.SPOT, ArbitrageKind.BASIS),
        (InstrumentKind.PERPETUAL, InstrumentKind.PERPETUAL, ArbitrageKind.PERPETUAL),
    ],
)
def test_kinds_are_marked(one: InstrumentKind, two: InstrumentKind, kind: ArbitrageKind) -> None:
    first, second = listed("a", kind=one), listed("b", kind=two)
    (signal,) = Log(first, second).take(cheap(first), dear(second))
    assert signal.kind is kind


def test_multipliers_are_normalised() -> None:
    thousand = listed("b", multiplier=1000)
    (signal,) = Log(A, thousand).take(cheap(), book(thousand, ((102_000.0, 0.002),), ((103_000.0, 1.0),)))
    assert signal.quantity == 2
    assert signal.sell_price == pytest.approx(102_000)
    assert signal.gross_profit == pytest.approx(4)


def test_two_assets_with_the_same_ticker_are_not_an_opportunity() -> None:
    assert Log().take(cheap(), dear(price=115.0)) == []
    assert Log().take(cheap(), dear(price=109.0)) != []


def test_a_stale_book_is_not_used() -> None:
    assert Log().take(cheap(), dear(at=NOW + BOUNDS.max_age)) != []
    assert Log().take(cheap(), dear(at=NOW + BOUNDS.max_age + 1)) == []
    log = Log()
    log.take(dear(at=NOW + BOUNDS.max_age + 1))
    assert log.take(cheap()) == []  # a late record keeps its own age


def test_a_book_with_an_empty_side_is_not_used() -> None:
    log = Log()
    log.take(cheap())
    log.engine.withdraw(book(A, ((99.0, 5.0),), ()))
    assert log.take(dear()) == []
    assert log.take(quote(A, 99.0, 100.0)) == []
    assert log.take(cheap(sequence=3)) != []


def test_a_newer_quote_removes_levels_of_the_book() -> None:
    log = Log()
    deep = book(B, ((102.0, 5.0), (101.5, 5.0), (101.0, 5.0)), ((103.0, 5.0),))
    (signal,) = log.take(cheap(), deep)
    assert signal.sell_price == 102
    (signal,) = log.take(quote(B, 101.5, 103, size=1.0))
    assert signal.sell_price == pytest.approx((101.5 + 4 * 101.0) / 5)


def test_an_older_quote_than_the_book_is_ignored() -> None:
    log = Log()
    log.take(cheap(), dear(sequence=5, price=100.1))
    assert log.take(quote(B, 102, 103, sequence=4)) == []
    assert log.take(quote(B, 102, 103, sequence=6)) != []


def test_a_quote_alone_has_no_depth() -> None:
    assert Log().take(cheap(), quote(B, 102, 103)) == []


def test_an_unchanged_opportunity_is_not_published_with_every_tick() -> None:
    log = Log()
    assert log.take(cheap(), dear())
    assert log.take(dear(at=NOW + 1, sequence=2)) == []
    assert log.take(cheap(at=NOW + BOUNDS.lifetime // 2 - 1, sequence=2)) == []
    assert log.take(cheap(at=NOW + BOUNDS.lifetime // 2, sequence=3))  # half its life is over


def test_a_changed_profit_is_published() -> None:
    log = Log()
    (first,) = log.take(cheap(), dear())
    assert log.take(dear(at=NOW + 1, sequence=2, price=102.1)) == []
    (second,) = log.take(dear(at=NOW + 2, sequence=3, price=102.5))
    assert second.expected_profit > first.expected_profit * (1 + CHANGED)
    assert second.signal_id != first.signal_id


def test_unlisted_instruments_are_ignored() -> None:
    assert Log(A).take(cheap(), dear()) == []


def test_rules_that_change_count_from_the_next_record_on() -> None:
    log = Log()
    log.take(cheap(), dear(price=100.1))
    log.reference.list(replace(B, taker_fee=Decimal("-0.01")))
    (signal,) = log.take(dear(price=100.1, sequence=2))
    assert signal.fees < 0


def test_an_instrument_that_is_only_closed_is_no_opportunity() -> None:
    assert Log(A, listed("b", closing_only=True)).take(cheap(), dear()) == []


def test_an_instrument_that_was_halted_is_no_opportunity() -> None:
    log = Log(A, B)
    log.take(cheap())
    log.reference.list(replace(B, active=False))
    assert log.take(dear()) == []


events = st.lists(
    st.tuples(st.sampled_from([A, B, listed("c")]), st.booleans(), st.floats(95, 105), st.integers(0, 10**6)),
    max_size=30,
)


def records(given: Iterable[tuple[Instrument, bool, float, int]]) -> list[BookSnapshot[float] | Quote[float]]:
    found: list[BookSnapshot[float] | Quote[float]] = []
    at = NOW
    for sequence, (one, quoted, price, after) in enumerate(given):
        at += after
        if quoted:
            found.append(quote(one, price, price + 0.5, 2.0, at, sequence))
        else:
            levels = ((price, 2.0), (price - 1, 2.0)), ((price + 0.5, 2.0), (price + 1, 2.0))
            found.append(book(one, *levels, at, sequence))
    return found


@given(events)
def test_the_same_records_give_the_same_signals_and_each_adds_up(
    given: list[tuple[Instrument, bool, float, int]],
) -> None:
    result = [Log(A, B, listed("c")) for _ in range(2)]
    both = [[one for record in records(given) for one in log.take(record)] for log in result]
    assert both[0] == both[1]
    for signal in both[0]:
        parts = signal.gross_profit - signal.fees - signal.conversion_cost
        assert signal.expected_profit == pytest.approx(parts)
        assert signal.expected_profit >= BOUNDS.min_profit
        assert signal.buy_exchange != signal.sell_exchange
    assert len({signal.signal_id for signal in both[0]}) == len(both[0])
