"""OKX's REST: signed requests, the envelope of every answer, and the limits that an answer reports.

Source: https://www.okx.com/docs-v5/en/ (REST authentication, general info, error code).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.kit import rest as kit
from neuroflux.exchanges.kit.order_client import REQUEST_TIMEOUT, Failure
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kit.shapes import UNREADABLE
from neuroflux.exchanges.kit.signing import hmac_base64

ID: Final = "okx"
API: Final = "/api/v5"
WINDOW_SECONDS: Final = 2.0
"""The window of almost every limit; no answer names a wait."""
BAN_SECONDS: Final = 120.0
"""The wait after a refusal that is not the exchange's own: Cloudflare's, of an address that requests too much."""
THROTTLED: Final = ("50011", "50040", "50061", "60014")
_GOOD: Final = ("", "0")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP: Final = "OK-ACCESS-TIMESTAMP"


class Envelope(Struct, frozen=True):
    """``data`` is a list of rows, but for a few answers that are not used here."""

    code: str
    data: Raw = Raw(b"[]")
    msg: str = ""


class _Result(Struct, frozen=True):
    """A row that says what became of one order."""

    sCode: str = ""
    sMsg: str = ""


_ENVELOPE: Final = Decoder(Envelope)
_RESULTS: Final = Decoder(list[_Result])


def iso(now: Microseconds) -> str:
    """``2026-11-28T12:00:00.123Z``"""
    return (_EPOCH + timedelta(microseconds=now)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def asked_at(answer: Answer) -> Microseconds:
    """When the request was signed, by the exchange's clock as far as it was known; 0 where it was not signed."""
    stamp = answer.request.headers.get(_STAMP)
    return (datetime.fromisoformat(stamp) - _EPOCH) // timedelta(microseconds=1) if stamp else 0


def signed(
    keys: Keys, method: str, path: str, stamp: str, tag: str, bucket: str = "", sent: Any = None, **query: object
) -> Request:
    """A request of an account, signed at ``stamp`` (see ``iso``): over exactly the path, query and body that are sent.

    ``path`` is below ``API``; ``sent`` is the body, and a parameter that is None is left out.
    """
    given = urlencode({name: value for name, value in query.items() if value is not None})
    full = f"{API}{path}?{given}" if given else f"{API}{path}"
    body = b"" if sent is None else msgspec.json.encode(sent)
    headers = {
        "OK-ACCESS-KEY": keys.key,
        "OK-ACCESS-SIGN": hmac_base64(keys.secret, f"{stamp}{method}{full}{body.decode()}"),
        _STAMP: stamp,
        "OK-ACCESS-PASSPHRASE": keys.passphrase,
    }
    if body:
        headers["Content-Type"] = "application/json"
    if keys.testnet:
        headers["x-simulated-trading"] = "1"
    return Request(method, full, body, headers, tag=tag, bucket=bucket)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def failure(body: bytes) -> Failure | None:
    """The error in a body: that of its first row that has one, else that of the whole; None where it is none.

    Source: the manual, "General Info": where rows have an ``sCode``, it decides.
    """
    try:
        wire = _ENVELOPE.decode(body)
    except UNREADABLE:
        return None
    for row in _results(wire.data):
        if row.sCode not in _GOOD:
            return Failure(row.sCode, row.sMsg)
        if row.sCode:
            return None
    return None if wire.code in _GOOD else Failure(wire.code, wire.msg)


def _results(data: Raw) -> list[_Result]:
    try:
        return _RESULTS.decode(data)
    except UNREADABLE:
        return []


def data_of(body: bytes) -> Raw:
    """The rows of a good answer, as they were sent. Raises ``UNREADABLE``, ValueError for an error too."""
    wire = _ENVELOPE.decode(body)
    failed = failure(body)
    if failed is not None:
        raise ValueError(f"{failed.reason:.300}")
    return wire.data


def is_throttled(answer: Answer) -> bool:
    """Whether a limit refused it before anything was done: by its code, or in front of the exchange."""
    failed = failure(answer.body)
    if failed is None:
        return answer.status in (403, *kit.LIMITED)
    return answer.status < 500 and answer.status != REQUEST_TIMEOUT and failed.code in THROTTLED


def wait(answer: Answer) -> float:
    """Seconds after which a request that was throttled may be sent again."""
    return BAN_SECONDS if failure(answer.body) is None else WINDOW_SECONDS


def checked(answer: Answer) -> Raw:
    """The rows of a good answer; raises RateLimited, Unreachable, Refused or MalformedFrame for any other."""
    path, failed = answer.request.path.partition("?")[0] or answer.request.tag, failure(answer.body)
    is_ours = failed is not None and answer.status < 500
    status = 429 if is_throttled(answer) else 400 if is_ours and answer.status in (kit.OK, 429) else answer.status
    judged = msgspec.structs.replace(answer, status=status)
    body = kit.checked(judged, path, wait, lambda body: failed is not None)
    try:
        return _ENVELOPE.decode(body).data
    except UNREADABLE as error:
        raise MalformedFrame(f"{path}: {error}") from error
