"""``order_costs`` calculated by hand, and independently for random orders in several units and currencies."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from decimal import Decimal
from math import isclose
from typing import Any

import pytest

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import CommandKind, CommandLeg, Fill, Liquidity, OrderCommand, OrderEvent, OrderState, Quote, Side
from neuroflux.records.topics import COMMANDS, EVENTS, FILLS, INSTRUMENTS, PRICES, QUOTES
from tests.neuroflux.clickhouse.views.records import MINUTE, SECOND, START, insert, instrument, price, quote

pytestmark = pytest.mark.stack

NUMBERS = itertools.count()
COSTS = """filled_quantity, average_price, arrival_price, slippage, fees, implementation_shortfall,
           mark_out_1s, mark_out_10s, mark_out_60s"""
ISSUED = START + 5 * MINUTE


def fill(order: str, side: Side, traded: tuple[str, str], paid: tuple[str, str] = ("0", "USDT"), **fields: Any) -> Fill:
    """``traded``: price and quantity; ``paid``: fee and its asset."""
    at_price, quantity, fee = map(Decimal, (*traded, paid[0]))
    return Fill(
        order,
        fields.get("exchange", "binance"),
        fields.get("symbol", "BTC/USDT"),
        "c",
        "x",
        str(next(NUMBERS)),
        side,
        at_price,
        quantity,
        fee,
        paid[1],
        Liquidity.TAKER,
        fields.get("at", ISSUED + SECOND // 2),
    )


def command(order: str, side: Side = Side.BUY, **fields: Any) -> OrderCommand:
    given: dict[str, Any] = {"kind": CommandKind.PLACE, "market": "BTC/USD", "issued_at": ISSUED}
    return OrderCommand(order_id=order, side=side, **(given | fields))


def received(order: str, at: int) -> OrderEvent:
    none = Decimal(0)
    return OrderEvent(order, OrderState.RECEIVED, "", "", "", "", Side.BUY, none, none, none, (), "", at)


def costs(database: ClickHouse, order: str) -> list[Any]:
    (row,) = database.execute(f"SELECT {COSTS} FROM order_costs WHERE order_id = '{order}'")
    return list(row)


DOLLAR = [quote(ISSUED, 0.99, 1.01, "USDC/USDT")]
"""One USDT is one dollar."""
PATH = [
    quote(ISSUED - 60 * SECOND, 10, 20),
    quote(ISSUED - SECOND, 99, 101),
    quote(ISSUED + SECOND, 103, 105),
    quote(ISSUED + 10 * SECOND, 109, 111),
    quote(ISSUED + 20 * SECOND, 199, 201),
]
"""The mid is 100 at the command, 104 a second after the fills, 110 ten seconds after; then the quotes end."""


@pytest.fixture
def traded(database: ClickHouse) -> ClickHouse:
    insert(database, QUOTES, *PATH, *DOLLAR)
    return database


def test_a_buy(traded: ClickHouse) -> None:
    insert(
        traded,
        FILLS,
        fill("buy", Side.BUY, ("101", "1"), ("0.1", "USDT")),
        fill("buy", Side.BUY, ("102", "3"), ("0.001", "BTC")),
    )
    insert(traded, COMMANDS, command("buy"), command("unfilled"))
    fees = 0.1 + 0.001 * 102  # what was paid in the base is worth the price of its fill
    paid = 101 + 3 * 102
    beyond = 1 * 1 + 3 * 2
    gained_1, gained_10 = 1 * 3 + 3 * 2, 1 * 9 + 3 * 8
    known = [4, paid / 4, 100, beyond / 400, fees, beyond + fees, gained_1 / paid, gained_10 / paid]
    assert costs(traded, "buy") == [*map(pytest.approx, known), None]  # not known yet
    assert traded.execute("SELECT order_id, kind, market, exchange, symbol, side, strategy FROM order_costs") == [
        ("buy", "place", "BTC/USD", "binance", "BTC/USDT", "buy", "optimal")
    ]


def test_a_sell_with_a_rebate(traded: ClickHouse) -> None:
    insert(traded, FILLS, fill("sell", Side.SELL, ("99", "2"), ("-0.5", "USDT")))
    insert(traded, COMMANDS, command("sell", Side.SELL))
    known = [2, 99, 100, 2 / 200, -0.5, 2 - 0.5, -2 * 5 / 198, -2 * 11 / 198]
    assert costs(traded, "sell") == [*map(pytest.approx, known), None]


def test_a_fee_in_a_third_asset_is_valued_at_its_price_of_that_minute(traded: ClickHouse) -> None:
    insert(traded, PRICES, price(500, ISSUED - 3 * MINUTE, "BNB/USD"), price(900, ISSUED + 2 * MINUTE, "BNB/USD"))
    insert(traded, FILLS, fill("buy", Side.BUY, ("101", "1"), ("0.0002", "BNB")))
    insert(traded, COMMANDS, command("buy"))
    assert costs(traded, "buy")[4:6] == [pytest.approx(0.1), pytest.approx(1.1)]


def test_a_fee_without_a_price_is_unknown(traded: ClickHouse) -> None:
    insert(traded, FILLS, *(fill("odd", Side.BUY, ("101", "1"), ("0.2", asset)) for asset in ("USDT", "ODD")))
    insert(traded, COMMANDS, command("odd"))
    assert costs(traded, "odd")[:6] == [2, pytest.approx(101), pytest.approx(100), pytest.approx(0.01), None, None]


def test_amounts_are_of_the_base_and_in_dollars(database: ClickHouse) -> None:
    """50 lots of a thousand PEPE, at 9.5 USDT per lot, with 0.8 USD per USDT."""
    name: dict[str, Any] = {"exchange": "binanceusdm", "symbol": "1000PEPE/USDT:USDT"}
    listed = instrument("binanceusdm", "1000PEPE/USDT:USDT", market="PEPE/USD", base="PEPE", multiplier=1000)
    insert(database, INSTRUMENTS, listed)
    insert(database, QUOTES, quote(ISSUED, 9.3, 9.5, **name), quote(ISSUED, 1.24, 1.26, "USDC/USDT"))
    insert(database, FILLS, fill("buy", Side.BUY, ("9.5", "50"), ("1", "USDT"), **name))
    insert(database, COMMANDS, command("buy", market="PEPE/USD"))
    known = [50_000, 0.0076, 0.00752, 0.1 / 9.4, 0.8, 50 * 0.1 * 0.8 + 0.8]
    assert costs(database, "buy")[:6] == [pytest.approx(one) for one in known]


def test_an_unknown_multiplier_is_not_guessed(database: ClickHouse) -> None:
    insert(database, FILLS, fill("buy", Side.BUY, ("9.5", "50"), symbol="1000PEPE/USDC"))
    insert(database, COMMANDS, command("buy", market="PEPE/USD"))
    assert costs(database, "buy")[:4] == [None] * 4


def test_without_a_rate_only_fractions_are_known(database: ClickHouse) -> None:
    insert(database, QUOTES, *PATH)
    insert(database, FILLS, fill("buy", Side.BUY, ("101", "1"), ("0.1", "USDT")))
    insert(database, COMMANDS, command("buy"))
    known = [pytest.approx(0.01), None, None, pytest.approx(3 / 101), pytest.approx(9 / 101), None]
    assert costs(database, "buy") == [1, None, None, *known]


@pytest.mark.parametrize("issued", [0, ISSUED - 3600 * SECOND, ISSUED + 3600 * SECOND])
def test_a_command_without_a_plausible_time_counts_from_its_receipt(traded: ClickHouse, issued: int) -> None:
    insert(traded, FILLS, fill("buy", Side.BUY, ("101", "1")))
    insert(traded, COMMANDS, command("buy", issued_at=issued))
    insert(traded, EVENTS, received("buy", ISSUED), received("buy", ISSUED + MINUTE))
    assert costs(traded, "buy")[2:6] == [*map(pytest.approx, (100, 0.01, 0, 1))]


def test_the_senders_time_counts_if_it_is_plausible(traded: ClickHouse) -> None:
    insert(traded, FILLS, fill("buy", Side.BUY, ("101", "1")))
    insert(traded, COMMANDS, command("buy", issued_at=ISSUED))
    insert(traded, EVENTS, received("buy", ISSUED + 5 * SECOND))
    assert costs(traded, "buy")[2] == pytest.approx(100)


def test_an_unknown_arrival_price_is_null_and_not_zero(traded: ClickHouse) -> None:
    for order, issued in (("timeless", 0), ("before any quote", START), ("long after", ISSUED + 2 * MINUTE)):
        insert(traded, FILLS, fill(order, Side.BUY, ("101", "1")))
        insert(traded, COMMANDS, command(order, issued_at=issued))
        assert costs(traded, order)[2:6] == [None, None, 0, None], order


def test_the_arrival_price_is_by_received_time_and_not_by_the_exchanges_time(
    database: ClickHouse,
) -> None:
    """Its clock is eight seconds ahead of ours."""
    ahead = 8 * SECOND
    result = [quote(one.event_time + ahead, one.bid_price, one.ask_price, received=one.event_time) for one in PATH]
    insert(database, QUOTES, *result, *DOLLAR)
    insert(database, FILLS, fill("buy", Side.BUY, ("101", "1"), at=ISSUED + ahead + SECOND // 2))
    insert(database, COMMANDS, command("buy"))
    found = costs(database, "buy")
    assert found[2:4] + found[6:] == [*map(pytest.approx, (100, 0.01, 3 / 101, 9 / 101)), None]


def test_a_pair_and_a_rebalance_have_a_row_for_each_leg(traded: ClickHouse) -> None:
    """Bought with USDT on one exchange, sold for USDC on the other."""
    perpetual: dict[str, Any] = {"exchange": "hyperliquid", "symbol": "BTC/USDC:USDC"}
    legs = (
        CommandLeg("binance", "BTC/USDT", Side.BUY, Decimal(1)),
        CommandLeg(perpetual["exchange"], perpetual["symbol"], Side.SELL, Decimal(1)),
    )
    insert(traded, INSTRUMENTS, instrument(**perpetual))
    insert(traded, QUOTES, *PATH, *DOLLAR, quote(ISSUED, 107, 109, **perpetual))
    for kind in (CommandKind.PAIR, CommandKind.REBALANCE):
        insert(
            traded,
            FILLS,
            fill(kind, Side.BUY, ("101", "1")),
            fill(kind, Side.SELL, ("106", "0.5"), ("0.25", "USDC"), **perpetual),
            fill(kind, Side.SELL, ("107", "0.5"), **perpetual),
        )
        insert(traded, COMMANDS, command(kind, kind=kind, legs=legs, market=""))
        found = traded.execute(
            "SELECT kind, market, exchange, symbol, side, filled_quantity, average_price, arrival_price, fees,"
            f" implementation_shortfall FROM order_costs WHERE order_id = '{kind}' ORDER BY exchange"
        )
        first = (kind, "BTC/USD", "binance", "BTC/USDT", "buy", *map(pytest.approx, (1, 101, 100, 0, 1)))
        second = (*perpetual.values(), "sell", *map(pytest.approx, (1, 106.5, 108, 0.25, 1.5 + 0.25)))
        assert found == [first, (kind, "BTC/USD", *second)]


def test_a_place_order_that_was_split_is_one_row(traded: ClickHouse) -> None:
    insert(traded, QUOTES, *PATH, *DOLLAR, quote(ISSUED, 107, 109, "BTC/USDC", "hyperliquid"))
    away: dict[str, Any] = {"exchange": "hyperliquid", "symbol": "BTC/USDC"}
    insert(traded, FILLS, fill("o", Side.BUY, ("102", "1")), fill("o", Side.BUY, ("108", "3"), **away))
    insert(traded, COMMANDS, command("o"))
    assert costs(traded, "o")[:6] == [*map(pytest.approx, (4, 106.5, 106, 2 / 424, 0, 2))]
    assert traded.execute("SELECT exchange, symbol FROM order_costs") == [("", "")]


def test_of_two_commands_with_one_id_the_first_counts(traded: ClickHouse) -> None:
    insert(traded, FILLS, fill("o", Side.BUY, ("101", "1")))
    twice = command("o", strategy="fastest"), command("o", Side.SELL, market="ETH/USD")
    insert(traded, COMMANDS, *twice, OrderCommand(order_id="o", kind=CommandKind.CANCEL))
    assert traded.execute("SELECT side, market, strategy FROM order_costs") == [("buy", "BTC/USD", "fastest")]


# ── independent calculation ──────────────────────────────────────────────────────────────────────────────────────────

PLACES = {("binance", "BTC/USDT"): 1, ("hyperliquid", "kBTC/USDC:USDC"): 1000}


def mid(quotes: Sequence[Quote[float]], name: tuple[str, str], at: int, clock: str) -> float | None:
    known = [one for one in quotes if (one.exchange, one.symbol) == name and getattr(one, clock) <= at]
    last = max(known, key=lambda one: (getattr(one, clock), one.sequence), default=None)
    if last is None or at - getattr(last, clock) > MINUTE:
        return None
    return (last.bid_price + last.ask_price) / 2


@pytest.mark.parametrize("seed", range(3))
def test_random_orders_agree_with_an_independent_calculation(database: ClickHouse, seed: int) -> None:
    drawn = random.Random(seed)
    quotes = [
        Quote(*name, "BTC/USD", bid, 1.0, bid + drawn.uniform(0.1, 2), 1.0, 1, at + 3 * SECOND, at)
        for name in PLACES
        for at in range(START, START + 10 * MINUTE, 777_777)
        for bid in [drawn.uniform(90, 110)]
    ]
    rates = [quote(at, 1.2, 1.3 + drawn.random(), "USDC/USDT") for at in range(START, START + 10 * MINUTE, 7 * SECOND)]
    commands = {
        f"order {number}": command(
            f"order {number}", drawn.choice(list(Side)), issued_at=START + drawn.randrange(60, 540) * SECOND
        )
        for number in range(20)
    }
    filled = [
        fill(
            order,
            one.side,
            (f"{drawn.uniform(90, 110):.3f}", f"{drawn.uniform(0.1, 5):.3f}"),
            (f"{drawn.uniform(-0.1, 0.5):.4f}", "USDC" if name[0] == "hyperliquid" else "USDT"),
            at=one.issued_at + drawn.randrange(1, 5 * SECOND) + 3 * SECOND,
            exchange=name[0],
            symbol=name[1],
        )
        for order, one in commands.items()
        for name in drawn.choices(list(PLACES), k=3)
    ]
    insert(database, INSTRUMENTS, *(instrument(*name, base="BTC", multiplier=size) for name, size in PLACES.items()))
    insert(database, QUOTES, *quotes, *rates)
    insert(database, COMMANDS, *commands.values())
    insert(database, FILLS, *filled)
    found = {row[0]: list(row[1:]) for row in database.execute(f"SELECT order_id, {COSTS} FROM order_costs")}
    assert found.keys() == commands.keys()
    for order, one in commands.items():
        again = calculated([x for x in filled if x.order_id == order], one, quotes, rates)
        for result, expected in zip(found[order], again, strict=True):
            assert (result is None) == (expected is None)
            assert expected is None or isclose(result, expected, rel_tol=1e-9, abs_tol=1e-12), order


def calculated(
    filled: Sequence[Fill], ordered: OrderCommand, quotes: Sequence[Quote[float]], rates: Sequence[Quote[float]]
) -> list[float | None]:
    """The columns of ``COSTS``; price moves are in the quote, sums are in USD."""
    sign = 1 if ordered.side is Side.BUY else -1
    rows = []
    for one in filled:
        name, size = (one.exchange, one.symbol), PLACES[(one.exchange, one.symbol)]
        minute = one.event_time // MINUTE * MINUTE
        last = max((rate for rate in rates if rate.event_time < minute + MINUTE), key=lambda rate: rate.event_time)
        usd = 1.0 if name[0] == "hyperliquid" else 2 / (last.bid_price + last.ask_price)
        arrival = mid(quotes, name, ordered.issued_at, "received_time")
        assert arrival is not None
        newest = max(each.event_time for each in quotes)
        times = {after: one.event_time + after * SECOND for after in (1, 10, 60)}
        later = {after: mid(quotes, name, at, "event_time") if at <= newest else None for after, at in times.items()}
        base = float(one.quantity) * size
        rows.append((base, float(one.price) / size, arrival / size, usd, float(one.fee) * usd, later, size))
    quantity = sum(row[0] for row in rows)
    paid = sum(row[0] * row[1] * row[3] for row in rows)
    fair = sum(row[0] * row[2] * row[3] for row in rows)
    fees = sum(row[4] for row in rows)
    one_quote = len({row[3] == 1.0 for row in rows}) == 1
    slipped, whole = paid - fair, fair
    if one_quote:
        slipped = sum(row[0] * (row[1] - row[2]) for row in rows)
        whole = sum(row[0] * row[2] for row in rows)
    outs: list[float | None] = []
    for after in (1, 10, 60):
        known = [row for row in rows if row[5][after] is not None]
        gained = sum(sign * row[0] * ((row[5][after] or 0) / row[6] - row[1]) * row[3] for row in known)
        cost = sum(row[0] * row[1] * row[3] for row in known)
        outs.append(gained / cost if known else None)
    short = sign * (paid - fair) + fees
    return [quantity, paid / quantity, fair / quantity, sign * slipped / whole, fees, short, *outs]
