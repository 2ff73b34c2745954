"""Every record is decoded from its bytes unchanged; any other bytes are a MalformedFrame."""

from __future__ import annotations

import json
import struct
import time
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroflux.domain import (
    Balance,
    BookSnapshot,
    CommandKind,
    ControlCommand,
    ControlKind,
    ExchangeStatus,
    Fill,
    Level,
    Liquidity,
    OrderCommand,
    Quote,
    Side,
    StatusKind,
)
from neuroflux.errors import MalformedFrame, UsageError
from neuroflux.records import tick_reader, tick_writer
from neuroflux.records.codec import Codec, schema_text, written
from neuroflux.records.topics import (
    ALL,
    BALANCES,
    BOOKS,
    BY_NAME,
    COMMANDS,
    CONTROL,
    FILLS,
    QUOTES,
    STATUS,
    TRADES,
    Topic,
)

TOPICS = [topic for topic in ALL if topic.record is not bytes]
IDS = {topic.name: number for number, topic in enumerate(TOPICS, 1)}
FOREIGN = 4_000_000_000
OF_EACH_TOPIC = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)

SOME = settings(max_examples=15)
"""Of each topic."""

INTEGERS = st.integers(-(2**63), 2**63 - 1)
DECIMALS = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda units: Decimal((units < 0, _digits(units), -18)))
NUMERALS = st.decimals(-(10**9), 10**9, places=8).map(lambda number: f"{number:f}")
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: INTEGERS,
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(),
    Decimal: DECIMALS,
}


def _digits(units: int) -> tuple[int, ...]:
    return tuple(map(int, str(abs(units))))


