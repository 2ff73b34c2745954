"""What Hyperliquid's two feeds share: how a socket is opened and kept alive, and the frames without data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.json import Decoder
from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.hyperliquid.messages import Envelope
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.feed import KindAt
from neuroflux.exchanges.kit.requests import Subscription
from neuroflux.exchanges.kit.shapes import UNREADABLE

ID: Final = "hyperliquid"
KIND_AT: Final = KindAt(b'{"channel":"', b'{"channel":"')
HEARTBEAT: Final = b'{"method":"ping"}'
HEARTBEAT_SECONDS: Final = 30.0
"""The server closes a socket on which it has sent nothing for 60 s."""
MARKET_QUIET_SECONDS: Final = 30.0

ACCOUNT_SUBSCRIPTIONS: Final = 10
"""Left for the private feed, which has five, and ten for a moment while its socket is opened again."""

MARKET_SUBSCRIPTIONS: Final = 1000 - ACCOUNT_SUBSCRIPTIONS
"""An IP address may have 1,000 on all its sockets together. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/rate-limits-and-user-limits
"""

GREETING: Final = "Websocket connection established."
"""Text that old servers send first."""

_ENVELOPE: Final = Decoder(Envelope)
_ANSWERS: Final = (b'{"channel":"pong"', b'{"channel":"subscriptionResponse"')


def subscribe_frame(kind: str, **of: str | bool) -> bytes:
    """``{"method":"subscribe","subscription":{"type":kind,…}}``, always with the same bytes."""
    return msgspec.json.encode({"method": "subscribe", "subscription": {"type": kind, **of}})


def market_socket(frames: Sequence[bytes]) -> Subscription:
    """The socket on which these subscribe frames are sent."""
    return replace(socket(frames, MARKET_QUIET_SECONDS), is_steady=True, answers=_ANSWERS)


def socket(frames: Sequence[bytes], quiet_seconds: float) -> Subscription:
    """The same for data that is rare: there the answer to the heartbeat shows that the socket is alive."""
    return Subscription("/ws", tuple(frames), HEARTBEAT, HEARTBEAT_SECONDS, quiet_seconds)


def error_event(text: str, received_time: Microseconds) -> FeedEvent:
    """Judge an ``error`` frame, whose only content is a sentence.

    An error about a subscription that exists already, or no longer, changes nothing. Any other means that the exchange
    could not read a request of ours, so that data may be missing: that is a status, for people and for the health.
    """
    if text.startswith("Already "):
        return Ignored(f"error: {text[:80]}")
    return ExchangeStatus(ID, "error", StatusKind.MALFORMED, 0.0, text[:500], received_time)


def not_a_frame(raw: bytes | str, error: Exception, channels: frozenset[str]) -> FeedEvent | None:
    """The event for a frame that fits none of the known structs; None for JSON that names no channel.

    Channels that a feed does not use are ignored; on its own ``channels`` such a frame is an error.
    """
    if raw in (GREETING, GREETING.encode()):
        return Ignored("greeting")
    try:
        channel = _ENVELOPE.decode(raw).channel
    except msgspec.ValidationError:
        return None
    except UNREADABLE:
        return Undecodable(f"no JSON: {error}")
    return Undecodable(f"{channel}: {error}") if channel in channels else Ignored(channel)
