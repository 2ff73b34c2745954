"""OKX's answers: keys, parameters, limits, orders of every kind, modes, bills, and what faults change."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.core.orders import Ask, Reason
from neuroflux.sim.okx.dialect import Okx
from neuroflux.sim.okx.limits import Limits
from neuroflux.sim.okx.signing import Signer
from neuroflux.sim.okx.wire import REASONS, ApiError, Credentials
from tests.neuroflux.sim.okx.client import API, Client, sign

D = Decimal
SPOT: dict[str, Any] = {
    "instId": "SOL-USDT",
    "tdMode": "cash",
    "side": "buy",
    "ordType": "limit",
    "sz": "1",
    "px": "146",
}
SWAP: dict[str, Any] = {"instId": "SOL-USDT-SWAP", "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "2"}


# --- keys


def test_the_worked_examples_of_signatures_are_accepted() -> None:
    secret, timestamp = "22582BD0CFF14C41EDBF1AB98506286D", "2026-11-28T12:00:00.123Z"
    assert sign(secret, f"{timestamp}GET/api/v5/trade/order?instId=BTC-USDT&clOrdId=nf1a2b") == (
        "Uolh+ZHCveMSEyiRd2P/k+mnkKkVpguovB8y9j1I0BA="
    )
    signer = Signer(1)
    signer.secret = secret
    signed = sign(secret, f"{timestamp}GET/path")
    good = Credentials(signer.key, signed, timestamp, signer.passphrase)
    signer.check(good, "GET/path", 1_795_867_200_123_000)
    with pytest.raises(ApiError, match="50102"):
        signer.check(good, "GET/path", 1_795_867_200_123_000 + 31_000_000)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"OK-ACCESS-KEY": ""}, "50103"),
        ({"OK-ACCESS-KEY": "nonsense"}, "50111"),
        ({"OK-ACCESS-KEY": "00000000-0000-4000-8000-000000000000"}, "50119"),
        ({"OK-ACCESS-PASSPHRASE": ""}, "50104"),
        ({"OK-ACCESS-PASSPHRASE": "x"}, "50105"),
        ({"OK-ACCESS-SIGN": ""}, "50106"),
        ({"OK-ACCESS-SIGN": "x"}, "50113"),
        ({"OK-ACCESS-TIMESTAMP": ""}, "50107"),
        ({"OK-ACCESS-TIMESTAMP": "yesterday"}, "50112"),
        ({"x-simulated-trading": "1"}, "50101"),
    ],
)
async def test_every_part_of_a_key_is_checked(client: Client, headers: dict[str, str], code: str) -> None:
    client.headers = headers
    assert (await client.ask("GET", "account/balance"))["code"] == code
    assert client.status == 401


async def test_a_request_of_long_ago_is_refused(client: Client) -> None:
    client.late = 29
    await client.get("account/balance")
    client.late = 31
    assert (await client.ask("GET", "account/balance"))["code"] == "50102"


async def test_the_body_is_signed(client: Client) -> None:
    client.headers = {"OK-ACCESS-SIGN": sign(client.account.secret, "another")}
    assert (await client.ask("POST", "trade/order", SPOT))["code"] == "50113"
    client.headers = {"Content-Type": "text/plain"}
    assert (await client.ask("POST", "trade/order", SPOT))["code"] == "50006"


async def test_a_key_says_whether_it_may_withdraw(client: Client) -> None:
    assert (await client.get("account/config"))[0]["perm"] == "read_only,trade"
    await client.fault("withdrawals")
    assert "withdraw" in (await client.get("account/config"))[0]["perm"]


# --- parameters and limits


NAMES: tuple[str, ...] = (
    "instId",
    "instType",
    "ordId",
    "clOrdId",
    "limit",
    "after",
    "before",
    "begin",
    "end",
    "sz",
    "bar",
)
NAMES += ("ccy", "lever", "mgnMode", "posMode", "amt", "from", "to")


async def test_no_request_is_a_server_error(client: Client) -> None:
    """Without parameters, and with nonsense in each of them."""
    simulation = client.served.simulation
    routes = [route for route in simulation.dialects["okx"].routes() if API in route.path]
    assert len(routes) > 35
    for route in routes:
        path, method = route.path.removeprefix(f"/okx{API}"), route.method
        for value in ("", "x", "-1", "NaN", "1e999999", "BTC-USDT"):
            query = "&".join(f"{name}={value}" for name in NAMES) if value else ""
            body = dict.fromkeys(NAMES, value) | ({"px": value, "side": value} if value else {})
            answer = (
                await client.ask(method, f"{path}?{query}" if query else path)
                if method == "GET"
                else await client.ask(method, path, body)
            )
            assert client.status in (200, 400, 429), (path, value)
            assert answer.keys() >= {"code", "msg", "data"}
        if method == "POST":
            bodies: list[Any] = [[], [1], ["x"], [{}], {"instId": 5, "sz": [1], "side": {}}]
            for nonsense in bodies:
                await client.ask(method, path, nonsense)
                assert client.status in (200, 400, 429), (path, nonsense)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"instId": "NOPE"}, "51001"),
        ({"side": "up"}, "51000"),
        ({"ordType": "stop"}, "51000"),
        ({"tdMode": "cross"}, "51000"),
        ({"sz": "0"}, "51000"),
        ({"sz": "x"}, "51000"),
        ({"sz": "0.001"}, "51020"),
        ({"sz": "1.0000001"}, "51121"),
        ({"sz": "99999999999"}, "51005"),
        ({"sz": "900"}, "51008"),
        ({"px": ""}, "51204"),
        ({"px": "146.005"}, "51000"),
        ({"px": "190"}, "51137"),
        ({"side": "sell", "px": "90"}, "51138"),
        ({"clOrdId": "with-hyphen"}, "51000"),
        ({"clOrdId": "x" * 33}, "51000"),
        ({"reduceOnly": True}, "51205"),
    ],
)
async def test_an_order_is_refused_with_its_own_code(client: Client, changed: dict[str, Any], code: str) -> None:
    row = await client.place(**(SPOT | changed))
    assert (row["sCode"], row["ordId"]) == (code, "")
    assert row["sMsg"]


async def test_a_missing_parameter_refuses_the_request(client: Client) -> None:
    for name in ("instId", "tdMode", "side", "ordType", "sz"):
        answer = await client.ask("POST", "trade/order", {**SPOT, name: ""})
        assert (client.status, answer["code"], answer["data"]) == (400, "50014", [])
    assert (await client.ask("GET", "trade/order?instId=SOL-USDT"))["code"] == "51003"
    assert (await client.ask("GET", "trade/order?instId=SOL-USDT&ordId=1"))["code"] == "51603"


def test_every_reason_has_a_code() -> None:
    assert REASONS.keys() == set(Reason)


async def test_the_limit_of_a_path_is_counted(client: Client) -> None:
    codes = [(await client.ask("GET", "account/config"))["code"] for _ in range(6)]
    assert (codes, client.status) == (["0"] * 5 + ["50011"], 429)


def test_orders_are_counted_by_instrument_and_in_all() -> None:
    limits, now = Limits(), 1_000_000
    for number in range(1000):
        limits.count("trade/order", f"I{number // 60}", now)
    with pytest.raises(ApiError, match="50061"):
        limits.count("trade/order", "other", now)
    limits.count("trade/order", "I0", now + 2_000_000)
    for _ in range(60):
        limits.count("trade/cancel-order", "I0", now)
    with pytest.raises(ApiError, match="50011"):
        limits.count("trade/cancel-order", "I0", now)


async def test_a_late_order_is_not_placed(client: Client) -> None:
    client.headers = {"expTime": "1"}
    assert (await client.ask("POST", "trade/order", SPOT))["code"] == "50036"
    assert not client.served.simulation.exchange("okx").orders


# --- orders


async def test_a_client_id_is_used_once(client: Client) -> None:
    row = await client.place(**SPOT, clOrdId="once")
    assert (await client.ask("POST", "trade/cancel-order", {"instId": "SOL-USDT", "clOrdId": "once"}))["code"] == "0"
    assert (await client.place(**SPOT, clOrdId="once"))["sCode"] == "51016"
    order = (await client.get("trade/order?instId=SOL-USDT&clOrdId=once"))[0]
    assert (order["state"], order["ordId"], order["cancelSource"]) == ("canceled", row["ordId"], "1")


async def test_a_market_buy_is_sized_in_the_quote(client: Client) -> None:
    market = {**SPOT, "ordType": "market", "sz": "100", "px": ""}
    row = await client.place(**market)
    order = (await client.get(f"trade/order?instId=SOL-USDT&ordId={row['ordId']}"))[0]
    assert (order["sz"], order["tgtCcy"], order["state"]) == ("100", "quote_ccy", "filled")
    assert D(order["accFillSz"]) * D(order["avgPx"]) == pytest.approx(D(100), rel=D("0.001"))
    row = await client.place(**{**market, "sz": "1", "tgtCcy": "base_ccy"})
    assert (await client.get(f"trade/order?instId=SOL-USDT&ordId={row['ordId']}"))[0]["accFillSz"] == "1"


@pytest.mark.parametrize("size", [{"sz": "50000"}, {"sz": "500", "tgtCcy": "base_ccy"}])
async def test_a_market_order_for_too_much_is_cut_unless_that_is_banned(client: Client, size: dict[str, str]) -> None:
    market = {**SPOT, "ordType": "market", "px": "", **size}
    assert (await client.place(**market, banAmend=True))["sCode"] == "51008"
    row = await client.place(**market)
    order = (await client.get(f"trade/order?instId=SOL-USDT&ordId={row['ordId']}"))[0]
    assert (order["sz"], order["state"]) == (size["sz"], "filled")
    assert 40 < D(order["accFillSz"]) < 70
    sale = {**SPOT, "ordType": "market", "px": "", "side": "sell", "sz": "5000"}
    assert (await client.place(**sale))["sCode"] == "0"
    assert client.served.simulation.exchange("okx").spot.of("SOL").free < D("0.000001")


async def test_an_amended_order_keeps_its_number(client: Client) -> None:
    row = await client.place(**SPOT, clOrdId="moved")
    path = "trade/order?instId=SOL-USDT&clOrdId=moved"
    amended = {"instId": "SOL-USDT", "clOrdId": "moved"}
    answer = await client.ask("POST", "trade/amend-order", {**amended, "newSz": "2", "newPx": "145.5"})
    assert answer["data"][0]["ordId"] == row["ordId"]
    order = (await client.get(path))[0]
    assert (order["sz"], order["px"], order["state"]) == ("2", "145.5", "live")
    assert (await client.get("account/balance?ccy=USDT"))[0]["details"][0]["ordFrozen"] == "291"
    too_much = await client.ask("POST", "trade/amend-order", {**amended, "newSz": "2000"})
    assert too_much["data"][0]["sCode"] == "51008"
    assert (await client.get(path))[0]["sz"] == "2"
    taking = await client.ask("POST", "trade/amend-order", {**amended, "newPx": "153"})
    assert (taking["code"], (await client.get(path))[0]["accFillSz"]) == ("0", "2")
    late = await client.ask("POST", "trade/amend-order", {**amended, "newPx": "145"})
    assert late["data"][0]["sCode"] == "51503"
    sim = client.served.simulation.exchange("okx")
    assert all(balance.locked == 0 for balance in sim.spot.balances.values())


async def test_an_order_that_another_would_meet_is_cancelled_first(client: Client) -> None:
    sim = client.served.simulation.exchange("okx")
    await client.fault("halt", symbol="SOL-USDT")  # nobody else moves
    sim.halted.clear()
    bid = sim.top("SOL-USDT")[0]
    sim.books["SOL-USDT"].set_liquidity("buy", sim.listings["SOL-USDT"].ticks(bid), 0)
    rests = await client.place(**{**SPOT, "px": str(bid)})
    await client.place(**{**SPOT, "side": "sell", "ordType": "market", "px": ""})
    order = (await client.get(f"trade/order?instId=SOL-USDT&ordId={rests['ordId']}"))[0]
    assert (order["state"], order["accFillSz"], order["cancelSource"]) == ("canceled", "0", "32")


async def test_swaps_are_traded_in_contracts(client: Client) -> None:
    await client.place(**{**SWAP, "instId": "XRP-USDT-SWAP"})
    position = (await client.get("account/positions"))[0]
    assert (position["instId"], position["pos"], position["posSide"]) == ("XRP-USDT-SWAP", "2", "net")
    assert client.served.simulation.exchange("okx").perpetual.positions["XRP-USDT-SWAP"].quantity == 200
    reduce = {**SWAP, "instId": "XRP-USDT-SWAP", "reduceOnly": "true"}
    assert (await client.place(**reduce))["sCode"] == "51169"
    assert (await client.place(**{**reduce, "side": "sell"}))["sCode"] == "0"
    assert await client.get("account/positions") == []


async def test_spot_and_swaps_share_the_account(client: Client) -> None:
    before = (await client.get("account/balance?ccy=USDT"))[0]["details"][0]
    assert (before["cashBal"], before["availEq"], before["frozenBal"]) == ("9000", "9000", "0")
    assert (await client.place(**{**SWAP, "sz": "1000"}))["sCode"] == "0"  # a margin of some 7500
    after = (await client.get("account/balance?ccy=USDT"))[0]["details"][0]
    assert D(after["availEq"]) == pytest.approx(D(after["eq"]) - D(after["frozenBal"]), abs=D("1e-6"))
    assert (await client.place(**{**SPOT, "sz": "20"}))["sCode"] == "51008"
    assert (await client.place(**{**SWAP, "sz": "400"}))["sCode"] == "51008"


async def test_pages_are_the_newest_rows_before_a_number(client: Client) -> None:
    for _ in range(5):
        await client.place(**{**SPOT, "ordType": "market", "px": "", "sz": "20"})
    every = await client.get("trade/fills?instType=SPOT")
    numbers = [row["billId"] for row in every]
    assert numbers == sorted(numbers, reverse=True)
    assert await client.get(f"trade/fills?after={numbers[1]}&limit=2") == every[2:4]
    assert await client.get(f"trade/fills?before={numbers[2]}") == every[:2]
    await client.fault("page_size", value="3")
    assert len(await client.get("trade/orders-history?instType=SPOT")) == 3
    assert await client.get(f"trade/fills?begin={int(every[0]['ts']) + 1}") == []


# --- money


async def test_bills_are_every_change_of_cash(client: Client) -> None:
    simulation = client.served.simulation
    sim, now = simulation.exchange("okx"), simulation.now("okx")
    start = {asset: balance.total for asset, balance in sim.spot.balances.items()}
    for symbol in ("BTC-USDT", "SOL-USDC"):
        sim.place(Ask(symbol, "buy", D("0.01"), None, "IOC"), now)
    sim.place(Ask("BTC-EUR", "sell", D("0.02"), None, "IOC"), now)
    sim.place(Ask("ETH-USDT-SWAP", "sell", D("0.5"), None, "IOC"), now)
    sim.fund("ETH-USDT-SWAP", D("0.0001"), now)
    sim.place(Ask("ETH-USDT-SWAP", "buy", D("0.2"), None, "IOC"), now)
    await client.fault("transfer", asset="USDC", amount="-50")
    await client.ask("POST", "asset/transfer", {"ccy": "USDT", "amt": "40.5", "from": "18", "to": "6"})
    bills = await client.get("account/bills")
    changed: dict[str, Decimal] = defaultdict(Decimal, start)
    for row in bills:
        changed[row["ccy"]] += D(row["balChg"])
    rows = {row["ccy"]: row for row in (await client.get("account/balance"))[0]["details"]}
    assert {asset: D(row["cashBal"]) for asset, row in rows.items()} == dict(changed)
    assert {row["type"] for row in bills} == {"1", "2", "8"}
    assert bills[0]["bal"] == rows["USDT"]["cashBal"]
    position = (await client.get("account/positions"))[0]
    swap = sum((D(row["balChg"]) for row in bills if row["instId"] == "ETH-USDT-SWAP"), D(0))
    assert D(position["realizedPnl"]) == pytest.approx(swap, abs=D("1e-9"))


async def test_the_other_wallet(client: Client) -> None:
    way = {"ccy": "USDT", "amt": "10", "from": "6", "to": "18"}
    assert (await client.ask("POST", "asset/transfer", way))["code"] == "58350"
    row = (await client.ask("POST", "asset/transfer", {**way, "from": "18", "to": "6", "clientId": "t1"}))["data"][0]
    assert (await client.get("asset/transfer-state?clientId=t1"))[0]["state"] == "success"
    assert (await client.get(f"asset/transfer-state?transId={row['transId']}"))[0]["amt"] == "10"
    assert (await client.get("asset/balances"))[0]["bal"] == "10"


# --- modes


async def test_an_account_of_spot_alone_trades_no_swaps(client: Client) -> None:
    await client.fault("account_mode", value="1")
    assert (await client.get("account/config"))[0]["acctLv"] == "1"
    assert (await client.place(**SWAP))["sCode"] == "51010"
    assert (await client.get("account/balance?ccy=USDT"))[0]["details"][0]["availEq"] == ""
    assert (await client.place(**SPOT))["sCode"] == "0"
    await client.fault("account_mode", value="2")
    assert (await client.place(**SWAP))["sCode"] == "0"


async def test_positions_with_two_sides(client: Client) -> None:
    await client.fault("hedge_mode", value="true")
    assert (await client.get("account/config"))[0]["posMode"] == "long_short_mode"
    assert (await client.place(**SWAP))["sCode"] == "51000"
    assert (await client.place(**SWAP, posSide="long"))["sCode"] == "0"
    assert (await client.place(**{**SWAP, "side": "sell"}, posSide="short"))["sCode"] == "0"
    held = {row["posSide"]: row["pos"] for row in await client.get("account/positions")}
    assert held == {"long": "2", "short": "2"}
    mode = {"posMode": "net_mode"}
    assert (await client.ask("POST", "account/set-position-mode", mode))["code"] == "59000"
    await client.place(**{**SWAP, "side": "sell"}, posSide="long")
    await client.place(**SWAP, posSide="short")
    assert (await client.ask("POST", "account/set-position-mode", mode))["code"] == "0"
    assert (await client.place(**SWAP))["sCode"] == "0"


async def test_leverage(client: Client) -> None:
    asked = {"instId": "SOL-USDT-SWAP", "mgnMode": "cross", "lever": "7"}
    assert (await client.ask("POST", "account/set-leverage", asked))["data"][0]["lever"] == "7"
    assert (await client.ask("POST", "account/set-leverage", {**asked, "lever": "500"}))["code"] == "59102"


# --- faults


async def test_answers_of_faults(client: Client) -> None:
    await client.fault("unknown_status", value="odd")
    row = await client.place(**SPOT)
    path = f"trade/order?instId=SOL-USDT&ordId={row['ordId']}"
    assert [(await client.get(path))[0]["state"] for _ in range(2)] == ["odd", "live"]
    await client.fault("unknown_code")
    assert (await client.place(**SPOT))["sCode"] == "51999"
    await client.fault("malformed_row", value="instruments", symbol="SOL-USDT")
    rows = {row["instId"]: row for row in await client.get("public/instruments?instType=SPOT")}
    assert (rows["SOL-USDT"]["tickSz"], rows["BTC-USDT"]["tickSz"]) == (None, "0.1")
    await client.fault("malformed_row", value="balance", symbol="BTC")
    details = (await client.get("account/balance"))[0]["details"]
    assert [row["ccy"] for row in details if row["cashBal"] is None] == ["BTC"]
    await client.fault("fees", maker="-0.0001", taker="0.002")
    fee = (await client.get("account/trade-fee?instType=SPOT"))[0]
    assert (fee["maker"], fee["taker"], fee["feeGroup"][0]["taker"]) == ("0.0001", "-0.002", "-0.002")
    await client.fault("unknown_asset", asset="NEWT", amount="3")
    assert (await client.get("account/balance?ccy=NEWT"))[0]["details"][0]["cashBal"] == "3"


async def test_a_lost_answer_leaves_the_order(client: Client) -> None:
    await client.fault("accept_then_timeout")
    async with client.http.get("/okx/api/v5/public/time") as answer:
        assert answer.status == 200
    client.http._timeout = aiohttp.ClientTimeout(total=1)
    with pytest.raises(TimeoutError):
        await client.place(**SPOT, clOrdId="lost")
    assert (await client.get("trade/order?instId=SOL-USDT&clOrdId=lost"))[0]["state"] == "live"


async def test_instruments_change(client: Client) -> None:
    await client.fault("list", symbol="NEWX-USDT-SWAP")
    row = (await client.get("public/instruments?instType=SWAP&instId=NEWX-USDT-SWAP"))[0]
    assert (row["ctValCcy"], row["ctVal"], row["state"]) == ("NEWX", "1", "live")
    assert (await client.place(**{**SWAP, "instId": "NEWX-USDT-SWAP"}))["sCode"] == "0"
    await client.fault("halt", symbol="SOL-USDT")
    assert (await client.place(**SPOT))["sCode"] == "51022"
    assert (await client.get("public/instruments?instType=SPOT&instId=SOL-USDT"))[0]["state"] == "suspend"
    await client.fault("resume", symbol="SOL-USDT")
    await client.fault("tick_size", symbol="SOL-USDT", value="0.1")
    assert (await client.place(**{**SPOT, "px": "146.05"}))["sCode"] == "51000"
    await client.fault("funding_interval", symbol="SOL-USDT-SWAP", value="2")
    rate = (await client.get("public/funding-rate?instId=SOL-USDT-SWAP"))[0]
    assert int(rate["nextFundingTime"]) - int(rate["fundingTime"]) == 2 * 3_600_000


@pytest.mark.parametrize(("name", "category"), [("liquidate", "full_liquidation"), ("adl", "adl")])
async def test_the_exchange_closes_a_position(client: Client, name: str, category: str) -> None:
    await client.place(**SWAP)
    await client.fault(name, symbol="SOL-USDT-SWAP")
    assert await client.get("account/positions") == []
    order = (await client.get("trade/orders-history?instType=SWAP"))[0]
    assert (order["category"], order["clOrdId"], order["accFillSz"]) == (category, "", "2")


def test_failures_are_the_exchanges() -> None:
    answers = [Okx.failure(None, status) for status in (429, 503, 418)]  # type: ignore[arg-type]
    assert [answer.status for answer in answers] == [429, 503, 403]
    codes = [json.loads(answer.body)["code"] for answer in answers[:2]]  # type: ignore[arg-type]
    assert codes == ["50011", "50001"]
    assert answers[2].content_type == "text/html"
