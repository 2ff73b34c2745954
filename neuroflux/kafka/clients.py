"""What all Kafka clients share: authentication, start, stop, and the meaning of their errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)
from aiokafka.helpers import create_ssl_context

from neuroflux.errors import Forbidden, NeuroFluxError, TooLarge, Unreachable
from neuroflux.runtime.settings import Settings

CLOSE_SECONDS = 10.0
"""Seconds to wait, on close, for a broker that does not respond."""

log = logging.getLogger(__name__)


def security(settings: Settings) -> dict[str, Any]:
    """The client options for authentication: none, or SCRAM, with TLS if the settings say so."""
    if not settings.kafka_user:
        return {}
    return {
        "security_protocol": "SASL_SSL" if settings.kafka_tls else "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
        "ssl_context": create_ssl_context() if settings.kafka_tls else None,
    }


async def or_unreachable(started: Awaitable[None], address: str, stop: Callable[[], Awaitable[None]]) -> None:
    """Start a client; stop it if it can't be started or is cancelled meanwhile. Raises Unreachable or Forbidden."""
    try:
        await started
    except KafkaError as error:
        await stop()
        raise failure(error, f"Kafka at {address} does not answer") from error
    except asyncio.CancelledError:
        await stop()
        raise


async def stopped(stop: Coroutine[Any, Any, None]) -> bool:
    """Stop a client, and return whether it stopped in time.

    If Kafka is down, aiokafka's own stop may never end, or end as if cancelled.
    """
    stopping = asyncio.create_task(stop)
    await asyncio.wait({stopping}, timeout=CLOSE_SECONDS)
    if stopping.done() and not stopping.cancelled():
        stopping.result()
        return True
    log.warning("Kafka does not respond: the client was closed without a proper shutdown")
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    return False


_FORBIDDEN = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    AuthenticationFailedError,
)


def failure(error: KafkaError, what: str) -> NeuroFluxError:
    """Our error for one of aiokafka's; ``what`` begins its text."""
    if isinstance(error, _FORBIDDEN):
        return Forbidden(f"{what}: not allowed: {error!r}")
    if isinstance(error, MessageSizeTooLargeError):
        return TooLarge(f"{what}: it is too large: {error!r}")
    return Unreachable(f"{what}: {error!r}")
