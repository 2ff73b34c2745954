"""The offset of an exchange's clock, as its answers bound it."""

from __future__ import annotations

from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.clock_probe import corrected


def test_a_slow_answer_only_bounds_the_clock() -> None:
    def answer(took: int) -> Answer:
        return Answer(Request("GET", "/"), 200, b"", sent_at=1_000_000, received_at=1_000_000 + took)

    assert corrected(0, 5_200_000, answer(400_000)) == 4_000_000
    assert corrected(0, 9_000_000, answer(70_000_000)) == 0, "it proves nothing against what we know"
    assert corrected(9_000_000, 2_000_000, answer(4_000_000)) == 1_000_000, "it proves that the clock was moved back"
