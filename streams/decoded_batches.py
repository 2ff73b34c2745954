"""Decodes batches to entries, once for all agents that read them."""

from __future__ import annotations

from typing import Any

import faust

from neuroflux.kafka.decoder import Decoder
from streams.batches import Payload


class Decoded(faust.Schema[Any, Any]):
    """A Faust schema by which an agent receives a batch as a list of entries."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, **_: Any) -> Any:
            payload: Payload = message.value
            if payload.entries is None:
                payload.entries = await self._decoder.entries(payload.records)
            return app.create_event(None, payload.entries, message.headers, message)

        return decode
