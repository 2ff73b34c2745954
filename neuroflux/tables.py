"""ClickHouse's tables, made from the schemas: one a topic, the columns of the schema and where the record stood."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from typing import Any

from msgspec import Struct

from neuroflux.avro_file import MARK_BYTES, OFFSET_BYTES
from neuroflux.codec import schema_text
from neuroflux.topics import ALL, Topic

_SCALARS = {
    "string": "String",
    "bytes": "String",
    "double": "Float64",
    "long": "Int64",
    "boolean": "Bool",
}
_LOGICAL = {"decimal": "Decimal(38, 18)", "timestamp-micros": "DateTime64(6, 'UTC')"}
_FREE_TEXT = frozenset(
    {"order_id", "client_order_id", "exchange_order_id", "trade_id", "signal_id", "reason", "detail", "why"}
)
"""Strings of many values; every other one repeats, and is kept as LowCardinality."""
_SORTED_BY = ("market", "exchange", "symbol", "asset", "account", "order_id")
_TIMES = ("event_time", "issued_at")
LARGEST_INSERT = 1 << 20
"""More rows than one insert has."""
KEPT_DAYS = 30
"""How long market data is kept; what concerns orders and accounts is kept for good."""


class Column(Struct, frozen=True):
    """``type`` is what a value is read as; those that repeat are kept once."""

    name: str
    type: str
    repeats: bool = False

    @property
    def kept_as(self) -> str:
        return f"LowCardinality({self.type})" if self.repeats else self.type


PLACE = (Column("_topic", "String", repeats=True), Column("_partition", "Int32"), Column("_offset", "Int64"))


def columns(topic: Topic) -> tuple[Column, ...]:
    """The columns of the topic's table, in the order of the schema, then topic, partition and offset."""
    return (*fields(topic), *PLACE)


@cache
def fields(topic: Topic) -> tuple[Column, ...]:
    """The columns of the schema alone."""
    named: dict[str, Any] = {}
    return tuple(_column(field, named) for field in json.loads(schema_text(topic))["fields"])


def _column(field: dict[str, Any], named: dict[str, Any]) -> Column:
    found, name = _type(field["type"], named), field["name"]
    return Column(name, found, found == "String" and name not in _FREE_TEXT)


def _type(avro: Any, named: dict[str, Any]) -> str:
    if isinstance(avro, str):
        return _type(named[avro], named) if avro in named else _SCALARS[avro]
    if "name" in avro:
        named[avro["name"]] = avro
    if "logicalType" in avro:
        return _LOGICAL[avro["logicalType"]]
    match avro["type"]:
        case "array":
            return f"Array({_type(avro['items'], named)})"
        case "record":
            parts = (f"{field['name']} {_type(field['type'], named)}" for field in avro["fields"])
            return f"Tuple({', '.join(parts)})"
        case "enum":
            return "String"
    return _type(avro["type"], named)


def create_table(topic: Topic) -> str:
    """The table of a topic. Not split by time, so that one insert makes one part, and is there whole or not at all.

    ReplacingMergeTree by the record's place is the second net: the warehouse writes no record twice.
    """
    names = [column.name for column in columns(topic)]
    order = [name for name in _SORTED_BY if name in names] + [name for name in _TIMES if name in names]
    sorting = ", ".join([*order, "_partition", "_offset"])
    body = ", ".join(f"`{column.name}` {column.kept_as}" for column in columns(topic))
    expiry = f" TTL toDateTime(received_time) + INTERVAL {KEPT_DAYS} DAY" if "received_time" in names else ""
    engine = f"ENGINE = ReplacingMergeTree ORDER BY ({sorting})"
    return f"CREATE TABLE IF NOT EXISTS {topic.table} ({body}) {engine}{expiry}"


def insert_avro(topic: Topic, mark: bytes) -> str:
    """The insert of an ``avro_file``. A record that does not end where its bytes do is an error of the whole insert.

    It must be one block: so it is read in one piece, and by one thread. What repeats is read as it is, and looked for
    among the values of its column afterwards, all at once: that takes half as long.
    """
    names = ", ".join(f"`{column.name}`" for column in columns(topic))
    found = ", ".join(f"`{column.name}`" for column in fields(topic))
    types = ", ".join(f"`{column.name}` {column.type}" for column in fields(topic)).replace("'", "\\'")
    around = f"_partition Int32, _offset FixedString({OFFSET_BYTES}), _mark FixedString({MARK_BYTES})"
    whole = f"throwIf(_mark != unhex('{mark.hex()}'), 'a record does not end where its bytes do') = 0"
    return (
        f"INSERT INTO {topic.table} ({names}) SELECT {found}, '{topic.name}', _partition, reinterpretAsInt64(_offset)"
        f" FROM input('{around}, {types}') WHERE {whole}"
        f" SETTINGS max_block_size = {LARGEST_INSERT}, max_insert_threads = 1 FORMAT Avro"
    )


def add_columns(topic: Topic, present: Collection[str]) -> list[str]:
    """What brings an older table, with these columns, up to the schema of today; nothing for one that is not there."""
    if not present:
        return []
    missing = [column for column in columns(topic) if column.name not in present]
    return [f"ALTER TABLE {topic.table} ADD COLUMN `{column.name}` {column.kept_as}" for column in missing]


STORED = tuple(topic for topic in ALL if topic.table)
"""The topics that have a table."""

_MIDS = "SELECT exchange, symbol, event_time, (bid_price + ask_price) / 2 AS mid FROM quotes"


