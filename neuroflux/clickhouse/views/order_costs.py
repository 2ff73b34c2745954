"""``order_costs``: the costs of each filled order.

A row for each order of kind ``place``; for a pair or a rebalance, one for each instrument and side of its legs. Money
is in USD, quantities are in units of the market's base and prices in USD per unit of it, even if the exchange counts
thousands of it or quotes USDT. An unknown figure is NULL: without a mid, a rate, or the time of the command.

order_id, kind, strategy
market, exchange, symbol, side   of the place order, or the leg; exchange and symbol are empty if there were several
filled_quantity, average_price   of the fills
arrival_price                    the mid of the instruments that filled it, at the arrival of the command
slippage                         how much worse the fills were than that, as a fraction of it; negative: better
fees                             less rebates; a fee in the base is valued at the price of its fill, one in a third
                                 asset at the price of that asset in that minute
implementation_shortfall         the amount paid beyond the mid at arrival, with the fees (Perold, 1988)
mark_out_1s, _10s, _60s          how far the mid had moved in our favour this long after each fill, as a fraction of the
                                 price; of those fills for which that time has passed

The command arrived at ``issued_at`` if its sender gave it and the execution received it within a minute of that; else
when the execution received it. That is a time by our clock, so the mid is that of the newest quote received by then.
Mark-outs compare two times of one exchange.
"""

from __future__ import annotations

from neuroflux.clickhouse.views.usd import INSTRUMENTS, PRICE_HOLDS_SECONDS, usd, usd_prices

MID_HOLDS_SECONDS = 60
"""A mid of an older quote is not used."""
ISSUED_WITHIN_SECONDS = 60
_NEVER = "toDateTime64(0, 6, 'UTC')"

_ORDERS = """
    SELECT order_id, kind, market, side, strategy, issued_at AS issued FROM order_commands WHERE kind != 'cancel'
    ORDER BY _partition, _offset LIMIT 1 BY order_id
"""
"""The first command of each id: a second one was refused."""
_RECEIVED = f"""
    SELECT order_id, min(event_time) AS received FROM order_events WHERE event_time > {_NEVER} GROUP BY order_id
"""

_ARRIVED = f"""
    multiIf(heard.received = {_NEVER}, ordered.issued,
            ordered.issued BETWEEN heard.received - INTERVAL {ISSUED_WITHIN_SECONDS} SECOND AND heard.received,
            ordered.issued, heard.received)
"""
_BASE, _MARKET_BASE = "splitByChar('/', f.symbol)[1]", "splitByChar('/', ordered.market)[1]"

_FILLED = f"""
    SELECT f.order_id AS order_id, f.exchange AS exchange, f.symbol AS symbol, f.event_time AS time,
           f.fee_asset AS fee_asset, toFloat64(f.fee) AS fee, ordered.kind AS kind, ordered.strategy AS strategy,
           if(kind = 'place', ordered.side, f.side) AS side, {_ARRIVED} AS arrived,
           multiIf(kind = 'place', ordered.market, listed.market != '', listed.market, concat({_BASE}, '/USD'))
               AS market,
           if(listed.base != '', listed.base, {_BASE}) AS base,
           if(listed.quote != '', listed.quote, splitByChar(':', splitByChar('/', f.symbol)[2])[1]) AS quoted,
           multiIf(listed.multiplier > 0, listed.multiplier, {_MARKET_BASE} = '' OR {_MARKET_BASE} = {_BASE}, 1, NULL)
               AS multiplier,
           if(f.side = 'buy', 1, -1) AS sign, toFloat64(f.price) / multiplier AS price,
           toFloat64(f.quantity) * multiplier AS quantity
    FROM (SELECT * FROM fills FINAL) AS f
    INNER JOIN ({_ORDERS}) AS ordered ON f.order_id = ordered.order_id
    LEFT JOIN ({_RECEIVED}) AS heard ON f.order_id = heard.order_id
    LEFT JOIN ({INSTRUMENTS}) AS listed ON f.exchange = listed.exchange AND f.symbol = listed.symbol
"""
"""Each fill with its order, per unit of the base and in its own quote; unknown values are NULL."""

_TIMED = f"""
    SELECT *, arrayJoin([0, 1, 10, 60]) AS after, toUInt8(after > 0) AS by_exchange,
           if(after = 0, arrived, time + toIntervalSecond(after)) AS at
    FROM ({_FILLED})
"""
"""Each fill four times: at the arrival of the command, by our clock, and 1, 10 and 60 s after the fill, by its
exchange's clock."""

_MINUTES_BEFORE = f"arrayMap(n -> toStartOfMinute(event_time) - 60 * n, range({PRICE_HOLDS_SECONDS // 60 + 1}))"
_RATES = usd_prices(f"SELECT arrayJoin({_MINUTES_BEFORE}) FROM fills")
_RATE = usd("fill.quoted", "toStartOfMinute(fill.time)", "quote_rate")
_THIRD = usd("fill.fee_asset", "toStartOfMinute(fill.time)", "fee_rate")

