"""The accounts that orders can go to: of every exchange whose keys are set, a desk that knows its instruments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consumers.gateway import Account
from neuroflux.domain import Instrument
from neuroflux.exchanges.base_exchange import Desk, Exchange, Keys
from neuroflux.exchanges.catalogue import exchange
from neuroflux.settings import Settings

Listed = Callable[[str], Sequence[Instrument]]
"""The instruments of an exchange; the same object while nothing has changed."""


def accounts_of(settings: Settings, listed: Listed) -> dict[str, Account]:
    """By exchange id; without keys there is none."""
    found = {}
    for name in settings.exchanges:
        keys = settings.keys(name)
        if keys is not None:
            found[name] = Account(exchange(name), _Desk(exchange(name), keys, name, listed), settings.rest_url(name))
    return found


class _Desk:
    """The desk of one account, made again when the list of instruments has changed."""

    def __init__(self, on: Exchange, keys: Keys, name: str, listed: Listed) -> None:
        self._on, self._keys, self._name, self._listed = on, keys, name, listed
        self._instruments: Sequence[Instrument] = listed(name)
        self._desk = on.desk(keys, self._instruments)

    def __call__(self) -> Desk:
        instruments = self._listed(self._name)
        if instruments is not self._instruments:
            self._instruments, self._desk = instruments, self._on.desk(self._keys, instruments)
        return self._desk