@cache
def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field; a number of market data is text, as decoded from an exchange."""
    if isinstance(hint, TypeVar):
        return NUMERALS
    if hint in SCALARS:
        return SCALARS[hint]
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)
    if get_origin(hint) is UnionType:
        return st.one_of(values(get_args(hint)[0]), st.none())
    if get_origin(hint) is dict:
        return st.dictionaries(*map(values, get_args(hint)), max_size=3)
    kind = get_origin(hint) or hint
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: values(hints[name]) for name in kind.__struct_fields__})


def _read(value: Any, hint: Any) -> Any:
    """The value as it is decoded: text numbers become doubles."""
    if isinstance(hint, TypeVar):
        return float(value)
    if isinstance(value, tuple):
        return tuple(_read(part, get_args(hint)[0]) for part in value)
    if isinstance(value, msgspec.Struct):
        hints = get_type_hints(type(value))
        return type(value)(**{name: _read(getattr(value, name), hints[name]) for name in value.__struct_fields__})
    return value


def _codec() -> Codec:
    return Codec(IDS)


def _quote(bid_price: Any = "61999.90") -> Quote[Any]:
    return Quote("binance", "BTC/USDT", "BTC/USD", bid_price, "1.5", "62000.10", "2", 7, 1_700_000_000_000_001, 2)


def _balance(free: Decimal) -> Balance:
    return Balance("binance", "BTC", free, Decimal(0), Decimal(0), Decimal(0), 1)


@OF_EACH_TOPIC
@SOME
@given(data=st.data())
def test_every_record_survives_encoding(topic: Topic, data: st.DataObject) -> None:
    record = data.draw(values(topic.record))
    codec = _codec()
    found = codec.decode(topic, codec.encode(topic, record))
    assert found == _read(record, topic.record)
    assert type(found) is type(record)


def test_numbers_of_market_data_become_doubles() -> None:
    codec = _codec()
    snapshot = BookSnapshot("binance", "BTC/USDT", "BTC/USD", (Level("61999.90", "0.10"),), (), 9, 3, 4)
    found = codec.decode(BOOKS, codec.encode(BOOKS, snapshot))
    assert found.bids == (Level(61999.9, 0.1),)
    assert type(found.bids[0].price) is float
    assert found.asks == ()


@pytest.mark.parametrize(
    "text", ["0.1", "0.000000000000000001", "-0.000000000000000001", "99999999999999999999.999999999999999999", "0E+3"]
)
def test_money_is_exact(text: str) -> None:
    codec = _codec()
    found = codec.decode(BALANCES, codec.encode(BALANCES, _balance(Decimal(text)))).free
    assert type(found) is Decimal
    assert found == Decimal(text)


@pytest.mark.parametrize("text", ["0.0000000000000000001", "100000000000000000000", "1E+38", "NaN", "Infinity"])
def test_an_amount_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"account\.balances"):
        _codec().encode(BALANCES, _balance(Decimal(text)))


@pytest.mark.parametrize("wrong", ["", "1,5", "none"])
def test_text_that_is_not_a_number_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"market\.quotes"):
        _codec().encode(QUOTES, _quote(wrong))


def test_times_stay_whole_microseconds() -> None:
    codec = _codec()
    found = codec.decode(QUOTES, codec.encode(QUOTES, _quote()))
    assert (found.event_time, found.received_time) == (1_700_000_000_000_001, 2)
    assert type(found.event_time) is int


@OF_EACH_TOPIC
@SOME
@given(data=st.data())
def test_framing_is_a_zero_and_the_schema_id(topic: Topic, data: st.DataObject) -> None:
    raw = _codec().encode(topic, data.draw(values(topic.record)))
    assert raw[:5] == b"\x00" + IDS[topic.name].to_bytes(4, "big")
    assert _codec().schema_id(raw) == IDS[topic.name]


@OF_EACH_TOPIC
@SOME
@given(body=st.binary(max_size=400))
def test_any_body_is_a_record_or_malformed(topic: Topic, body: bytes) -> None:
    codec = _codec()
    try:
        found = codec.decode(topic, struct.pack(">bI", 0, IDS[topic.name]) + body)
    except MalformedFrame:
        return
    assert isinstance(found, topic.record)


@OF_EACH_TOPIC
@SOME
@given(data=st.data())
def test_a_damaged_record_is_a_record_or_malformed(topic: Topic, data: st.DataObject) -> None:
    codec = _codec()
    raw = bytearray(codec.encode(topic, data.draw(values(topic.record))))
    raw[data.draw(st.integers(5, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = codec.decode(topic, bytes(raw))
    except MalformedFrame:
        return
    assert isinstance(found, topic.record)


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_a_record_or_malformed(raw: bytes) -> None:
    for topic in TOPICS:
        try:
            found = _codec().decode(topic, raw)
        except MalformedFrame:
            continue
        assert isinstance(found, topic.record)


@OF_EACH_TOPIC
@SOME
@given(data=st.data())
def test_a_record_cut_short_is_malformed(topic: Topic, data: st.DataObject) -> None:
    codec = _codec()
    raw = codec.encode(topic, data.draw(values(topic.record)))
    with pytest.raises(MalformedFrame):
        codec.decode(topic, raw[: data.draw(st.integers(0, len(raw) - 1))])


@OF_EACH_TOPIC
@SOME
@given(data=st.data(), behind=st.binary(min_size=1, max_size=8))
def test_bytes_behind_the_record_are_refused(topic: Topic, data: st.DataObject, behind: bytes) -> None:
    codec = _codec()
    raw = codec.encode(topic, data.draw(values(topic.record)))
    with pytest.raises(MalformedFrame, match=f"{len(behind)} bytes after"):
        codec.decode(topic, raw + behind)


@pytest.mark.parametrize("raw", [b"", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01rest", b"{}", b"\xff" * 20])
def test_bytes_without_framing_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedFrame, match="Confluent framing"):
        _codec().decode(QUOTES, raw)


def test_an_unknown_schema_is_malformed() -> None:
    codec = _codec()
    raw = struct.pack(">bI", 0, FOREIGN) + codec.encode(QUOTES, _quote())[5:]
    assert not codec.knows(QUOTES, FOREIGN)
    with pytest.raises(MalformedFrame, match=f"schema {FOREIGN} is not known"):
        codec.decode(QUOTES, raw)


def test_the_schema_of_another_topic_is_malformed() -> None:
    codec = _codec()
    with pytest.raises(MalformedFrame):
        codec.decode(FILLS, codec.encode(QUOTES, _quote()))


def test_a_record_of_a_newer_schema_is_read_without_its_unknown_fields() -> None:
    codec = _codec()
    newer = json.loads(schema_text(QUOTES))
    newer["fields"].append({"name": "venue", "type": "string", "default": ""})
    codec.learn(QUOTES, FOREIGN, json.dumps(newer))
    ours = codec.encode(QUOTES, _quote())
    raw = struct.pack(">bI", 0, FOREIGN) + ours[5:] + b"\x08east"
    assert codec.knows(QUOTES, FOREIGN)
    assert codec.decode(QUOTES, raw) == codec.decode(QUOTES, ours)


def test_a_record_of_an_older_schema_gets_our_default() -> None:
    codec = _codec()
    older = json.loads(schema_text(STATUS))
    assert older["fields"].pop()["name"] == "symbol"
    codec.learn(STATUS, FOREIGN, json.dumps(older))
    status = ExchangeStatus("binance", "quotes", StatusKind.STALE, 5.0, "no data", 3)
    ours = codec.encode(STATUS, status)
    assert ours.endswith(b"\x00")  # the symbol, empty
    assert codec.decode(STATUS, struct.pack(">bI", 0, FOREIGN) + ours[5:-1]) == status


def test_a_record_of_a_schema_that_can_not_be_resolved_is_malformed() -> None:
    codec = _codec()
    fields = '[{"name": "other", "type": "int"}]'
    codec.learn(QUOTES, FOREIGN, f'{{"type": "record", "name": "Quote", "namespace": "neuroflux", "fields": {fields}}}')
    with pytest.raises(MalformedFrame):
        codec.decode(QUOTES, struct.pack(">bI", 0, FOREIGN) + b"\x02")


def test_a_schema_counts_only_for_the_topic_it_was_registered_for() -> None:
    codec = _codec()
    codec.learn(TRADES, FOREIGN, schema_text(QUOTES))
    assert not codec.knows(QUOTES, FOREIGN)
    with pytest.raises(MalformedFrame, match=f"not known for {QUOTES.name}"):
        codec.decode(QUOTES, struct.pack(">bI", 0, FOREIGN) + codec.encode(QUOTES, _quote())[5:])


def test_an_id_that_our_schema_had_before_is_read_and_not_written() -> None:
    codec = Codec({QUOTES.name: [7, 3]})
    new = codec.encode(QUOTES, _quote())
    assert new[:5] == b"\x00\x00\x00\x00\x07"
    assert codec.decode(QUOTES, b"\x00\x00\x00\x00\x03" + new[5:]) == codec.decode(QUOTES, new)


def _halt(kind: ControlKind = ControlKind.HALT) -> ControlCommand:
    return ControlCommand(kind=kind, why="", issued_by="t", issued_at=1)


def _command(kind: CommandKind) -> OrderCommand:
    return OrderCommand(order_id="o", kind=kind, issued_by="t", issued_at=1)


@pytest.mark.parametrize(
    ("topic", "record"), [(CONTROL, _halt()), (COMMANDS, _command(CommandKind.CANCEL))], ids=["halt", "cancel"]
)
def test_commands_that_stop_trading_are_read_whatever_schema_they_name(topic: Topic, record: Any) -> None:
    codec = _codec()
    assert codec.decode(topic, struct.pack(">bI", 0, FOREIGN) + codec.encode(topic, record)[5:]) == record


@pytest.mark.parametrize(
    ("topic", "record"),
    [(CONTROL, _halt(ControlKind.RESUME)), (COMMANDS, _command(CommandKind.PLACE))],
    ids=["resume", "place"],
)
def test_commands_that_trade_are_read_with_a_known_schema_only(topic: Topic, record: Any) -> None:
    codec = _codec()
    with pytest.raises(MalformedFrame, match=f"schema {FOREIGN} is not known for {topic.name}"):
        codec.decode(topic, struct.pack(">bI", 0, FOREIGN) + codec.encode(topic, record)[5:])


FEW_SECONDS = 2.0
HOSTILE_COUNT = b"\x80\x80\x80\x80\x80\x80\x80\x80\x20"
"""2^60."""


@pytest.mark.parametrize(
    "items", ["boolean", "float", "double", {"type": "fixed", "name": "F", "size": 4}], ids=lambda items: str(items)[:9]
)
def test_a_count_beyond_the_bytes_ends_also_in_what_is_passed_over(items: Any) -> None:
    codec = _codec()
    newer = json.loads(schema_text(QUOTES))
    newer["fields"].append({"name": "junk", "type": {"type": "array", "items": items}})
    codec.learn(QUOTES, FOREIGN, json.dumps(newer))
    raw = struct.pack(">bI", 0, FOREIGN) + codec.encode(QUOTES, _quote())[5:] + HOSTILE_COUNT
    began = time.monotonic()
    with pytest.raises(MalformedFrame):
        codec.decode(QUOTES, raw)
    assert time.monotonic() - began < FEW_SECONDS


def test_a_count_beyond_the_bytes_ends_in_our_own_schema() -> None:
    codec = _codec()
    snapshot = BookSnapshot("binance", "BTC/USDT", "BTC/USD", (), (), 9, 3, 4)
    raw = codec.encode(BOOKS, snapshot)
    assert raw.count(b"BTC/USD\x00\x00") == 1
    with pytest.raises(MalformedFrame):
        codec.decode(BOOKS, raw.replace(b"BTC/USD\x00", b"BTC/USD" + HOSTILE_COUNT))


def test_a_decimal_of_a_megabyte_is_malformed_at_once() -> None:
    codec = _codec()
    head, foot = codec.encode(BALANCES, _balance(Decimal(1))), b"\x7f" * 900_000
    free = head.index(b"BTC") + len(b"BTC")
    length = b"\xc0\xee\x6d"  # 900,000 as a long
    began = time.monotonic()
    with pytest.raises(MalformedFrame, match="a decimal of 900000 bytes"):
        codec.decode(BALANCES, head[:free] + length + foot)
    assert time.monotonic() - began < FEW_SECONDS


def test_sides_and_amounts_of_a_fill_are_decoded_to_their_types() -> None:
    codec = _codec()
    money = Decimal("0.00012")
    fill = Fill("o", "binance", "BTC/USDT", "c", "x", "t", Side.SELL, money, money, -money, "USDT", Liquidity.MAKER, 1)
    found = codec.decode(FILLS, codec.encode(FILLS, fill))
    assert found == fill
    assert found.side is Side.SELL
    assert found.liquidity is Liquidity.MAKER


@pytest.mark.parametrize("name", list(tick_writer.BY_HAND))
@given(data=st.data())
@settings(max_examples=300)
def test_what_is_written_by_hand_is_what_the_general_writer_writes(name: str, data: st.DataObject) -> None:
    topic = BY_NAME[name]
    record = data.draw(values(topic.record))
    assert tick_writer.BY_HAND[name](record) == written(topic, record)


@pytest.mark.parametrize("number", [0, 1, -1, 2**27 - 1, 2**27, -(2**27), 2**41, 2**62, 2**63 - 1, -(2**63)])
def test_a_long_of_any_size(number: int) -> None:
    record = Quote("", "", "", "1", "1", "1", "1", number, number, number)
    assert tick_writer.BY_HAND[QUOTES.name](record) == written(QUOTES, record)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_long_out_of_range_is_an_error(number: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        Codec(IDS).encode(QUOTES, Quote("", "", "", "1", "1", "1", "1", number, 0, 0))


TICK_TIMES = st.integers(2**49, 2**54)
NAMES = st.text(max_size=15)
OF_READ_BY_HAND = pytest.mark.parametrize("name", list(tick_reader.BY_HAND))


@cache
def _general(topic: Topic) -> Codec:
    """A codec that has the topic's schema under another id, so that only the general reader is used."""
    codec = Codec({})
    codec.learn(topic, IDS[topic.name], schema_text(topic))
    return codec


