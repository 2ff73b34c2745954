"""Each kind of figure: equal values agree, and a changed one is found by its name."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.cli.audit.accounts import PUBLISHED
from neuroflux.cli.audit.audit import figures, judged, unchecked
from neuroflux.cli.audit.exchanges import ExchangeReadings
from neuroflux.cli.audit.figures import Finding, Verdict, judge
from neuroflux.cli.audit.orders import NOT_READ, open_elsewhere
from neuroflux.cli.audit.reading import Exchanges, Leg, Own, Reported, SignalRecords
from neuroflux.cli.audit.signals import signals
from neuroflux.domain import (
    AggregatedPrice,
    ArbitrageKind,
    ArbitrageSignal,
    Balance,
    BookSnapshot,
    Fill,
    Instrument,
    InstrumentKind,
    Level,
    Liquidity,
    Position,
    PriceSource,
    Quote,
    Side,
)
from neuroflux.exchanges.kit.own_answers import OwnAccount, OwnBalance, OwnFill, OwnOrder, OwnPosition, OwnTop

NAME = ("a", "X/USDC:USDC")
X = Instrument(
    exchange="a",
    symbol="X/USDC:USDC",
    market="X/USD",
    name="XUSDC",
    base="X",
    quote="USDC",
    settle="USDC",
    kind=InstrumentKind.PERPETUAL,
    taker_fee=Decimal("0.001"),
)
FILL = Fill(
    order_id="o",
    exchange="a",
    symbol="X/USDC:USDC",
    client_order_id="c1",
    exchange_order_id="7",
    trade_id="t1",
    side=Side.BUY,
    price=Decimal(100),
    quantity=Decimal(2),
    fee=Decimal("0.2"),
    fee_asset="USDC",
    liquidity=Liquidity.TAKER,
    event_time=5,
    name="XUSDC",
)
OWN_FILL = OwnFill("XUSDC", "7", "buy", Decimal("100.0"), Decimal(2), Decimal("0.20"), "USDC", 5)
OWN_ORDER = OwnOrder("XUSDC", "7", "buy", Decimal(2), Decimal(2), "filled")
OWN = Own(
    OwnAccount(
        balances={"USDC": OwnBalance(Decimal(1000), Decimal(800), Decimal(10))},
        positions={"XUSDC": OwnPosition(Decimal(2), Decimal(100), Decimal(-5))},
        orders={"c1": OWN_ORDER},
        fills={("XUSDC", "t1", "buy"): OWN_FILL},
    ),
    {"XUSDC": OwnTop(Decimal("99.5"), Decimal("100.5"))},
    listed_at=10,
)
EXCHANGES = {"a": OWN}
BALANCE = Balance("a", "USDC", Decimal(800), Decimal(10), Decimal(190), Decimal(1000), 5)
POSITION = Position("a", "X/USDC:USDC", Decimal(2), Decimal(100), Decimal(-5), 5)
QUOTE = Quote("a", "X/USDC:USDC", "X/USD", 99.5, 1.0, 100.5, 1.0, 3, 5, 5)
BOOK = BookSnapshot(*NAME, "X/USD", (Level(99.5, 1.0),), (Level(100.5, 1.0),), 3, 5, 5)
PRICE = AggregatedPrice("X/USD", 100.0, 100.0, 100.0, 4.0, 0.5, (PriceSource(*NAME, 100.0, 4.0, 1.0),), (), 5)
ANSWER: dict[str, Any] = {
    "exchange_breakdown": {
        "a": {"total_usd": 995.0, "unrealised_pnl_usd": -5.0, "assets": {"USDC": {"available": 800.0}}, "parts": {}}
    }
}
REPORTED = Reported(
    instruments={NAME: X},
    balances={("a", "USDC"): BALANCE},
    positions={NAME: POSITION},
    books={NAME: BOOK},
    quotes={NAME: QUOTE},
    prices={"X/USD": PRICE},
    rates={"USDC": Decimal(1)},
    unified=ANSWER,
    fills=[FILL],
    legs=[Leg("a", "X/USDC:USDC", "c1", "buy", "filled", Decimal(2))],
    equity={"a": Decimal(995)},
    ranges={},
    counts={"fills": (3, 0, 3)},
)


def found(reported: Reported, own: Exchanges = EXCHANGES) -> list[Finding]:
    return judge([dict(figures(reported, own, own))] * 2)


def differing(reported: Reported, own: Exchanges = EXCHANGES) -> set[tuple[str, str]]:
    return {(one.key.what, one.key.source) for one in found(reported, own) if one.verdict is Verdict.DIFFERS}


def test_equal_figures_agree() -> None:
    assert {one.verdict for one in found(REPORTED)} == {Verdict.AGREES}
    assert len(found(REPORTED)) >= 20


def test_what_a_list_that_is_not_read_to_its_end_leaves_out_is_not_known() -> None:
    own = {"a": replace(_account(orders={}, fills={})["a"], is_whole=False)}
    assert differing(REPORTED, own) == set()
    assert {one.figure.pending for one in found(REPORTED, own) if one.verdict is Verdict.IN_FLIGHT} == {NOT_READ}
    listed = {"a": replace(OWN, is_whole=False)}
    assert differing(replace(REPORTED, fills=[replace(FILL, fee=Decimal(1))]), listed) == {("fill", "fills")}


def _account(**changes: Any) -> Exchanges:
    assert OWN.account is not None
    return {"a": replace(OWN, account=replace(OWN.account, **changes))}


def _answer(**changes: Any) -> dict[str, Any]:
    return {"exchange_breakdown": {"a": ANSWER["exchange_breakdown"]["a"] | changes}}


@pytest.mark.parametrize(
    ("what", "source", "spoiled"),
    [
        ("wallet", "account.balances", {"balances": {("a", "USDC"): replace(BALANCE, total=Decimal("1000.0001"))}}),
        ("wallet", "account.balances", {"balances": {("a", "USDC"): replace(BALANCE, unrealised_pnl=Decimal(1))}}),
        ("wallet", "account.balances", {"balances": {}}),
        ("free", "account.balances", {"balances": {("a", "USDC"): replace(BALANCE, free=Decimal(801))}}),
        ("in orders", "account.balances", {"balances": {("a", "USDC"): replace(BALANCE, in_orders=Decimal(0))}}),
        ("position", "account.positions", {"positions": {NAME: replace(POSITION, quantity=Decimal(-2))}}),
        ("position", "account.positions", {"positions": {}}),
        ("entry price", "account.positions", {"positions": {NAME: replace(POSITION, entry_price=Decimal(101))}}),
        ("unrealised", "account.positions", {"positions": {NAME: replace(POSITION, unrealised_pnl=Decimal(5))}}),
        ("available", "get_unified_balance", {"unified": _answer(assets={"USDC": {"available": 700.0}})}),
        ("unrealised USD", "get_unified_balance", {"unified": _answer(unrealised_pnl_usd=0.0)}),
        ("equity USD", "get_unified_balance", {"unified": _answer(total_usd=1000.0)}),
        ("order state", "order_events", {"legs": [Leg(*NAME, "c1", "buy", "rejected", Decimal(2))]}),
        ("order state", "order_events", {"legs": [Leg(*NAME, "c2", "buy", "filled", Decimal(2))]}),
        ("filled quantity", "order_events", {"legs": [Leg(*NAME, "c1", "buy", "filled", Decimal(1))]}),
        ("fill", "fills", {"fills": []}),
        ("fill", "fills", {"fills": [replace(FILL, fee=Decimal("0.1"))]}),
        ("fill", "fills", {"fills": [replace(FILL, side=Side.SELL)]}),
        ("fill", "fills", {"fills": [FILL, replace(FILL, trade_id="t2")]}),
        ("fill counted", "fills", {"fills": [FILL, FILL]}),
        ("bid", "market.quotes", {"quotes": {NAME: replace(QUOTE, bid_price=99.0)}}),
        ("ask", "market.books", {"books": {NAME: replace(BOOK, asks=(Level(101.0, 1.0),))}}),
        ("aggregated price", "prices.aggregated", {"prices": {"X/USD": replace(PRICE, price=110.0)}}),
        ("aggregated low of its sources", "prices.aggregated", {"prices": {"X/USD": replace(PRICE, low=99.0)}}),
        ("equity USD, newest minute", "equity", {"equity": {"a": Decimal(1000)}}),
        ("equity USD, newest minute", "equity", {"equity": {}}),
        ("rows", "ClickHouse", {"counts": {"fills": (3, 1, 1)}}),
        ("rows", "ClickHouse", {"counts": {"fills": (3, 1, 4)}}),
        ("rows", "ClickHouse", {"counts": {"fills": (3, 0, 2)}}),
    ],
)
def test_each_changed_figure_is_found(what: str, source: str, spoiled: dict[str, Any]) -> None:
    assert (what, source) in differing(replace(REPORTED, **spoiled))


@pytest.mark.parametrize(
    ("what", "source", "own"),
    [
        ("position", "account.positions", _account(positions={})),
        ("wallet", "account.balances", _account(balances={})),
        ("wallet", "account.balances", _account(balances={"USDC": OwnBalance(Decimal(1))})),
        ("fill", "fills", _account(fills={})),
        ("order state", "order_events", _account(orders={})),
    ],
)
def test_an_entry_missing_at_the_exchange_is_found(what: str, source: str, own: Exchanges) -> None:
    """An entry missing in a complete answer is 0 at the exchange."""
    assert (what, source) in differing(REPORTED, own)


@pytest.mark.parametrize("rows", [2, 3])
def test_a_dead_letter_may_be_stored_or_not(rows: int) -> None:
    assert differing(replace(REPORTED, counts={"fills": (3, 1, rows)})) == set()


def test_an_order_being_sent_is_in_flight() -> None:
    sending = replace(REPORTED, legs=[Leg(*NAME, "c9", "buy", "sending", Decimal(0))], fills=[])
    (one,) = (one for one in found(sending) if one.key.what == "order state")
    assert (one.verdict, one.reason) == (Verdict.IN_FLIGHT, "the order is being sent")


@pytest.mark.parametrize(("time", "verdict"), [(10, Verdict.DIFFERS), (11, Verdict.IN_FLIGHT)])
def test_an_order_newer_than_the_exchanges_list_is_in_flight(time: int, verdict: Verdict) -> None:
    """One list serves several readings: it can't have what was placed or filled after it was requested."""
    leg = Leg(*NAME, "c9", "buy", "filled", Decimal(2), time)
    newer = replace(REPORTED, legs=[*REPORTED.legs, leg], fills=[FILL, replace(FILL, trade_id="t9", event_time=time)])
    judged_now = {one.key.what: one for one in found(newer) if "c9" in one.key.subject or "t9" in one.key.subject}
    assert {judged_now[what].verdict for what in ("order state", "filled quantity", "fill")} == {verdict}


