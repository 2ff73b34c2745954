"""How each exchange is, from what happened to it. The first rule that holds:

offline     nothing was heard of it for ``SILENT``; or REST did not answer when it was last asked; or every socket of
            its market data is disconnected or mute
degraded    some socket is; or in the last ``RECENT`` a kind of its data was silent while others came, a book had a gap
            and was not proved again, a frame was malformed, the exchange asked us to wait, or nobody knew what became
            of an order; or requests take longer than ``SLOW_MS`` in the mean; or its clock is further than
            ``SKEWED_MS`` from ours
online      none of these

A degraded exchange is up. An exchange that is offline is down, also while it is silent. Time in which nothing was heard
of any exchange is ours: it is not observed, and counts neither as up nor as down.
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
"""Health is told at least this often."""
USAGE_HOLDS: Microseconds = 60_000_000
"""Rate limits are counted by the minute: what was reported longer ago says nothing, and the share is ``nan``."""
SLOW_MS = 1_000.0
SKEWED_MS = 1_000.0
SAMPLES = 20
ORDER_SAMPLES = 100
"""Of so many of the last orders the 95th percentile is told."""

MARKET, REST, ACCOUNT, ORDERS = "market", "rest", "account", "orders"
"""Channels that are no sockets of the market data: requests of the market stage, of the others, the account's feed, and
new orders."""
_STREAMS = frozenset(StreamKind)
_LOST = frozenset({StatusKind.DISCONNECTED, StatusKind.STALE})
_ALARMS = frozenset({StatusKind.GAP, StatusKind.MALFORMED})
_TAKEN = frozenset(
    {OrderState.ACKNOWLEDGED, OrderState.WORKING, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}
)
"""States that an exchange gives an order that it took. A rejection may be for too many requests: it proves nothing."""

Alarm = tuple[StatusKind | OrderState, str, str]
"""What is wrong: its kind, and where: channel and symbol."""


class _Exchange:
    """One exchange's recent past, as a function of what happened to it."""

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
        """Count the time until now as what was said last; the time that counts, which never runs back.

        ``alive`` is when anything was last heard of any exchange: proof that we were observing.
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
        """One kind of data is missing on a socket that is lively with others: said again while it lasts."""
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
        """An exchange that took an order answered a request well; one that did not say may be in trouble."""
        if event.state is OrderState.IN_DOUBT:
            text = f"order {event.client_order_id} is in doubt: {event.reason}"
            self.alarms[(event.state, ORDERS, event.symbol)] = (now, text)
        elif event.state in _TAKEN:
            self.answered = max(self.answered, event.event_time)

    def judge(self, now: Microseconds) -> tuple[HealthStatus, str]:
        if now - self.last_status >= SILENT:
            return HealthStatus.OFFLINE, f"nothing was heard of it for {(now - self.last_status) / 1e6:.0f} s"
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
        """The market stage hangs: that is ours, and says nothing of the exchange but that its prices are old."""
        silent = now - self.last_market_status if self.last_market_status else 0
        return f"nothing was heard of its market data for {silent / 1e6:.0f} s" if silent >= SILENT else ""

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
    """The state of all exchanges: a fold over what happened, so it can be made again from the log.

    ``now`` comes with every record (when it was written to the log) and with every tick.
    """

    def __init__(self) -> None:
        self._exchanges: dict[str, _Exchange] = {}
        self._alive: Microseconds = 0

    def status_changed(self, status: ExchangeStatus, now: Microseconds) -> Sequence[ExchangeHealth]:
        """Take in what happened; the exchange's health where it changed."""
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
        """Take in what became of an order's leg; the exchange's health where it changed."""
        exchange = self._exchanges.get(event.exchange)
        if exchange is None or not event.client_order_id:
            return ()
        now = exchange.advance(now, self._alive)
        exchange.order_changed(event, now)
        return self._changed(event.exchange, exchange, now)

    def tick(self, now: Microseconds) -> Sequence[ExchangeHealth]:
        """The health of every exchange where time alone changed it, or of which nothing was told for a while."""
        told: list[ExchangeHealth] = []
        for name, exchange in self._exchanges.items():
            at = exchange.advance(now, self._alive)
            told += self._changed(name, exchange, at) or (
                [_report(name, exchange, at)] if at - exchange.reported_at >= EVERY else []
            )
        return told

    def _changed(self, name: str, exchange: _Exchange, now: Microseconds) -> Sequence[ExchangeHealth]:
        if exchange.reported_at and exchange.judge(now)[0] is exchange.status:
            return ()
        return [_report(name, exchange, now)]


def _report(name: str, exchange: _Exchange, now: Microseconds) -> ExchangeHealth:
    exchange.status, reason = exchange.judge(now)
    exchange.reported_at = now
    told, share = exchange.usage
    usage = share if now - told < USAGE_HOLDS else nan
    uptime = exchange.uptime.percent(now)
    latencies = exchange.latency(), exchange.order_latency()
    return ExchangeHealth(
        name, exchange.status, latencies[0], uptime, usage, exchange.answered, reason, now, latencies[1]
    )
