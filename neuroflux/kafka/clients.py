"""What the clients of Kafka have in common: how they come in, how they leave, and what their errors mean."""

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
"""How long who leaves waits for a Kafka that does not answer."""

log = logging.getLogger(__name__)


def security(settings: Settings) -> dict[str, Any]:
    """What a client of Kafka needs beside the address: nothing, or SCRAM, over TLS where the settings say so."""
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
    """Start a client; one that could not be started, or was cancelled meanwhile, is stopped."""
    try:
        await started
    except KafkaError as error:
        await stop()
        raise failure(error, f"Kafka at {address} does not answer") from error
    except asyncio.CancelledError:
        await stop()
        raise


async def stopped(stop: Coroutine[Any, Any, None]) -> bool:
    """Whether a client of Kafka has stopped. Of a Kafka that is gone it waits without end, or ends as if cancelled."""
    stopping = asyncio.create_task(stop)
    await asyncio.wait({stopping}, timeout=CLOSE_SECONDS)
    if stopping.done() and not stopping.cancelled():
        stopping.result()
        return True
    log.warning("Kafka does not answer: left without a goodbye")
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
    if isinstance(error, _FORBIDDEN):
        return Forbidden(f"{what}: not allowed: {error!r}")
    if isinstance(error, MessageSizeTooLargeError):
        return TooLarge(f"{what}: it is too large: {error!r}")
    return Unreachable(f"{what}: {error!r}")
