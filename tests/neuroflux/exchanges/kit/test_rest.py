"""What an HTTP answer means before its body is read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from neuroflux.errors import MalformedFrame, NeuroFluxError, RateLimited, Refused, Unreachable
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.exchanges.kit.rest import checked, header_wait, milliseconds


def answer(status: int, body: bytes = b"{}", headers: Mapping[str, str] = {}) -> Answer:
    return Answer(Request("GET", "/x"), status, body, headers)


@pytest.mark.parametrize(
    ("status", "error"),
    [(0, Unreachable), (500, Unreachable), (504, Unreachable), (418, RateLimited), (429, RateLimited), (404, Refused)],
)
def test_an_answer_that_was_refused_raises_what_it_means(status: int, error: type[NeuroFluxError]) -> None:
    with pytest.raises(error, match=f"the list: HTTP {status}: b'{{}}'"):
        checked(answer(status), "the list", lambda _: 7.0, lambda body: body == b"{}")


def test_a_refusal_without_an_error_of_the_exchange_is_malformed() -> None:
    with pytest.raises(MalformedFrame):
        checked(answer(404, b"<html>"), "the list", lambda _: 7.0, lambda body: body == b"{}")


def test_a_limit_carries_its_wait_and_a_good_answer_its_body() -> None:
    with pytest.raises(RateLimited) as limited:
        checked(answer(429), "the list", lambda _: 7.0)
    assert limited.value.retry_after == 7.0
    assert checked(answer(200, b"body"), "the list", lambda _: 7.0) == b"body"


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("0.5", 0.5), ("0", 0.0), ("soon", 9.0), ("-1", 9.0), ("nan", 9.0), ("inf", 9.0)]
)
def test_a_wait_is_a_finite_number_of_seconds(text: str, seconds: float) -> None:
    assert header_wait(answer(429, headers={"retry-after": text}), unreadable=9.0) == seconds


def test_without_the_header_there_is_no_wait() -> None:
    assert header_wait(answer(429), unreadable=9.0) is None


def test_the_clock_is_in_microseconds() -> None:
    assert milliseconds(b'{"time": 1700000000000, "x": null}', "time", "time") == 1_700_000_000_000_000


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{}", b'{"time": "1"}', b'{"time": 1.5}', b'{"time": true}'])
def test_what_is_no_clock_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrame, match=r"^time: "):
        milliseconds(body, "time", "time")
