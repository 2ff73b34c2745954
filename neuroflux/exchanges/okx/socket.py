"""What OKX's sockets share: how one is opened and kept alive, and the frames without data.

Source: https://www.okx.com/docs-v5/en/#overview-websocket. A connection ends after 30 s without any message, so that a
text ``ping`` is sent; the answer is no JSON.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.requests import Subscription
from neuroflux.exchanges.okx.rest import ID

_PONG: Final = b"pong"
_ANSWERS: Final = (_PONG, b'{"event":')


class _Event(Struct, frozen=True):
    event: str = ""
    code: str = ""
    msg: str = ""
    channel: str = ""


_EVENT: Final = Decoder(_Event)


def operation(op: str, *args: dict[str, str]) -> bytes:
    return msgspec.json.encode({"op": op, "args": args})


def subscription(path: str, frames: tuple[bytes, ...], quiet_seconds: float, **more: Any) -> Subscription:
    """``path`` is ``public`` or ``private``."""
    answers = _ANSWERS if path == "public" else ()  # private data is rare: there a pong shows that the socket is alive
    return Subscription(f"/ws/v5/{path}", frames, b"ping", 20.0, quiet_seconds, answers=answers, **more)


def notice(raw: bytes, channel: str, received: Microseconds) -> tuple[FeedEvent, ...]:
    """The events of a frame without data; none for any other.

    A refused subscription brings nothing: its socket is opened again for an account, and reported for market data. A
    notice says that the connection is about to be closed. Raises ``UNREADABLE``.
    """
    if raw == _PONG:
        return (Ignored("pong"),)
    wire = _EVENT.decode(raw)
    if not wire.event:
        return ()
    text = f"{wire.event} {wire.code} {wire.msg or wire.channel}"[:500]
    if wire.event == "notice" or (channel == "account" and _is_refused(wire)):
        return (ExchangeStatus(ID, channel, StatusKind.DISCONNECTED, 0.0, text, received),)
    if _is_refused(wire):
        return (ExchangeStatus(ID, "error", StatusKind.MALFORMED, 0.0, text, received),)
    return (Ignored(wire.event),)


def _is_refused(wire: _Event) -> bool:
    is_error = wire.event in ("error", "channel-conn-count-error")
    return is_error or (wire.event == "login" and wire.code not in ("", "0"))
