"""The frames of OKX's channels: ``{"arg":{"channel":…,"instId":…},"action":…,"data":[…]}``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.events import FeedEvent, Ignored

T = TypeVar("T")


class Arg(Struct, frozen=True):
    channel: str = ""
    instId: str = ""


class Frame(Struct, Generic[T], frozen=True):
    """``action`` is of books alone."""

    data: list[T] = []
    arg: Arg = Arg()
    action: str = ""


class Head(Struct, frozen=True):
    """A frame whose rows are not read yet."""

    data: Raw = Raw(b"[]")
    arg: Arg = Arg()


HEAD: Final = Decoder(Head)

Make = Callable[[Frame[T], T, Microseconds], Sequence[FeedEvent]]


def each(make: Make[T], frame: Frame[T], received: Microseconds) -> Sequence[FeedEvent]:
    """The events of all rows; almost every frame has one."""
    if len(frame.data) == 1:
        return make(frame, frame.data[0], received)
    return [event for row in frame.data for event in make(frame, row, received)] or (Ignored(frame.arg.channel),)
