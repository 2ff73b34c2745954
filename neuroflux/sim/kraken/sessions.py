"""One socket of Kraken: what it follows, its numbers and its token; and the answers to its messages.

Source: https://docs.kraken.com/api/docs/guides/spot-ws-intro
"""

from __future__ import annotations

from collections import Counter

from neuroflux.sim.core.connection import Connection
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.limits import Recent
from neuroflux.sim.kraken.keys import Token
from neuroflux.sim.kraken.wire import SECOND, Json, Params, timestamp

MESSAGES_A_SECOND = 50
"""From memory: the manual only says that there is a limit."""
HEARTBEAT = '{"channel":"heartbeat"}'
_NUMBER = '"sequence":'
_PLACE = f"{_NUMBER}null}}"


class Session:
    """Counts the frames of each private channel, from 1 for each subscription; a frame that is lost leaves a hole."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.messages = Recent(MESSAGES_A_SECOND, SECOND)
        self.token: Token | None = None
        self.last_sent = 0
        self.now = 0
        self._numbers: Counter[str] = Counter()
        connection.stamp = self._stamp

    def _stamp(self, text: str) -> str:
        self.last_sent = self.now
        if not text.endswith(_PLACE):
            return text
        channel = text[: text.index(",")]
        self._numbers[channel] += 1
        return f"{text.removesuffix(_PLACE)}{_NUMBER}{self._numbers[channel]}}}"

    def begin(self, channel: str) -> None:
        """Count a channel from 1 again."""
        self._numbers[f'{{"channel":"{channel}"'] = 0

    def subscribed(self, channel: str, symbol: str = "") -> str:
        """The stream of a channel that this socket follows; "" for none."""
        for name in self.connection.streams:
            kind, _, key = name.partition(":")
            if kind.partition(" ")[0] == channel and key in (symbol, ""):
                return name
        return ""

    def beat(self, now: int) -> None:
        """Send a heartbeat where a subscription was silent for a second."""
        self.now = now
        if self.connection.streams and now - self.last_sent >= SECOND:
            self.connection.send(HEARTBEAT, stream="heartbeat")

    # --- answers

    def answer(self, asked: Params, now: int, **body: object) -> None:
        """Answer a message; a ``req_id`` is repeated where one was given."""
        number: Json = {"req_id": asked["req_id"]} if asked.get("req_id") is not None else {}
        times = {"time_in": timestamp(now), "time_out": timestamp(now)}
        self.connection.reply(json_text({"method": asked.get("method"), **number, **body, **times}))

    def succeed(self, asked: Params, now: int, result: object, **more: object) -> None:
        self.answer(asked, now, result=result, success=True, **more)

    def refuse(self, asked: Params, now: int, error: str, symbol: str = "") -> None:
        self.answer(asked, now, error=error, success=False, **({"symbol": symbol} if symbol else {}))
