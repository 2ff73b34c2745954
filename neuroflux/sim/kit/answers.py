"""Values as JSON: in frames, and in answers over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web


def json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, headers=headers, content_type="application/json"
    )
