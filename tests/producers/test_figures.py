"""Which figure counts, of pushes and answers to requests; with simulated time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from neuroflux.domain import Balance, ExchangeStatus, Position, StatusKind
from producers.figures import REPEAT, SETTLED, Figure, Figures, Reading, last_of_each

SECOND = 1_000_000
NOW = 1_795_000_000 * SECOND
X = "x"


def balance(total: str, asset: str = "USDT", *, free: str = "", profit: str = "0", at: int = NOW) -> Balance:
    all_of_it, part = Decimal(total), Decimal(free or total)
    return Balance(X, asset, part, Decimal(0), all_of_it - part, all_of_it, at, Decimal(profit))


def position(quantity: str, symbol: str = "BTC/USDT:USDT", *, profit: str = "0", at: int = NOW) -> Position:
    return Position(X, symbol, Decimal(quantity), Decimal(100), Decimal(profit), at)


class Account:
    """Figures with a connected stream, at a time that the test sets; ``out`` has what was published."""

    def __init__(self, *before: Figure, whole: bool = False, offset: int = 0) -> None:
        self.out: list[Figure] = []
        self.statuses: list[ExchangeStatus] = []
        names = {"NEW/USDT:USDT": "NEWUSDT", "BTC/USDT:USDT": "BTCUSDT"}
        self.figures = Figures(before, self.out.append, self.statuses.append, lambda symbol: names.get(symbol, symbol))
        self.figures.pushes_whole = whole
        self.offset = offset
        self.figures.connected(NOW - 100 * SECOND)

    def push(self, figure: Figure, at: int) -> bool:
        return self.figures.pushed(figure, at, self.offset)

    def read(self, *figures: Figure, at: int, whole: bool = True, unread: tuple[str, ...] = ()) -> bool:
        return self.figures.read(Reading(figures, at, at + SECOND // 10, whole, unread))

    def newest(self) -> dict[str, Decimal]:
        """Of what was published the newest amount of each."""
        return {
            one.asset if isinstance(one, Balance) else one.symbol: (
                one.total if isinstance(one, Balance) else one.quantity
            )
            for one in self.out
        }


def test_only_the_sum_of_a_figure_in_several_answers_is_published() -> None:
    figures: list[Figure] = [balance("8000"), balance("100", "HYPE"), balance("53000"), position("1")]
    assert last_of_each(figures) == [balance("53000"), balance("100", "HYPE"), position("1")]


# ── what a complete answer leaves out ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("figure", [balance("10", "SOL"), position("10")])
def test_a_figure_of_the_log_that_the_account_has_not_becomes_zero(figure: Figure) -> None:
    account = Account(figure)
    account.read(balance("5"), at=NOW)
    assert set(account.newest().values()) == {Decimal(5), Decimal(0)}
    assert account.statuses == []


def test_a_partial_first_reading_removes_nothing_and_the_next_does() -> None:
    account = Account(position("10"), balance("7", "SOL"))
    account.read(balance("5"), at=NOW, whole=False)
    assert account.newest() == {"USDT": Decimal(5)}
    account.read(balance("5"), at=NOW + 5 * SECOND)
    assert account.newest() == {"USDT": Decimal(5), "BTC/USDT:USDT": Decimal(0), "SOL": Decimal(0)}


def test_it_is_removed_after_every_reconnect_not_only_at_the_start() -> None:
    account = Account()
    account.read(balance("5"), position("10"), at=NOW)
    account.figures.disconnected()
    account.figures.connected(NOW + 60 * SECOND)
    account.read(balance("5"), at=NOW + 61 * SECOND)
    assert account.newest()["BTC/USDT:USDT"] == 0
    account.push(position("3", at=NOW + 70 * SECOND), NOW + 70 * SECOND)
    account.read(balance("5"), at=NOW + 130 * SECOND)
    assert account.newest()["BTC/USDT:USDT"] == 0
    assert len([one for one in account.out if one == position("10")]) == 1


def test_what_was_pushed_just_now_does_not_count_as_omitted() -> None:
    account = Account()
    account.push(position("3", at=NOW), NOW)
    assert account.read(balance("5"), at=NOW + SECOND), "to be looked at again"
    assert account.newest()["BTC/USDT:USDT"] == 3
    assert not account.read(balance("5"), at=NOW + 3 * SECOND)
    assert account.newest()["BTC/USDT:USDT"] == 0


def test_a_row_that_could_not_be_read_does_not_count_as_omitted() -> None:
    account = Account(position("10"), position("2", "NEW/USDT:USDT"), balance("1", "SOL"))
    account.read(balance("5"), at=NOW, unread=('positionRisk 0: {"symbol":"BTCUSDT","positionAmt":[]}',))
    assert account.newest() == {"USDT": Decimal(5), "NEW/USDT:USDT": Decimal(0), "SOL": Decimal(0)}


def test_under_a_new_symbol_the_old_key_becomes_zero() -> None:
    """Unlisted it had the exchange's own name; once it is listed the account names the symbol alone."""
    account = Account()
    account.read(position("4", "NEWUSDT"), at=NOW)
    account.read(position("4", "NEW/USDT:USDT"), at=NOW + 60 * SECOND)
    assert account.newest() == {"NEWUSDT": Decimal(0), "NEW/USDT:USDT": Decimal(4)}


# ── pushes and answers in either order ───────────────────────────────────────────────────────────────────────────


