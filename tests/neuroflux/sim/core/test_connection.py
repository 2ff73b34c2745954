"""What a socket counts: every frame that was to be sent, also one that was lost on its way."""

from __future__ import annotations

import time
from itertools import count
from random import Random

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.faults import Faults


class Counting(Connection):
    """Numbers its frames, and keeps them."""

    def __init__(self, faults: Faults) -> None:
        super().__init__("binance", faults, Random(1))
        numbers = count()
        self.stamp = lambda text: f"{text}{next(numbers)}"
        self.sent: list[str] = []

    def _enqueue(self, text: str, late: float = 0.0) -> None:
        self.sent.append(text)


def test_a_lost_frame_leaves_a_gap_and_a_muted_one_does_not() -> None:
    faults = Faults(time.monotonic, venues())
    socket = Counting(faults)
    for fault in ("", "gap", "mute", "duplicate"):
        if fault:
            faults.add(b'{"exchange":"binance","fault":"%s","count":1}' % fault.encode())
        socket.send("x", is_depth=True)
    socket.reply("x")
    assert socket.sent == ["x0", "x2", "x2", "x3"]