@pytest.mark.parametrize(
    ("older_seconds", "verdict"),
    [(0, Verdict.DIFFERS), (1, Verdict.IN_FLIGHT), (90, Verdict.IN_FLIGHT), (91, Verdict.DIFFERS)],
)
@pytest.mark.parametrize("source", ["market.books", "market.quotes", "account.positions"])
def test_what_moves_and_is_older_than_the_exchanges_first_answer_is_in_flight(
    source: str, older_seconds: int, verdict: Verdict
) -> None:
    """A book that awaits its snapshot, or an account after a refusal for rate; a quantity that differs is never old."""
    answered = 100_000_000
    then = answered - older_seconds * 1_000_000
    late = replace(
        REPORTED,
        books={NAME: replace(BOOK, bids=(Level(99.0, 1.0),), received_time=then)},
        quotes={NAME: replace(QUOTE, bid_price=99.0, received_time=then)},
        positions={NAME: replace(POSITION, unrealised_pnl=Decimal(-4), quantity=Decimal(3))},
        as_of={"a": then + PUBLISHED},
    )
    judged_now = {one.key: one for one in found(late, {"a": replace(OWN, answered_at=answered)})}
    (moving,) = (one for key, one in judged_now.items() if key.source == source and key.what in ("bid", "unrealised"))
    assert moving.verdict is verdict
    (position,) = (one for key, one in judged_now.items() if key.what == "position")
    assert position.verdict is Verdict.DIFFERS


