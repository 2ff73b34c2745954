"""The judgement of figures: a difference is found, what is in flight is named, and a tolerance is what it says."""

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


def test_what_the_exchange_says_agrees() -> None:
    assert only(readings((d("1"), d("1"), d("1")))) == (Verdict.AGREES, "")
    assert only(readings((d("2"), d("1"), d("2")))) == (Verdict.AGREES, ""), "it changed in between, and both are right"


def test_a_difference_that_stays_differs() -> None:
    stays = (d("1.1"), d("1"), d("1"))
    assert only(readings(stays, stays, stays))[0] is Verdict.DIFFERS
    assert only(readings((None, "buy", "buy"), (None, "buy", "buy")))[0] is Verdict.DIFFERS
    assert only(readings(("buy", None, None), ("buy", None, None)))[0] is Verdict.DIFFERS


def test_one_that_agrees_later_was_in_flight() -> None:
    verdict, reason = only(readings((d("1"), d("2"), d("2")), (d("2"), d("2"), d("2"))))
    assert verdict is Verdict.IN_FLIGHT
    assert reason == "agreed in reading 2 of 2"


def test_one_that_changed_while_it_was_read_is_in_flight_and_says_so() -> None:
    verdict, reason = only(readings((d("9"), d("1"), d("2")), (d("9"), d("2"), d("3"))))
    assert verdict is Verdict.IN_FLIGHT
    assert "from 1 to 3" in reason


def test_one_that_is_not_in_every_reading_is_in_flight() -> None:
    verdict, reason = only([{}, *readings((None, "filled", "filled"))])
    assert (verdict, reason) == (Verdict.IN_FLIGHT, "present in 1 of 2 readings")


def test_a_reason_that_is_known_is_named() -> None:
    assert only(readings(("sending", "open", "open"), pending="under way")) == (Verdict.IN_FLIGHT, "under way")


@pytest.mark.parametrize(("reported", "verdict"), [("1.01", Verdict.AGREES), ("1.0101", Verdict.DIFFERS)])
def test_a_tolerance_is_a_bound(reported: str, verdict: Verdict) -> None:
    assert only(readings((d(reported), d("1"), d("1")), tolerance=d("0.01")))[0] is verdict


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [("1.5", Verdict.AGREES), ("4.2", Verdict.AGREES), ("-0.1", Verdict.DIFFERS), ("4.3", Verdict.DIFFERS)],
)
def test_what_moves_agrees_within_the_band_of_its_answers(reported: str, verdict: Verdict) -> None:
    """The last reading may lie within all of them, and as far beyond as one of their steps: 1 from 1 to 2."""
    rounds = readings((d("9"), d("1"), d("2")), (d(reported), d("2.9"), d("3.2")), moves=True)
    assert only(rounds)[0] is verdict


def test_what_moves_and_was_read_once_proves_nothing() -> None:
    """The exchange's limit may leave no room for a second reading."""
    assert only(readings((d("9"), d("1"), d("1")), moves=True)) == (
        Verdict.IN_FLIGHT,
        "it moves, and could be read only once",
    )
    assert only(readings((d("9"), d("1"), d("1")), (d("9"), d("1"), d("1")), moves=True))[0] is Verdict.DIFFERS


def test_what_moves_and_is_reported_by_nobody_differs() -> None:
    assert only(readings((None, d("1"), d("2")), moves=True))[0] is Verdict.DIFFERS
    assert only(readings((d("1"), None, None), moves=True))[0] is Verdict.DIFFERS
