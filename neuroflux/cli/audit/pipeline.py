"""One reading of topics, tables and façade."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any, Final

import msgspec

from neuroflux.cli.audit.reading import Leg, Name, Reported
from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.tables import STORED
from neuroflux.domain import Balance, Cause, Fill, Instrument, Microseconds, Position, Quote
from neuroflux.kafka.admin import extents
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.records.places import Extent
from neuroflux.records.topics import MARKET_DEAD_LETTERS, ORDER_DEAD_LETTERS
from neuroflux.runtime.settings import Settings

COUNTED: Final = 50_000
"""The number of newest records of each partition that are counted."""
QUOTED_SECONDS: Final = 60
"""An older quote is not compared: its instrument is no longer subscribed to."""
MOVED_SECONDS: Final = 120

_FILL: Final = (
    *("order_id", "exchange", "symbol", "client_order_id", "exchange_order_id", "trade_id", "side", "price"),
    *("quantity", "fee", "fee_asset", "liquidity", "name"),
)
Log = Mapping[str, Mapping[int, Extent]]
"""The extent of each partition that is counted, by topic."""
_EQUITY: Final = (
    "SELECT exchange, sum(value_usd + unrealised_pnl_usd) FROM equity "
    "WHERE minute = (SELECT max(minute) FROM equity) GROUP BY exchange"
)


class Tables:
    """Readings of ClickHouse. Blocking; use from a thread."""

    def __init__(self, settings: Settings, log: Log, dead: Collection[Cause]) -> None:
        self._database = ClickHouse(settings)
        self._log = log
        self._dead = Counter(one.topic for one in dead if _contains(log, one))

    def close(self) -> None:
        self._database.close()

    def read(self, since: Microseconds) -> dict[str, Any]:
        return {
            "fills": self._fills(since),
            "legs": self._legs(since),
            "quotes": self._quotes(),
            "equity": self._equity(),
            "counts": self._counts(),
            "moved": self._moved(),
            "taker_fees": self._taker_fees(),
        }

    def _fills(self, since: Microseconds) -> list[Fill]:
        rows = self._database.execute(
            f"SELECT {', '.join(_FILL)}, toUnixTimestamp64Micro(event_time) FROM fills FINAL "
            f"WHERE event_time >= fromUnixTimestamp64Micro({since})"
        )
        names = (*_FILL, "event_time")
        return [msgspec.convert(dict(zip(names, row, strict=True)), Fill) for row in rows]

    def _legs(self, since: Microseconds) -> list[Leg]:
        rows = self._database.execute(
            "SELECT exchange, any(symbol), client_order_id, any(side), argMax(state, _offset), "
            "argMax(filled_quantity, _offset), toUnixTimestamp64Micro(max(event_time)) FROM order_events FINAL "
            "WHERE client_order_id != '' "
            f"GROUP BY exchange, client_order_id HAVING min(event_time) >= fromUnixTimestamp64Micro({since})"
        )
        return [Leg(*row) for row in rows]

    def _quotes(self) -> dict[Name, Quote[float]]:
        newest = "argMax(({}), (received_time, _offset))".format(
            "market, bid_price, bid_size, ask_price, ask_size, sequence, toUnixTimestamp64Micro(event_time), "
            "toUnixTimestamp64Micro(received_time)"
        )
        rows = self._database.execute(
            f"SELECT exchange, symbol, {newest} FROM quotes "
            f"WHERE received_time > now64(6) - INTERVAL {QUOTED_SECONDS} SECOND GROUP BY exchange, symbol"
        )
        return {(exchange, symbol): Quote(exchange, symbol, *entry) for exchange, symbol, entry in rows}

    def _equity(self) -> dict[str, Decimal]:
        """Wallets and unrealised profit in the newest minute of the view."""
        rows = self._database.execute(_EQUITY)
        return {exchange: Decimal(repr(value)) for exchange, value in rows if value is not None}

    def _counts(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for topic in STORED:
            parts = self._log[topic.name]
            records = sum(one.end - one.start for one in parts.values())
            found[topic.table] = (records, self._dead[topic.name], self._database.rows(topic, parts))
        return found

    def _taker_fees(self) -> dict[Name, list[Decimal]]:
        rows = self._database.execute(
            "SELECT exchange, symbol, groupUniqArray(toString(taker_fee)) FROM instruments GROUP BY exchange, symbol"
        )
        return {(exchange, symbol): [Decimal(fee) for fee in fees] for exchange, symbol, fees in rows}

    def _moved(self) -> dict[Name, float]:
        """The recent price range of each instrument's quotes, in its own unit."""
        rows = self._database.execute(
            "SELECT exchange, symbol, max(ask_price) - min(bid_price) FROM quotes "
            f"WHERE received_time > now64(6) - INTERVAL {MOVED_SECONDS} SECOND GROUP BY exchange, symbol"
        )
        return {(exchange, symbol): moved for exchange, symbol, moved in rows}


