"""What Binance's error codes mean for an order: it was not placed, it may be sent again, or its state is unknown.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code. Of the codes that are in neither list
nothing is assumed.
"""

from __future__ import annotations

from typing import Final

from neuroflux.exchanges.kit.order_client import Codes

UNTIMELY: Final = frozenset({-1021, -5028})
"""Outside of the recvWindow, of the gateway or of the matching engine: nothing was done."""
OVERLOADED: Final = -1008
"""The system protects itself; USDⓈ-M exempts what reduces or closes a position."""
THROTTLED: Final = frozenset({-1003})
DUPLICATES: Final = frozenset({-4116})
"""An order of this client id is open; it may be ours."""
NO_ORDER: Final = -2013
ARCHIVED: Final = -2026
"""Ended with nothing executed, more than 90 days ago."""
UNKNOWN_ORDER: Final = frozenset({-2011, NO_ORDER})
BAD_LISTEN_KEY: Final = -1125

DEFINITE: Final = frozenset(
    {
        -1002,  # not authorized
        -1005,  # address not on the white list
        -1010,  # refused by the matching engine, with the reason in the text
        -1011,  # address not allowed on this route
        -1013,  # filter failure
        -1014,  # unsupported order combination
        -1016,  # service shut down
        -1020,  # unsupported operation
        -1022,  # signature
        -1023,  # start behind the end
        -1099,  # not authenticated
        *UNTIMELY,
        *range(-1199, -1099),  # what is wrong with the request: parameters, symbol, type, precision
        -1210,
        -1211,
        *range(-1225, -1219),
        -2010,  # new order rejected
        -2011,  # cancel rejected
        -2012,  # batch cancel failed
        -2014,  # key format
        -2015,  # key, address or permission
        -2016,  # no trading window
        -2017,  # keys locked
        *range(-2028, -2017),  # balance, margin, reduce-only, limits of orders
        -2039,  # client id is not this order's
        -2043,  # no reference price
        *(set(range(-4211, -3999)) - DUPLICATES),  # USDⓈ-M: filters, modes, permissions
        -4400,  # quantitative rules: only what reduces is taken
        -4401,  # large position: only what reduces is taken
        -4402,  # not in this region
        -4403,  # leverage of this region
        -4411,  # the agreement on TradFi perpetuals is not signed
        -4531,  # position mode out of step with COIN-M
        -5000,  # no such path
        -5021,  # fill-or-kill could not be filled
        -5022,  # post-only would have taken
        *range(-5029, -5023),  # amendments, limit orders only, matching engine's window
        *range(-5041, -5036),  # price match, self-trade prevention, good-till-date, no depth
    }
)
"""Codes after which no order was placed. Any other leaves the order in doubt."""

CODES: Final = Codes(definite=DEFINITE, untimely=UNTIMELY, throttled=THROTTLED, duplicates=DUPLICATES)

EXPIRY: Final = {
    "1": "would have traded with the account itself",
    "2": "immediate-or-cancel, not filled completely",
    "3": "immediate-or-cancel, not filled so as not to trade with the account itself",
    "4": "displaced by a reduce-only order of higher priority, or would have reversed the position",
    "5": "the account was liquidated",
    "6": "the condition of good-till-executed no longer holds",
    "7": "the symbol is delisted",
    "8": "the initial order ended after its stop was triggered",
    "9": "market order, not filled completely",
    "10": "fill-or-kill, not filled completely",
    "11": "post-only would have taken",
}
"""``er`` of USDⓈ-M's reports; 0 is none. Spot's ``eR`` is a text."""


def expiry(number: str | int) -> str:
    """Why an order expired, with the exchange's own number; "" for none."""
    text = str(number)
    if text in ("", "0"):
        return ""
    return f"expire reason {text[:40]}: {EXPIRY.get(text, 'not documented')}"