def test_an_answer_that_lags_behind_a_push_does_not_overwrite_it() -> None:
    account = Account()
    account.read(balance("100"), position("0"), at=NOW - 60 * SECOND)
    account.push(balance("90", at=NOW), NOW)
    account.push(position("1", at=NOW), NOW)
    assert account.read(balance("100"), position("0"), at=NOW + SECOND // 10)
    assert account.newest() == {"USDT": Decimal(90), "BTC/USDT:USDT": Decimal(1)}
    assert not account.read(balance("90"), position("1"), at=NOW + 3 * SECOND)
    assert account.statuses == []


def test_a_push_that_is_older_than_an_answer_does_not_overwrite_it() -> None:
    """Two fills; the answer is of after the second, and then both pushes arrive."""
    account = Account()
    account.read(balance("80"), at=NOW)
    assert account.push(balance("90", at=NOW - SECOND), NOW + SECOND), "to be looked at again"
    assert account.newest() == {"USDT": Decimal(80)}
    assert not account.push(balance("80", at=NOW - SECOND // 2), NOW + SECOND)
    assert not account.push(balance("70", at=NOW + 2 * SECOND), NOW + 2 * SECOND)
    assert account.newest() == {"USDT": Decimal(70)}


@pytest.mark.parametrize("offset", [8 * SECOND, -8 * SECOND])
def test_an_exchange_whose_clock_is_off_is_compared_by_its_own_clock(offset: int) -> None:
    account = Account(offset=offset)
    account.read(balance("80"), at=NOW)
    assert not account.push(balance("70", at=NOW + SECOND + offset), NOW + SECOND)
    assert account.push(balance("90", at=NOW - SECOND + offset), NOW + SECOND)
    assert account.newest() == {"USDT": Decimal(70)}


def test_what_pushes_omit_is_taken_from_an_answer_at_once() -> None:
    """After a fill: the push has the wallet alone, the answer of just after it the margins too."""
    account = Account()
    account.read(balance("1000"), at=NOW - 60 * SECOND)
    account.push(balance("999", at=NOW), NOW)
    assert not account.read(balance("999", free="700"), at=NOW + SECOND)
    last = account.out[-1]
    assert isinstance(last, Balance)
    assert (last.total, last.free) == (Decimal(999), Decimal(700))


def test_where_pushes_are_whole_a_simultaneous_answer_does_not_undo_them() -> None:
    account = Account(whole=True)
    account.read(balance("1000"), at=NOW - 60 * SECOND)
    account.push(balance("1000", free="400", at=NOW), NOW)  # an order was placed
    assert account.read(balance("1000"), at=NOW + SECOND // 10)
    last = account.out[-1]
    assert isinstance(last, Balance)
    assert last.free == 400


# ── differences ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_profit_that_moves_with_the_market_is_no_difference() -> None:
    account = Account()
    account.read(balance("1000", profit="0"), position("1"), at=NOW)
    account.read(balance("1050", profit="50"), position("1", profit="50"), at=NOW + 60 * SECOND)
    account.read(balance("1010", profit="10"), position("1", profit="10"), at=NOW + 120 * SECOND)
    assert account.statuses == []
    assert account.newest()["USDT"] == 1010


def test_a_wallet_that_changed_without_the_stream_is_a_difference() -> None:
    account = Account()
    account.read(balance("1000", profit="0"), at=NOW)
    account.read(balance("1049", profit="50"), at=NOW + 60 * SECOND)
    (status,) = account.statuses
    assert (status.kind, status.value) == (StatusKind.DIFFERENCE, -1.0)
    assert status.detail == "USDT: the stream reported 1000, the exchange 999"


def test_a_difference_seen_while_the_figure_was_moving_is_published_if_it_remains() -> None:
    account = Account()
    account.push(balance("1000", at=NOW), NOW)
    assert account.read(balance("999"), at=NOW + SECOND)
    assert account.statuses == []
    assert not account.read(balance("999"), at=NOW + SETTLED + SECOND)
    assert [one.value for one in account.statuses] == [-1.0]


def test_the_first_whole_answer_without_a_difference_ends_it() -> None:
    account = Account()
    account.read(balance("1000"), at=NOW)
    account.read(balance("999"), at=NOW + 60 * SECOND)
    account.push(balance("998", at=NOW + 119 * SECOND), NOW + 119 * SECOND)
    assert account.read(balance("999"), at=NOW + 120 * SECOND)
    assert [one.value for one in account.statuses] == [-1.0]
    account.read(balance("998"), at=NOW + 180 * SECOND)
    account.read(balance("998"), at=NOW + 240 * SECOND)
    assert [(one.kind, one.value) for one in account.statuses[1:]] == [(StatusKind.DIFFERENCE, 0.0)]


def test_a_figure_that_is_omitted_is_a_difference_if_the_stream_was_connected() -> None:
    account = Account()
    account.read(position("3"), balance("1"), at=NOW)
    account.read(balance("1"), at=NOW + 60 * SECOND)
    assert [(one.kind, one.value) for one in account.statuses] == [(StatusKind.DIFFERENCE, -3.0)]


def test_a_change_while_the_stream_was_disconnected_is_no_difference() -> None:
    account = Account()
    account.read(balance("1000"), at=NOW)
    account.figures.disconnected()
    account.read(balance("900"), at=NOW + 10 * SECOND)
    account.figures.connected(NOW + 20 * SECOND)
    account.read(balance("800"), at=NOW + 21 * SECOND)
    assert account.statuses == []
    account.read(balance("799"), at=NOW + 81 * SECOND)
    assert [one.value for one in account.statuses] == [-1.0]


def test_an_unchanged_figure_is_published_again_but_rarely() -> None:
    account = Account()
    for number in range(8):
        account.read(balance("5"), at=NOW + number * 10 * SECOND)
    assert len(account.out) == 2
    assert REPEAT < 60 * SECOND
