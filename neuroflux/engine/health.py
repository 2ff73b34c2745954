"""How each exchange is, from what happened to it.

offline     every market channel is disconnected or stale, or REST did not answer when it was last asked
degraded    some channel is; or a gap, a refusal for its rate or a malformed frame in the last ``RECENT``;
            or requests take longer than ``SLOW_MS``
online      none of these
"""

from __future__ import annotations

from collections import deque

from neuroflux.domain import ExchangeHealth, ExchangeStatus, HealthStatus, Microseconds, StatusKind

DAY: Microseconds = 24 * 3600 * 1_000_000
RECENT: Microseconds = 10_000_000
SLOW_MS = 1_000.0
EVERY: Microseconds = 5_000_000
SAMPLES = 20

_ALARMS = frozenset({StatusKind.GAP, StatusKind.MALFORMED})
_LOST = frozenset({StatusKind.DISCONNECTED, StatusKind.STALE})
_FOUND = frozenset({StatusKind.CONNECTED, StatusKind.LATENCY})


class _Exchange:
    """One exchange's recent past."""

    def __init__(self, now: Microseconds) -> None:
        self.lost: dict[str, str] = {}
        self.found: set[str] = set()
        self.latencies: deque[float] = deque(maxlen=SAMPLES)
        self.usage = 0.0
        self.answered: Microseconds = 0
        self.alarm: tuple[Microseconds, str] = (0, "")
        self.status = HealthStatus.OFFLINE
        self.spans: deque[tuple[Microseconds, Microseconds, bool]] = deque()
        self.since = now
        self.given: Microseconds = 0


class Health:
    """The state of all exchanges; ``now`` is given with every record and every tick."""

    def __init__(self) -> None:
        self._exchanges: dict[str, _Exchange] = {}

    def restore(self, last: ExchangeHealth) -> None:
        """Go on with the uptime that was told before a restart."""
        exchange = self._exchanges.setdefault(last.exchange, _Exchange(last.event_time))
        up = int(DAY * last.uptime_percent / 100)
        exchange.spans.append((last.event_time - DAY, last.event_time - DAY + up, True))
        exchange.spans.append((last.event_time - DAY + up, last.event_time, False))
        exchange.answered = last.last_successful_request

    def happened(self, status: ExchangeStatus, now: Microseconds) -> ExchangeHealth | None:
        """Take in what happened; the health where it changed."""
        exchange = self._exchanges.get(status.exchange)
        if exchange is None:
            exchange = self._exchanges[status.exchange] = _Exchange(now)
        _note(exchange, status)
        return self._told(status.exchange, exchange, now, force=False)

    def tick(self, now: Microseconds) -> list[ExchangeHealth]:
        """The health of every exchange of which nothing was told for a while."""
        due = [(name, one) for name, one in self._exchanges.items() if now - one.given >= EVERY]
        return [told for name, one in due if (told := self._told(name, one, now, force=True))]

    def _told(self, name: str, exchange: _Exchange, now: Microseconds, *, force: bool) -> ExchangeHealth | None:
        status, reason = _judge(exchange, now)
        if status is exchange.status and not force and exchange.given:
            return None
        _remember(exchange, now)
        exchange.status, exchange.given = status, now
        mean = sum(exchange.latencies) / len(exchange.latencies) if exchange.latencies else 0.0
        figures = (mean, _uptime(exchange, now), exchange.usage, exchange.answered)
        return ExchangeHealth(name, status, *figures, reason, now)


def _note(exchange: _Exchange, status: ExchangeStatus) -> None:
    if status.kind in _LOST:
        exchange.lost[status.channel] = f"{status.channel} {status.kind}: {status.detail}"
    elif status.kind in _FOUND:
        exchange.lost.pop(status.channel, None)
        exchange.found.add(status.channel)
    if status.kind is StatusKind.LATENCY:
        exchange.latencies.append(status.value)
        exchange.answered = max(exchange.answered, status.event_time)
    elif status.kind is StatusKind.LIMITED:
        exchange.usage = status.value
        if status.value >= 1:
            exchange.alarm = (status.event_time, f"{status.kind}: {status.detail}")
    elif status.kind in _ALARMS:
        exchange.alarm = (status.event_time, f"{status.kind}: {status.detail}")


def _judge(exchange: _Exchange, now: Microseconds) -> tuple[HealthStatus, str]:
    feeds = exchange.found - {"rest", "account"}
    lost_feeds = exchange.lost.keys() - {"rest", "account"}
    if "rest" in exchange.lost or (lost_feeds and not feeds - lost_feeds) or not exchange.found:
        return HealthStatus.OFFLINE, "; ".join(exchange.lost.values()) or "nothing was heard of it"
    if exchange.lost:
        return HealthStatus.DEGRADED, "; ".join(exchange.lost.values())
    if now - exchange.alarm[0] < RECENT:
        return HealthStatus.DEGRADED, exchange.alarm[1]
    if exchange.latencies and sum(exchange.latencies) / len(exchange.latencies) > SLOW_MS:
        return HealthStatus.DEGRADED, "requests are slow"
    return HealthStatus.ONLINE, ""


def _remember(exchange: _Exchange, now: Microseconds) -> None:
    """The time since the last word counts as what was said then; a degraded exchange is up."""
    exchange.spans.append((exchange.since, now, exchange.status is not HealthStatus.OFFLINE))
    exchange.since = now
    while exchange.spans and exchange.spans[0][1] < now - DAY:
        exchange.spans.popleft()


def _uptime(exchange: _Exchange, now: Microseconds) -> float:
    """Percent of the observed time of the last 24 h; 100 before anything was observed."""
    clipped = [(max(start, now - DAY), end, up) for start, end, up in exchange.spans]
    observed = sum(end - start for start, end, _ in clipped)
    return 100 * sum(end - start for start, end, up in clipped if up) / observed if observed else 100.0
