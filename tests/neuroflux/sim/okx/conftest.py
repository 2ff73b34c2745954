"""A user of the demo account of a simulator on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from neuroflux.sim.server import Served
from tests.neuroflux.sim.okx.client import Client


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(served.url) as http:
        user = Client(served, http)
        yield user
        await user.close()
