"""A simulator on a free port, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from neuroflux.sim.server import Served, serve


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(0, seed=1) as server:
        yield server
