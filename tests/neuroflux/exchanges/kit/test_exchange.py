"""The defaults of an exchange, of an order client, and of a list of instruments."""

from __future__ import annotations

import msgspec
import pytest

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.kit.exchange import BaseExchange
from neuroflux.exchanges.kit.order_client import Failure, TableOrderClient
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.rest import retry_after
from neuroflux.exchanges.kit.rows import listing_of

EXCHANGE = BaseExchange()


def answer(status: int, wait: str | None = None) -> Answer:
    return Answer(Request("GET", "/x"), status, b"", {} if wait is None else {"retry-after": wait})


def test_a_name_shows_both_ends_of_a_long_key_and_nothing_of_a_short_one() -> None:
    assert EXCHANGE.account_name(Keys("abcdefghijklmnop", "s")) == "key abcd…mnop"
    assert EXCHANGE.account_name(Keys("abcdefghijklmno", "s")) == "key …"
    assert EXCHANGE.account_name(Keys("abcdefghijklmnop", "s", "sub")) == "key abcd…mnop, sub"


def test_a_subaccount_has_keys_of_its_own() -> None:
    assert EXCHANGE.subaccount_fault("sub", has_keys=True) == ""
    assert "its own keys" in EXCHANGE.subaccount_fault("sub", has_keys=False)


def test_the_rights_of_a_key_are_not_known() -> None:
    assert EXCHANGE.key_question(Keys("k", "s"), 0) is None
    assert EXCHANGE.key_rights(Keys("k", "s"), None).withdraws is None


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("0", 0.0), ("nan", 1.0), ("soon", 1.0), ("-1", 1.0)])
def test_after_a_limit_the_named_time_is_waited(text: str, seconds: float) -> None:
    assert EXCHANGE.usage(answer(429, text)).wait == seconds
    assert EXCHANGE.usage(answer(200, text)).wait is None


def test_without_a_named_time_the_exchanges_own_is_waited() -> None:
    assert retry_after(answer(429), 10.0) == 10.0


class Row(msgspec.Struct, frozen=True):
    name: str


def made(row: Row) -> Instrument:
    parts = {"market": "A/USD", "base": "A", "quote": "USDT", "kind": InstrumentKind.SPOT}
    return Instrument(exchange="x", symbol=f"{row.name}/USDT", name=row.name, **parts)  # type: ignore[arg-type]


def test_a_bad_row_of_a_list_costs_itself_alone() -> None:
    decode = msgspec.json.Decoder(Row).decode
    found = listing_of([b'[{"name": "A"}, {"name": 7}]', b'[{"name": "B"}]'], decode, made)
    assert [one.name for one in found.instruments] == ["A", "B"]
    assert len(found.faults) == 1
    with pytest.raises(MalformedFrame, match="list of instruments"):
        listing_of([b'{"name": "A"}'], decode, made)


@pytest.mark.parametrize("body", [b'{"code": 7}', b'{"code": "7", "msg": ""}'])
def test_an_error_has_a_code(body: bytes) -> None:
    failed = TableOrderClient().failure(body)
    assert isinstance(failed, Failure)
    assert str(failed.code) == "7"


@pytest.mark.parametrize("body", [b"{}", b"null", b"\xff", b'{"code": []}'])
def test_anything_else_is_no_error(body: bytes) -> None:
    assert TableOrderClient().failure(body) is None
