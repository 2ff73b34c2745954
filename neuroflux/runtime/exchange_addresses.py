"""Checks of the exchanges' addresses: not unencrypted, and not of the real exchange and the testnet at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from neuroflux.errors import UsageError
from neuroflux.exchanges.catalogue import exchange
from neuroflux.runtime.hosts import LOOPBACK

YES: Final = frozenset({"1", "true", "yes", "on", "y", "t"})
NO: Final = frozenset({"0", "false", "no", "off", "n", "f", ""})
_PLAIN: Final = {"REST_URL": "http", "WS_URL": "ws"}
"""The unencrypted scheme by setting; the encrypted one is the same with an ``s``."""


def is_yes(variable: str, text: str) -> bool:
    """Read a yes or no; raises UsageError for anything else, as a misread yes could cost money."""
    word = text.strip().lower()
    if word not in YES | NO:
        raise UsageError(f"{variable}: {text!r} is neither yes (1, true, yes, on) nor no (0, false, no, off)")
    return word in YES


def check_testnet(exchange_id: str, named: str) -> None:
    """Raises UsageError for an exchange without a testnet; ``named`` is the setting that asks for it.

    To go on would mean the real exchange, or an address that some other setting names.
    """
    if not any(exchange(exchange_id).TESTNET):
        raise UsageError(f"{named}: {exchange_id} has no testnet; try it on the simulator")


def address_fault(exchange_id: str, is_testnet: bool, given: Mapping[str, str], sim: str) -> str:
    """The fault of the addresses that are set, by ``REST_URL`` and ``WS_URL``, or "".

    ``sim`` is the simulator's address, which may be unencrypted in any network.
    """
    for name, address in given.items():
        if fault := _fault(exchange_id, is_testnet, name, address, urlsplit(sim).netloc):
            return f"NEUROFLUX_{exchange_id.upper()}_{name}: {fault}"
    return ""


def _fault(exchange_id: str, is_testnet: bool, name: str, address: str, sim: str) -> str:
    parts, plain = urlsplit(address), _PLAIN[name]
    if parts.scheme not in (plain, f"{plain}s") or not parts.hostname:
        return f"{address!r} is not an address that begins with {plain}s://"
    if parts.scheme == plain and parts.hostname not in LOOPBACK and parts.netloc != sim:
        return f"{address!r} is not encrypted: orders and keys need {plain}s://"
    on, testnet = exchange(exchange_id), f"NEUROFLUX_{exchange_id.upper()}_TESTNET"
    real, test = (
        {urlsplit(one).hostname for one in addresses}
        for addresses in ((on.REST_URL, on.WS_URL, on.PRIVATE_WS_URL), on.TESTNET)
    )
    if parts.hostname not in (real - test if is_testnet else test - real):  # a testnet may share an address
        return ""
    return f"{address!r} is of " + (f"the real exchange, but {testnet} is on" if is_testnet else f"{testnet}=1")
