"""Records are stored unchanged, whatever their values; an insert is stored completely or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import astuple

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.inserts import Inserts
from neuroflux.clickhouse.tables import STORED, Column, columns, insert_avro, texts
from neuroflux.domain import Quote
from neuroflux.errors import Refused, Unreachable
from neuroflux.records.avro_file import MARK_BYTES, OFFSET_BYTES, avro_file
from neuroflux.records.tick_reader import FRAMING
from neuroflux.records.topics import QUOTES, Topic
from neuroflux.runtime.settings import Settings
from tests.conftest import RunningStack
from tests.neuroflux.records.test_codec import values
from tests.ports import free_port
from tests.stored import CODEC, Row, own_database, rows

pytestmark = pytest.mark.stack
MARK = b"the mark"


def quotes(count: int) -> list[Quote[float]]:
    return [
        Quote("binance", "A/B", "A/B", 1.0, 2.0, 3.0, 4.0, number, 1, 2_000_000_000_000_000) for number in range(count)
    ]


@pytest.fixture(scope="module")
def own(stack: RunningStack) -> Iterator[Settings]:
    with own_database(stack.settings) as settings_of_it:
        yield settings_of_it


@pytest.fixture(scope="module")
def database(own: Settings) -> Iterator[ClickHouse]:
    """A table without merges: times may be of any year, and old rows would be dropped."""
    opened = ClickHouse(own)
    for topic in STORED:
        opened.execute(f"SYSTEM STOP MERGES {topic.table}")
    yield opened
    opened.close()


@pytest.mark.parametrize("topic", STORED, ids=lambda topic: topic.name)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_record_is_stored_as_it_was(database: ClickHouse, topic: Topic, data: st.DataObject) -> None:
    given_rows = rows(topic, data.draw(st.lists(values(topic.record), min_size=1, max_size=5)))
    database.execute(f"TRUNCATE TABLE {topic.table}")
    database.insert(topic, given_rows)
    listed = ", ".join(map(selected, columns(topic)))
    found = database.execute(f"SELECT {listed} FROM {topic.table} ORDER BY _offset")
    decoded = [CODEC.decode(topic, row.value) for row in given_rows]
    assert found == [(*map(shown, astuple(one)), topic.name, 0, at) for at, one in enumerate(decoded)]


def selected(column: Column) -> str:
    return f"toUnixTimestamp64Micro(`{column.name}`)" if column.type.startswith("DateTime64") else f"`{column.name}`"


def shown(value: Any) -> Any:
    """The value as clickhouse-driver returns it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [shown(part) for part in value]
    return tuple(map(shown, astuple(value))) if isinstance(value, Struct) else value


def stored(database: ClickHouse) -> int:
    return int(database.execute(f"SELECT count() FROM {QUOTES.table}")[0][0])


def test_an_insert_is_one_part_however_many_rows_it_has(database: ClickHouse) -> None:
    database.execute(f"TRUNCATE TABLE {QUOTES.table}")
    database.insert(QUOTES, rows(QUOTES, quotes(200_000)))
    parts = f"SELECT uniqExact(_part) FROM {QUOTES.table}"
    assert (stored(database), database.execute(parts)[0][0]) == (200_000, 1)


def test_an_aborted_insert_leaves_nothing(own: Settings, database: ClickHouse) -> None:
    database.execute(f"TRUNCATE TABLE {QUOTES.table}")

    def pieces() -> Iterator[bytes]:
        for number, piece in enumerate(avro_file(QUOTES, rows(QUOTES, quotes(20_000)), MARK)):
            if number == 8:
                raise KeyboardInterrupt
            yield piece

    inserts = Inserts(own)
    with pytest.raises(KeyboardInterrupt):
        inserts.insert(insert_avro(QUOTES, MARK), pieces())
    inserts.insert(insert_avro(QUOTES, MARK), avro_file(QUOTES, rows(QUOTES, quotes(3)), MARK))
    assert stored(database) == 3


def test_errors_tell_whether_a_retry_helps(stack: RunningStack) -> None:
    with pytest.raises(Refused, match="no_such_table"):
        Inserts(stack.settings).insert("INSERT INTO no_such_table FORMAT Avro", iter([b""]))
    nowhere = stack.settings.model_copy(update={"clickhouse_http": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(Unreachable, match="127"):
        Inserts(nowhere).insert(insert_avro(QUOTES, MARK), iter([b""]))


def as_if_two(value: bytes) -> bytes:
    """A record with another one appended to it, as any writer of records could make it, without the mark."""
    return value + b"\x00" * (MARK_BYTES + 1 + OFFSET_BYTES) + value


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "a byte too much": lambda value: value + b"x",
    "a byte too few": lambda value: value[:-1],
    "two in one": as_if_two,
    "nothing of it": lambda value: value[:FRAMING],
    "a name without end": lambda value: value[:FRAMING] + b"\xfe\xff\xff\xff\xff\x3f" + value[FRAMING:],
}


@pytest.mark.parametrize("at", [0, 1_999, 30_000, 59_999])
@pytest.mark.parametrize("damage", DAMAGED)
def test_one_bad_record_refuses_a_large_insert_wherever_it_is(database: ClickHouse, at: int, damage: str) -> None:
    database.execute(f"TRUNCATE TABLE {QUOTES.table}")
    many = rows(QUOTES, quotes(60_000))
    many[at] = Row(at, DAMAGED[damage](many[at].value))
    with pytest.raises(Refused, match=r"does not end where its bytes do|avro::Exception"):
        database.insert(QUOTES, many)
    assert stored(database) == 0


@pytest.mark.parametrize("name", ["TRUMP#12/USDC", "a'b", "a\\", "\\'", "') OR 1=1 --", "'; DROP TABLE fills"])
def test_a_name_with_a_quote_character_stays_a_text(database: ClickHouse, name: str) -> None:
    """Anyone can deploy a token with any name."""
    assert database.execute(f"SELECT arrayJoin([{texts([name, name])}])") == [(name,)]