def test_an_account_without_all_rates_is_in_flight() -> None:
    unknown = replace(REPORTED, rates={}, equity={"a": Decimal(5)}, unified=_answer(total_usd=5.0))
    for source in ("equity", "get_unified_balance"):
        (one,) = (one for one in found(unknown) if one.key.source == source and one.key.what.startswith("equity"))
        assert (one.verdict, one.reason) == (Verdict.IN_FLIGHT, "USDC: no rate in this reading")


def test_a_self_trade_has_two_fills() -> None:
    sold, own = replace(FILL, side=Side.SELL), replace(OWN_FILL, side="sell")
    ours = replace(REPORTED, fills=[FILL, sold])
    both = _account(fills={("XUSDC", "t1", "buy"): OWN_FILL, ("XUSDC", "t1", "sell"): own})
    assert differing(ours, both) == set()
    assert ("fill", "fills") in differing(ours), "the exchange has one of them alone"


def test_fills_and_orders_of_other_clients_are_counted_not_compared() -> None:
    other, foreign = replace(OWN_FILL, order="99"), replace(OWN_ORDER, number="99", state="open")
    fills = {("XUSDC", "t1", "buy"): OWN_FILL, ("XUSDC", "t9", "buy"): other}
    own = _account(fills=fills, orders={"c1": OWN_ORDER, "theirs": foreign})
    assert differing(REPORTED, own) == set()
    assert open_elsewhere(REPORTED, own) == {"a": 1}


