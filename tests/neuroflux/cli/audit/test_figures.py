"""The verdict on figures: differences, figures in flight, and tolerances."""

from __future__ import annotations

from decimal import Decimal

import pytest

from neuroflux.cli.audit.figures import Figure, Key, Round, Value, Verdict, judge

KEY = Key("wallet", "a", "USDC", "account.balances")


def readings(*each: tuple[Value, Value, Value], **more: object) -> list[Round]:
    return [{KEY: Figure(*one, **more)} for one in each]  # type: ignore[arg-type]


def only(rounds: list[Round]) -> tuple[Verdict, str]:
    (found,) = judge(rounds)
    return found.verdict, found.reason


def d(text: str) -> Decimal:
    return Decimal(text)


def test_the_exchange_s_own_value_agrees() -> None:
    assert only(readings((d("1"), d("1"), d("1")))) == (Verdict.AGREES, "")
    assert only(readings((d("2"), d("1"), d("2")))) == (Verdict.AGREES, ""), "it changed in between, and both are right"


def test_a_difference_that_stays_differs() -> None:
    stays = (d("1.1"), d("1"), d("1"))
    assert only(readings(stays, stays, stays))[0] is Verdict.DIFFERS
    assert only(readings((None, "buy", "buy"), (None, "buy", "buy")))[0] is Verdict.DIFFERS
    assert only(readings(("buy", None, None), ("buy", None, None)))[0] is Verdict.DIFFERS


def test_a_later_agreement_was_in_flight() -> None:
    verdict, reason = only(readings((d("1"), d("2"), d("2")), (d("2"), d("2"), d("2"))))
    assert verdict is Verdict.IN_FLIGHT
    assert reason == "agreed in reading 2 of 2"


def test_a_figure_that_changed_while_it_was_read_is_in_flight() -> None:
    verdict, reason = only(readings((d("9"), d("1"), d("2")), (d("9"), d("2"), d("3"))))
    assert verdict is Verdict.IN_FLIGHT
    assert "from 1 to 3" in reason


def test_a_figure_missing_in_a_reading_is_in_flight() -> None:
    verdict, reason = only([{}, *readings((None, "filled", "filled"))])
    assert (verdict, reason) == (Verdict.IN_FLIGHT, "present in 1 of 2 readings")


def test_a_known_reason_is_reported() -> None:
    assert only(readings(("sending", "open", "open"), pending="under way")) == (Verdict.IN_FLIGHT, "under way")


@pytest.mark.parametrize(("reported", "verdict"), [("1.01", Verdict.AGREES), ("1.0101", Verdict.DIFFERS)])
def test_a_tolerance_is_a_bound(reported: str, verdict: Verdict) -> None:
    assert only(readings((d(reported), d("1"), d("1")), tolerance=d("0.01")))[0] is verdict


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("1.5", Verdict.AGREES), ("4.2", Verdict.AGREES), ("-0.1", Verdict.DIFFERS), ("4.3", Verdict.DIFFERS)],
)
def test_a_moving_figure_agrees_within_the_range_of_the_answers(reported: str, verdict: Verdict) -> None:
    """The last reading may be within the range of all answers, widened by their largest step: 1, from 1 to 2."""
    rounds = readings((d("9"), d("1"), d("2")), (d(reported), d("2.9"), d("3.2")), moves=True)
    assert only(rounds)[0] is verdict


def test_a_moving_figure_that_was_read_once_is_in_flight() -> None:
    """The exchange's rate limit may prevent a second reading."""
    assert only(readings((d("9"), d("1"), d("1")), moves=True)) == (
        Verdict.IN_FLIGHT,
        "it moves, and could be read only once",
    )
    assert only(readings((d("9"), d("1"), d("1")), (d("9"), d("1"), d("1")), moves=True))[0] is Verdict.DIFFERS


def test_an_unreported_moving_figure_differs() -> None:
    assert only(readings((None, d("1"), d("2")), moves=True))[0] is Verdict.DIFFERS
    assert only(readings((d("1"), None, None), moves=True))[0] is Verdict.DIFFERS
