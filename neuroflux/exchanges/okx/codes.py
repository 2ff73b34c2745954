"""What OKX's codes say of an order: only with these it is certain that nothing was done.

Source: https://www.okx.com/docs-v5/en/#error-code. Not in the table, and so in doubt: 50001, 50004, 50005, 50013,
50026, 51054, 51149 (the exchange does not know itself), and every code that is not known here.
"""

from __future__ import annotations

from typing import Final

from neuroflux.exchanges.kit.order_client import Codes
from neuroflux.exchanges.okx.rest import THROTTLED

NO_ORDER: Final = "51603"
NOT_CANCELLED: Final = frozenset({"51400", "51401", "51402", NO_ORDER})
"""There is no such open order: it is filled or cancelled, or never was."""
DUPLICATE: Final = "51016"
BAD_PARAMETER: Final = "51000"
"""Also what a client order id that is used again is said to be answered with."""
ORDERS_ONLY: Final = "50061"
"""Too many new orders of the account."""


def _codes(*groups: str) -> frozenset[str]:
    """Codes, and ranges of them with both ends."""
    ends = (group.partition("-") for text in groups for group in text.split())
    return frozenset(str(code) for first, _, last in ends for code in range(int(first), int(last or first) + 1))


_TIMES: Final = _codes("50036 50037 50102 50112")
"""Too late by ``expTime``, or signed too long ago or ahead of the exchange's clock."""
_DEFINITE: Final = _codes(
    "50000 50002 50006 50014-50016 50024 50025 50115 51000 51003 51011 51015 51111",  # parameters
    "51001 51002 51012 51014 51021 51022 51027-51030 51087 54007 54072",  # the instrument
    "51005-51007 51020 51031 51033 51101-51106 51109 51110 51116 51120-51122 51124 51135-51138 51185 51201-51204",
    "54012 54018 54019 50122 54084 54085",  # size and price
    "51008 51017 51119 51127 51131 51502",  # funds
    "51010 51023 51025 51107 51108 51112 51117 51128 51129 51133 51134 51139 51169 51170 51174 51205 51206 59113",
    "50007 50009 50012 50017-50023 50027-50030 50032 50033 50051 50052 50059 50060 51009 51024 51034 51037 51056",
    "51155 54000 54001 54004-54006 54008 54011 54024-54028 54030 54031 54035",  # the account
    "50035 50100 50101 50103-50107 50110 50111 50113 50114 50119-50121",  # authentication
)
CODES: Final = Codes(definite=_DEFINITE | _TIMES, untimely=_TIMES, throttled=THROTTLED, duplicates=(DUPLICATE,))
