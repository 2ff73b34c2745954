"""OKX's order client: what is sent, and how answers are read."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.domain import Ack, Fill, Liquidity, OrderReport, OrderState, OrderType, Placement, Side, TimeInForce
from neuroflux.errors import MalformedFrame, RateLimited, Refused
from neuroflux.exchanges.kit.events import PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.neuroflux.exchanges.kit.examples.okx import MS, envelope
from tests.neuroflux.exchanges.okx.listed import NOW, SPOT, SWAP, answer, client

TIME = int(MS) * 1000
ID = "nf" + "0a" * 15
ORDER = {
    "instType": "SWAP",
    "instId": SWAP.name,
    "ordId": "8001",
    "clOrdId": ID,
    "side": "sell",
    "ordType": "limit",
    "state": "live",
    "sz": "40",
    "accFillSz": "0",
    "px": "150.5",
    "avgPx": "",
    "uTime": MS,
    "tradeId": "",
    "cancelSource": "",
    "tgtCcy": "",
}
FILL = {
    "instType": "SPOT",
    "instId": SPOT.name,
    "tradeId": "78",
    "ordId": "8002",
    "clOrdId": ID,
    "billId": "9001",
    "fillPx": "150.5",
    "fillSz": "0.5",
    "side": "buy",
    "execType": "T",
    "fee": "-0.0005",
    "feeCcy": "SOL",
    "fillTime": MS,
    "ts": "1",
}
DAY = 86_400_000_000


def placement(one: Any, kind: OrderType, price: str, tif: TimeInForce, *, reduce_only: bool = False) -> Placement:
    return Placement(one, ID, Side.BUY, kind, Decimal("4.50"), Decimal(price), tif, reduce_only)


def sent(request: Request) -> Any:
    return json.loads(request.body)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_perpetual_is_sent_in_contracts_on_cross_margin() -> None:
    request = client().place(placement(SWAP, OrderType.LIMIT, "150.50", TimeInForce.GTC, reduce_only=True), NOW)
    assert (request.method, request.path, request.bucket) == ("POST", "/api/v5/trade/order", "orders SOL-USDT-SWAP")
    assert sent(request) == {
        "instId": "SOL-USDT-SWAP",
        "tdMode": "cross",
        "clOrdId": ID,
        "side": "buy",
        "sz": "45",
        "ordType": "limit",
        "px": "150.5",
        "reduceOnly": True,
    }


def test_spot_is_sent_in_coins_with_its_own_money() -> None:
    request = client().place(placement(SPOT, OrderType.LIMIT, "150.50", TimeInForce.GTC, reduce_only=True), NOW)
    wanted = {"instId": "SOL-USDT", "tdMode": "cash", "clOrdId": ID, "side": "buy", "sz": "4.5"}
    assert sent(request) == {**wanted, "ordType": "limit", "px": "150.5"}


def test_an_order_expires_before_it_counts_as_settled() -> None:
    one = client()
    request = one.place(placement(SPOT, OrderType.LIMIT, "1", TimeInForce.GTC), NOW)
    assert request.headers["expTime"] == str(NOW // 1000 + 5_000)
    assert one.settled_after > 5_000_000


@pytest.mark.parametrize(
    ("kind", "price", "tif", "wanted"),
    [
        (OrderType.LIMIT, "1", TimeInForce.GTC, {"ordType": "limit", "px": "1"}),
        (OrderType.LIMIT, "1", TimeInForce.IOC, {"ordType": "ioc", "px": "1"}),
        (OrderType.LIMIT, "1", TimeInForce.FOK, {"ordType": "fok", "px": "1"}),
        (OrderType.LIMIT, "1", TimeInForce.POST_ONLY, {"ordType": "post_only", "px": "1"}),
        (OrderType.MARKET, "1", TimeInForce.GTC, {"ordType": "ioc", "px": "1"}),
        (OrderType.MARKET, "0", TimeInForce.IOC, {"ordType": "market"}),
    ],
)
def test_the_terms_of_an_order(kind: OrderType, price: str, tif: TimeInForce, wanted: dict[str, Any]) -> None:
    body = sent(client().place(placement(SWAP, kind, price, tif), NOW))
    assert {key: body[key] for key in ("ordType", "px") if key in body} == wanted
    assert not {"tgtCcy", "banAmend"} & body.keys()


def test_a_spot_order_at_any_price_is_counted_in_the_base_and_never_cut() -> None:
    body = sent(client().place(placement(SPOT, OrderType.MARKET, "0", TimeInForce.IOC), NOW))
    assert (body["ordType"], body["tgtCcy"], body["banAmend"]) == ("market", "base_ccy", True)
    assert "px" not in body


def test_an_order_is_named_by_the_exchanges_id_where_it_is_known() -> None:
    one = client()
    assert sent(one.cancel(SPOT, ID, NOW)) == {"instId": "SOL-USDT", "clOrdId": ID}
    assert sent(one.cancel(SPOT, ID, NOW, "8")) == {"instId": "SOL-USDT", "ordId": "8"}
    assert one.query(SPOT, ID, NOW).path == f"/api/v5/trade/order?instId=SOL-USDT&clOrdId={ID}"
    assert one.query(SWAP, ID, NOW, "8").path == "/api/v5/trade/order?instId=SOL-USDT-SWAP&ordId=8"
    buckets = [one.cancel(SPOT, ID, NOW).bucket, one.query(SPOT, ID, NOW).bucket]
    assert buckets == ["cancels SOL-USDT", "queries"], "each is counted apart, and cancels by instrument"


def test_old_fills_are_in_another_list() -> None:
    one, since = client(), (NOW - DAY) // 1000
    recent = one.fills_since(SWAP, NOW - DAY, NOW).path
    assert recent == f"/api/v5/trade/fills?instType=SWAP&instId=SOL-USDT-SWAP&begin={since}&limit=100"
    old = one.fills_since(SPOT, NOW - 20 * DAY, NOW)
    assert old.path.startswith("/api/v5/trade/fills-history?instType=SPOT&instId=SOL-USDT&begin=")
    assert old.bucket == "fills-history"


def test_leverage_is_of_perpetuals_alone() -> None:
    request = client().leverage(SWAP, 3, NOW)
    assert request.path == "/api/v5/account/set-leverage"
    assert sent(request) == {"instId": "SOL-USDT-SWAP", "lever": "3", "mgnMode": "cross"}
    with pytest.raises(Refused):
        client().leverage(SPOT, 3, NOW)


def test_client_ids_have_32_letters_and_digits() -> None:
    made = client().client_order_id("order", 1, 2)
    assert len(made) == 32
    assert made.isalnum()


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_that_is_taken_is_acknowledged_in_coins() -> None:
    one = client()
    request = one.place(placement(SWAP, OrderType.LIMIT, "150.5", TimeInForce.GTC), NOW)
    row = {"ordId": "8001", "clOrdId": ID, "tag": "", "ts": MS, "sCode": "0", "sMsg": ""}
    assert one.outcome(answer(envelope(row), request)) == Ack(
        OrderReport(
            "okx",
            "SOL/USDT:USDT",
            ID,
            "8001",
            Side.BUY,
            OrderType.LIMIT,
            Decimal("150.5"),
            Decimal("4.5"),
            Decimal(0),
            Decimal(0),
            OrderState.ACKNOWLEDGED,
            "",
            TIME,
        )
    )


def test_an_accepted_cancellation_is_not_yet_a_cancelled_order() -> None:
    one = client()
    row = {"ordId": "8001", "clOrdId": ID, "ts": MS, "sCode": "0", "sMsg": ""}
    outcome = one.outcome(answer(envelope(row), one.cancel(SWAP, ID, NOW)))
    assert isinstance(outcome, Ack)
    report = outcome.report
    assert (report.client_order_id, report.exchange_order_id, report.state.final) == (ID, "8001", False)


def asked(**fields: str) -> OrderReport:
    one = client()
    outcome = one.outcome(answer(envelope(ORDER | fields), one.query(SWAP, ID, NOW)))
    assert isinstance(outcome, Ack), outcome
    return outcome.report


def test_a_query_has_the_order_in_coins() -> None:
    assert asked(accFillSz="10", avgPx="150.4", state="partially_filled") == OrderReport(
        "okx",
        "SOL/USDT:USDT",
        ID,
        "8001",
        Side.SELL,
        OrderType.LIMIT,
        Decimal("150.5"),
        Decimal("4.0"),
        Decimal("1.0"),
        Decimal("150.4"),
        OrderState.WORKING,
        "",
        TIME,
    )


@pytest.mark.parametrize(
    ("fields", "state", "reason"),
    [
        ({"state": "live"}, OrderState.ACKNOWLEDGED, ""),
        ({"state": "live", "accFillSz": "1"}, OrderState.WORKING, ""),
        ({"state": "partially_filled"}, OrderState.WORKING, ""),
        ({"state": "filled"}, OrderState.FILLED, ""),
        ({"state": "canceled", "cancelSource": "1"}, OrderState.CANCELLED, "cancelSource 1"),
        ({"state": "canceled", "cancelSource": ""}, OrderState.CANCELLED, ""),
        ({"state": "mmp_canceled"}, OrderState.CANCELLED, ""),
        ({"state": "canceled", "cancelSource": "14"}, OrderState.EXPIRED, "did not match"),
        ({"state": "canceled", "cancelSource": "13"}, OrderState.EXPIRED, "fill-or-kill"),
        ({"state": "canceled", "cancelSource": "31"}, OrderState.REJECTED, "post-only"),
        ({"state": "canceled", "cancelSource": "32"}, OrderState.CANCELLED, "same account"),
        ({"state": "hibernated"}, OrderState.WORKING, "unknown status 'hibernated'"),
    ],
)
def test_the_states_of_an_order(fields: dict[str, str], state: OrderState, reason: str) -> None:
    report = asked(**fields)
    assert report.state is state
    assert reason in report.reason
    assert bool(reason) == bool(report.reason)


def test_an_average_that_is_not_reported_is_not_known() -> None:
    assert asked(accFillSz="1", avgPx="").average_price is None
    assert asked(accFillSz="0", avgPx="").average_price == 0


def test_a_size_in_the_quote_is_no_quantity() -> None:
    spot = {"instType": "SPOT", "instId": SPOT.name, "ordType": "market", "px": "", "sz": "100", "accFillSz": "0.5"}
    assert asked(**spot, tgtCcy="quote_ccy").quantity == Decimal("0.5")
    assert asked(**spot, tgtCcy="base_ccy").quantity == Decimal(100)


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_open_orders_of_other_products_are_left_out() -> None:
    one = client()
    others = [
        ORDER | {"instType": kind, "instId": name}
        for kind, name in (("FUTURES", "SOL-USDT-270101"), ("MARGIN", "SOL-USDT"), ("SWAP", "SOL-USD-SWAP"))
    ]
    found = one.reports(answer(envelope(*others, ORDER), one.open_orders(NOW)))
    assert [report.symbol for report in found if isinstance(report, OrderReport)] == ["SOL/USDT:USDT"]
    assert len(found) == 1


def test_an_order_whose_contract_is_not_known_is_no_record() -> None:
    one = client()
    with pytest.raises(MalformedFrame, match="NEW-USDT-SWAP"):
        one.reports(answer(envelope(ORDER | {"instId": "NEW-USDT-SWAP"}), one.open_orders(NOW)))


def test_fills_have_fees_of_any_asset_and_rebates_are_negative() -> None:
    one = client()
    rebate = FILL | {"tradeId": "79", "fee": "0.01", "feeCcy": "USDT", "execType": "M", "side": "sell"}
    bought, sold = one.reports(answer(envelope(FILL, rebate), one.fills_since(SPOT, NOW - DAY, NOW)))
    names = ("", "okx", "SOL/USDT", ID, "8002")
    assert bought == Fill(
        *names,
        "78",
        Side.BUY,
        Decimal("150.5"),
        Decimal("0.5"),
        Decimal("0.0005"),
        "SOL",
        Liquidity.TAKER,
        TIME,
        "SOL-USDT",
    )
    assert isinstance(sold, Fill)
    assert (sold.fee, sold.fee_asset, sold.liquidity) == (Decimal("-0.01"), "USDT", Liquidity.MAKER)


def test_a_fill_of_a_perpetual_is_in_coins() -> None:
    one = client()
    row = FILL | {"instType": "SWAP", "instId": SWAP.name, "fillSz": "15"}
    (fill,) = one.reports(answer(envelope(row), one.fills_since(SWAP, NOW - DAY, NOW)))
    assert isinstance(fill, Fill)
    assert fill.quantity == Decimal("1.5")


def test_a_full_page_is_followed_by_what_is_older() -> None:
    one = client()
    request = one.fills_since(SPOT, NOW - DAY, NOW)
    many = [FILL | {"tradeId": str(at), "billId": str(9000 - at)} for at in range(100)]
    *fills, more = one.reports(answer(envelope(*many), request))
    assert len(fills) == 100
    assert isinstance(more, PageNeeded)
    assert more.request.path == f"{request.path}&after=8901"
    assert more.request.bucket == request.bucket
    assert more.request.headers["OK-ACCESS-SIGN"] != request.headers["OK-ACCESS-SIGN"]
    assert not [x for x in one.reports(answer(envelope(*many[:99]), request)) if isinstance(x, PageNeeded)]
    orders = [ORDER | {"ordId": str(9000 - at)} for at in range(100)]
    *_, more = one.reports(answer(envelope(*orders), one.open_orders(NOW)))
    assert isinstance(more, PageNeeded)
    assert more.request.path == "/api/v5/trade/orders-pending?limit=100&after=8901"


def test_a_bad_row_costs_itself() -> None:
    one = client()
    found = one.reports(answer(envelope(FILL | {"fillSz": "x"}, FILL), one.fills_since(SPOT, NOW - DAY, NOW)))
    assert [type(row) for row in found] == [Fill, Undecodable]


def test_an_empty_list_is_one_and_a_refused_one_is_none() -> None:
    one = client()
    assert one.reports(answer(envelope(), one.open_orders(NOW))) == []
    with pytest.raises(Refused, match="50113"):
        one.reports(answer(envelope(code="50113", msg="Invalid Sign"), one.open_orders(NOW), 401))
    with pytest.raises(RateLimited) as limited:
        one.reports(answer(envelope(code="50011", msg="Too many"), one.open_orders(NOW)))
    assert limited.value.retry_after == 2.0
    with pytest.raises(MalformedFrame):
        one.reports(Answer(one.open_orders(NOW), 200, b"<html>"))


def test_a_probe_says_why_a_key_is_refused() -> None:
    one = client()
    good = envelope({"acctLv": "2", "posMode": "net_mode"})
    assert one.refusal(answer(good, one.probe(NOW))) == ""
    assert "50111" in one.refusal(answer(envelope(code="50111", msg="Invalid OK-ACCESS-KEY"), one.probe(NOW), 401))
    leverage = one.leverage(SWAP, 100, NOW)
    assert "59102" in one.refusal(answer(envelope(code="59102", msg="Leverage exceeds"), leverage))
