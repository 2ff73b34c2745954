"""What a body is, by its keys: an answer does not name the request that it answers, and a recording keeps none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.json import Decoder

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What decoding bytes that are no message raises; UnicodeError, of lone surrogates, is a ValueError."""

Kinds = Sequence[tuple[str, str]]
"""Keys, separated by spaces, and the kind of what has all of them: the first that fits counts. ``delta.type`` is a key
of the object ``delta``.
"""

_SHAPE: Final = Decoder(dict[str, Raw] | list[Raw])
_OBJECT: Final = Decoder(dict[str, Raw])


class Shapes(Struct, frozen=True):
    """The kinds of objects, and of lists by their rows."""

    objects: Kinds
    rows: Kinds


def kind_of(body: bytes | str, shapes: Shapes) -> str:
    """The kind of a body; "" for any other. Raises ``UNREADABLE`` for an object or a list that is no JSON."""
    try:
        shape = _SHAPE.decode(body)
    except msgspec.ValidationError:
        return ""
    if isinstance(shape, dict):
        return _first(shape, shapes.objects)
    return next((kind for row in shape if (kind := _first(_fields(row), shapes.rows))), "")


def _first(fields: Mapping[str, Raw], kinds: Kinds) -> str:
    return next((kind for keys, kind in kinds if all(_has(fields, key) for key in keys.split())), "")


def _has(fields: Mapping[str, Raw], key: str) -> bool:
    name, _, inner = key.partition(".")
    return name in fields and (not inner or _has(_fields(fields[name]), inner))


def _fields(row: Raw) -> Mapping[str, Raw]:
    """Of a row that is an object; a list may have other rows."""
    try:
        return _OBJECT.decode(row)
    except UNREADABLE:
        return {}
