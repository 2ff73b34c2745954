"""The accounts that orders can go to: an order client for every exchange whose keys are set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from consumers.execution.gateway import Account
from neuroflux.domain import Instrument
from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import exchange
from neuroflux.exchanges.kit.interface import Exchange, OrderClient
from neuroflux.exchanges.kit.requests import Keys
from neuroflux.runtime.settings import Settings

log = logging.getLogger(__name__)

Listed = Callable[[str], Sequence[Instrument]]
"""The instruments of an exchange; the same object while nothing has changed."""


def accounts_of(settings: Settings, listed: Listed) -> dict[str, Account]:
    """By exchange id; an exchange without keys, or with keys that can't sign, has none."""
    found = {}
    for name in settings.exchanges:
        keys = settings.keys(name)
        if keys is None:
            continue
        try:
            order_client = _OrderClient(exchange(name), keys, name, listed)
        except UsageError as error:  # keys that can't sign, of one exchange, must not stop the others
            log.error("%s: %s", name, error)
            continue
        found[name] = Account(exchange(name), order_client, settings.rest_url(name))
    return found


class _OrderClient:
    """The order client of one account, built again when the list of instruments has changed."""

    def __init__(self, on: Exchange, keys: Keys, name: str, listed: Listed) -> None:
        self._on, self._keys, self._name, self._listed = on, keys, name, listed
        self._instruments: Sequence[Instrument] = listed(name)
        self._order_client = on.order_client(keys, self._instruments)

    def __call__(self) -> OrderClient:
        instruments = self._listed(self._name)
        if instruments is not self._instruments:
            self._instruments, self._order_client = instruments, self._on.order_client(self._keys, instruments)
        return self._order_client