def _generally(topic: Topic, raw: bytes) -> Any:
    try:
        return _general(topic).decode(topic, raw)
    except MalformedFrame:
        return None


def _ticks(topic: Topic) -> st.SearchStrategy[Any]:
    times = {"event_time": TICK_TIMES, "received_time": TICK_TIMES}
    names = {"exchange": NAMES, "symbol": NAMES, "market": NAMES}
    more = {"sequence": st.integers(2**13, 2**54)} if topic is not TRADES else {"trade_id": NAMES}
    hints = get_type_hints(topic.record)
    strategies = {name: values(hints[name]) for name in topic.record.__struct_fields__} | times | names | more
    return st.builds(topic.record, **strategies)


@OF_READ_BY_HAND
@given(data=st.data())
@settings(max_examples=300)
def test_ticks_are_read_by_hand_as_the_general_reader_reads_them(name: str, data: st.DataObject) -> None:
    topic = BY_NAME[name]
    raw = _codec().encode(topic, data.draw(_ticks(topic)))
    found = tick_reader.BY_HAND[name](raw)
    assert found is not None
    assert found == _generally(topic, raw)
    assert type(found) is topic.record


@OF_READ_BY_HAND
@given(data=st.data())
@settings(max_examples=500)
def test_a_damaged_tick_is_read_by_hand_as_by_the_general_reader_or_not_at_all(name: str, data: st.DataObject) -> None:
    """Bytes changed, removed or appended. NaN does not equal itself, so the encodings are compared."""
    topic = BY_NAME[name]
    raw = bytearray(_codec().encode(topic, data.draw(_ticks(topic))))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(5, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.integers(5, len(raw)))]) + data.draw(st.binary(max_size=3))
    if (found := tick_reader.BY_HAND[name](damaged)) is not None:
        assert repr(found) == repr(_generally(topic, damaged))


@given(record=st.builds(_quote), number=INTEGERS)
def test_a_quote_of_any_sequence_and_time_survives_encoding(record: Quote[Any], number: int) -> None:
    for field in ("sequence", "event_time", "received_time"):
        given_ = msgspec.structs.replace(record, **{field: number})
        assert getattr(_codec().decode(QUOTES, _codec().encode(QUOTES, given_)), field) == number


@pytest.mark.parametrize("levels", [0, 1, 63, 64, 5_000])
def test_a_book_of_any_depth_survives_encoding(levels: int) -> None:
    side = tuple(Level(float(number), 1.5) for number in range(levels))
    book = BookSnapshot("binance", "BTC/USDT", "BTC/USD", side, side, 9_000, 2**50, 2**50 + 1)
    assert tick_writer.BY_HAND[BOOKS.name](book) == written(BOOKS, book)
    assert _codec().decode(BOOKS, _codec().encode(BOOKS, book)) == book
