"""Run a stage with keys of simulated exchanges: ``python -m neuroflux.stack.demo_keys COMMAND…``.

Only exchanges whose address is the simulator's, and that have no key yet, get those of its demo account.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from neuroflux.errors import NeuroFluxError, Unreachable
from neuroflux.runtime.settings import Settings, load_settings

TIMEOUT = 10.0


def accounts(sim: str) -> list[dict[str, Any]]:
    """The demo accounts of the simulator at ``sim``; raises Unreachable."""
    try:
        with urllib.request.urlopen(f"{sim}/sim/accounts", timeout=TIMEOUT) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found
    except (OSError, ValueError) as error:
        raise Unreachable(f"no accounts from {sim}: {error}") from error


def key_variables(accounts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The variables of each exchange's first account. Where an account has an address, that is its key."""
    variables: dict[str, str] = {}
    for account in accounts:
        prefix = f"NEUROFLUX_{account['exchange'].upper()}"
        variables.setdefault(f"{prefix}_API_KEY", account["address"] or account["key"])
        variables.setdefault(f"{prefix}_SECRET_KEY", account["secret"])
        if "passphrase" in account:
            variables.setdefault(f"{prefix}_PASSPHRASE", account["passphrase"])
    return variables


def missing(settings: Settings) -> list[str]:
    """Exchanges that run at NEUROFLUX_SIM and have no keys in this process's environment."""
    return [
        exchange
        for exchange in settings.exchanges
        if settings.rest_url(exchange).startswith(settings.sim)
        and not os.environ.get(f"NEUROFLUX_{exchange.upper()}_API_KEY")
    ]


def main() -> None:
    settings = load_settings()
    if wanted := missing(settings):
        try:
            offered = [one for one in accounts(settings.sim) if one["exchange"] in wanted]
        except NeuroFluxError as error:
            sys.exit(str(error))
        os.environ.update(key_variables(offered))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
