"""Hedge mode keeps two positions of a symbol apart; in multi-assets mode all assets back all positions."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import USDM, fault, following, listen_key, signed

DUAL, MULTI = USDM + "v1/positionSide/dual", USDM + "v1/multiAssetsMargin"


async def _order(session: aiohttp.ClientSession, served: Served, query: str) -> Any:
    query = f"symbol=SOLUSDT&type=MARKET&newOrderRespType=RESULT&{query}"
    return await signed(session, served, "POST", USDM + "v1/order", query)


async def test_two_legs_of_one_symbol(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert (await _order(session, served, "side=BUY&quantity=1&positionSide=LONG"))["code"] == -4061
        assert (await signed(session, served, "POST", DUAL, "dualSidePosition=true"))["code"] == 200
        assert await signed(session, served, "GET", DUAL) == {"dualSidePosition": True}
        assert (await _order(session, served, "side=BUY&quantity=1"))["code"] == -4061
        refused = await _order(session, served, "side=BUY&quantity=1&positionSide=LONG&reduceOnly=true")
        assert refused["code"] == -1106
        await _order(session, served, "side=BUY&quantity=7&positionSide=LONG")
        sold = await _order(session, served, "side=SELL&quantity=2&positionSide=SHORT")
        assert sold["positionSide"] == "SHORT"
        rows = await signed(session, served, "GET", USDM + "v3/positionRisk")
        assert {(row["positionSide"], row["positionAmt"]) for row in rows} == {("LONG", "7.00"), ("SHORT", "-2.00")}
        account = await signed(session, served, "GET", USDM + "v3/account")
        assert len(account["positions"]) == 2
        assert (await _order(session, served, "side=SELL&quantity=8&positionSide=LONG"))["code"] == -2022
        assert (await signed(session, served, "POST", DUAL, "dualSidePosition=false"))["code"] == -4068
        assert (await _order(session, served, "side=SELL&quantity=7&positionSide=LONG"))["status"] == "FILLED"
        assert (await _order(session, served, "side=BUY&quantity=2&positionSide=SHORT"))["status"] == "FILLED"
        assert (await signed(session, served, "POST", DUAL, "dualSidePosition=false"))["code"] == 200
        assert (await signed(session, served, "POST", DUAL, "dualSidePosition=false"))["code"] == -4059


async def test_both_legs_are_reported(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "hedge_mode", "binanceusdm")
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await _order(session, served, "side=BUY&quantity=3&positionSide=LONG")
            frame = await following(socket, lambda frame: frame["e"] == "ACCOUNT_UPDATE")
            rows = {row["ps"]: row["pa"] for row in frame["a"]["P"]}
            assert rows == {"LONG": "3.00", "SHORT": "0.00", "BOTH": "0.00"}
            order = await following(socket, lambda frame: frame["e"] == "ORDER_TRADE_UPDATE")
            assert order["o"]["ps"] == "LONG"


async def test_in_one_way_mode_empty_rows_by_side_are_reported_too(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await _order(session, served, "side=BUY&quantity=3")
            frame = await following(socket, lambda frame: frame["e"] == "ACCOUNT_UPDATE")
            rows = {row["ps"]: row["pa"] for row in frame["a"]["P"]}
            assert rows == {"BOTH": "3.00", "LONG": "0.00", "SHORT": "0.00"}


async def test_all_assets_back_a_position(served: Served) -> None:
    served.simulation.exchange("binanceusdm").perpetual.wallet["USDT"] = Decimal(10)
    async with aiohttp.ClientSession(served.url) as session:
        assert (await _order(session, served, "side=BUY&quantity=10"))["code"] == -2019
        assert (await signed(session, served, "POST", MULTI, "multiAssetsMargin=false"))["code"] == -4171
        assert (await signed(session, served, "POST", MULTI, "multiAssetsMargin=true"))["code"] == 200
        assert await signed(session, served, "GET", MULTI) == {"multiAssetsMargin": True}
        assert (await _order(session, served, "side=BUY&quantity=10"))["status"] == "FILLED"
        account = await signed(session, served, "GET", USDM + "v3/account")
        assert account["multiAssetsMargin"] is True
        free = {row["asset"]: Decimal(row["availableBalance"]) for row in account["assets"]}
        assert free["USDT"] == free["USDC"] == Decimal(account["availableBalance"])
        total = Decimal(account["totalMarginBalance"]) - Decimal(account["totalInitialMargin"])
        assert free["USDT"] == pytest.approx(total, abs=Decimal("1e-6"))
        assert (await signed(session, served, "POST", MULTI, "multiAssetsMargin=false"))["code"] == -4169


async def test_a_changed_setting_is_reported(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await signed(session, served, "POST", USDM + "v1/leverage", "symbol=SOLUSDT&leverage=7")
            leverage = await following(socket, lambda frame: frame["e"] == "ACCOUNT_CONFIG_UPDATE")
            assert leverage["ac"] == {"s": "SOLUSDT", "l": 7}
            await fault(session, "multi_assets", "binanceusdm")
            mode = await following(socket, lambda frame: frame["e"] == "ACCOUNT_CONFIG_UPDATE")
            assert mode["ai"] == {"j": True}


async def test_another_client_changes_the_mode(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "multi_assets", "binanceusdm")
        assert await signed(session, served, "GET", MULTI) == {"multiAssetsMargin": True}
        await fault(session, "multi_assets", "binanceusdm", value="false")
        assert await signed(session, served, "GET", MULTI) == {"multiAssetsMargin": False}
        await _order(session, served, "side=BUY&quantity=1")
        async with session.post("/sim/faults", json={"exchange": "binanceusdm", "fault": "hedge_mode"}) as answer:
            assert "exists position" in json.loads(await answer.text())["error"]