def _contains(log: Log, place: Cause) -> bool:
    extent = log.get(place.topic, {}).get(place.partition)
    return extent is not None and extent.start <= place.offset < extent.end


async def newest_extents(settings: Settings) -> Log:
    """The end of the log, back to the oldest record that is counted."""
    log = await extents(settings, STORED)
    return {
        topic: {number: Extent(max(one.start, one.end - COUNTED), one.end) for number, one in parts.items()}
        for topic, parts in log.items()
    }


async def dead_letters(settings: Settings) -> set[Cause]:
    """The records that became dead letters, from the headers of these."""
    found: set[Cause] = set()
    letters = (MARKET_DEAD_LETTERS, ORDER_DEAD_LETTERS)
    async with Reader(settings, await load_codec(settings), letters, start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                found |= {source for entry in batch if (source := source_of(dict(entry.headers)))}
                if await reader.caught_up():
                    return found
    return found


def source_of(headers: Mapping[str, bytes | None]) -> Cause | None:
    """The source record of a dead letter; None if the headers are missing or can't be read."""
    topic, *place = (headers.get(name) or b"" for name in ("topic", "partition", "offset"))
    try:
        partition, offset = map(int, place)
        return Cause(topic.decode(), partition, offset)
    except ValueError:
        return None


async def reported(manager: AsyncExchangeManager, tables: Tables, since: Microseconds) -> Reported:
    """One reading: the tables first, then one snapshot of the view."""
    rows = await asyncio.to_thread(tables.read, since)
    view, now = manager.connection.view, manager.connection.now()
    with view.lock:
        instruments = {(one.exchange, one.symbol): one for one in view.instruments}
        balances: dict[Name, Balance] = {name: one.balance for name, one in view.balances.items()}
        positions: dict[Name, Position] = dict(view.positions)
        books = {name: book for name, one in instruments.items() if (book := view.book(one)) is not None}
        assets = {asset for _, asset in balances} | {one.quote for one in instruments.values()}
        known = ((asset, view.rate(asset, now)) for asset in assets)
        rates = {asset: Decimal(repr(rate.mid)) for asset, rate in known if rate is not None}
        prices = dict(view.prices)
        as_of = {exchange: view.oldest_part(exchange) for exchange in {exchange for exchange, _ in balances}}
        unified = manager.queries.get_unified_balance()
    moved = _by_market(rows.pop("moved"), instruments)
    return Reported(
        instruments=instruments,
        balances=balances,
        positions=positions,
        books=books,
        prices=prices,
        rates=rates,
        unified=unified,
        ranges=moved,
        as_of=as_of,
        **rows,
    )


def _by_market(moved: Mapping[Name, float], instruments: Mapping[Name, Instrument]) -> dict[str, Decimal]:
    """The largest move of an instrument of each market, per unit of the base."""
    found: dict[str, Decimal] = {}
    for name, amount in moved.items():
        if (one := instruments.get(name)) is not None:
            part = Decimal(repr(amount)) / one.multiplier
            found[one.market] = max(found.get(one.market, Decimal(0)), part)
    return found


def names_of(instruments: Mapping[Name, Instrument], names: Collection[Name]) -> dict[str, set[str]]:
    """The exchanges' own names of these instruments, by exchange."""
    found: dict[str, set[str]] = {}
    for name in names:
        if (one := instruments.get(name)) is not None:
            found.setdefault(one.exchange, set()).add(one.name)
    return found
