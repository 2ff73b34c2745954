"""What changes at run time: instruments, halts, ticks, funding intervals, deposits, liquidations, empty books."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.binance.usdm_venue import FOUR_HOURS
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.orders import Ask, Reason, Rejected
from neuroflux.sim.core.world import World
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import SPOT, USDM, fault, following, info, listen_key, refusal, signed
from tests.neuroflux.sim.core.test_exchange import NOW, Script

D = Decimal
INFO = {"binance": SPOT + "v3/exchangeInfo", "binanceusdm": USDM + "v1/exchangeInfo"}


async def _symbol(session: aiohttp.ClientSession, exchange: str, symbol: str) -> dict[str, Any]:
    """The row of the instrument list, {} where there is none."""
    async with session.get(INFO[exchange]) as answer:
        rows = json.loads(await answer.text())["symbols"]
    return next((row for row in rows if row["symbol"] == symbol), {})


def _tick(row: dict[str, Any]) -> Decimal:
    return next(D(each["tickSize"]) for each in row["filters"] if each["filterType"] == "PRICE_FILTER")


@pytest.mark.parametrize(("exchange", "prefix"), [("binance", "/binance"), ("binanceusdm", "/binance/public")])
async def test_a_new_instrument_is_listed_and_trades(served: Served, exchange: str, prefix: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect(f"{prefix}/ws/newxusdt@bookTicker") as early:
            await fault(session, "list", exchange, symbol="NEWXUSDT")
            row = await _symbol(session, exchange, "NEWXUSDT")
            assert (row["baseAsset"], row["status"]) == ("NEWX", "TRADING")
            assert (await following(early, lambda frame: True))["s"] == "NEWXUSDT"
        path = SPOT + "v3/order" if exchange == "binance" else USDM + "v1/order"
        bought = await signed(session, served, "POST", path, "symbol=NEWXUSDT&side=BUY&type=MARKET&quantity=1")
        assert bought["symbol"] == "NEWXUSDT"
        assert "listed already" in await refusal(session, "list", exchange, symbol="NEWXUSDT")
        assert "must end with" in await refusal(session, "list", exchange, symbol="NEWX")
        assert "no " in await refusal(session, "list", exchange, symbol="OTHERUSDT", value="NOPE")


async def test_hyperliquid_appends_what_it_lists(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        before = [one["name"] for one in (await info(session, "meta"))["universe"]]
        await fault(session, "list", "hyperliquid", symbol="NEWX")
        assert [one["name"] for one in (await info(session, "meta"))["universe"]] == [*before, "NEWX"]
        assert len((await info(session, "metaAndAssetCtxs"))[1]) == len(before) + 1
        assert (await info(session, "l2Book", coin="NEWX"))["levels"][0]
        await fault(session, "halt", "hyperliquid", symbol="NEWX")
        assert (await info(session, "meta"))["universe"][-1]["isDelisted"] is True


@pytest.mark.parametrize(
    ("exchange", "path", "code", "status"),
    [("binance", SPOT + "v3/order", -1013, "BREAK"), ("binanceusdm", USDM + "v1/order", -4108, "SETTLING")],
)
async def test_a_halted_instrument(served: Served, exchange: str, path: str, code: int, status: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        rests = await signed(
            session, served, "POST", path, "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=146"
        )
        await fault(session, "halt", exchange, symbol="SOLUSDT")
        assert (await _symbol(session, exchange, "SOLUSDT"))["status"] == status
        market = "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=1"
        assert (await signed(session, served, "POST", path, market))["code"] == code
        route = "/binance/ws/" if exchange == "binance" else "/binance/public/ws/"
        async with session.ws_connect(f"{route}solusdt@bookTicker") as socket:
            with pytest.raises(TimeoutError):
                await following(socket, lambda frame: True, 1.5)
        query = f"symbol=SOLUSDT&orderId={rests['orderId']}"
        assert (await signed(session, served, "DELETE", path, query))["status"] == "CANCELED"
        await fault(session, "resume", exchange, symbol="SOLUSDT")
        assert (await _symbol(session, exchange, "SOLUSDT"))["status"] == "TRADING"
        assert "orderId" in await signed(session, served, "POST", path, market)
        assert "lists no NOPE" in await refusal(session, "halt", exchange, symbol="NOPE")


async def test_a_tick_becomes_coarser(served: Served) -> None:
    path = USDM + "v1/order"
    query = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price="
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "tick_size", "binanceusdm", symbol="SOLUSDT", value="0.1")
        assert _tick(await _symbol(session, "binanceusdm", "SOLUSDT")) == D("0.1")
        assert (await signed(session, served, "POST", path, query + "146.05"))["code"] == -4014
        assert "orderId" in await signed(session, served, "POST", path, query + "146.1")
        assert "multiple" in await refusal(session, "tick_size", "binanceusdm", symbol="SOLUSDT", value="0.001")
        assert "tick_size" in await refusal(session, "tick_size", "binanceusdm", symbol="SOLUSDT", value="x")


async def test_a_funding_interval_changes(served: Served) -> None:
    async def intervals() -> dict[str, int]:
        async with session.get("/binance/fapi/v1/fundingInfo") as answer:
            rows = json.loads(await answer.text())
        return {row["symbol"]: row["fundingIntervalHours"] for row in rows}

    async with aiohttp.ClientSession(served.url) as session:
        assert await intervals() == dict.fromkeys(FOUR_HOURS, 4)  # one whose interval never changed is not listed
        await fault(session, "funding_interval", "binanceusdm", symbol="SOLUSDT", value="1")
        assert (await intervals())["SOLUSDT"] == 1
        async with session.get("/binance/fapi/v1/premiumIndex?symbol=SOLUSDT") as answer:
            due = json.loads(await answer.text())["nextFundingTime"]
        assert 0 < due - time.time() * 1000 <= 3_600_000


def test_each_symbol_is_funded_at_its_own_hours() -> None:
    hour = 3_600_000_000
    start = NOW // (8 * hour) * 8 * hour
    world = World(venues(), 1, Script(), start)
    exchange = world.exchanges["binanceusdm"]
    world.set_funding_hours("binanceusdm", "SOLUSDT", 1)
    for symbol, quantity in (("SOLUSDT", "1"), ("ETHUSDT", "0.1")):
        exchange.place(Ask(symbol, "buy", D(quantity)), start)
    funded: list[str] = []
    exchange.listeners.append(lambda event: funded.append(type(event).__name__ + event.listing.symbol))  # type: ignore[union-attr]
    for later in range(1, 9):
        for _ in range(10):
            world.step(start + later * hour)
    assert funded.count("FundingEventSOLUSDT") == 8
    assert funded.count("FundingEventETHUSDT") == 1


async def test_a_deposit_and_a_withdrawal_on_spot(served: Served) -> None:
    exchange = served.simulation.exchange("binance")
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/binance/ws-api/v3") as socket:
        await _subscribe(socket, served)
        await fault(session, "transfer", asset="SOL", amount="5.5")
        moved = (await following(socket, lambda frame: "event" in frame))["event"]
        assert (moved["e"], moved["a"], moved["d"]) == ("balanceUpdate", "SOL", "5.50000000")
        position = (await following(socket, lambda frame: "event" in frame))["event"]
        assert position["B"] == [{"a": "SOL", "f": "65.50000000", "l": "0.00000000"}]
        await fault(session, "transfer", asset="SOL", amount="-65.5")
        assert exchange.spot.of("SOL").total == 0
        assert "can be withdrawn" in await refusal(session, "transfer", asset="SOL", amount="-1")
        assert "needs asset, amount" in await refusal(session, "transfer")


async def _subscribe(socket: aiohttp.ClientWebSocketResponse, served: Served) -> None:
    import hashlib
    import hmac

    account = served.simulation.dialects["binance"].account()
    text = f"apiKey={account.key}&timestamp={int(time.time() * 1000)}"
    params: dict[str, Any] = dict(each.split("=") for each in text.split("&"))
    params["signature"] = hmac.new(account.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
    assert (await following(socket, lambda frame: frame.get("id") == 1))["status"] == 200


async def test_deposits_of_perpetual_accounts(served: Served) -> None:
    user = served.simulation.dialects["hyperliquid"].account().address
    async with aiohttp.ClientSession(served.url) as session:
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await fault(session, "transfer", "binanceusdm", asset="USDT", amount="1000")
            event = await following(socket, lambda frame: frame["e"] == "ACCOUNT_UPDATE")
            assert (event["a"]["m"], event["a"]["P"]) == ("DEPOSIT", [])
            assert event["a"]["B"][0]["wb"] == "46000.00000000"
            assert event["a"]["B"][0]["bc"] == "1000.00000000"
        async with session.ws_connect("/hyperliquid/ws") as socket:
            kind = "userNonFundingLedgerUpdates"
            await socket.send_json({"method": "subscribe", "subscription": {"type": kind, "user": user}})
            await following(socket, lambda frame: frame["channel"] == "subscriptionResponse")
            assert (await following(socket, lambda frame: frame["channel"] == kind))["data"]["isSnapshot"]
            await fault(session, "transfer", "hyperliquid", asset="USDC", amount="-5")
            update = (await following(socket, lambda frame: frame["channel"] == kind))["data"]
            assert update["nonFundingLedgerUpdates"][0]["delta"].items() >= {"usdc": "4.0", "fee": "1.0"}.items()
        await fault(session, "unknown_asset", "binanceusdm")
        rows = {row["asset"]: row["balance"] for row in await signed(session, served, "GET", USDM + "v3/balance")}
        assert rows["BNFCR"] == "-12.40000000"
        await fault(session, "unknown_asset", "hyperliquid", asset="NEWT", amount="3")
        spot = (await info(session, "spotClearinghouseState", user=user))["balances"]
        assert {row["coin"]: row["total"] for row in spot}["NEWT"] == "3.0"


@pytest.mark.parametrize(
    ("name", "client_id"), [("liquidate", "autoclose-"), ("adl", "adl_autoclose")], ids=["liquidate", "adl"]
)
async def test_the_exchange_closes_a_position(served: Served, name: str, client_id: str) -> None:
    exchange = served.simulation.exchange("binanceusdm")
    async with aiohttp.ClientSession(served.url) as session:
        assert "no position" in await refusal(session, name, "binanceusdm", symbol="SOLUSDT")
        await signed(session, served, "POST", USDM + "v1/order", "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=10")
        rests = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=146"
        await signed(session, served, "POST", USDM + "v1/order", rests)
        wallet = exchange.perpetual.wallet["USDT"]
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await fault(session, name, "binanceusdm", symbol="SOLUSDT")
            frame = await following(socket, lambda frame: frame.get("o", {}).get("x") == "CALCULATED")
        assert frame["o"]["c"].startswith(client_id)
        assert (frame["o"]["S"], frame["o"]["o"]) == ("SELL", "LIQUIDATION")
        assert not exchange.perpetual.held()
        assert not exchange.open_orders
        forced = next(order for order in exchange.orders.values() if order.forced)
        changed = sum(fill.profit - fill.fee for fill in forced.fills)
        assert (forced.state, exchange.perpetual.wallet["USDT"]) == ("filled", wallet + changed)
        assert (forced.fills[0].fee > 0) is (name == "liquidate")


async def test_a_liquidation_of_usdm_is_preceded_by_a_margin_call(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await signed(session, served, "POST", USDM + "v1/order", "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=10")
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await fault(session, "liquidate", "binanceusdm", symbol="SOLUSDT")
            frame = await following(socket, lambda frame: frame["e"] != "ACCOUNT_CONFIG_UPDATE")
        assert frame["e"] == "MARGIN_CALL"
        (row,) = frame["p"]
        assert (row["s"], row["ps"], row["pa"]) == ("SOLUSDT", "BOTH", "10.00")


async def test_hyperliquid_liquidates(served: Served) -> None:
    exchange = served.simulation.exchange("hyperliquid")
    user = served.simulation.dialects["hyperliquid"].account().address
    exchange.place(Ask("SOL", "sell", D(3)), served.simulation.now("hyperliquid"))
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "liquidate", "hyperliquid", symbol="SOL")
        newest = (await info(session, "userFills", user=user))[0]
        assert (newest["dir"], newest["liquidation"]["liquidatedUser"]) == ("Liquidated Cross Short", user)
        assert (await info(session, "clearinghouseState", user=user))["assetPositions"] == []


async def test_a_side_of_a_book_is_empty(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/binance/ws/solusdt@bookTicker") as socket:
            await fault(session, "empty_side", symbol="SOLUSDT", value="buy")
            tops = await following(socket, lambda frame: float(frame["b"]) == 0)
            assert (tops["b"], tops["B"], float(tops["a"]) > 0) == ("0.00000000", "0.00000000", True)
            await session.delete("/sim/faults")
            await following(socket, lambda frame: float(frame["b"]) > 0)
        await fault(session, "empty_side", "hyperliquid", symbol="SOL")
        async with session.ws_connect("/hyperliquid/ws") as socket:
            await socket.send_json({"method": "subscribe", "subscription": {"type": "bbo", "coin": "SOL"}})
            empty = await following(socket, lambda frame: frame["channel"] == "bbo" and frame["data"]["bbo"][0] is None)
            assert empty["data"]["bbo"] == [None, None]


def test_nothing_is_placed_while_halted() -> None:
    world = World(venues(), 1, Script(), NOW)
    exchange = world.exchanges["hyperliquid"]
    world.halt(exchange.listings["SOL"], is_halted=True)
    with pytest.raises(Rejected) as refused:
        exchange.place(Ask("SOL", "buy", D(1)), NOW)
    assert refused.value.reason is Reason.HALTED
