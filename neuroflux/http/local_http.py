"""What guards a server of this machine from web pages: a page in a user's browser reaches loopback as the user does.

A page of another site says so by ``Origin`` with whatever it may change. A page that has its own name point at this
machine (DNS rebinding) is of the same origin then, but asks for that name by ``Host``. Programs send no ``Origin``, and
ask for this machine.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from neuroflux.runtime.hosts import LOOPBACK


def guarded(names: Collection[str] = ()) -> Middleware:
    """Refuse with 403 what asks for another host than this machine or ``names``, or comes from a page of another."""
    known = LOOPBACK | {name.lower() for name in names}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _is_of(f"//{request.host}", known):
            raise web.HTTPForbidden(text="Host: not a name of this server")
        if (origin := request.headers.get("Origin")) is not None and not _is_of(origin, known):
            raise web.HTTPForbidden(text="Origin: a page of another site")
        return await handler(request)

    return middleware


def _is_of(address: str, known: Collection[str]) -> bool:
    try:
        return urlsplit(address).hostname in known
    except ValueError:
        return False
