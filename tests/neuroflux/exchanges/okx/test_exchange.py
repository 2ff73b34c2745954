"""OKX as an exchange: what is listed, addresses, limits, times and the rights of a key."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.errors import MalformedFrame, NeuroFluxError, RateLimited, Refused, Unreachable
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Request, Usage, declared_as
from neuroflux.exchanges.okx.exchange import Okx
from tests.neuroflux.exchanges.kit.examples.okx import MS, OKX, envelope
from tests.neuroflux.exchanges.okx.listed import KEYS, NOW, SPOT, SWAP, account, answer, client

SPOT_ROW, SWAP_ROW = (body["data"][0] for body in OKX.lists)
PLACE = Request("POST", "/api/v5/trade/order", tag="place")


def listing(*rows: dict[str, Any], now: int = NOW) -> Listing:
    return Okx().listing([Answer(Request("GET", "/x"), 200, answer(envelope(*rows)).body, received_at=now)])


def only(*rows: dict[str, Any], now: int = NOW) -> Instrument:
    (one,) = listing(*rows, now=now).instruments
    return one


def test_keeps_the_protocol() -> None:
    exchange: Exchange = Okx()
    assert exchange.ID == "okx"


def test_both_kinds_are_requested() -> None:
    paths = [one.path for one in Okx().instruments_requests()]
    assert paths == [f"/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "SWAP")]


def test_a_spot_pair() -> None:
    assert (
        Instrument(
            exchange="okx",
            symbol="SOL/USDT",
            market="SOL/USD",
            name="SOL-USDT",
            base="SOL",
            quote="USDT",
            kind=InstrumentKind.SPOT,
            tick_size=Decimal("0.01"),
            quantity_step=Decimal("0.001"),
            min_quantity=Decimal("0.01"),
            max_quantity=Decimal(99999),
            taker_fee=Decimal("0.001"),
            maker_fee=Decimal("0.0008"),
            asset_id=101,
        )
        == SPOT
    )


def test_a_perpetual_has_its_steps_in_coins() -> None:
    one = only(SWAP_ROW | {"lotSz": "0.1", "minSz": "2", "maxLmtSz": "1000"})
    assert (one.symbol, one.market, one.name, one.settle) == ("SOL/USDT:USDT", "SOL/USD", "SOL-USDT-SWAP", "USDT")
    assert one.contract_size == Decimal("0.1")
    assert (one.quantity_step, one.min_quantity, one.max_quantity) == (Decimal("0.01"), Decimal("0.2"), Decimal(100))
    assert (one.taker_fee, one.maker_fee, one.asset_id) == (Decimal("0.0005"), Decimal("0.0002"), 102)


def test_a_contract_is_multiplied() -> None:
    assert only(SWAP_ROW | {"ctMult": "10"}).contract_size == Decimal(1)


def test_a_perpetual_in_usdc() -> None:
    one = only(SWAP_ROW | {"instId": "SOL-USDC-SWAP", "settleCcy": "USDC"})
    assert (one.symbol, one.quote, one.settle) == ("SOL/USDC:USDC", "USDC", "USDC")


def test_a_thousand_is_a_multiplier() -> None:
    one = only(SWAP_ROW | {"instId": "1000SATS-USDT-SWAP", "ctValCcy": "1000SATS"})
    assert (one.symbol, one.base, one.multiplier) == ("1000SATS/USDT:USDT", "SATS", 1000)


@pytest.mark.parametrize(
    "row",
    [
        SWAP_ROW | {"instId": "BTC-USD-SWAP", "ctType": "inverse", "settleCcy": "BTC", "ctValCcy": "USD"},
        SWAP_ROW | {"instId": "BTC-USD_UM-SWAP", "settleCcy": "USDC"},
        SWAP_ROW | {"settleCcy": "USDG", "instId": "SOL-USDG-SWAP"},
        SWAP_ROW | {"instType": "FUTURES", "instId": "SOL-USDT-270101"},
        SPOT_ROW | {"instType": "MARGIN"},
        SPOT_ROW | {"instType": "EVENTS"},
    ],
)
def test_what_is_not_offered_is_left_out_silently(row: dict[str, Any]) -> None:
    assert listing(row, SPOT_ROW) == Listing((SPOT,))


@pytest.mark.parametrize(("state", "active"), [("live", True), ("suspend", False), ("preopen", False), ("test", False)])
def test_only_what_is_live_is_active(state: str, active: bool) -> None:
    assert only(SPOT_ROW | {"state": state}).active is active
    assert listing(SPOT_ROW | {"state": state}).faults == ()


def test_an_unknown_state_is_reported() -> None:
    found = listing(SPOT_ROW | {"state": "dozing"})
    assert not found.instruments[0].active
    assert "unknown status 'dozing'" in found.faults[0]


def test_a_perpetual_that_ends_within_a_day_is_only_closed() -> None:
    ends = {"expTime": str(NOW // 1000 + 3_600_000)}
    assert only(SWAP_ROW | ends).closing_only
    assert not only(SWAP_ROW | ends, now=NOW - 2 * 86_400_000_000).closing_only
    assert "is delisted at 2026-11-28 13:00 UTC" in listing(SWAP_ROW | ends).faults[0]


@pytest.mark.parametrize(
    "bad",
    [
        SWAP_ROW | {"ctVal": ""},
        SWAP_ROW | {"ctVal": "0"},
        SWAP_ROW | {"ctVal": "1e999999"},
        SPOT_ROW | {"tickSz": "x"},
        SPOT_ROW | {"lotSz": "-1"},
        {"instId": "SOL-USDT", "instType": "SPOT"},
    ],
)
def test_only_a_bad_row_is_left_out_and_it_is_named(bad: dict[str, Any]) -> None:
    found = listing(bad, SPOT_ROW)
    assert found.instruments == (SPOT,)
    assert bad["instId"] in found.faults[0]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"code":"0","data":{}}', b'{"code":"0","data":[{"ccy":"X"}]}'])
def test_what_is_no_list_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        Okx().listing([Answer(Request("GET", "/x"), 200, body)])


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (200, "50011", RateLimited),
        (429, "50011", RateLimited),
        (429, "50013", Refused),
        (400, "51000", Refused),
        (200, "51000", Refused),
        (401, "50113", Refused),
        (503, "50001", Unreachable),
        (0, "50001", Unreachable),
    ],
)
def test_a_bad_answer_is_an_error_of_its_kind(status: int, code: str, error: type[NeuroFluxError]) -> None:
    with pytest.raises(error):
        Okx().server_time(answer(envelope(code=code, msg="no"), status=status))


def test_server_time() -> None:
    assert Okx().server_time(answer(envelope({"ts": MS}))) == int(MS) * 1000
    for wrong in (envelope(), envelope({"ts": "x"}), envelope({"ts": MS}, {"ts": MS}), {"ts": MS}):
        with pytest.raises(MalformedFrame):
            Okx().server_time(answer(wrong))


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_bucket_that_is_named_is_declared() -> None:
    feed, one, everything = account(), client(), [*Okx().instruments_requests(), Okx().TIME]
    everything += [*feed.resync(NOW - 1, NOW), *feed.opening(NOW), *feed.fees([SPOT.symbol], NOW)]
    everything += [*feed.transfers(NOW - 1, NOW), *feed.transfers(0, NOW), one.leverage(SWAP, 2, NOW), one.probe(NOW)]
    everything += [one.fills_since(SPOT, 0, NOW), one.fills_since(SPOT, NOW, NOW), one.query(SPOT, "a", NOW)]
    everything += [one.cancel(SPOT, "a", NOW), one.open_orders(NOW)]
    assert {declared_as(request.bucket) for request in everything} <= Okx.BUCKETS.keys()


def test_a_limit_of_new_orders_holds_these_alone() -> None:
    limited = envelope(code="50061", msg="too many")
    assert Okx().usage(answer(limited, PLACE)) == Usage(is_full=True)
    assert Okx().usage(answer(limited, PLACE, 429)) == Usage(is_full=True)
    assert Okx().usage(answer(envelope(code="50011"), Request("GET", "/x"))) == Usage(wait=2.0)
    assert Okx().usage(answer(envelope(code="50013"), PLACE, 429)) == Usage()
    assert Okx().usage(answer(envelope(), PLACE)) == Usage()


@pytest.mark.parametrize("status", [403, 429])
def test_a_ban_holds_everything_for_minutes(status: int) -> None:
    for request in (PLACE, Request("GET", "/x")):
        wait = Okx().usage(answer("<html>", request, status)).wait
        assert wait is not None
        assert wait >= 60


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rights(**config: str) -> bool | None:
    question = Okx().key_question(KEYS, NOW)
    assert question is not None
    assert (question.at, question.request.path) == ("okx", "/api/v5/account/config")
    row = {"acctLv": "2", "posMode": "net_mode", **config}
    return Okx().key_rights(KEYS, answer(envelope(row), question.request)).withdraws


def test_whether_a_key_may_withdraw() -> None:
    assert rights(perm="read_only,withdraw,trade") is True
    assert rights(perm="read_only,trade") is False
    assert rights() is None


def test_a_refused_question_is_an_error() -> None:
    with pytest.raises(Refused):
        Okx().key_rights(KEYS, answer(envelope(code="50111", msg="no"), status=401))
    with pytest.raises(MalformedFrame):
        Okx().key_rights(KEYS, answer(envelope()))
