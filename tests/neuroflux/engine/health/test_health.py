"""Health by its rules, and as a fold over records."""

from __future__ import annotations

from decimal import Decimal
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from neuroflux.domain import ExchangeHealth, ExchangeStatus, HealthStatus, OrderEvent, OrderState, Side, StatusKind
from neuroflux.engine.health.state import EVERY, RECENT, SILENT, USAGE_HOLDS, Health

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
K = StatusKind


def status(
    kind: StatusKind, channel: str = "/ws", value: float = 0.0, at: int = NOW, symbol: str = ""
) -> ExchangeStatus:
    return ExchangeStatus("a", channel, kind, value, "why", at, symbol)


def order(state: OrderState, at: int = NOW, client_order_id: str = "c1") -> OrderEvent:
    none = Decimal(0)
    return OrderEvent("o1", state, "a", "X/USDC", client_order_id, "", Side.BUY, none, none, none, (), "why", at)


def after(*events: ExchangeStatus | OrderEvent, at: int | None = None) -> ExchangeHealth:
    """The health at the time ``at``, after these records, each taken at its own time."""
    health = Health()
    for event in events:
        if isinstance(event, ExchangeStatus):
            health.status_changed(event, event.event_time)
        else:
            health.order_changed(event, event.event_time)
    now = at if at is not None else events[-1].event_time
    return next(one for one in health.tick(now + EVERY) if one.exchange == "a")


def healthy() -> list[ExchangeStatus]:
    return [status(K.CONNECTED), status(K.CONNECTED, "/market"), status(K.LATENCY, "rest", 40.0)]


def test_a_connected_and_answering_exchange_is_online() -> None:
    result = after(*healthy())
    assert (result.status, result.reason) == (HealthStatus.ONLINE, "")
    assert (result.latency_ms, result.last_successful_request) == (40, NOW)


def test_a_silent_market_stage_is_reported() -> None:
    others = [status(K.LATENCY, "rest", 40.0, at=NOW + n * SECOND) for n in range(0, 40, 5)]
    result = after(*healthy(), status(K.LATENCY, "market", 40.0), *others)
    assert (result.status, result.reason) == (HealthStatus.DEGRADED, "no report of its market data for 40 s")
    again = status(K.LATENCY, "market", 40.0, at=NOW + 50 * SECOND)
    assert after(*healthy(), status(K.LATENCY, "market", 40.0), *others, again).status is HealthStatus.ONLINE


def test_the_latency_of_orders_is_their_95th_percentile_and_apart_from_other_requests() -> None:
    assert after(*healthy()).order_latency_ms == 0
    result = after(*healthy(), *(status(K.LATENCY, "orders", float(ms)) for ms in range(40, 0, -1)))
    assert (result.order_latency_ms, result.latency_ms) == (38, 40)


@pytest.mark.parametrize(
    ("what", "reads"),
    [
        (status(K.DISCONNECTED), "/ws disconnected"),
        (status(K.STALE, value=30), "/ws stale"),
        (status(K.DISCONNECTED, "account"), "account disconnected"),
        (status(K.GAP, "depth", symbol="X/USDC", at=NOW + EVERY), "depth gap"),
        (status(K.MALFORMED, at=NOW + EVERY), "malformed"),
        (status(K.LIMITED, "rest", 1.0, at=NOW + EVERY), "rest limited"),
        (status(K.SKEW, "rest", -1500.0), "its clock is -1500 ms from ours"),
        (order(OrderState.IN_DOUBT, at=NOW + EVERY), "order c1 is in doubt"),
    ],
)
def test_one_thing_wrong_degrades(what: ExchangeStatus | OrderEvent, reads: str) -> None:
    result = after(*healthy(), what)
    assert result.status is HealthStatus.DEGRADED
    assert reads in result.reason
    assert result.uptime_percent == 100


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        (status(K.DISCONNECTED), status(K.CONNECTED)),
        (status(K.STALE), status(K.CONNECTED)),
        (status(K.GAP, "depth", symbol="X"), status(K.RESYNCED, "depth", symbol="X")),
        (status(K.SKEW, "rest", 5000.0), status(K.SKEW, "rest", 5.0)),
        (status(K.DISCONNECTED, "rest"), status(K.LATENCY, "rest", 40.0)),
        (status(K.DISCONNECTED, "rest"), status(K.CONNECTED, "rest")),
    ],
)
def test_a_recovered_exchange_is_online(lost: ExchangeStatus, found: ExchangeStatus) -> None:
    assert after(*healthy(), lost).status is not HealthStatus.ONLINE
    assert after(*healthy(), lost, found).status is HealthStatus.ONLINE


