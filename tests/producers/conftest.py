"""The fake exchange, and a publisher that keeps what a stage publishes of it."""

from __future__ import annotations

import pytest

from tests.producers.exchange import Kept, Venue


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def venue(kept: Kept) -> Venue:
    return Venue(kept)
