"""The messages that the fuzzer mutates, by exchange: the examples of the adapters' tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from tests.fuzz.frames import Message
from tests.neuroflux.exchanges.kit.examples import EXAMPLES

MESSAGES: Final[Mapping[str, Sequence[Message]]] = {one: EXAMPLES[one].messages for one in EXCHANGE_IDS}
