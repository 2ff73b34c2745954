"""Hyperliquid's order client: what it sends is what the SDK would send, and each answer means one thing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import (
    Ack,
    Fill,
    InDoubt,
    Instrument,
    InstrumentKind,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Reject,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.errors import MalformedFrame, RateLimited, Refused, Unreachable, UsageError
from neuroflux.exchanges.hyperliquid.exchange import Hyperliquid
from neuroflux.exchanges.hyperliquid.order_client import HyperliquidOrderClient
from neuroflux.exchanges.hyperliquid.signing import NONCE_STRIDE, Nonces
from neuroflux.exchanges.kit.events import PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Usage

NOW = 1_760_000_000_000_999
MS = NOW // 1000
KEY = "0x" + "2b" * 32
USER = "0x00000000000000000000000000000000000000Ab"
CLOID = "0x" + "1f" * 16
BTC = Instrument(
    exchange="hyperliquid",
    symbol="BTC/USDC:USDC",
    market="BTC/USD",
    name="BTC",
    base="BTC",
    quote="USDC",
    kind=InstrumentKind.PERPETUAL,
    asset_id=3,
)


@pytest.fixture
def client() -> HyperliquidOrderClient:
    return HyperliquidOrderClient(Keys(USER, KEY), [BTC], Nonces(0))


def placement(
    side: Side = Side.BUY,
    type_: OrderType = OrderType.LIMIT,
    quantity: str = "0.50",
    price: str = "1E+2",
    tif: TimeInForce = TimeInForce.GTC,
    reduce_only: bool = False,
) -> Placement:
    return Placement(BTC, CLOID, side, type_, Decimal(quantity), Decimal(price), tif, reduce_only)


def ok(status: Any, kind: str = "order") -> bytes:
    return json.dumps({"status": "ok", "response": {"type": kind, "data": {"statuses": [status]}}}).encode()


def err(text: str) -> bytes:
    return json.dumps({"status": "err", "response": text}).encode()


def placed(client: HyperliquidOrderClient, body: bytes, status: int = 200, **over: Any) -> Outcome:
    return client.outcome(Answer(client.place(placement(**over), NOW), status, body))


def report(outcome: Outcome) -> OrderReport:
    assert isinstance(outcome, Ack), outcome
    return outcome.report


def test_keeps_the_protocol(client: HyperliquidOrderClient) -> None:
    as_protocol: OrderClient = client
    assert as_protocol.exchange == "hyperliquid"
    assert Hyperliquid().usage(Answer(Request("POST", "/info"), 200, b"")) == Usage()
    assert Hyperliquid().usage(Answer(Request("POST", "/info"), 429, b"")) == Usage(wait=10.0)
    assert Hyperliquid().usage(Answer(Request("POST", "/info"), 418, b"")) == Usage(wait=10.0)
    assert Hyperliquid().usage(Answer(Request("POST", "/info"), 429, b"", {"retry-after": "3"})) == Usage(wait=3.0)


@pytest.mark.parametrize(
    ("type_", "tif", "wire"),
    [
        (OrderType.LIMIT, TimeInForce.GTC, "Gtc"),
        (OrderType.LIMIT, TimeInForce.IOC, "Ioc"),
        (OrderType.LIMIT, TimeInForce.POST_ONLY, "Alo"),
        (OrderType.MARKET, TimeInForce.GTC, "Ioc"),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_an_order_is_the_one_that_the_sdk_sends(
    client: HyperliquidOrderClient, type_: OrderType, tif: TimeInForce, wire: str, side: Side
) -> None:
    request = client.place(placement(side=side, type_=type_, tif=tif, reduce_only=True), NOW)
    theirs = sdk.order_wires_to_order_action(
        [
            sdk.order_request_to_order_wire(
                {
                    "coin": "BTC",
                    "is_buy": side is Side.BUY,
                    "sz": 0.5,
                    "limit_px": 100.0,
                    "order_type": {"limit": {"tif": wire}},
                    "reduce_only": True,
                    "cloid": Cloid.from_str(CLOID),
                },
                3,
            )
        ]
    )
    body = json.loads(request.body)
    assert (request.method, request.path, request.weight) == ("POST", "/exchange", 1)
    assert body == {
        "action": theirs,
        "nonce": MS,
        "signature": sdk.sign_l1_action(Account.from_key(KEY), theirs, None, MS, MS + 5000, True),
        "expiresAfter": MS + 5000,
    }


def test_a_cancel_is_by_the_clients_id(client: HyperliquidOrderClient) -> None:
    body = json.loads(client.cancel(BTC, CLOID, NOW).body)
    action = {"type": "cancelByCloid", "cancels": [{"asset": 3, "cloid": CLOID}]}
    assert body == {
        "action": action,
        "nonce": MS,
        "signature": sdk.sign_l1_action(Account.from_key(KEY), action, None, MS, None, True),
    }


def test_the_signer_can_be_recovered_from_what_was_sent(client: HyperliquidOrderClient) -> None:
    body = json.loads(client.place(placement(), NOW).body)
    signer = sdk.recover_agent_or_user_from_l1_action(
        body["action"], body["signature"], None, body["nonce"], body["expiresAfter"], True
    )
    assert signer == Account.from_key(KEY).address


def test_nonces_never_repeat_and_never_run_back(client: HyperliquidOrderClient) -> None:
    requests = [client.cancel(BTC, CLOID, now) for now in (NOW, NOW, NOW - 5_000_000, NOW + 10_000_000)]
    assert [json.loads(one.body)["nonce"] for one in requests] == [MS, MS + 16, MS + 32, MS + 10_000]


@given(st.lists(st.tuples(st.integers(0, NONCE_STRIDE - 1), st.integers(-20_000, 20_000)), max_size=60))
def test_nonces_of_processes_that_share_a_key_differ_and_are_near_to_now(signed: list[tuple[int, int]]) -> None:
    processes = [Nonces(rest) for rest in range(NONCE_STRIDE)]
    made = [processes[which].next(NOW + microseconds) for which, microseconds in signed]
    assert len(set(made)) == len(made)
    assert all(abs(nonce - MS) < NONCE_STRIDE * (len(made) + 3) for nonce in made)


def test_a_clock_that_was_far_ahead_for_a_while_leaves_no_nonces_of_its_time() -> None:
    """The exchange refuses what is more than a day ahead: every order would be refused until then."""
    nonces, day = Nonces(0), 86_400_000_000
    assert nonces.next(NOW + 2 * day) == MS + 2 * 86_400_000
    assert [nonces.next(NOW), nonces.next(NOW)] == [MS, MS + 16]


def test_a_new_order_client_continues_the_nonces_of_the_last_one() -> None:
    exchange = Hyperliquid()
    bodies = [exchange.order_client(Keys(USER, KEY), [BTC]).cancel(BTC, CLOID, NOW).body for _ in range(3)]
    nonces = [json.loads(body)["nonce"] for body in bodies]
    assert nonces == [nonces[0], nonces[0] + 16, nonces[0] + 32]
    assert 0 <= nonces[0] - MS < NONCE_STRIDE


def test_a_nonce_that_is_refused_is_untimely_and_not_in_doubt(client: HyperliquidOrderClient) -> None:
    text = "Invalid nonce: duplicate nonce 1790000000000"
    assert placed(client, err(text)) == Reject("nonce", text, is_untimely=True)


def test_what_is_not_offered_is_refused(client: HyperliquidOrderClient) -> None:
    with pytest.raises(Refused, match="fok"):
        client.place(placement(tif=TimeInForce.FOK), NOW)
    with pytest.raises(Refused, match="price"):
        client.place(placement(type_=OrderType.MARKET, price="0"), NOW)


def test_queries_are_sent_to_info_for_the_account(client: HyperliquidOrderClient) -> None:
    asked = [
        client.query(BTC, CLOID, NOW),
        client.open_orders(NOW),
        client.fills_since(BTC, NOW - 1_000_000, NOW),
    ]
    user = USER.lower()
    assert [(one.path, json.loads(one.body)) for one in asked] == [
        ("/info", {"type": "orderStatus", "user": user, "oid": CLOID}),
        ("/info", {"type": "frontendOpenOrders", "user": user}),
        ("/info", {"type": "userFillsByTime", "user": user, "startTime": MS - 1000}),
    ]


def test_resting(client: HyperliquidOrderClient) -> None:
    assert report(placed(client, ok({"resting": {"oid": 9, "cloid": CLOID}}))) == OrderReport(
        exchange="hyperliquid",
        symbol="BTC/USDC:USDC",
        client_order_id=CLOID,
        exchange_order_id="9",
        side=Side.BUY,
        type=OrderType.LIMIT,
        price=Decimal(100),
        quantity=Decimal("0.5"),
        filled_quantity=Decimal(0),
        average_price=Decimal(0),
        state=OrderState.ACKNOWLEDGED,
        reason="",
        event_time=MS * 1000,
    )


def test_filled(client: HyperliquidOrderClient) -> None:
    found = report(placed(client, ok({"filled": {"totalSz": "0.5", "avgPx": "99.5", "oid": 9}}), side=Side.SELL))
    assert (found.state, found.side, found.filled_quantity, found.average_price) == (
        OrderState.FILLED,
        Side.SELL,
        Decimal("0.5"),
        Decimal("99.5"),
    )


@pytest.mark.parametrize(
    ("tif", "state", "reason"),
    [
        (TimeInForce.GTC, OrderState.WORKING, ""),
        (TimeInForce.POST_ONLY, OrderState.WORKING, ""),
        (TimeInForce.IOC, OrderState.EXPIRED, "the rest did not match"),
    ],
)
def test_the_rest_of_an_order_that_was_filled_in_part(
    client: HyperliquidOrderClient, tif: TimeInForce, state: OrderState, reason: str
) -> None:
    """Only of an immediate one is it known to be expired; any other is queried and can be cancelled."""
    found = report(placed(client, ok({"filled": {"totalSz": "0.2", "avgPx": "99.5", "oid": 9}}), tif=tif))
    assert (found.state, found.filled_quantity, found.reason) == (state, Decimal("0.2"), reason)
    assert (found.exchange_order_id, found.average_price) == ("9", Decimal("99.5"))


def test_a_market_order_is_reported_as_one(client: HyperliquidOrderClient) -> None:
    body = ok({"filled": {"totalSz": "0.2", "avgPx": "99.5", "oid": 9}})
    found = report(placed(client, body, type_=OrderType.MARKET))
    assert (found.type, found.price, found.state) == (OrderType.MARKET, Decimal(0), OrderState.EXPIRED)
    assert (found.quantity, found.filled_quantity) == (Decimal("0.5"), Decimal("0.2"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Order could not immediately match against any resting orders. asset=3", "iocCancelRejected"),
        ("Order must have minimum value of $10. asset=3", "minTradeNtlRejected"),
        ("Price must be divisible by tick size. asset=3", "tickRejected"),
        ("Insufficient margin to place order. asset=3", "perpMarginRejected"),
        ("Insufficient spot balance asset=10107", "insufficientSpotBalanceRejected"),
        ("Reduce only order would increase position. asset=3", "reduceOnlyRejected"),
        ("Post only order would have immediately matched, bbo was 99@100. asset=3", "badAloPxRejected"),
        ("Order price cannot be more than 80% away from the reference price", "oracleRejected"),
        ("Order has zero size.", "rejected"),
        ("User or API Wallet 0x1 does not exist.", "rejected"),
        ("Something that is not documented", "rejected"),
    ],
)
def test_an_error_is_definite(client: HyperliquidOrderClient, text: str, code: str) -> None:
    assert placed(client, ok({"error": text})) == Reject(code, text)
    assert placed(client, err(text)) == Reject(code, text)


def test_an_action_that_arrived_too_late_is_untimely_and_not_in_doubt(client: HyperliquidOrderClient) -> None:
    text = "Action already expired"
    for body in (err(text), ok({"error": text})):
        assert placed(client, body) == Reject("expired", text, is_untimely=True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 0),
        (b"", 500),
        (b"<html>bad gateway</html>", 502),
        (b"", 504),
        (b"", 302),
        (b"", 200),
        (b"null", 200),
        (b"\xff", 200),
        (b'{"status":"ok"}', 200),
        (b'{"status":"ok","response":{"type":"default"}}', 200),
        (b'{"status":"ok","response":"fine"}', 200),
        (b'{"status":"ok","response":{"type":"order","data":{"statuses":[]}}}', 200),
        (ok({}), 200),
        (ok("evaporated"), 200),
        (ok({"filled": {"totalSz": "NaN", "avgPx": "1", "oid": 1}}), 200),
        (err("Internal error"), 200),
        (ok({"error": "Cloid already in use"}), 200),
    ],
)
def test_what_is_unknown_is_in_doubt(client: HyperliquidOrderClient, body: bytes, status: int) -> None:
    assert isinstance(placed(client, body, status), InDoubt)


def test_a_request_that_never_reached_the_engine_is_a_reject(client: HyperliquidOrderClient) -> None:
    assert placed(client, b"Failed to deserialize the JSON body", 422) == Reject(
        "422", "HTTP 422: Failed to deserialize the JSON body"
    )


def test_throttled(client: HyperliquidOrderClient) -> None:
    request = client.place(placement(), NOW)
    assert client.outcome(Answer(request, 429, b"", {"retry-after": "3"})) == Throttled(3.0, "HTTP 429: ")
    assert client.outcome(Answer(request, 429, b"", {"retry-after": "soon"})) == Throttled(10.0, "HTTP 429: ")
    text = "Too many cumulative requests sent (9 > 8) for cumulative volume traded $1."
    assert placed(client, err(text)) == Throttled(10.0, text, orders_only=True)


def test_waiting_orders_are_acknowledged(client: HyperliquidOrderClient) -> None:
    assert report(placed(client, ok("waitingForTrigger"))).state is OrderState.ACKNOWLEDGED


def test_cancels(client: HyperliquidOrderClient) -> None:
    def cancelled(body: bytes) -> Outcome:
        return client.outcome(Answer(client.cancel(BTC, CLOID, NOW), 200, body))

    found = report(cancelled(ok("success", "cancel")))
    assert (found.state, found.client_order_id, found.symbol) == (OrderState.CANCELLED, CLOID, "BTC/USDC:USDC")
    assert (found.quantity, found.filled_quantity) == (Decimal(0), Decimal(0))
    text = "Order was never placed, already canceled, or filled. asset=3"
    assert cancelled(ok({"error": text}, "cancel")) == NotThere(text)
    assert isinstance(cancelled(ok("perhaps", "cancel")), InDoubt)
    assert isinstance(cancelled(ok({"resting": {"oid": 1}}, "cancel")), InDoubt)


def test_a_cancel_by_the_exchanges_id_is_definite(client: HyperliquidOrderClient) -> None:
    request = client.cancel(BTC, CLOID, NOW, exchange_order_id="9")
    found = report(client.outcome(Answer(request, 200, ok("success", "cancel"))))
    assert (found.state, found.exchange_order_id, found.symbol) == (OrderState.CANCELLED, "9", "BTC/USDC:USDC")


def test_queries(client: HyperliquidOrderClient) -> None:
    def queried(body: Any, status: int = 200) -> Outcome:
        return client.outcome(Answer(client.query(BTC, CLOID, NOW), status, json.dumps(body).encode()))

    order = {
        "coin": "BTC",
        "side": "A",
        "limitPx": "100.0",
        "sz": "0.1",
        "origSz": "0.5",
        "oid": 9,
        "timestamp": MS,
        "orderType": "Limit",
        "cloid": CLOID,
    }
    found = report(queried({"status": "order", "order": {"order": order, "status": "open", "statusTimestamp": MS}}))
    assert (found.state, found.filled_quantity, found.side) == (OrderState.WORKING, Decimal("0.4"), Side.SELL)
    assert queried({"status": "unknownOid"}) == NotThere("unknownOid")
    assert isinstance(queried({"status": "order"}), InDoubt)
    assert isinstance(
        queried({"status": "order", "order": {"order": order, "status": "gone", "statusTimestamp": MS}}), InDoubt
    )
    assert isinstance(queried({}, 503), InDoubt)


def test_lists_of_orders_and_fills(client: HyperliquidOrderClient) -> None:
    def listed(request: Request, body: Any, status: int = 200) -> list[OrderReport | Fill | PageNeeded | Undecodable]:
        return list(client.reports(Answer(request, status, json.dumps(body).encode())))

    open_orders, fills = client.open_orders(NOW), client.fills_since(BTC, 0, NOW)
    order = {"coin": "BTC", "side": "B", "limitPx": "1", "sz": "1", "origSz": "1", "oid": 9, "timestamp": MS}
    assert [type(one) for one in listed(open_orders, [order, order])] == [OrderReport, OrderReport]
    assert listed(fills, []) == []
    for wrong in ("{}", "null", '[{"oid": 1}]'):
        with pytest.raises(MalformedFrame):
            listed(fills, json.loads(wrong))
    with pytest.raises(RateLimited):
        listed(fills, [], 429)
    with pytest.raises(Unreachable):
        listed(fills, [], 503)


@pytest.mark.parametrize("testnet", [False, True])
def test_a_subaccount_and_the_testnet_are_signed_for_as_the_sdk_does(testnet: bool) -> None:
    client = HyperliquidOrderClient(Keys(USER, KEY, "0x" + "CD" * 20, testnet), [BTC], Nonces(0))
    sent = json.loads(client.place(placement(), NOW).body)
    vault = "0x" + "cd" * 20
    assert sent["vaultAddress"] == vault
    expected = sdk.sign_l1_action(
        Account.from_key(KEY), sent["action"], vault, sent["nonce"], sent["expiresAfter"], not testnet
    )
    assert sent["signature"] == expected
    assert json.loads(client.open_orders(NOW).body)["user"] == vault


def test_a_probe_and_a_leverage_are_signed_as_the_sdk_does(client: HyperliquidOrderClient) -> None:
    for request, action in (
        (client.probe(NOW), {"type": "noop"}),
        (client.leverage(BTC, 5, NOW), {"type": "updateLeverage", "asset": 3, "isCross": True, "leverage": 5}),
    ):
        sent = json.loads(request.body)
        assert sent["action"] == action
        expected = sdk.sign_l1_action(Account.from_key(KEY), action, None, sent["nonce"], None, True)
        assert sent["signature"] == expected


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b'{"status":"ok","response":{"type":"default"}}', ""),
        (200, b'{"status":"err","response":"User or API Wallet 0x0 does not exist."}', "User or API Wallet"),
        (200, b"nonsense", "JSON"),
        (500, b"", "HTTP 500"),
        (429, b"", "HTTP 429"),
    ],
)
def test_why_a_probe_was_refused(client: HyperliquidOrderClient, status: int, body: bytes, why: str) -> None:
    refusal = client.refusal(Answer(client.probe(NOW), status, body))
    assert why in refusal
    assert bool(refusal) == bool(why)


def test_a_subaccount_that_is_no_address_is_refused_before_anything_is_signed() -> None:
    with pytest.raises(UsageError, match="must be an address"):
        HyperliquidOrderClient(Keys(USER, KEY, "savings"), [BTC], Nonces(0))
