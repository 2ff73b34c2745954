"""A hub sends each stream's frames to its followers alone, when a change or the time makes them due."""

from __future__ import annotations

import time
from random import Random

import pytest

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.world import Change, World
from neuroflux.sim.kit.streams import Channel, Hub

EXCHANGE, SYMBOL = next((venue.id, venue.listings[0].symbol) for venue in venues().values())
NOW = 1_700_000_000_000_000
FAULTS = Faults(time.monotonic, venues())
WORLD = World(venues(), 1, FAULTS, NOW)


class Socket(Connection):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(EXCHANGE, FAULTS, Random(1))
        self.sent: list[str] = []

    def send(self, text: str, *, stream: str = "", is_depth: bool = False, is_private: bool = False) -> None:
        self.sent.append(text)


@pytest.fixture
def hub() -> Hub:
    return Hub(WORLD.exchanges[EXCHANGE])


@pytest.fixture
def socket() -> Socket:
    return Socket()


def change(first: int = 5, *, trades: int = 0) -> Change:
    exchange = WORLD.exchanges[EXCHANGE]
    matches = [Match(number, "buy", 1, 1, 0, 0) for number in range(trades)]
    book = exchange.books[SYMBOL]
    return Change(exchange.listings[SYMBOL], book, matches, [("buy", first)], first, first + 1)


def test_the_first_frame_and_each_trade(hub: Hub, socket: Socket) -> None:
    channel = Channel(first=lambda key: f"first {key}", trades=lambda one, _: (str(m.trade_id) for m in one.matches))
    hub.follow(socket, "trades", SYMBOL, channel)
    hub.publish([change(trades=2)], NOW)
    hub.publish([change()], NOW)
    assert socket.sent == [f"first {SYMBOL}", "0", "1"]


def test_the_best_prices_are_sent_when_they_moved(hub: Hub, socket: Socket) -> None:
    for name, key in (("one", SYMBOL), ("every", ""), ("other", "OTHER")):
        hub.follow(socket, name, key, Channel(top=lambda symbol, _, name=name: f"{name} {symbol}"))  # type: ignore[misc]
    hub.publish([change(), change()], NOW)
    assert socket.sent == [f"one {SYMBOL}", f"every {SYMBOL}"]


def test_levels_are_gathered_until_they_are_due(hub: Hub, socket: Socket) -> None:
    channel = Channel(levels=lambda _, unsent, now: f"{unsent.first} {len(unsent.levels)}")
    hub.follow(socket, "slow", SYMBOL, channel, every=100)
    hub.publish([change(5)], NOW)
    hub.publish([change(7)], NOW + 50)
    hub.publish([change(9)], NOW + 60)
    hub.publish([], NOW + 100)
    hub.publish([], NOW + 300)
    assert socket.sent == ["5 1", "7 2"]


def test_the_state_is_sent_by_the_clock(hub: Hub, socket: Socket) -> None:
    hub.follow(socket, "state", "account", Channel(timed=lambda key, now: f"{key} {now - NOW}"), every=100)
    for at in (0, 50, 100):
        hub.publish([], NOW + at)
    hub.hasten("state")
    hub.publish([], NOW + 101)
    assert socket.sent == ["account 0", "account 100", "account 101"]


def test_without_followers_nothing_is_written(hub: Hub, socket: Socket) -> None:
    hub.follow(socket, "events", "account", Channel())
    hub.send("events", lambda: "one")
    hub.leave(socket)
    hub.send("events", lambda: pytest.fail("written"))
    hub.unfollow(socket, "events")
    assert (socket.sent, socket.streams) == (["one"], {})


def test_followers_are_counted(hub: Hub, socket: Socket) -> None:
    assert hub.followers("events") == 0
    channel, other = Channel(first=lambda key: str(hub.followers("events"))), Socket()
    for one in (socket, other, socket):
        hub.follow(one, "events", "account", channel)
    assert (socket.sent, other.sent) == (["1", "2"], ["2"])


def test_each_socket_wraps_its_frames(hub: Hub, socket: Socket) -> None:
    socket.wrap = lambda name, text: f"{name}: {text}"
    hub.follow(socket, "events", "account", Channel(first=lambda key: key))
    hub.send("events", lambda: "one")
    assert socket.sent == ["events: account", "events: one"]
