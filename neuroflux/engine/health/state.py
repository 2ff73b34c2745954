"""The health of each exchange, from its status records and orders. The first matching rule applies:

offline     no status record for ``SILENT``; or the last REST request was not answered; or every socket of its market
            data is disconnected or stale
degraded    some socket is; or in the last ``RECENT`` one kind of its data was stale while others arrived, a book had a
            gap and was not resynchronised, a frame was malformed, a rate limit was reached, or an order was in doubt;
            or the mean response time is above ``SLOW_MS``; or its clock differs from ours by more than ``SKEWED_MS``
online      none of these

A degraded exchange is up, an offline one is down, also while it is silent. Time in which no exchange sent anything is
our own downtime: it is not observed, and counts neither as up nor as down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import nan

from neuroflux.domain import (
    ExchangeHealth,
    ExchangeStatus,
    HealthStatus,
    Microseconds,
    OrderEvent,
    OrderState,
    StatusKind,
    StreamKind,
)
from neuroflux.engine.health.uptime import HOLDS, Uptime

SILENT: Microseconds = 30_000_000
RECENT: Microseconds = 10_000_000
EVERY: Microseconds = 5_000_000
"""Health is published at least this often."""
USAGE_HOLDS: Microseconds = 60_000_000
"""Rate limits are counted per minute: an older report is not used, and the share is ``nan``."""
SLOW_MS = 1_000.0
SKEWED_MS = 1_000.0
SAMPLES = 20
ORDER_SAMPLES = 100
"""The 95th percentile of order latency is that of this many of the last orders."""

MARKET, REST, ACCOUNT, ORDERS = "market", "rest", "account", "orders"
"""Channels other than market data sockets: requests of the market stage and of other stages, the account feed, new
orders."""
_STREAMS = frozenset(StreamKind)
_LOST = frozenset({StatusKind.DISCONNECTED, StatusKind.STALE})
_ALARMS = frozenset({StatusKind.GAP, StatusKind.MALFORMED})
_TAKEN = frozenset(
    {OrderState.ACKNOWLEDGED, OrderState.WORKING, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}
)
"""States of an order that the exchange accepted. A rejection may be due to a rate limit, so it proves nothing."""

Alarm = tuple[StatusKind | OrderState, str, str]
"""The key of an alarm: kind, channel and symbol."""


class _Exchange:
    """The recent state of one exchange, computed from its records."""

    def __init__(self, now: Microseconds) -> None:
        self.lost: dict[str, str] = {}
        self.sockets: set[str] = set()
        self.alarms: dict[Alarm, tuple[Microseconds, str]] = {}
        self.latencies: deque[float] = deque(maxlen=SAMPLES)
        self.order_latencies: deque[float] = deque(maxlen=ORDER_SAMPLES)
        self.skew = 0.0
        self.usage: tuple[Microseconds, float] = (0, nan)
        self.answered: Microseconds = 0
        self.last_status = self.judged = now
        self.last_market_status: Microseconds = 0
        self.status = HealthStatus.ONLINE
        self.uptime = Uptime()
        self.reported_at: Microseconds = 0

    def advance(self, now: Microseconds, alive: Microseconds) -> Microseconds:
        """Count the time until now as up or down by the last status; returns the effective time, which never decreases.

        ``alive`` is when the last record of any exchange was received: proof that we were observing.
        """
        now = max(now, self.judged)
        observed, silent = min(now, alive + HOLDS), self.last_status + SILENT
        up = self.status is not HealthStatus.OFFLINE
        self.uptime.observed(self.judged, min(observed, silent), up=up)
        self.uptime.observed(max(self.judged, silent), observed, up=False)
        self.judged = now
        self.alarms = {key: one for key, one in self.alarms.items() if now - one[0] < RECENT}
        return now

    def status_changed(self, status: ExchangeStatus, now: Microseconds) -> None:
        self.last_status = now
        kind, channel = status.kind, status.channel
        if channel == MARKET:
            self.last_market_status = now
        if channel in _STREAMS:
            self._stream(status, now)
        elif kind in _LOST or kind is StatusKind.CONNECTED:
            self._channel(status)
        elif kind is StatusKind.LATENCY and channel == ORDERS:
            self.order_latencies.append(status.value)
        elif kind is StatusKind.LATENCY:
            self.lost.pop(channel, None)
            self.latencies.append(status.value)
            self.answered = max(self.answered, status.event_time)
        elif kind is StatusKind.SKEW:
            self.skew = status.value
        elif kind is StatusKind.LIMITED:
            self.usage = (now, status.value)
            if status.value >= 1:
                self._alarm(status, now)
        elif kind in _ALARMS:
            self._alarm(status, now)
        elif kind is StatusKind.RESYNCED:
            self.alarms.pop((StatusKind.GAP, channel, status.symbol), None)

    def _stream(self, status: ExchangeStatus, now: Microseconds) -> None:
        """One kind of data is stale on a socket that receives others; the report is repeated while it lasts."""
        if status.kind is StatusKind.STALE:
            self.alarms[(status.kind, status.channel, "")] = (now, f"{status.channel} {status.kind}: {status.detail}")
        elif status.kind is StatusKind.RESYNCED:
            self.alarms.pop((StatusKind.STALE, status.channel, ""), None)

    def _channel(self, status: ExchangeStatus) -> None:
        if status.channel not in (MARKET, REST, ACCOUNT):
            self.sockets.add(status.channel)
        if status.kind is StatusKind.CONNECTED:
            self.lost.pop(status.channel, None)
        else:
            self.lost[status.channel] = f"{status.channel} {status.kind}: {status.detail}"

    def _alarm(self, status: ExchangeStatus, now: Microseconds) -> None:
        text = f"{status.channel} {status.kind}: {status.detail}"
        self.alarms[(status.kind, status.channel, status.symbol)] = (now, text)

    def order_changed(self, event: OrderEvent, now: Microseconds) -> None:
        """An accepted order proves that the exchange answers; an order in doubt raises an alarm."""
        if event.state is OrderState.IN_DOUBT:
            text = f"order {event.client_order_id} is in doubt: {event.reason}"
            self.alarms[(event.state, ORDERS, event.symbol)] = (now, text)
        elif event.state in _TAKEN:
            self.answered = max(self.answered, event.event_time)

    def judge(self, now: Microseconds) -> tuple[HealthStatus, str]:
        if now - self.last_status >= SILENT:
            return HealthStatus.OFFLINE, f"no report for {(now - self.last_status) / 1e6:.0f} s"
        everything = "; ".join(self.lost.values())
        if self.lost.keys() & {MARKET, REST} or (self.sockets and self.sockets <= self.lost.keys()):
            return HealthStatus.OFFLINE, everything
        wrong = (
            everything
            or "; ".join(text for _, text in self.alarms.values())
            or self._market_silent(now)
            or self._slow()
        )
        return (HealthStatus.DEGRADED, wrong) if wrong else (HealthStatus.ONLINE, "")

    def _market_silent(self, now: Microseconds) -> str:
        """The market stage stalled: a fault of ours, which only means that the exchange's prices are old."""
        silent = now - self.last_market_status if self.last_market_status else 0
        return f"no report of its market data for {silent / 1e6:.0f} s" if silent >= SILENT else ""

    def _slow(self) -> str:
        if self.latency() > SLOW_MS:
            return f"requests take {self.latency():.0f} ms"
        return f"its clock is {self.skew:.0f} ms from ours" if abs(self.skew) > SKEWED_MS else ""

    def latency(self) -> float:
        return sum(self.latencies) / len(self.latencies) if self.latencies else 0.0

    def order_latency(self) -> float:
        """The 95th percentile by nearest rank."""
        ranked = sorted(self.order_latencies)
        return ranked[-(-95 * len(ranked) // 100) - 1] if ranked else 0.0


class Health:
    """The state of all exchanges: a fold over records, so that it can be rebuilt from Kafka.

    ``now`` is when a record was written to Kafka, or the time of a tick.
    """

    def __init__(self) -> None:
        self._exchanges: dict[str, _Exchange] = {}
        self._alive: Microseconds = 0

    def status_changed(self, status: ExchangeStatus, now: Microseconds) -> Sequence[ExchangeHealth]:
        """Take a status record; returns the exchange's health if it changed."""
        exchange = self._exchanges.get(status.exchange)
        if exchange is None:
            exchange = self._exchanges[status.exchange] = _Exchange(now)
        for each in self._exchanges.values():
            each.advance(now, self._alive)
        now = exchange.judged
        self._alive = max(self._alive, now)
        exchange.status_changed(status, now)
        return self._changed(status.exchange, exchange, now)

    def order_changed(self, event: OrderEvent, now: Microseconds) -> Sequence[ExchangeHealth]:
        """Take an event of an order's leg; returns the exchange's health if it changed."""
        exchange = self._exchanges.get(event.exchange)
        if exchange is None or not event.client_order_id:
            return ()
        now = exchange.advance(now, self._alive)
        exchange.order_changed(event, now)
        return self._changed(event.exchange, exchange, now)

    def tick(self, now: Microseconds) -> Sequence[ExchangeHealth]:
        """The health of every exchange that changed by time alone, or was not published for ``EVERY``."""
        due: list[ExchangeHealth] = []
        for name, exchange in self._exchanges.items():
            at = exchange.advance(now, self._alive)
            due += self._changed(name, exchange, at) or (
                [_report(name, exchange, at)] if at - exchange.reported_at >= EVERY else []
            )
        return due

    def _changed(self, name: str, exchange: _Exchange, now: Microseconds) -> Sequence[ExchangeHealth]:
        if exchange.reported_at and exchange.judge(now)[0] is exchange.status:
            return ()
        return [_report(name, exchange, now)]


def _report(name: str, exchange: _Exchange, now: Microseconds) -> ExchangeHealth:
    exchange.status, reason = exchange.judge(now)
    exchange.reported_at = now
    measured_at, share = exchange.usage
    usage = share if now - measured_at < USAGE_HOLDS else nan
    uptime = exchange.uptime.percent(now)
    latencies = exchange.latency(), exchange.order_latency()
    return ExchangeHealth(
        name, exchange.status, latencies[0], uptime, usage, exchange.answered, reason, now, latencies[1]
    )