def test_a_gap_of_another_symbol_remains() -> None:
    gaps = status(K.GAP, "depth", symbol="X"), status(K.GAP, "depth", symbol="Y")
    assert after(*healthy(), *gaps, status(K.RESYNCED, "depth", symbol="X")).status is HealthStatus.DEGRADED


def test_alarms_expire() -> None:
    assert after(*healthy(), status(K.MALFORMED), at=NOW + RECENT - EVERY - 1).status is HealthStatus.DEGRADED
    assert after(*healthy(), status(K.MALFORMED), at=NOW + RECENT - EVERY).status is HealthStatus.ONLINE


def test_every_socket_lost_is_offline() -> None:
    result = after(*healthy(), status(K.DISCONNECTED), status(K.STALE, "/market"))
    assert result.status is HealthStatus.OFFLINE
    assert "/ws" in result.reason
    assert "/market" in result.reason


def test_rest_that_does_not_answer_is_offline() -> None:
    assert after(*healthy(), status(K.DISCONNECTED, "rest")).status is HealthStatus.OFFLINE


def test_silence_is_offline_and_not_observed() -> None:
    assert after(*healthy(), at=NOW + SILENT - EVERY - 1).status is HealthStatus.ONLINE
    result = after(*healthy(), at=NOW + SILENT - EVERY)
    assert (result.status, result.uptime_percent) == (HealthStatus.OFFLINE, 100)
    again = after(*healthy(), status(K.LATENCY, "rest", 40.0, at=NOW + 100 * SILENT))
    assert (again.status, again.uptime_percent) == (HealthStatus.ONLINE, 100)


def test_uptime_counts_the_observed_time() -> None:
    result = after(
        *healthy(),
        status(K.LATENCY, "rest", 40.0, at=NOW + 10 * SECOND),
        status(K.DISCONNECTED, "rest", at=NOW + 15 * SECOND),
        status(K.LATENCY, "rest", 40.0, at=NOW + 20 * SECOND),
    )
    assert result.event_time == NOW + 25 * SECOND
    assert result.uptime_percent == pytest.approx(80)


def other(at: int) -> ExchangeStatus:
    return ExchangeStatus("b", "rest", K.LATENCY, 40.0, "", at)


def test_one_silent_exchange_is_down_and_all_silent_exchanges_are_not_observed() -> None:
    """Of 124 s of silence the exchange is up until it is offline, and down for the rest."""
    end = 124 * SECOND
    back = status(K.LATENCY, "rest", 40.0, at=NOW + end)
    alone = after(*healthy(), *(other(NOW + at * SECOND) for at in range(0, 124, 4)), back)
    assert alone.uptime_percent == pytest.approx(100 * (SILENT + EVERY) / (end + EVERY))
    together = after(*healthy(), other(NOW), back)
    assert together.uptime_percent == 100


def test_time_in_which_all_exchanges_are_silent_does_not_count_as_up() -> None:
    """Down for 10 s, up for 10 s, and then silence for a quarter of an hour."""
    down = [status(K.DISCONNECTED, "rest", at=NOW + at * SECOND) for at in (0, 5)]
    up = [status(K.LATENCY, "rest", 40.0, at=NOW + at * SECOND) for at in (10, 900)]
    result = after(*healthy(), *down, *up)
    assert result.uptime_percent == pytest.approx(100 * (10 + 5) / 25)


def test_slow_requests_degrade() -> None:
    slow = [status(K.LATENCY, "rest", 3000.0) for _ in range(2)]
    result = after(*healthy(), *slow)
    assert result.status is HealthStatus.DEGRADED
    assert result.latency_ms == pytest.approx((40 + 6000) / 3)


