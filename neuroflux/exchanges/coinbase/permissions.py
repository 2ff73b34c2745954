"""What a key of Coinbase may do.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/data-api/get-api-key-permissions
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.coinbase.messages import ID
from neuroflux.exchanges.coinbase.rest import PERMISSIONS, failure, signed, wait
from neuroflux.exchanges.kit.requests import Answer, KeyQuestion, KeyRights, Keys, Request
from neuroflux.exchanges.kit.rest import checked
from neuroflux.exchanges.kit.shapes import UNREADABLE

TRADE_MISSING: Final = 'this key may not trade: make one with the permission "Trade"'


class Permissions(Struct, frozen=True):
    """``can_transfer``: it may send money to anywhere."""

    can_view: bool
    can_trade: bool
    can_transfer: bool


_PERMISSIONS: Final = Decoder(Permissions)


def permissions_of(body: bytes) -> Permissions:
    """Raises ``UNREADABLE``."""
    return _PERMISSIONS.decode(body)


def permissions_request(keys: Keys, now: Microseconds) -> Request:
    return signed(keys, "GET", PERMISSIONS, now, "permissions")


def question(keys: Keys, now: Microseconds) -> KeyQuestion:
    return KeyQuestion(ID, permissions_request(keys, now))


def rights(answer: Answer | None) -> KeyRights:
    """Raises what a refused or malformed answer means."""
    if answer is None:
        return KeyRights(None, "the key was not asked after")
    body = checked(answer, "permissions", wait, lambda body: failure(body) is not None)
    try:
        may_transfer = permissions_of(body).can_transfer
    except UNREADABLE as error:
        raise MalformedFrame(f"permissions: {error}") from error
    if may_transfer:
        return KeyRights(True, 'make a key without the permission "Transfer"')
    return KeyRights(False, "the key may not transfer")
