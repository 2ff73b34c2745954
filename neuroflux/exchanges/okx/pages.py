"""OKX's lists, read to their end: a full page is followed by the one of what is older than its last row.

Source: https://www.okx.com/docs-v5/en/, "Get order list" and its like: 100 rows at most, newest first.
"""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import parse_qs

from msgspec import Struct

from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys
from neuroflux.exchanges.kit.rows import Rows
from neuroflux.exchanges.okx.rest import API, signed

PAGE: Final = 100


class Row(Struct, frozen=True):
    """A row of a list that is read in pages."""

    @property
    def cursor(self) -> str:
        """What the next page comes after."""
        raise NotImplementedError


R = TypeVar("R", bound=Row)


def query_of(answer: Answer) -> dict[str, str]:
    """The parameters of the request."""
    asked = parse_qs(answer.request.path.partition("?")[2], max_num_fields=100)
    return {name: values[0] for name, values in asked.items()}


def more(keys: Keys, answer: Answer, read: Rows[R]) -> list[PageNeeded]:
    """The request for the next page; none where the answer does not name its request.

    It is signed with the time of the first, which is valid for 30 s.
    """
    request, last = answer.request, next((one.cursor for one in reversed(read.good)), "")
    stamp = request.headers.get("OK-ACCESS-TIMESTAMP", "")
    is_full = read.count >= PAGE
    if not (is_full and last and stamp and request.path.startswith(API)):
        return []
    path, asked = request.path.partition("?")[0].removeprefix(API), {**query_of(answer), "after": last}
    return [PageNeeded(signed(keys, "GET", path, stamp, request.tag, request.bucket, **asked))]
