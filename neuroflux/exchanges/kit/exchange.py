"""What most exchanges answer alike; an adapter's exchange derives from it and names what differs."""

from __future__ import annotations

from typing import ClassVar, Final

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.requests import Answer, Buckets, KeyQuestion, KeyRights, Keys, OrderRate, Request, Usage
from neuroflux.exchanges.kit.rest import LIMITED, retry_after

_SHOWN: Final = 4
"""Letters of a key at either end: enough to find it in an exchange's list of keys."""


NO_TESTNET: Final = ("", "", "")
"""``TESTNET`` of an exchange that has none. One that trades real money, or executes no orders, is none."""


class BaseExchange:
    """Implements ``Exchange`` but for the addresses, the listing, the feeds and the order client.

    The defaults fit an exchange that counts everything by the minute, reports no use of its limits before they are
    exceeded, gives a subaccount its own keys, and does not report the rights of a key. ``TIME`` requests its time.
    """

    BUCKETS: ClassVar[Buckets] = {}
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = ()
    TIME: ClassVar[Request]

    def server_time_request(self) -> Request | None:
        return self.TIME

    def usage(self, answer: Answer) -> Usage:
        return Usage(wait=self.wait(answer) if answer.status in LIMITED else None)

    def is_overtaken(self, answer: Answer) -> bool:
        return False

    def wait(self, answer: Answer) -> float:
        """Seconds after which a request that was refused for the rate of all may be sent again."""
        return retry_after(answer)

    def account_name(self, keys: Keys) -> str:
        short = len(keys.key) < 4 * _SHOWN
        shown = "…" if short else f"{keys.key[:_SHOWN]}…{keys.key[-_SHOWN:]}"
        return f"key {shown}, {keys.subaccount}" if keys.subaccount else f"key {shown}"

    def subaccount_fault(self, subaccount: str, *, has_keys: bool) -> str:
        return "" if has_keys else f"subaccount {subaccount!r}: it needs its own keys: pass api_key and secret_key"

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        return None

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        return KeyRights(None, "the exchange does not report the rights of a key")
