"""What Bybit's codes mean for an order: it was not placed, it may be sent again, or its state is unknown.

Source: https://bybit-exchange.github.io/docs/v5/error. The manual does not say after which codes nothing was done: the
table has those whose meaning leaves no doubt. Of all others nothing is assumed.
"""

from __future__ import annotations

from typing import Final

from neuroflux.exchanges.kit.order_client import Codes

UNTIMELY: Final = frozenset({10002})
"""The timestamp is ahead of the exchange's clock, or older than the window."""
THROTTLED: Final = frozenset({10006, 10018, 10429, 20003, 170005, 170222})
OVER_THE_RATE: Final = 10006
"""Too many requests to one path: the others are not affected."""
DUPLICATES: Final = frozenset({110072, 170141})
"""An order of this client id exists or existed; it may be ours."""
SAME_LEVERAGE: Final = 110043
"""The leverage is as requested already: a success."""
GONE: Final = frozenset({110001, 110008, 110010, 170139, 170142, 170143, 170190, 170213})
"""Of a cancel: there is no such order, or it has ended. 110079, 170191 and 170212 say that it is under way."""
BANNED: Final = b"too frequent"
BANNED_SECONDS: Final = 600.0

DEFINITE: Final = frozenset(
    {
        10001,  # parameters; the position's side, in another mode
        *UNTIMELY,
        *(10003, 10004, 10005, 10007, 10010, 33004),  # key, signature, rights, address
        *(10008, 10009, 10024, 10027, 10028, 10029),  # barred account, region, symbol not allowed to it
        10017,  # no such path
        *(110003, 110004, 110006, 110007, 110012),  # price, balance
        *(110016, 110017, 110020, 110021, 110023, 110030, 110032),  # reduce-only, open interest, limits of orders
        *(110040, 110042, 110044, 110045, 110051, 110052, 110053, 110063),  # liquidation, margin, balance, delivery
        *range(110066, 110070),  # trading is halted, or not allowed
        *(110074, 110086, 110088, 110090, 110094, 110095, 110103),  # contract, credit, position, notional
        *(110120, 110121, 110123, 110124, 110125, 110131, 110132),
        *(170033, 170034, 170105, 170115, 170116, 170117, 170121, 170124),  # balance, symbol, type, time in force
        *(*range(170130, 170135), 170136, 170137, 170140, 170148),  # price, quantity, their steps, value
        *(170151, 170157, 170159, *range(170192, 170199)),  # halted, prices out of bounds
        *(170210, 170217, 170218, 170229),  # post-only, trading pair
        *(170341, 170344, 170346, 170348, 170371, 170372, 170381, 170382, 170810),
        *(30208, 30209, 30228, 30256),  # price collar, delisting
    }
)
"""Codes after which no order was placed. Any other leaves the order in doubt."""

CODES: Final = Codes(definite=DEFINITE, untimely=UNTIMELY, throttled=THROTTLED, duplicates=DUPLICATES)
