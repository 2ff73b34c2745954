"""Confirmation: nothing that may cost money starts before a person has seen the summary and agreed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from neuroflux.cli.live.accounts import LiveAccount
from neuroflux.cli.live.summary import rows, table
from neuroflux.errors import Refused, UsageError
from neuroflux.runtime.settings import Settings

WIDTH: Final = 120
"""Columns of the output without a terminal."""
NOT_INTERACTIVE: Final = "--trade sends orders to real exchanges: confirm it on a terminal, or pass --yes"
UNCONFIRMED: Final = "not confirmed: nothing was started"


def check_confirmable(*, yes: bool) -> None:
    """Raises UsageError if there is no terminal to ask on, and no ``yes``."""
    if not yes and not sys.stdin.isatty():
        raise UsageError(NOT_INTERACTIVE)


def confirm(settings: Settings, accounts: Sequence[LiveAccount], *, yes: bool, allow_withdrawals: bool) -> None:
    """Show the accounts and ask for confirmation unless ``yes``; raises Refused if trading must not begin."""
    console = Console(stderr=True, markup=False, highlight=False, width=None if sys.stderr.isatty() else WIDTH)
    console.print(table(rows(accounts, settings.order_limits(live=True))))
    if not allow_withdrawals:
        check_withdrawals(accounts)
    if yes:
        return
    console.print("Type yes to send orders there:", end=" ")
    if sys.stdin.readline().strip() != "yes":
        raise Refused(UNCONFIRMED)


def check_withdrawals(accounts: Sequence[LiveAccount]) -> None:
    """Raises Refused for a key that is known to have withdrawal rights; on a testnet it does not matter."""
    found = [one for one in accounts if one.rights and one.rights.withdraws and not one.testnet]
    if found:
        changes = "; ".join(f"{one.exchange}: {one.rights.detail}" for one in found if one.rights)
        raise Refused(f"keys with withdrawal rights are refused: {changes}; or pass --allow-withdrawals")
