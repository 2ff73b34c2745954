"""``equity``: the value of each account, minute by minute.

A row for every minute, exchange and asset, from its first balance to the newest minute with any record: a balance
without a report in a minute is unchanged. Records of one asset are ordered by their offset in Kafka, since several
records of one event have the same ``event_time``, and an exchange's answers and its stream have two clocks; a record
that is dated before its predecessor counts from the predecessor's time on.

minute, exchange, asset
total                the wallet's balance, in units of the asset, without unrealised profit
price                USD per unit: the last of the minute, or of the ten minutes before; NULL if unknown
value_usd            total x price; NULL without a price, unless the total is 0
unrealised_pnl       profit of the open positions that settle in the asset, in units of it: at the minute's last mark
                     price, or as last reported if there was no mark price
unrealised_pnl_usd   the same in USD; NULL without a price
told                 when the exchange last reported the balance

The account's equity is ``sum(value_usd + unrealised_pnl_usd)`` over the rows of one minute. A NULL is not 0: such a sum
includes the other assets only.
"""

from __future__ import annotations

from neuroflux.clickhouse.views.usd import INSTRUMENTS, usd, usd_prices


def _times(names: str) -> str:
    """The time from which a record counts; one without a time counts from its predecessor's."""
    return f"max(event_time) OVER (PARTITION BY {names} ORDER BY _partition, _offset ROWS UNBOUNDED PRECEDING)"


def _until(names: str) -> str:
    """The beginning of the next row of these names, in seconds; for the last row, the end of the newest minute."""
    later = f"PARTITION BY {names} ORDER BY minute ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"
    return f"leadInFrame(toUnixTimestamp(minute), 1, newest) OVER ({later})"


_MINUTES = "toDateTime(arrayJoin(range(toUnixTimestamp(minute), toUInt32(until), 60)), 'UTC')"

_NEWEST = """toUInt32(toUnixTimestamp(toStartOfMinute(least(now(), toDateTime(assumeNotNull(greatest(
    (SELECT max(event_time) FROM balances), (SELECT max(event_time) FROM positions),
    (SELECT max(event_time) FROM aggregated_prices))))))) + 60)"""
"""The end of the newest minute, in seconds; records dated in the future do not extend it."""

_WALLETS = f"""
    SELECT exchange, asset, {_MINUTES} AS minute_of, total, told FROM (
        SELECT exchange, asset, minute, total, told, {_until("exchange, asset")} AS until FROM (
            SELECT exchange, asset, toStartOfMinute(time) AS minute, argMax(wallet, (_partition, _offset)) AS total,
                   max(time) AS told
            FROM (SELECT exchange, asset, _partition, _offset, toFloat64(total - unrealised_pnl) AS wallet,
                         {_times("exchange, asset")} AS time
                  FROM balances)
            WHERE toUnixTimestamp(time) > 0 GROUP BY exchange, asset, minute
        )
    )
"""

_POSITIONS = f"""
    SELECT exchange, symbol, {_MINUTES} AS minute_of, state.1 AS quantity, state.2 AS entry, state.3 AS reported FROM (
        SELECT exchange, symbol, minute, state, {_until("exchange, symbol")} AS until FROM (
            SELECT exchange, symbol, toStartOfMinute(time) AS minute, argMax(state, (_partition, _offset)) AS state
            FROM (SELECT exchange, symbol, _partition, _offset,
                         (toFloat64(quantity), toFloat64(entry_price), toFloat64(unrealised_pnl)) AS state,
                         {_times("exchange, symbol")} AS time
                  FROM positions)
            WHERE toUnixTimestamp(time) > 0 GROUP BY exchange, symbol, minute
        )
    ) WHERE quantity != 0
"""

_MARKS = """
    SELECT exchange, symbol, toStartOfMinute(event_time) AS minute, argMax(mark_price, (event_time, _offset)) AS mark
    FROM funding WHERE mark_price > 0 AND (exchange, symbol) IN (SELECT exchange, symbol FROM positions)
    GROUP BY exchange, symbol, minute
"""

_PROFITS = f"""
    SELECT open.exchange AS exchange, open.minute_of AS minute_of,
           if(listed.settle != '', listed.settle, splitByChar(':', open.symbol)[2]) AS asset,
           if(marks.mark > 0 AND open.entry > 0, quantity * (mark - entry), reported) AS profit
    FROM ({_POSITIONS}) AS open
    LEFT JOIN ({_MARKS}) AS marks
        ON open.exchange = marks.exchange AND open.symbol = marks.symbol AND open.minute_of = marks.minute
    LEFT JOIN (SELECT exchange, symbol, settle FROM ({INSTRUMENTS})) AS listed
        ON open.exchange = listed.exchange AND open.symbol = listed.symbol
    SETTINGS join_use_nulls = 0
"""

EQUITY = f"""
CREATE OR REPLACE VIEW equity AS
WITH {_NEWEST} AS newest
SELECT held.minute AS minute, exchange, held.asset AS asset, total,
       {usd("held.asset", "held.minute", "priced")} AS price,
       if(total = 0, 0, total * price) AS value_usd, unrealised_pnl,
       if(unrealised_pnl = 0, 0, unrealised_pnl * price) AS unrealised_pnl_usd, told
FROM (
    SELECT minute_of AS minute, exchange, asset, sum(total) AS total, sum(profit) AS unrealised_pnl, max(told) AS told
    FROM (
        SELECT exchange, asset, minute_of, total, 0. AS profit, told FROM ({_WALLETS})
        UNION ALL
        SELECT exchange, asset, minute_of, 0. AS total, profit, toDateTime64(0, 6, 'UTC') AS told FROM ({_PROFITS})
    ) GROUP BY minute, exchange, asset
) AS held
ASOF LEFT JOIN ({usd_prices()}) AS priced ON held.asset = priced.asset AND held.minute >= priced.minute
"""
