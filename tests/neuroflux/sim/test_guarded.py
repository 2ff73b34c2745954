"""A web page reaches the simulator on loopback as its user does: what it may not do."""

from __future__ import annotations

import aiohttp
import pytest

from neuroflux.sim.server import Served, serve

REBOUND = "evil.example:8900"
FAULT = b'{"exchange": "binance", "fault": "reject"}'


@pytest.mark.parametrize("host", ["evil.example", REBOUND, "127.0.0.1.evil.example", "[bad", "evil@127.0.0.2"])
@pytest.mark.parametrize(
    "path", ["/sim/accounts", "/sim/orders", "/binance/api/v3/time", "/hyperliquid/info", "/coinbase/v2/time"]
)
async def test_another_host_name_is_refused(served: Served, host: str, path: str) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.get(path, headers={"Host": host}) as answer:
        assert (answer.status, "secret" in await answer.text()) == (403, False)


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "file://"])
async def test_a_page_of_another_site_changes_nothing(served: Served, origin: str) -> None:
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    async with aiohttp.ClientSession(served.url) as session:
        async with session.post("/sim/faults", data=FAULT, headers=headers) as answer:
            assert answer.status == 403
        async with session.delete("/sim/faults", headers=headers) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect("/binance/ws", headers=headers)
    assert served.simulation.faults.active() == []


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost:8080"}, {"Host": "localhost"}])
async def test_this_machine_is_served(served: Served, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.post("/sim/faults", data=FAULT, headers=headers) as answer:
            assert answer.status == 200
    assert len(served.simulation.faults.active()) == 1


async def test_a_client_by_the_host_name_in_a_network_is_served() -> None:
    async with serve(0, 1, name="sim") as other, aiohttp.ClientSession(other.url) as session:
        async with session.get("/sim/orders", headers={"Host": "sim:8900"}) as answer:
            assert answer.status == 200
