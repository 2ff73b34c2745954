"""``decode``: each line of input, even an invalid one, causes at least one line, and none ends the decoding."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.domain import Balance
from neuroflux.exchanges.decode import RAISED, Decoding, decode_lines
from neuroflux.exchanges.decoded_lines import fields_of, written
from neuroflux.exchanges.kit.events import FeedEvent

EXCHANGES = ("binance", "binanceusdm", "hyperliquid", "coinbase")
CLOID = "0x" + "1f" * 16


def decoded(exchange: str, *lines: Any) -> list[dict[str, Any]]:
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    return [json.loads(text) for text in decode_lines(exchange, texts)]


def ws(raw: Any, **more: Any) -> dict[str, Any]:
    return {"dir": "ws", "raw": raw if isinstance(raw, str) else json.dumps(raw), **more}


def rest(raw: Any, **more: Any) -> dict[str, Any]:
    return ws(raw, **more) | {"dir": "rest"}


TIMES: list[Any] = ["nan", "Infinity", 1e300, -5, True, [], {"a": 1}]
WAYS: list[Any] = ["", "up", 7, None, []]
LINES: list[Any] = [
    *("nonsense", "null", "7", '"text"', "[]", "{}", "[" * 100_000, "1e999999999", '{"raw":7}', '{"raw":null}'),
    *('{"raw":"x","ts_recv":NaN}', "\ud800", '{"raw":"\\ud800"}', "9" * 10_000, '{"raw":"x","a":' + "9" * 10_000 + "}"),
    *(
        ws(raw)
        for raw in ("", "x", "null", "[]", "{}", "[[]]", "[" * 100_000, '{"e":"trade"}', "1e999999999", "9" * 9999)
    ),
    *(rest(raw) for raw in ("", "x", "null", "[]", "{}", '{"code":-1}', "{" * 100_000, '"unifiedAccount"')),
    *(ws({}, ts_recv=time) for time in TIMES),
    *(rest({}, url=url) for url in ("http://[", "//[::1", "\x00", 7, None, "/api/v3/depth?symbol=%ff", "?" * 5000)),
    *(rest({}, status=status) for status in (0, 200.5, "400", 418, 429, 503, 10**30, None, -1)),
    *(rest({}, tag=tag) for tag in ("place", "cancel", "query", "order limit", "userFills", "depth", 7, None)),
    *(rest({}, method=method) for method in ("PUT", "DELETE", 7, None)),
    *({"raw": "{}", "dir": way} for way in WAYS),
    rest({"symbols": [{"symbol": 7}]}),
    rest({"universe": [7, {"name": "X", "szDecimals": 10**9}], "tokens": [7]}),
    ws({"channel": "userFills", "data": {"fills": "x" * 3_000_000}}),
]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_line_causes_a_line(exchange: str) -> None:
    decoding = Decoding(exchange, 20)
    for number, line in enumerate(LINES, start=1):
        text = line if isinstance(line, str) else json.dumps(line)
        lines = [json.loads(one) for one in decoding.line(number, text)]
        assert lines, text[:200]
        assert {one["line"] for one in lines} == {number}
        assert all(one["type"] for one in lines)
        assert not any(RAISED in one.get("reason", "") for one in lines), (text[:200], lines)


def test_blank_lines_are_no_input_but_are_counted() -> None:
    assert [one["line"] for one in decoded("binance", "\n", "  \t\r\n", "x")] == [3]


@pytest.mark.parametrize("number", ["1e999999999", "-1e-999999999", "NaN", "Infinity", "9" * 500])
def test_numbers_of_any_size_are_written(number: str) -> None:
    decoding = Decoding("hyperliquid", 20)
    state = {
        "marginSummary": {"accountValue": number, "totalMarginUsed": number},
        "crossMarginSummary": {"accountValue": number, "totalMarginUsed": number},
        "withdrawable": number,
        "assetPositions": [],
    }
    (line,) = decoding.line(1, json.dumps(rest(state)))
    assert json.loads(line)["type"] == "error"


def test_a_number_too_long_to_write_out_keeps_its_exponent() -> None:
    huge, zero = Decimal("1E+999999999"), Decimal(0)
    fields = fields_of(Balance("x", "X", huge, Decimal("1E-8"), zero, zero, 1), 1)
    assert (fields["free"], fields["in_orders"]) == ("1E+999999999", "0.00000001")


def test_what_json_can_not_hold_is_an_error_of_its_line() -> None:
    assert json.loads(written(3, {"type": "trade", "event_time": 10**5000}))["type"] == "error"
    assert json.loads(written(3, {"type": "trade", "symbol": "\ud800"}))["line"] == 3


def test_an_adapter_that_raises_does_not_end_the_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = Decoding("binance", 20)

    class Broken:
        exchange = "binance"

        def frame(self, *_: object) -> list[FeedEvent]:
            raise KeyError("x")

    monkeypatch.setattr(decoding, "_feeds", (Broken(),))
    (line,) = decoding.line(1, json.dumps(ws({})))
    assert json.loads(line) == {"line": 1, "type": "error", "reason": f"{RAISED} KeyError: 'x'"}


def test_deposits_and_withdrawals_are_written_with_the_exchanges_own_type() -> None:
    moved = {"e": "balanceUpdate", "E": 1573200697110, "a": "BTC", "d": "100.00000000", "T": 1573200697068}
    income = {"incomeType": "TRANSFER", "income": "-0.375", "asset": "USDT", "time": 1570608000000, "tranId": 96}
    sent = {"type": "internalTransfer", "usdc": "5.0", "user": "0xab", "destination": "0xcd", "fee": "1.0"}
    update = {"time": 1724762307531, "hash": "0x62", "delta": sent}
    ledger = {"channel": "userNonFundingLedgerUpdates", "data": {"user": "0xAB", "nonFundingLedgerUpdates": [update]}}
    for exchange, line, expected in (
        ("binance", ws(moved), ("BTC", "100.00000000", "balanceUpdate")),
        ("binanceusdm", rest([income], url="/fapi/v1/income"), ("USDT", "-0.375", "TRANSFER")),
        ("hyperliquid", ws(ledger), ("USDC", "-6.0", "internalTransfer")),
    ):
        (only,) = decoded(exchange, line)
        assert only["type"] == "transfer"
        assert (only["asset"], only["quantity"], only["reason"]) == expected


def test_a_diff_that_waits_for_its_snapshot_is_ignored_with_that_reason() -> None:
    diff = {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 5, "u": 7, "b": [], "a": []}
    first, second = decoded("binance", ws(diff), ws(diff | {"U": 8, "u": 9}))
    assert first["type"] == second["type"] == "ignored"
    assert "waits for its snapshot" in first["reason"]


@pytest.mark.parametrize(
    ("exchange", "frame"),
    [
        ("hyperliquid", {"channel": "userFills", "data": {"fills": [{"coin": "BTC"}]}}),
        ("hyperliquid", {"channel": "orderUpdates", "data": {}}),
        ("hyperliquid", {"channel": "clearinghouseState", "data": {"dex": "", "clearinghouseState": {}}}),
        ("binanceusdm", {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": {"s": 7}}),
        ("binance", {"e": "executionReport", "E": 1, "s": "BTCUSDT", "x": 7}),
    ],
)
def test_an_unreadable_private_frame_is_an_error(exchange: str, frame: Any) -> None:
    assert [one["type"] for one in decoded(exchange, ws(frame))] == ["error"]


def test_faults_of_a_list_are_statuses() -> None:
    meta = {"universe": [{"name": "BTC", "szDecimals": 5}, {"name": "ODD"}]}
    listed, fault = decoded("hyperliquid", rest(meta))
    assert listed["type"] == "ignored"
    assert (fault["type"], fault["kind"]) == ("status", "malformed")
    assert "ODD" in fault["detail"]


def test_a_new_list_names_what_follows_it_and_keeps_all_state() -> None:
    position = {"position": {"coin": "BTC", "szi": "1", "unrealizedPnl": "0", "entryPx": "9"}}
    sums = {"accountValue": "1", "totalMarginUsed": "0"}
    state = {"assetPositions": [position], "crossMarginSummary": sums, "withdrawable": "1", "time": 5}
    meta = {"universe": [{"name": "BTC", "szDecimals": 5}]}
    events = decoded("hyperliquid", rest(state), rest(meta), rest(state | {"assetPositions": []}))
    positions = [one for one in events if one["type"] == "position"]
    assert [(one["symbol"], one["quantity"]) for one in positions] == [("BTC", "1"), ("BTC/USDC:USDC", "0")]


def refused(text: str) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"error": text}]}}}


@pytest.mark.parametrize(
    ("line", "kind", "more"),
    [
        (rest(refused("Too many cumulative requests sent"), tag="order limit"), "limited", {"orders_only": True}),
        (rest(refused("Price must be divisible by tick size."), tag="place"), "rejected", {"code": "tickRejected"}),
        (rest(refused("Order was never placed, already canceled, or filled."), tag="cancel"), "not_there", {}),
        (rest("", tag="place", status=503), "in_doubt", {}),
        (rest({"status": "err", "response": "Duplicate cloid"}, tag="place", url="/exchange"), "in_doubt", {}),
        (rest(refused("Internal error"), tag="cancel"), "in_doubt", {}),
        (rest("", url="/exchange", status=429), "limited", {"retry_after": 10.0}),
        (rest({"status": "unknownOid"}, tag="orderStatus", url="/info"), "not_there", {}),
        (rest({"status": "unknownOid"}, tag="query"), "not_there", {}),
    ],
)
def test_the_answer_to_an_order_decides_its_outcome(line: Any, kind: str, more: dict[str, Any]) -> None:
    (status,) = decoded("hyperliquid", line)
    assert (status["type"], status["channel"], status["kind"]) == ("status", "order", kind)
    assert status["reason"] == status["detail"]
    assert more.items() <= status.items()


def test_an_order_that_only_its_request_explains_is_not_in_doubt() -> None:
    accepted = {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 7}}]}}}
    assert [one["type"] for one in decoded("hyperliquid", rest(accepted, tag="order limit"))] == ["ignored"]


def test_an_order_that_is_found_is_written() -> None:
    order = {"coin": "BTC", "side": "A", "limitPx": "1", "sz": "1", "origSz": "3", "oid": 9, "timestamp": 7}
    body = {"status": "order", "order": {"order": order, "status": "open", "statusTimestamp": 8}}
    (line,) = decoded("hyperliquid", rest(body, tag="query"))
    assert (line["type"], line["state"], line["filled_quantity"], line["average_price"]) == (
        "order",
        "working",
        "2",
        None,
    )


def test_the_next_page_is_named() -> None:
    fill = {"coin": "BTC", "side": "A", "px": "1", "sz": "1", "time": 7, "oid": 1, "crossed": True, "fee": "0"}
    rows = [fill | {"startPosition": "0", "tid": number} for number in range(1, 2001)]
    *fills, page = decoded("hyperliquid", rest(rows, tag="userFills", url="/info userFillsByTime"))
    assert len(fills) == 2000
    assert page["type"] == "ignored"
    assert "next page" in page["reason"]
    assert '"startTime":7' in page["reason"]


BANNED = {"code": -1003, "msg": "IP banned until 1796083201000."}


@pytest.mark.parametrize("exchange", ["binance", "binanceusdm"])
@pytest.mark.parametrize("path", ["/api/v3/account", "/api/v3/exchangeInfo", "/api/v3/depth"])
def test_after_a_ban_the_wait_is_written(exchange: str, path: str) -> None:
    held, *_ = decoded(exchange, rest(BANNED, url=path, status=418, ts_recv=1796083101))
    assert (held["type"], held["kind"], held["retry_after"]) == ("status", "limited", 100.0)


def test_a_ban_on_the_private_stream_is_written_and_its_end() -> None:
    error = {**BANNED, "data": {"serverTime": 1796083191000, "retryAfter": 1796083201000}}
    held, ended = decoded("binance", ws({"id": "account", "status": 418, "error": error}, ts_recv=1796083191))
    assert (held["kind"], held["retry_after"], ended["kind"]) == ("limited", 10.0, "disconnected")


@pytest.mark.parametrize("body", [{}, {"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": "nf1", "transactTime": 1}])
@pytest.mark.parametrize("tag", ["place", "cancel"])
def test_an_answer_to_an_order_without_its_state_leaves_it_in_doubt(tag: str, body: Any) -> None:
    (line,) = decoded("binance", rest(body, tag=tag, url="/api/v3/order"))
    assert (line["type"], line["kind"]) == ("status", "in_doubt")


def test_a_book_with_retail_orders_changes_no_book() -> None:
    diff = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [["9", "1"]], "a": []}
    (line,) = decoded("binanceusdm", ws({"stream": "btcusdt@rpiDepth@500ms", "data": diff}))
    assert line["type"] == "ignored"
