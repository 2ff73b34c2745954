"""What a key of Binance may do, spot and USDⓈ-M: spot's address answers for both.

Source: https://developers.binance.com/docs/wallet/account/api-key-permission. The testnets answer nothing of the
wallet: https://testnet.binance.vision, "Can I use the /sapi endpoints".
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.order_paths import SPOT_PATHS
from neuroflux.exchanges.binance.rest import checked, signed
from neuroflux.exchanges.kit.requests import Answer, KeyQuestion, KeyRights, Keys
from neuroflux.exchanges.kit.shapes import UNREADABLE


class _Restrictions(Struct, frozen=True):
    enableWithdrawals: bool
    ipRestrict: bool


def question(keys: Keys, now: Microseconds) -> KeyQuestion | None:
    if keys.testnet:
        return None
    asked = signed(keys, "GET", "/sapi/v1/account/apiRestrictions", now, 1, "apiRestrictions")
    return KeyQuestion(SPOT_PATHS.exchange, asked)


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
