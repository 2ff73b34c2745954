"""What a complete answer leaves out is held no more, unless it was reported after the answer was asked for."""

from neuroflux.exchanges.kit.omitted import Held


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
