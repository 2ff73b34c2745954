"""``exchange_uptime``: the share of the observed time in which an exchange was up, by day, from its published health.

exchange, day
uptime_percent     0 to 100
seconds_observed   each record is valid until the next, and at most for ``HOLDS``; later time is not observed

An exchange is up while it is online or degraded. This is the definition of engine/health/uptime.py, which computes the
health records' own ``uptime_percent`` of 24 hours.
"""

from neuroflux.engine.health.uptime import HOLDS

EXCHANGE_UPTIME = f"""
CREATE OR REPLACE VIEW exchange_uptime AS
SELECT exchange, toDate(event_time) AS day,
       sumIf(held, status != 'offline') / nullIf(sum(held), 0) * 100 AS uptime_percent,
       sum(held) AS seconds_observed
FROM (
    SELECT exchange, status, event_time,
           dateDiff('microsecond', event_time, leadInFrame(event_time, 1, event_time) OVER later) AS until_next,
           greatest(0, least({HOLDS}, until_next)) / 1000000 AS held
    FROM exchange_health FINAL
    WINDOW later AS (
        PARTITION BY exchange ORDER BY _partition, _offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    )
)
GROUP BY exchange, day
"""
