"""Kraken's errors, and what they say of an order.

An error is a text, ``EOrder:Insufficient funds``; some go on after a colon or a blank. Those that begin with ``W`` are
warnings. Source: https://docs.kraken.com/api/docs/guides/spot-errors, and users' reports of orders that stood after
``EService:Unavailable``, ``EService:Timeout`` and ``EGeneral:Internal error``, which are in no list here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from neuroflux.exchanges.kit.order_client import Code

STALE_NONCE: Final = "EAPI:Invalid nonce"
TOO_LATE: Final = "EService:Deadline elapsed"
UNKNOWN_ORDER: Final = "EOrder:Unknown order"
INVALID_ORDER: Final = "EOrder:Invalid order"
DUPLICATE: Final = "uplicate"
"""In any text: an order of this client id may be ours. The text itself is in no document."""
NAMED_WAIT: Final = "EService: Throttled:"
"""The time follows, in seconds, from which on requests are accepted again."""


class Prefixes(Collection[Code]):
    """Texts, and any text that goes on from one of them after a colon or a blank."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def __contains__(self, code: object) -> bool:
        return isinstance(code, str) and any(_begins(code, text) for text in self._texts)

    def __iter__(self) -> Iterator[Code]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _begins(code: str, text: str) -> bool:
    return code.startswith(text) and (text.endswith(":") or code[len(text) : len(text) + 1] in ("", ":", " "))


DEFINITE: Final = Prefixes(
    *("EOrder:Insufficient funds", "EOrder:Order minimum not met", "EOrder:Cost minimum not met"),
    *("EOrder:Tick size check failed", "EOrder:Invalid price", INVALID_ORDER, "EOrder:Post only order"),
    *("EOrder:Orders limit exceeded", "EOrder:Scheduled orders limit exceeded", "EOrder:Positions limit exceeded"),
    *("EOrder:Insufficient margin", "EOrder:Margin", "EOrder:Cannot open position", "EOrder:Reduce only"),
    *("EOrder:Cannot open opposing position", "EOrder:Trading agreement required"),
    *("EGeneral:Invalid arguments", "EGeneral:Permission denied", "EGeneral:Unknown method"),
    *("EQuery:Unknown asset pair", "EQuery:Invalid asset pair", TOO_LATE, "EAccount:Invalid permissions", "EAuth:"),
    *("EService:Market in cancel_only mode", "EService:Market in post_only mode"),
    *("EService:Market in limit_only mode", "ETrade:User Locked", "EBM:limit exceeded"),
    *("EAPI:Invalid key", "EAPI:Invalid signature", STALE_NONCE),
)
"""Refused at the gate or by the engine: nothing was done."""

OF_REQUESTS: Final = Prefixes("EAPI:Rate limit exceeded")
"""The counter of private requests, in which orders and cancels don't count."""
OF_ORDERS: Final = Prefixes("EOrder:Rate limit exceeded", "EOrder:Domain rate limit exceeded")
OF_ALL: Final = Prefixes("EGeneral:Too many requests", "EGeneral:Temporary lockout", NAMED_WAIT)
THROTTLED: Final = Prefixes(*(str(one) for kind in (OF_REQUESTS, OF_ORDERS, OF_ALL) for one in kind))

_WAITS: Final = {"EGeneral:Temporary lockout": 900.0, "EGeneral:Too many requests": 10.0}
"""Seconds; a lockout is said to last 15 minutes."""
_WAIT: Final = 5.0
"""Seconds for which the counters of the lowest tier are allowed to fall; to go on at once prolongs the refusals."""


def code_of(errors: Sequence[str]) -> str:
    """The one that counts of several: one that is not known to mean that nothing was done."""
    return next((one for one in errors if one not in DEFINITE and one not in THROTTLED), errors[0])


def wait_of(code: str, now: float) -> float:
    """Seconds after which one may go on; ``now`` is in seconds since 1970, 0 where it is not known."""
    if code.startswith(NAMED_WAIT):
        until = code.removeprefix(NAMED_WAIT).strip()
        is_time = until.isascii() and until.isdecimal() and len(until) < 12 and now
        return min(max(float(until) - now, 1.0), _WAITS["EGeneral:Temporary lockout"]) if is_time else _WAIT
    return next((seconds for text, seconds in _WAITS.items() if _begins(code, text)), _WAIT)