_PRICED = f"""
    SELECT fill.*, {_RATE} AS in_usd,
           fee * multiIf(fee = 0, 0, fee_asset = quoted, in_usd, fee_asset = base, price * in_usd, {_THIRD}) AS fee_usd
    FROM ({_TIMED}) AS fill
    ASOF LEFT JOIN ({_RATES}) AS quote_rate
        ON fill.quoted = quote_rate.asset AND toStartOfMinute(fill.time) >= quote_rate.minute
    ASOF LEFT JOIN ({_RATES}) AS fee_rate
        ON fill.fee_asset = fee_rate.asset AND toStartOfMinute(fill.time) >= fee_rate.minute
"""

_ASKED = f"""
    SELECT exchange, symbol, arrayJoin([toStartOfMinute(at), toStartOfMinute(at) - 60]) FROM ({_TIMED})
"""
_MIDS = f"""
    SELECT exchange, symbol, (bid_price + ask_price) / 2 AS mid,
           arrayJoin([(0, received_time), (1, event_time)]) AS stamp, stamp.1 AS by_exchange, stamp.2 AS at
    FROM quotes
    WHERE 0 < bid_price AND bid_price <= ask_price AND (
        (exchange, symbol, toStartOfMinute(received_time)) IN ({_ASKED})
        OR (exchange, symbol, toStartOfMinute(event_time)) IN ({_ASKED})
    )
"""
"""Only of the minutes that are needed, since there are many more quotes than fills."""

_MEASURED = f"""
    SELECT priced.order_id AS order_id, priced.exchange AS exchange, priced.symbol AS symbol,
           kind, market, side, strategy, quoted, sign, price, quantity, in_usd, fee_usd, after,
           if(mids.mid > 0 AND dateDiff('second', mids.at, priced.at) <= {MID_HOLDS_SECONDS}, mids.mid, NULL)
               / multiplier AS mid,
           priced.at <= newest.at AS is_past
    FROM ({_PRICED}) AS priced
    ASOF LEFT JOIN ({_MIDS}) AS mids ON priced.exchange = mids.exchange AND priced.symbol = mids.symbol
        AND priced.by_exchange = mids.by_exchange AND priced.at >= mids.at
    LEFT JOIN (SELECT exchange, max(event_time) AS at FROM quotes GROUP BY exchange) AS newest
        ON priced.exchange = newest.exchange
"""


_KNOWN = f"""
    SELECT order_id, exchange, symbol, kind, market, side, strategy, quoted, sign, after, is_past,
           ifNull(quantity, nan) AS base, ifNull(price * quantity, nan) AS paid, ifNull(mid * quantity, nan) AS fair,
           ifNull(in_usd, nan) AS usd, ifNull(fee_usd, nan) AS fee
    FROM ({_MEASURED})
"""
"""Unknown values are nan here, so that no sum silently omits them."""

_AFTER = (1, 10, 60)


def _gained(seconds: int) -> str:
    """The gain and the cost of the fills whose mark-out is known, in the quote and in USD."""
    known = f"after = {seconds} AND is_past AND isFinite(fair)"
    return f"""
       sumIf(sign * (fair - paid), {known}) AS gained_{seconds}, sumIf(paid, {known}) AS cost_{seconds},
       sumIf(sign * (fair - paid) * usd, {known}) AS gained_{seconds}_usd,
       sumIf(paid * usd, {known}) AS cost_{seconds}_usd
    """


_SUMS = f"""
    SELECT order_id, any(one.kind) AS kind, any(one.market) AS market,
           if(uniqExact(one.exchange) = 1, any(one.exchange), '') AS exchange,
           if(uniqExact(one.symbol) = 1, any(one.symbol), '') AS symbol,
           any(one.side) AS side, any(one.strategy) AS strategy, uniqExact(quoted) AS quotes,
           sumIf(base, after = 0) AS bases, sumIf(paid * usd, after = 0) AS paid_usd,
           sumIf(fair, after = 0) AS fair_own, sumIf(fair * usd, after = 0) AS fair_usd,
           sumIf(sign * (paid - fair), after = 0) AS beyond, sumIf(sign * (paid - fair) * usd, after = 0) AS beyond_usd,
           sumIf(fee, after = 0) AS fees_usd, {", ".join(map(_gained, _AFTER))}
    FROM ({_KNOWN}) AS one
    GROUP BY order_id, if(one.kind = 'place', ('', '', ''), (one.exchange, one.symbol, one.side))
"""


def _figure(value: str, name: str) -> str:
    """The figure, or NULL if it is unknown or a ratio to 0."""
    return f"if(isFinite({value} AS finite_{name}), finite_{name}, NULL) AS {name}"


def _fraction(name: str, part: str, whole: str, own: str) -> str:
    """A fraction computed in the quote if there is only one, so that no rate is needed; else in USD."""
    return _figure(f"if(quotes = 1, {part} / {own}, {part}_usd / {whole}_usd)", name)


ORDER_COSTS = f"""
CREATE OR REPLACE VIEW order_costs AS
SELECT order_id, kind, market, exchange, symbol, side, strategy,
       {_figure("bases", "filled_quantity")},
       {_figure("paid_usd / bases", "average_price")},
       {_figure("fair_usd / bases", "arrival_price")},
       {_fraction("slippage", "beyond", "fair", "fair_own")},
       {_figure("fees_usd", "fees")},
       {_figure("beyond_usd + fees_usd", "implementation_shortfall")},
       {", ".join(_fraction(f"mark_out_{n}s", f"gained_{n}", f"cost_{n}", f"cost_{n}") for n in _AFTER)}
FROM ({_SUMS})
SETTINGS join_use_nulls = 0
"""