def test_readings_without_an_answer_do_not_excuse_a_difference() -> None:
    wrong = replace(REPORTED, balances={})
    silent: Exchanges = {"a": Own(None, {})}
    asked = [EXCHANGES, EXCHANGES, silent, EXCHANGES, EXCHANGES]
    rounds = [dict(figures(wrong, first, last)) for first, last in pairwise(asked)]
    verdicts = {one.key.what: one.verdict for one in judged(rounds, asked)}
    assert verdicts["wallet"] is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("state", "filled", "agrees"), [("expired", 0, True), ("expired", 1, False), ("filled", 0, False)]
)
def test_an_order_that_never_reached_the_exchange_ended_without_a_fill(state: str, filled: int, agrees: bool) -> None:
    lost = Leg(*NAME, "c9", "buy", state, Decimal(filled))
    ours = replace(REPORTED, legs=[*REPORTED.legs, lost])
    assert (not differing(ours)) is agrees


def test_unread_parts_are_listed_with_a_reason() -> None:
    place = ("a", "account")
    assert unchecked([ExchangeReadings({}, {place: "no keys"})] * 3) == ["a account: no keys"]
    assert unchecked([ExchangeReadings({}, {place: "once"}), ExchangeReadings({}, {}), ExchangeReadings({}, {})]) == []


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────

KILO = replace(X, exchange="b", symbol="KX/USDT", name="KXUSDT", quote="USDT", multiplier=1000, taker_fee=Decimal(0))
THERE = ("b", "KX/USDT")
RATE = Quote("b", "USDC/USDT", "USDC/USD", 0.8, 1.0, 1.25, 1.0, 1, 1, 1)
SIGNAL = ArbitrageSignal(
    "s",
    "X/USD",
    ArbitrageKind.PERPETUAL,
    *NAME,
    101.0,
    *THERE,
    120_000.0,
    2.0,
    gross_profit=2 * 120 * 1.025 - 202,
    fees=0.202,
    conversion_cost=240 * (1.025 - 0.8),
    expected_profit=0.0,
    expires_at=9,
    causes=(),
    event_time=9,
)
MADE = SignalRecords(
    replace(SIGNAL, expected_profit=SIGNAL.gross_profit - SIGNAL.fees - SIGNAL.conversion_cost),
    {
        NAME: replace(BOOK, asks=(Level(100.5, 1.0), Level(101.5, 5.0))),
        THERE: BookSnapshot(*THERE, "X/USD", (Level(120_000.0, 1.0),), (), 1, 1, 1),
    },
    {("b", "USDC/USDT"): RATE},
)
LISTED = replace(REPORTED, instruments={NAME: X, THERE: KILO})


def wrong_in(one: SignalRecords, reported: Reported = LISTED) -> set[str]:
    return {each.key.what for each in judge([dict(signals(reported, [one]))]) if each.verdict is Verdict.DIFFERS}


def test_a_signal_agrees_with_its_records() -> None:
    assert wrong_in(MADE) == set()
    assert len(list(signals(LISTED, [MADE]))) == 6


def test_a_signal_has_the_fees_of_its_time() -> None:
    raised = replace(LISTED, instruments={NAME: replace(X, taker_fee=Decimal("0.002")), THERE: KILO})
    assert "fees" in wrong_in(MADE, raised)
    assert wrong_in(MADE, replace(raised, taker_fees={NAME: [Decimal("0.001"), Decimal("0.002")]})) == set()


@pytest.mark.parametrize(
    "field", ["buy_price", "sell_price", "gross_profit", "fees", "conversion_cost", "expected_profit"]
)
def test_a_wrong_signal_is_found(field: str) -> None:
    off = replace(MADE.signal, **{field: getattr(MADE.signal, field) * 1.001 + 0.001})
    assert field in wrong_in(replace(MADE, signal=off))


def test_a_newer_quote_replaces_the_top_of_the_book() -> None:
    newer = replace(QUOTE, ask_price=101.5, ask_size=9.0, sequence=9)
    one = replace(MADE, quotes={**MADE.quotes, NAME: newer})
    assert "buy_price" in wrong_in(one), "101.5 is now paid for both"
    older = replace(MADE, quotes={**MADE.quotes, NAME: replace(newer, sequence=1)})
    assert wrong_in(older) == set()


def test_a_signal_without_its_records_is_incomplete() -> None:
    (one,) = judge([dict(signals(LISTED, [replace(MADE, books={})]))])
    assert (one.verdict, one.key.what) == (Verdict.IN_FLIGHT, "causes")
