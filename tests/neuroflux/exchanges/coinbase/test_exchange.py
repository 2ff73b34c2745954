"""Coinbase's products, clock, limits, and the rights of its keys."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.errors import MalformedFrame, RateLimited, Refused, Unreachable
from neuroflux.exchanges.coinbase.exchange import MAKER_FEE, TAKER_FEE, Coinbase
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer, DecayingCounter, Keys, Request
from tests.neuroflux.exchanges.kit.examples.coinbase import KEY, PERMISSIONS, PRODUCT, SEED
from tests.neuroflux.exchanges.kit.examples.example import encoded

NOW = 1_760_000_000_000_000
COINBASE = Coinbase()


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else encoded(body)
    return Answer(
        Request("GET", "/x", tag="x"), status, raw, {key.replace("_", "-"): one for key, one in headers.items()}
    )


def listing(*products: Any) -> Listing:
    return COINBASE.listing([answer({"products": products, "num_products": len(products)})])


def test_a_product_is_listed_with_its_rules() -> None:
    (one,) = listing(PRODUCT).instruments
    assert (one.symbol, one.market, one.name, one.base, one.quote) == ("SOL/USD", "SOL/USD", "SOL-USD", "SOL", "USD")
    assert (one.tick_size, one.quantity_step, one.min_notional) == (Decimal("0.01"), Decimal("0.00000001"), Decimal(1))
    assert (one.min_quantity, one.max_quantity) == (Decimal("0.00000001"), Decimal(67000))
    assert (one.taker_fee, one.maker_fee) == (TAKER_FEE, MAKER_FEE)
    assert one.active


def test_a_product_with_an_alias_shares_a_book_and_is_not_listed() -> None:
    alias = PRODUCT | {"product_id": "SOL-USDC", "quote_currency_id": "USDC", "alias": "SOL-USD", "alias_to": []}
    own = PRODUCT | {"product_id": "USDT-USDC", "base_currency_id": "USDT", "quote_currency_id": "USDC", "alias_to": []}
    assert [one.name for one in listing(PRODUCT, alias, own).instruments] == ["SOL-USD", "USDT-USDC"]


def test_products_of_futures_are_not_listed_and_are_no_fault() -> None:
    assert listing(PRODUCT | {"product_type": "FUTURE", "product_id": "BIP-20DEC30-CDE"}) == Listing(())


def test_an_asset_has_the_name_that_others_give_it() -> None:
    (one,) = listing(PRODUCT | {"product_id": "CGLD-USD", "base_currency_id": "CGLD"}).instruments
    assert (one.symbol, one.name, one.base) == ("CELO/USD", "CGLD-USD", "CELO")


@pytest.mark.parametrize(
    "more",
    [
        *({name: True} for name in ("is_disabled", "trading_disabled", "cancel_only", "post_only")),
        *({name: True} for name in ("auction_mode", "view_only")),
        *({"status": status} for status in ("offline", "delisted", "")),
    ],
)
def test_a_product_that_can_not_be_traded_is_halted(more: dict[str, Any]) -> None:
    assert not listing(PRODUCT | more).instruments[0].active


def test_orders_with_a_limit_are_all_that_is_sent() -> None:
    assert listing(PRODUCT | {"limit_only": True}).instruments[0].active


def test_a_bad_row_costs_itself_and_is_named() -> None:
    found = listing(PRODUCT | {"base_increment": "x"}, PRODUCT)
    assert len(found.instruments) == 1
    assert len(found.faults) == 1
    assert "SOL-USD" in found.faults[0]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"products":{}}'])
def test_what_is_no_list_raises(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        COINBASE.listing([answer(body)])


def test_the_list_needs_no_key() -> None:
    (request,) = COINBASE.instruments_requests()
    assert request.path == "/api/v3/brokerage/market/products?product_type=SPOT"
    assert request.headers == {}


def test_the_clock() -> None:
    assert COINBASE.server_time(answer({"iso": "x", "epochMillis": "1760000000123"})) == NOW + 123_000
    for body in ({}, {"epochMillis": "x"}, {"epochMillis": "9" * 30}):
        with pytest.raises(MalformedFrame):
            COINBASE.server_time(answer(body))


def test_all_requests_of_a_key_are_counted_together() -> None:
    counter = COINBASE.BUCKETS["orders"]
    assert isinstance(counter, DecayingCounter)
    assert counter.maximum == 30
    assert counter.decay * 3600 == pytest.approx(10_000)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 1.0),
        ({"retry_after": "3"}, 3.0),
        ({"x_ratelimit_reset": "40"}, 40.0),
        ({"x_ratelimit_reset": "1760000040"}, 1.0),
        ({"x_ratelimit_reset": "nan"}, 1.0),
        ({"retry_after": "3", "x_ratelimit_reset": "40"}, 3.0),
    ],
)
def test_a_limit_is_waited_for(headers: dict[str, str], wait: float) -> None:
    assert COINBASE.usage(answer(b"", 429, **headers)).wait == wait
    assert COINBASE.usage(answer(b"", 200, **headers)).wait is None


@pytest.mark.parametrize(("may", "withdraws"), [(True, True), (False, False)])
def test_whether_a_key_may_withdraw(may: bool, withdraws: bool) -> None:
    rights = COINBASE.key_rights(Keys(KEY, SEED), answer(PERMISSIONS | {"can_transfer": may}))
    assert rights.withdraws is withdraws
    assert ("Transfer" in rights.detail) is withdraws


def test_the_question_is_answered_at_the_exchange_itself() -> None:
    question = COINBASE.key_question(Keys(KEY, SEED), NOW)
    assert question is not None
    assert (question.at, question.request.path) == ("coinbase", "/api/v3/brokerage/key_permissions")
    assert COINBASE.key_rights(Keys(KEY, SEED), None).withdraws is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (answer(b"Unauthorized", 401), Refused),
        (answer(b"", 503), Unreachable),
        (answer(b"", 429), RateLimited),
        (answer(b"{}"), MalformedFrame),
    ],
)
def test_rights_that_are_not_answered_raise(given: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        COINBASE.key_rights(Keys(KEY, SEED), given)


def test_no_address_is_shared_with_the_sandbox() -> None:
    assert not set(COINBASE.TESTNET) & {COINBASE.REST_URL, COINBASE.WS_URL, COINBASE.PRIVATE_WS_URL}
    assert json.dumps(COINBASE.TESTNET).count("sandbox") == 3
