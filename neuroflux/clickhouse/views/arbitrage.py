"""``arbitrage_by_hour``: dislocations and their possible profit, each counted once.

A dislocation is an interval in which a route (kind, what is bought where, what is sold where) kept paying. Its signal
is repeated while it lasts: a signal before the previous one has expired belongs to the same dislocation. It counts in
the hour in which it began.

hour, market, kind, buy_exchange, sell_exchange
signals            the number of records, including repetitions
dislocations       the number of dislocations
total_seconds      their total duration, each from its first signal to its last
total_profit       USD, net: the best signal of each dislocation, but 0 if a better one of the same hour used one of its
                   books at the same time: an order in a book can be taken only once, whatever the route
best_profit        USD, net: the best signal
average_quantity   of the best signals of the dislocations, in units of the base
"""

_ROUTE = "market, kind, buy_exchange, buy_symbol, sell_exchange, sell_symbol"
_BEFORE = f"PARTITION BY {_ROUTE} ORDER BY _partition, _offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"

_STRETCHES = f"""
    SELECT {_ROUTE}, cityHash64({_ROUTE}, stretch) AS id, toStartOfHour(min(event_time)) AS hour, count() AS signals,
           min(event_time) AS began, max(event_time) AS ended, max(expires_at) AS until, max(expected_profit) AS best,
           argMax(quantity, expected_profit) AS best_quantity
    FROM (
        SELECT *, sum(begins) OVER before AS stretch FROM (
            SELECT *, event_time > lagInFrame(expires_at, 1, toDateTime64(0, 6, 'UTC')) OVER before AS begins
            FROM (SELECT * FROM arbitrage_signals FINAL) WINDOW before AS ({_BEFORE})
        ) WINDOW before AS ({_BEFORE})
    ) GROUP BY {_ROUTE}, stretch
"""

_BOOKS = f"""
    SELECT id, hour, market, began, until, best,
           arrayJoin([('buy', buy_exchange, buy_symbol), ('sell', sell_exchange, sell_symbol)]) AS book
    FROM ({_STRETCHES})
"""

_BEATEN = f"""
    SELECT one.id FROM ({_BOOKS}) AS one
    INNER JOIN ({_BOOKS}) AS other ON one.market = other.market AND one.hour = other.hour AND one.book = other.book
    WHERE one.began < other.until AND other.began < one.until AND (one.best, one.id) < (other.best, other.id)
"""

ARBITRAGE_BY_HOUR = f"""
CREATE OR REPLACE VIEW arbitrage_by_hour AS
SELECT hour, market, kind, buy_exchange, sell_exchange, sum(stretch.signals) AS signals, count() AS dislocations,
       sum(dateDiff('microsecond', began, ended)) / 1000000 AS total_seconds,
       sumIf(best, id NOT IN ({_BEATEN})) AS total_profit, max(best) AS best_profit,
       avg(best_quantity) AS average_quantity
FROM ({_STRETCHES}) AS stretch
GROUP BY hour, market, kind, buy_exchange, sell_exchange
"""
