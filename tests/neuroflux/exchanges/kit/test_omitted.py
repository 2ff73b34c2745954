"""What a complete answer leaves out is held no more, unless it was reported after the answer was asked for."""

from decimal import Decimal

from neuroflux.domain import Balance, Position
from neuroflux.exchanges.kit.omitted import Held, HeldFigures


def held(**times: int) -> Held:
    made = Held()
    for name, time in times.items():
        made.reported(name, is_held=True, time=time)
    return made


def test_what_is_left_out_is_gone_once() -> None:
    made = held(SOL=0, BTC=0, ETH=0)
    assert list(made.omitted({"BTC"})) == ["ETH", "SOL"]
    assert list(made.omitted({"BTC"})) == []


def test_what_was_reported_as_none_is_not_said_again() -> None:
    made = held(SOL=0)
    made.reported("SOL", is_held=False)
    assert list(made.omitted(())) == []


def test_what_was_reported_since_the_question_is_younger_than_the_answer() -> None:
    made = held(SOL=20, BTC=5)
    assert list(made.omitted((), asked=10)) == ["BTC"]
    assert list(made.omitted((), asked=30)) == ["SOL"]


def test_without_a_time_of_the_question_all_that_is_left_out_is_gone() -> None:
    assert list(held(SOL=20).omitted(())) == ["SOL"]


def test_figures_that_a_complete_answer_leaves_out_are_zero() -> None:
    figures, zero, one = HeldFigures("x"), Decimal(0), Decimal(1)
    figures.report([Balance("x", "BTC", one, zero, zero, one, 5), Position("x", "BTC/USDT:USDT", one, one, zero, 20)])
    assert figures.balances_omitted((), 10, 30) == [Balance("x", "BTC", zero, zero, zero, zero, 30)]
    assert figures.positions_omitted((), 10, 30) == []
    assert figures.positions_omitted((), 25, 30) == [Position("x", "BTC/USDT:USDT", zero, zero, zero, 30)]