def test_rate_limit_usage_is_reported_while_it_is_valid() -> None:
    used = status(K.LIMITED, "rest", 0.4)
    assert after(*healthy(), used).rate_limit_usage == 0.4
    later = status(K.LATENCY, "rest", 40.0, at=NOW + USAGE_HOLDS)
    assert isnan(after(*healthy(), used, later).rate_limit_usage), "unknown, and not 0"


def test_a_rate_limit_that_was_never_reported_is_unknown() -> None:
    assert isnan(after(*healthy()).rate_limit_usage)


def test_an_answer_to_an_order_is_an_answered_request() -> None:
    at = NOW + SECOND
    assert after(*healthy(), order(OrderState.ACKNOWLEDGED, at)).last_successful_request == at
    assert after(*healthy(), order(OrderState.REJECTED, at)).last_successful_request == NOW, "it may be a throttle"
    assert after(*healthy(), order(OrderState.SENDING, at)).last_successful_request == NOW
    assert after(*healthy(), order(OrderState.FILLED, at, client_order_id="")).last_successful_request == NOW


def test_reported_on_every_change_and_every_few_seconds() -> None:
    health = Health()
    assert len(health.status_changed(status(K.CONNECTED), NOW)) == 1
    assert len(health.status_changed(status(K.CONNECTED, "/market"), NOW)) == 0
    assert len(health.status_changed(status(K.DISCONNECTED), NOW + 1)) == 1
    assert len(health.status_changed(status(K.DISCONNECTED), NOW + 2)) == 0
    assert len(health.tick(NOW + EVERY)) == 0
    assert len(health.tick(NOW + EVERY + 1)) == 1
    assert len(health.tick(NOW + EVERY + 2)) == 0


def test_a_change_by_time_alone_is_reported() -> None:
    health = Health()
    health.status_changed(status(K.CONNECTED), NOW)
    health.status_changed(status(K.MALFORMED), NOW + 1)
    assert health.tick(NOW + RECENT)[0].status is HealthStatus.DEGRADED
    assert health.tick(NOW + RECENT + 1)[0].status is HealthStatus.ONLINE


def test_an_order_on_an_unknown_exchange_is_ignored() -> None:
    assert Health().order_changed(order(OrderState.FILLED), NOW) == ()


events = st.lists(
    st.tuples(
        st.sampled_from([K.CONNECTED, K.DISCONNECTED, K.STALE, K.LATENCY, K.GAP, K.RESYNCED, K.LIMITED]),
        st.sampled_from(["/ws", "/market", "rest", "account"]),
        st.sampled_from(["a", "b"]),
        st.integers(SECOND, 40 * SECOND),
    ),
    min_size=1,
    max_size=30,
)


@given(events, st.integers(0, 29))
def test_the_same_records_give_the_same_health(given: list[tuple[StatusKind, str, str, int]], cut: int) -> None:
    """A worker that published health all along, and one that reads Kafka only now, have the same result."""
    result, read, at = Health(), Health(), NOW
    for number, (kind, channel, exchange, later) in enumerate(given):
        at += later
        one = ExchangeStatus(exchange, channel, kind, 1.0, "why", at)
        result.status_changed(one, at)
        read.status_changed(one, at)
        if number < cut:
            result.tick(at + SECOND // 2)
    ours, theirs = result.tick(at + 2 * EVERY), read.tick(at + 2 * EVERY)
    assert list(map(astuple, ours)) == list(map(astuple, theirs))


def test_a_kind_of_data_that_is_silent_beside_others_degrades_and_never_counts_as_a_socket() -> None:
    silent = status(K.STALE, "trade", 40.0)
    result = after(*healthy(), silent)
    assert (result.status, result.reason) == (HealthStatus.DEGRADED, "trade stale: why")
    assert after(*healthy(), silent, status(K.RESYNCED, "trade")).status is HealthStatus.ONLINE
    lost = [status(K.DISCONNECTED), status(K.DISCONNECTED, "/market")]
    assert after(*healthy(), silent, status(K.RESYNCED, "trade"), *lost).status is HealthStatus.OFFLINE


def test_a_stale_report_that_is_not_repeated_expires() -> None:
    """The market stage was restarted, and the stream that it follows now is not stale."""
    later = status(K.LATENCY, "rest", 40.0, at=NOW + RECENT)
    assert after(*healthy(), status(K.STALE, "trade", 40.0), later).status is HealthStatus.ONLINE
