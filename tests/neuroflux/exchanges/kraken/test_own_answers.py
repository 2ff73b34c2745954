"""The second reader of Kraken's own answers, and that it names things as the adapter does."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.kit.own_answers import OwnBalance, OwnFill, OwnOrder, OwnTop, following
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.exchanges.kraken.exchange import Kraken
from neuroflux.exchanges.kraken.limits import AUDIT
from neuroflux.exchanges.kraken.names import Pairs
from neuroflux.exchanges.kraken.orders import fill_of, fills_in
from neuroflux.exchanges.kraken.own_answers import OWN
from neuroflux.exchanges.kraken.rest import asked, part, result_of
from tests.neuroflux.exchanges.kraken.listed import KEYS, NOW, PAIRS, answer, instruments, refused, result

D = Decimal
ORDER: Final = {
    "status": "open",
    "cl_ord_id": "mine",
    "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "64000.0"},
    "vol": "0.4",
    "vol_exec": "0.1",
}
FILL: Final = {
    "ordertxid": "O1",
    "pair": "XXBTZUSD",
    "time": 1_759_999_000.25,
    "type": "sell",
    "price": "64000.0",
    "vol": "0.1",
    "fee": "16.0",
}
ANSWERS: Final[dict[str, Any]] = {
    "assets": {"XXBT": {"altname": "XBT"}, "ZUSD": {"altname": "USD"}, "XXDG": {"altname": "XDG"}},
    "account": {"XXBT": {"balance": "1.5", "hold_trade": "0.5"}, "XXDG": {"balance": 3, "hold_trade": 0}},
    "pairs": {"XXBTZUSD": PAIRS["XXBTZUSD"]},
    "open": {"open": {"O1": ORDER}},
    "closed": {"closed": {"O2": ORDER | {"status": "expired", "cl_ord_id": None}}, "count": 1},
    "trades": {"trades": {"T1": FILL, "T2": FILL | {"pair": "ADAXBT"}}, "count": 2},
}


def answers(**changed: Any) -> list[Answer]:
    requests = [
        *OWN.account_requests(KEYS, NOW),
        *OWN.history_requests(KEYS, ["XXBTZUSD"], NOW - 60_000_000, NOW),
    ]
    return [answer(one, result({**ANSWERS, **changed}[one.tag])) for one in requests]


def test_an_account_is_read_under_the_adapters_names() -> None:
    own = OWN.account(answers())
    assert own.balances == {"BTC": OwnBalance(D("1.5"), D("1.0"), D("0.5")), "DOGE": OwnBalance(D(3), D(3), D(0))}
    assert own.positions == {}
    assert own.orders == {
        "mine": OwnOrder("XXBTZUSD", "O1", "buy", D("0.4"), D("0.1"), "open"),
        "O2": OwnOrder("XXBTZUSD", "O2", "buy", D("0.4"), D("0.1"), "ended"),
    }
    fill = OwnFill("XXBTZUSD", "O1", "sell", D(64000), D("0.1"), D(16), "USD", 1_759_999_000_250_000)
    assert own.fills == {("XXBTZUSD", "T1", "sell"): fill}
    listed = fills_in(part(result_of(result(ANSWERS["trades"])), "trades"))
    ours = fill_of(listed.good[0], Pairs(instruments()))
    assert (ours.name, ours.trade_id, ours.side.value) == ("XXBTZUSD", "T1", "sell")
    assert (ours.fee_asset, ours.event_time) == (fill.fee_asset, fill.time)


def test_a_list_is_read_to_its_end() -> None:
    requests = OWN.history_requests(KEYS, ["A"], NOW, NOW)
    lists = {name: {**ANSWERS[name], "count": len(ANSWERS[name][name]) + 1} for name in ("closed", "trades")}
    pages = [answer(one, result(lists[one.tag])) for one in requests if one.tag in lists]
    further = following(OWN, KEYS, pages, NOW)
    assert [(one.path, one.tag, one.weight, one.bucket) for one in further] == [
        ("/0/private/ClosedOrders", "closed", 1, AUDIT),
        ("/0/private/TradesHistory", "trades", 2, AUDIT),
    ]
    assert [asked(one)["ofs"] for one in further] == [str(len(ANSWERS[name][name])) for name in lists]
    assert following(OWN, KEYS, [answer(one, result(lists[one.tag])) for one in further], NOW) == []


def test_what_is_signed_counts_in_the_audits_share() -> None:
    requests = [*OWN.account_requests(KEYS, NOW), *OWN.history_requests(KEYS, ["A", "B"], NOW, NOW)]
    assert {one.bucket for one in requests if one.sign is not None} == {AUDIT}
    assert {one.bucket for one in requests if one.sign is None} == {""}
    assert AUDIT in Kraken.BUCKETS
    assert {one.tag: one.weight for one in requests}["trades"] == 2
    assert asked(requests[-1]) == {"start": "1759999999", "consolidate_taker": "false"}
    assert requests[2].path == "/0/public/AssetPairs?pair=A,B"
    assert len(OWN.history_requests(KEYS, [], NOW, NOW)) == 1


def test_an_error_is_no_empty_account() -> None:
    asked_for = OWN.account_requests(KEYS, NOW)
    with pytest.raises(Refused, match="EAPI:Invalid key"):
        OWN.account([answer(one, refused("EAPI:Invalid key")) for one in asked_for])
    with pytest.raises(MalformedFrame):
        OWN.account([answer(one, json.dumps({"error": [], "result": {"X": 1}}).encode()) for one in asked_for])


def test_the_best_prices_of_several_pairs_are_one_request() -> None:
    (request,) = OWN.top_requests(["XXBTZUSD", "ETHCHF"])
    assert request.path == "/0/public/Ticker?pair=XXBTZUSD,ETHCHF"
    books = {"XXBTZUSD": {"a": ["64001.0", "1", "1.000"], "b": ["64000.0", "1", "1.000"]}, "ETHCHF": {"a": [], "b": []}}
    assert OWN.tops([answer(request, result(books))]) == {"XXBTZUSD": OwnTop(D("64000.0"), D("64001.0"))}
    with pytest.raises(MalformedFrame):
        OWN.tops([answer(request, result({"XXBTZUSD": {"a": 1}}))])
    assert OWN.top_requests([]) == ()