def _markout(seconds: int) -> str:
    mid = f"after_{seconds}.mid"
    known = f"time_{seconds} <= newest AND {mid} > 0"
    gained = f"sumIf(sign * ({mid} - price) * quantity, {known})"
    return f"{gained} / nullIf(sumIf(price * quantity, {known}), 0)"


def _after(seconds: int) -> str:
    name = f"after_{seconds}"
    return f"""ASOF LEFT JOIN ({_MIDS}) AS {name} ON fill.exchange = {name}.exchange AND fill.symbol = {name}.symbol
     AND fill.time_{seconds} >= {name}.event_time"""


ORDER_COSTS = f"""
CREATE OR REPLACE VIEW order_costs AS
SELECT order_id,
       any(fill.market) AS market, any(fill.side) AS side, any(fill.strategy) AS strategy,
       sum(quantity) AS filled_quantity,
       sum(price * quantity) / sum(quantity) AS average_price,
       sum(arrival.mid * quantity) / sum(quantity) AS arrival_price,
       sum(sign * (price - arrival.mid) * quantity) / nullIf(sum(arrival.mid * quantity), 0) AS slippage,
       sum(fee) AS fees,
       sum(sign * (price - arrival.mid) * quantity) + sum(fee) AS implementation_shortfall,
       {_markout(1)} AS mark_out_1s,
       {_markout(10)} AS mark_out_10s,
       {_markout(60)} AS mark_out_60s
FROM (
    SELECT f.order_id AS order_id, f.exchange AS exchange, f.symbol AS symbol,
           c.market AS market, c.side AS side, c.strategy AS strategy, c.issued_at AS issued_at,
           if(f.side = 'buy', 1, -1) AS sign, toFloat64(f.price) AS price, toFloat64(f.quantity) AS quantity,
           toFloat64(f.fee) * if(f.fee_asset = splitByChar('/', f.symbol)[1], toFloat64(f.price), 1) AS fee,
           f.event_time + INTERVAL 1 SECOND AS time_1, f.event_time + INTERVAL 10 SECOND AS time_10,
           f.event_time + INTERVAL 60 SECOND AS time_60,
           (SELECT max(event_time) FROM quotes) AS newest
    FROM (SELECT * FROM fills FINAL) AS f
    INNER JOIN (SELECT * FROM order_commands FINAL WHERE kind = 'place') AS c ON f.order_id = c.order_id
) AS fill
ASOF LEFT JOIN ({_MIDS}) AS arrival ON fill.exchange = arrival.exchange AND fill.symbol = arrival.symbol
     AND fill.issued_at >= arrival.event_time
{_after(1)}
{_after(10)}
{_after(60)}
GROUP BY order_id
SETTINGS prefer_column_name_to_alias = 1
"""
"""What an order cost, in the quote of its instruments; slippage and mark-outs are fractions of the mid and the price.

Implementation shortfall (Perold, 1988) is what was paid beyond the mid at the time of the command, with the fees.
"""

ARBITRAGE_BY_HOUR = """
CREATE OR REPLACE VIEW arbitrage_by_hour AS
SELECT toStartOfHour(event_time) AS hour, market, kind, buy_exchange, sell_exchange, count() AS signals,
       sum(expected_profit) AS total_profit, max(expected_profit) AS best_profit, avg(quantity) AS average_quantity
FROM arbitrage_signals FINAL
GROUP BY hour, market, kind, buy_exchange, sell_exchange
"""

EXCHANGE_UPTIME = """
CREATE OR REPLACE VIEW exchange_uptime AS
SELECT exchange, toDate(event_time) AS day,
       sumIf(held, status = 'online') / nullIf(sum(held), 0) * 100 AS uptime_percent,
       sum(held) AS seconds_observed
FROM (
    SELECT exchange, status, event_time,
           greatest(0, dateDiff('millisecond', event_time, leadInFrame(event_time, 1, event_time) OVER later)) / 1000
               AS held
    FROM exchange_health FINAL
    WINDOW later AS (PARTITION BY exchange ORDER BY event_time ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
GROUP BY exchange, day
"""
"""The share of the observed time that an exchange was online; each sample holds until the next."""

EQUITY = """
CREATE OR REPLACE VIEW equity AS
SELECT held.minute AS minute, exchange, held.asset AS asset, amount AS total, usd AS price, amount * usd AS value_usd,
       told
FROM (
    SELECT toStartOfMinute(event_time) AS minute, exchange, asset, toFloat64(argMax(total, event_time)) AS amount,
           max(event_time) AS told
    FROM balances FINAL GROUP BY minute, exchange, asset
) AS held
LEFT JOIN (
    SELECT splitByChar('/', market)[1] AS asset, toStartOfMinute(event_time) AS minute,
           argMax(price, event_time) AS usd
    FROM aggregated_prices WHERE endsWith(market, '/USD') AND market != 'USDC/USD' GROUP BY asset, minute
    UNION ALL
    SELECT 'USDT' AS asset, toStartOfMinute(event_time) AS minute,
           2 / argMax(bid_price + ask_price, event_time) AS usd
    FROM quotes WHERE symbol = 'USDC/USDT' GROUP BY minute
    UNION ALL
    SELECT 'USDC' AS asset, toStartOfMinute(event_time) AS minute, 1. AS usd FROM balances GROUP BY minute
) AS priced ON held.asset = priced.asset AND held.minute = priced.minute
SETTINGS join_use_nulls = 1
"""
"""What was held where, by the minute, and its worth; what has no price has no value, rather than none."""

VIEWS = (ORDER_COSTS, ARBITRAGE_BY_HOUR, EXCHANGE_UPTIME, EQUITY)
