"""What a key of Binance may do, spot and USDⓈ-M: spot's address answers for both.

Source: https://developers.binance.com/docs/wallet/account/api-key-permission. The testnets answer nothing of the
wallet: https://testnet.binance.vision, "Can I use the /sapi endpoints".
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.rest import checked, signed
from neuroflux.exchanges.binance.spot_account import EXCHANGE as SPOT
from neuroflux.exchanges.kit.requests import Answer, KeyQuestion, KeyRights, Keys
from neuroflux.exchanges.kit.shapes import UNREADABLE

FACADE_NAME: Final = SPOT
"""The name of Binance's two accounts together."""
_SHOWN: Final = 4
"""Letters of a key at either end: enough to find it in Binance's list of keys."""


class _Restrictions(Struct, frozen=True):
    enableWithdrawals: bool
    ipRestrict: bool


def account_name(keys: Keys) -> str:
    short = len(keys.key) < 4 * _SHOWN
    shown = "…" if short else f"{keys.key[:_SHOWN]}…{keys.key[-_SHOWN:]}"
    return f"key {shown}, {keys.subaccount}" if keys.subaccount else f"key {shown}"


def subaccount_fault(subaccount: str, *, has_keys: bool) -> str:
    return "" if has_keys else f"subaccount {subaccount!r}: it needs its own keys: pass api_key and secret_key"


def question(keys: Keys, now: Microseconds) -> KeyQuestion | None:
    if keys.testnet:
        return None
    return KeyQuestion(SPOT, signed(keys, "GET", "/sapi/v1/account/apiRestrictions", now, 1, "apiRestrictions"))


def rights(answer: Answer | None) -> KeyRights:
    if answer is None:
        return KeyRights(None, "Binance's testnets do not say")
    try:
        found = msgspec.json.decode(checked(answer), type=_Restrictions)
    except UNREADABLE as error:
        raise MalformedFrame(f"{answer.request.tag}: {error}") from error
    if found.enableWithdrawals:
        return KeyRights(True, 'clear "Enable Withdrawals" of this key in Binance\'s API Management')
    return KeyRights(
        False, "bound to IP addresses" if found.ipRestrict else "bound to no IP address, which it could be"
    )
